//! Both ends of a connection, over a stream in memory, and keys of the real OpenSSL.

mod handshake;
mod openssl;
mod refusal;

use std::io;
use std::sync::Arc;

use realize_core::known_peers::KnownPeers;
use realize_core::transport::PeerId;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::*;

/// A machine that connects and one that listens.
struct Pair {
    client: PrivateKey,
    server: PrivateKey,
    known: KnownPeers,
}

impl Pair {
    /// Two that know each other.
    fn new() -> Self {
        let client = PrivateKey::generate().unwrap();
        let known = KnownPeers::new([client.public_key().peer_id().unwrap()]).unwrap();
        let server = PrivateKey::generate().unwrap();
        Self {
            client,
            server,
            known,
        }
    }

    fn client_config(&self) -> Arc<ClientConfig> {
        client_config(&self.client, self.server.public_key(), ALPN).unwrap()
    }

    fn server_config(&self) -> Arc<ServerConfig> {
        server_config(&self.server, &self.known, ALPN).unwrap()
    }

    async fn connect(&self) -> Outcome {
        connect(self.client_config(), self.server_config()).await
    }
}

/// What each side makes of the handshake.
type Outcome = (
    io::Result<client::TlsStream<DuplexStream>>,
    io::Result<server::TlsStream<DuplexStream>>,
);

async fn connect(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Outcome {
    let (near, far) = tokio::io::duplex(64 * 1024);
    tokio::join!(
        TlsConnector::from(client).connect(server_name(), near),
        TlsAcceptor::from(server).accept(far),
    )
}

/// The error of rustls in that of a stream.
fn of_tls(error: io::Error) -> rustls::Error {
    tls_error(&error)
        .unwrap_or_else(|| panic!("{error:?} is not of TLS"))
        .clone()
}

/// That the client, which believes to be connected, learns when it reads that it is refused.
async fn learns_of_refusal(client: io::Result<client::TlsStream<DuplexStream>>) {
    let error = of_tls(client.unwrap().read_u8().await.unwrap_err());
    assert!(refused_by_peer(&error), "{error:?}");
}
