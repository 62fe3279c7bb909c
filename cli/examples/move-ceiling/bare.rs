//! Bare streams: TLS over TCP, and QUIC, with the settings that the transports have by default.

use std::future::ready;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::BbrConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig};
use realize_core::known_peers::KnownPeers;
use realize_quic::{MAX_CONNECTION_WINDOW, MAX_STREAMS, QuicOptions, STREAM_WINDOW};
use realize_tls::{ALPN, PrivateKey, client_config, server_config, server_name};
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::carry::carry;
use crate::{Fallible, Files};

/// Two machines that know each other.
pub(crate) struct Bare {
    near: PrivateKey,
    far: PrivateKey,
    known: KnownPeers,
}

impl Bare {
    pub(crate) fn new() -> Fallible<Self> {
        let (near, far) = (PrivateKey::generate()?, PrivateKey::generate()?);
        let known = KnownPeers::new([near.public_key().peer_id()?])?;
        Ok(Self { near, far, known })
    }

    /// Moves the files over one connection of TLS.
    pub(crate) async fn over_tls(&self, files: &Files) -> Fallible<()> {
        let server = server_config(&self.far, &self.known, ALPN)?;
        let client = client_config(&self.near, self.far.public_key(), ALPN)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (dialled, accepted) =
            tokio::try_join!(TcpStream::connect(listener.local_addr()?), async {
                Ok(listener.accept().await?.0)
            })?;
        dialled.set_nodelay(true)?;
        accepted.set_nodelay(true)?;
        let (near, far) = tokio::try_join!(
            TlsConnector::from(client).connect(server_name(), dialled),
            TlsAcceptor::from(server).accept(accepted)
        )?;
        let (_unused, near) = tokio::io::split(near);
        let (far, _unused) = tokio::io::split(far);
        carry(near, ready(Ok(far)), files).await
    }

    /// Moves the files over one stream of QUIC.
    pub(crate) async fn over_quic(&self, files: &Files) -> Fallible<()> {
        let settings = settings();
        let tls = server_config(&self.far, &self.known, ALPN)?;
        let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
        server.transport_config(settings.clone());
        let listens = endpoint(Some(server))?;
        let tls = client_config(&self.near, self.far.public_key(), ALPN)?;
        let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        client.transport_config(settings);
        let dials = endpoint(None)?;
        let dialling = dials.connect_with(client, listens.local_addr()?, "0.0.0.0")?;
        let accepting = async {
            let incoming = listens.accept().await.ok_or("nobody came")?;
            Fallible::Ok(incoming.await?)
        };
        let dialling = async { Fallible::Ok(dialling.await?) };
        let (near, far) = tokio::try_join!(dialling, accepting)?;
        let send = near.open_uni().await?;
        // The stream is there for the other end with its first bytes.
        let receive = async move { Fallible::Ok(far.accept_uni().await?) };
        carry(send, receive, files).await
    }
}

/// What the transport sets by default.
fn settings() -> Arc<TransportConfig> {
    let options = QuicOptions::default();
    let mut config = TransportConfig::default();
    config
        .max_concurrent_uni_streams(MAX_STREAMS.into())
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(MAX_CONNECTION_WINDOW.into())
        .send_window(u64::from(MAX_CONNECTION_WINDOW) * 2)
        .keep_alive_interval(Some(Duration::from_secs(options.keep_alive.get())))
        .congestion_controller_factory(Arc::new(BbrConfig::default()));
    Arc::new(config)
}

/// A socket with the buffers that the transport's have by default.
fn endpoint(server: Option<ServerConfig>) -> Fallible<quinn::Endpoint> {
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let buffer = usize::try_from(QuicOptions::default().udp_buffer.get())?;
    sockopt::set_socket_recv_buffer_size(&socket, buffer)?;
    sockopt::set_socket_send_buffer_size(&socket, buffer)?;
    let config = EndpointConfig::default();
    let runtime = Arc::new(TokioRuntime);
    Ok(quinn::Endpoint::new(config, server, socket, runtime)?)
}
