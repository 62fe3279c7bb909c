//! Two machines on real sockets, and everybody else.

mod bytes;
mod places;
mod refusal;
mod strangers;

use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use realize_core::known_peers::KnownPeers;
use realize_core::transport::{Connection, Endpoint, Listener, PeerId, Transport, TransportError};
use realize_tls::{ALPN, PrivateKey, client_config, server_config, server_name};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, client};

use crate::config::TcpOptions;
use crate::limits::Timeouts;
use crate::transport::TcpTransport;

/// By when what must happen has happened.
const SOON: Duration = Duration::from_secs(60);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("it takes too long")
}

fn endpoint(text: &str) -> Endpoint {
    Endpoint::new(text).unwrap()
}

fn peer(key: &PrivateKey) -> PeerId {
    key.public_key().peer_id().unwrap()
}

/// Two machines, of which `nas` knows `cam`.
struct Machines {
    cam: TcpTransport,
    nas: TcpTransport,
}

impl Machines {
    fn new() -> Self {
        Self::with_timeouts(Timeouts::default())
    }

    fn with_timeouts(timeouts: Timeouts) -> Self {
        let [cam, nas] = [(); 2].map(|()| PrivateKey::generate().unwrap());
        let known = KnownPeers::new([peer(&cam)]).unwrap();
        let make =
            |key, known| TcpTransport::with_timeouts(key, known, TcpOptions::default(), timeouts);
        Self {
            cam: make(cam, KnownPeers::default()),
            nas: make(nas, known),
        }
    }

    fn nas_peer(&self) -> PeerId {
        peer(&self.nas.key)
    }

    fn cam_peer(&self) -> PeerId {
        peer(&self.cam.key)
    }

    async fn listen(&self) -> (Box<dyn Listener>, Endpoint) {
        let listener = self.nas.listen(&endpoint("127.0.0.1:0")).await.unwrap();
        let at = listener.endpoint();
        (listener, at)
    }

    async fn dial(&self, at: &Endpoint) -> Result<Connection, TransportError> {
        soon(self.cam.dial(at, &self.nas_peer())).await
    }

    /// What becomes of a connection at `cam`, which dials, and at `nas`.
    async fn meet(&self) -> (Outcome, Outcome) {
        let (mut listener, at) = self.listen().await;
        tokio::join!(self.dial(&at), prove(&mut listener))
    }

    /// Both ends of a connection: that of `cam`, which dialled, and that of `nas`.
    async fn connect(&self) -> (Connection, Connection) {
        let (near, far) = self.meet().await;
        (near.unwrap(), far.unwrap())
    }

    /// The configuration with which `cam` would connect.
    fn client_config(&self) -> Arc<ClientConfig> {
        client_config(&self.cam.key, self.nas.key.public_key(), ALPN).unwrap()
    }
}

type Outcome = Result<Connection, TransportError>;

/// What becomes of the next connection.
async fn prove(listener: &mut Box<dyn Listener>) -> Outcome {
    soon(async { listener.accept().await.unwrap().await }).await
}

/// An error and its causes, as a log shows them.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// The error within a [`TransportError::Handshake`], with somebody on this machine.
fn handshake_error(error: TransportError) -> io::Error {
    match error {
        TransportError::Handshake { address, source } => {
            assert!(address.starts_with("127.0.0.1:"), "{address}");
            source
        }
        other => panic!("{other:?} is no Handshake"),
    }
}
