//! A transport of one's own: Unix domain sockets, with the user at the other end as its identity.

use std::fs::{Permissions, set_permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use async_trait::async_trait;
use realize_core::known_peers::KnownPeers;
use realize_core::registry::{BuildError, TransportContext, TypedFactory};
use realize_core::transport::{
    Connection, Endpoint, Handshake, Listener, PeerId, Transport, TransportError,
};
use tokio::net::{UnixListener, UnixStream};

type Result<T> = std::result::Result<T, TransportError>;

/// What `[transports.unix]` may hold: nothing yet, and an unknown key is an error.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {}

/// Makes the transport, when the configuration says `transport = "unix"`.
pub(crate) struct UnixFactory;

impl TypedFactory for UnixFactory {
    type Options = Options;

    fn name(&self) -> &'static str {
        "unix"
    }

    fn make(
        &self,
        _options: Options,
        context: &TransportContext,
    ) -> std::result::Result<Arc<dyn Transport>, BuildError> {
        let known = context.known.clone();
        Ok(Arc::new(Unix { known }))
    }
}

#[derive(Debug)]
struct Unix {
    known: KnownPeers,
}

#[async_trait]
impl Transport for Unix {
    async fn dial(&self, endpoint: &Endpoint, expected: &PeerId) -> Result<Connection> {
        let dialled = UnixStream::connect(endpoint.as_str()).await;
        let stream = dialled.map_err(|error| TransportError::unreachable(endpoint, error))?;
        connection(stream, endpoint)?.expect(expected)
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>> {
        // Whoever may enter the directory may connect: who it is, is looked at then.
        let bind = || {
            let socket = UnixListener::bind(endpoint.as_str())?;
            set_permissions(endpoint.as_str(), Permissions::from_mode(0o666))?;
            Ok(socket)
        };
        let bound: io::Result<_> = bind();
        let socket = bound.map_err(|e| TransportError::address(endpoint, "listening", e))?;
        let (endpoint, known) = (endpoint.clone(), self.known.clone());
        Ok(Box::new(UnixSocket(socket, endpoint, known)))
    }
}

/// The connection over a stream. Which user is at its other end, the kernel says.
fn connection(stream: UnixStream, endpoint: &Endpoint) -> Result<Connection> {
    let user = format!("unix:uid={}", stream.peer_cred()?.uid());
    let peer = PeerId::new(user).map_err(io::Error::other)?;
    Ok(Connection::new(peer, endpoint, stream))
}

#[derive(Debug)]
struct UnixSocket(UnixListener, Endpoint, KnownPeers);

#[async_trait]
impl Listener for UnixSocket {
    fn endpoint(&self) -> Endpoint {
        self.1.clone()
    }

    async fn accept(&mut self) -> Result<Handshake> {
        let (stream, _) = self.0.accept().await?;
        let admitted = connection(stream, &self.1).and_then(|c| self.2.admit(c));
        Ok(Box::pin(async { admitted }))
    }
}

/// Frees the address.
impl Drop for UnixSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.1.as_str());
    }
}
