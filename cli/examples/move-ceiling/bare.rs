//! Bare streams: TLS over TCP, and QUIC, with the settings that the transports have by default.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::BbrConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig};
use realize_core::known_peers::KnownPeers;
use realize_quic::{MAX_CONNECTION_WINDOW, MAX_STREAMS, QuicOptions, STREAM_WINDOW};
use realize_tls::{ALPN, PrivateKey, client_config, server_config, server_name};
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{Fallible, Files, file_in};

/// How many bytes are read and written at once.
const CHUNK: usize = 256 << 10;

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

    /// Moves the file over one connection of TLS.
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
        carry(near, far, files).await
    }

    /// Moves the file over one stream of QUIC.
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
        let receive = async { Fallible::Ok(far.accept_uni().await?) };
        let source = file_in(&files.source);
        let sending = tokio::spawn(send_file(send, source.clone()));
        let receiving = tokio::spawn(receive_file(receive.await?, files.destination.clone()));
        finish(sending.await??, receiving.await??, files)
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

/// Sends the file, and receives it, each in a task of its own.
async fn carry(
    near: impl AsyncWrite + Unpin + Send + 'static,
    far: impl AsyncRead + Unpin + Send + 'static,
    files: &Files,
) -> Fallible<()> {
    let sending = tokio::spawn(send_file(near, file_in(&files.source)));
    let receiving = tokio::spawn(receive_file(far, files.destination.clone()));
    finish(sending.await??, receiving.await??, files)
}

/// Deletes the source, if what arrived is what was sent.
fn finish(sent: blake3::Hash, arrived: blake3::Hash, files: &Files) -> Fallible<()> {
    if sent != arrived {
        return Err("what arrived is not what was sent".into());
    }
    fs::remove_file(file_in(&files.source))?;
    Ok(())
}

/// Reads, hashes and sends.
async fn send_file(mut to: impl AsyncWrite + Unpin, source: PathBuf) -> Fallible<blake3::Hash> {
    let mut file = File::open(source)?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = file.read(&mut chunk)?;
        let bytes = chunk.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            to.shutdown().await?;
            return Ok(hasher.finalize());
        }
        hasher.update(bytes);
        to.write_all(bytes).await?;
    }
}

/// Receives and writes, reads back, hashes, syncs, and gives the file its name.
async fn receive_file(
    mut from: impl AsyncRead + Unpin,
    destination: PathBuf,
) -> Fallible<blake3::Hash> {
    let partial = destination.join("partial");
    let mut file = File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&partial)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let mut filled = 0;
        while let Some(space) = chunk.get_mut(filled..).filter(|space| !space.is_empty()) {
            match from.read(space).await? {
                0 => break,
                count => filled += count,
            }
        }
        if filled == 0 {
            break;
        }
        file.write_all(chunk.get(..filled).unwrap_or_default())?;
    }
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    loop {
        let count = file.read_at(&mut chunk, at)?;
        if count == 0 {
            break;
        }
        hasher.update(chunk.get(..count).unwrap_or_default());
        at += count as u64;
    }
    file.sync_all()?;
    fs::rename(&partial, file_in(&destination))?;
    File::open(&destination)?.sync_all()?;
    Ok(hasher.finalize())
}
