//! Accepting connections, and seeing each to its end.

use std::sync::Arc;
use std::time::Duration;

use realize_core::error::ErrorKind;
use realize_core::known_peers::KnownPeers;
use realize_core::per_peer::PerPeer;
use realize_core::transport::{Connection, Handshake, Listener, TransportError};
use realize_rpc::Server;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::directories::Served;
use super::rejections::Rejections;
use crate::exit::chain;

/// How long proving who is there may take. A transport may be stricter.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// How many handshakes are under way at once. A transport may let in fewer, and choose among them.
const MAX_HANDSHAKES: usize = 1024;
/// How many connections are served at once.
const MAX_CONNECTIONS: usize = 1024;
/// How many of them one peer has, so that none has all: enough for the lanes of all its sessions.
const MAX_PER_PEER: usize = 128;

/// What all listeners share.
pub(super) struct Serving {
    pub(super) served: Arc<Served>,
    pub(super) known: KnownPeers,
    server: Server,
    handshakes: Semaphore,
    connections: Semaphore,
    per_peer: PerPeer,
    rejections: Rejections,
}

impl Serving {
    pub(super) fn new(served: Arc<Served>, known: KnownPeers) -> Self {
        Self {
            server: Server::new(Arc::clone(&served) as _),
            served,
            known,
            handshakes: Semaphore::new(MAX_HANDSHAKES),
            connections: Semaphore::new(MAX_CONNECTIONS),
            per_peer: PerPeer::new(MAX_PER_PEER),
            rejections: Rejections::default(),
        }
    }

    /// Accepts connections until it is told to stop.
    pub(super) async fn accept(
        self: Arc<Self>,
        transport: String,
        mut listener: Box<dyn Listener>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(handshake) => {
                    let serving = Arc::clone(&self);
                    let (transport, stop) = (transport.clone(), stop.clone());
                    tasks.spawn(async move { serving.admit(&transport, handshake, stop).await });
                }
                Err(TransportError::Closed) => {
                    tracing::error!(
                        event = "listener.failed",
                        transport,
                        error = "it was shut down"
                    );
                    return;
                }
                Err(error) => self.rejections.note(&transport, &chain(&error)),
            }
        }
    }

    /// Finds out who is there, and serves whom it knows.
    async fn admit(&self, transport: &str, handshake: Handshake, stop: CancellationToken) {
        let Ok(shaking) = self.handshakes.try_acquire() else {
            self.rejections
                .note(transport, "too many handshakes at once");
            return;
        };
        let connection = tokio::select! {
            () = stop.cancelled() => return,
            shaken = timeout(HANDSHAKE, handshake) => match shaken {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) => return self.rejections.note(transport, &chain(&error)),
                Err(_) => return self.rejections.note(transport, "the handshake took too long"),
            },
        };
        drop(shaking);
        if !self.known.contains(&connection.peer) {
            let who = format!("{} is not known here", connection.peer);
            return self.rejections.note(transport, &who);
        }
        let Some(_share) = self.per_peer.take(&connection.peer) else {
            let who = format!("{} has too many connections at once", connection.peer);
            return self.rejections.note(transport, &who);
        };
        let Ok(_serving) = self.connections.try_acquire() else {
            return self
                .rejections
                .note(transport, "too many connections at once");
        };
        self.serve(transport, connection).await;
    }

    /// Serves a connection to its end.
    pub(super) async fn serve(&self, transport: &str, connection: Connection) {
        let name = self.served.name(&connection.peer);
        let address = connection.address.clone();
        let peer = name
            .as_deref()
            .unwrap_or(connection.peer.as_str())
            .to_owned();
        tracing::info!(event = "peer.connected", peer, transport, address);
        match self.server.serve(connection).await {
            Ok(()) => tracing::info!(event = "peer.disconnected", peer, transport, address),
            Err(error) if error.kind() == ErrorKind::Protocol => tracing::warn!(
                event = "protocol.violation",
                peer,
                transport,
                address,
                what = %error.chain()
            ),
            Err(error) => tracing::info!(
                event = "peer.disconnected",
                peer,
                transport,
                address,
                reason = %error.chain()
            ),
        }
    }

    /// Ends every connection once what is under way on it has been answered.
    pub(super) fn drain(&self) {
        self.server.drain();
    }

    /// Cuts the connections of whoever is not known any more.
    pub(super) fn cut_unknown(&self) {
        self.server.cut(|peer| self.known.contains(peer));
    }
}
