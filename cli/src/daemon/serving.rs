//! Accepting connections, and seeing each to its end.

use std::sync::Arc;
use std::time::Duration;

use realize_core::counted::{ByteCounts, Counted};
use realize_core::error::ErrorKind;
use realize_core::known_peers::KnownPeers;
use realize_core::per_peer::PerPeer;
use realize_core::transport::{Connection, Handshake, Listener, PeerId, TransportError};
use realize_rpc::Server;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info_span};

use super::directories::Served;
use crate::exit::chain;

/// How long proving who is there may take. A transport may be stricter.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// How many handshakes are under way at once. A transport may let in fewer, and choose among them.
const MAX_HANDSHAKES: usize = 1024;
/// How long nobody is accepted after that failed: what a system lacks it lacks for a while.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
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
        }
    }

    /// Has the metrics show what is looked up: who is connected, what is in force.
    pub(super) fn show_metrics(&self) -> prometheus::Result<()> {
        let Self {
            served, per_peer, ..
        } = self;
        served.metrics.show(served, per_peer, &served.limits)
    }

    /// Accepts connections until it is told to stop. When a listener comes to its end before that,
    /// `lost` is cancelled.
    pub(super) async fn accept(
        self: Arc<Self>,
        transport: String,
        mut listener: Box<dyn Listener>,
        tasks: TaskTracker,
        (stop, lost): (CancellationToken, CancellationToken),
    ) {
        let address = listener.endpoint();
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
                        address = address.as_str(),
                        error = "it was shut down"
                    );
                    lost.cancel();
                    return;
                }
                Err(error) => {
                    self.reject(&transport, Rejected::of(&error));
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
    }

    /// Finds out who is there, and serves whom it knows.
    async fn admit(&self, transport: &str, handshake: Handshake, stop: CancellationToken) {
        let unseen = |reason| self.reject(transport, Rejected::new(None, None, reason));
        let Ok(shaking) = self.handshakes.try_acquire() else {
            return unseen("too many handshakes at once");
        };
        let connection = tokio::select! {
            () = stop.cancelled() => return,
            shaken = timeout(HANDSHAKE, handshake) => match shaken {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) => return self.reject(transport, Rejected::of(&error)),
                Err(_) => return unseen("the handshake took too long"),
            },
        };
        drop(shaking);
        let Connection { peer, address, .. } = &connection;
        let rejected = |reason| {
            self.reject(transport, Rejected::new(Some(address), Some(peer), reason));
        };
        if !self.known.contains(peer) {
            return rejected("the key is not known here");
        }
        let Some(_share) = self.per_peer.take(peer) else {
            return rejected("the peer has too many connections at once");
        };
        let Ok(_serving) = self.connections.try_acquire() else {
            return rejected("there are too many connections at once");
        };
        self.serve(transport, connection).await;
    }

    fn reject(&self, transport: &str, rejected: Rejected<'_>) {
        self.served.metrics.rejected(transport);
        rejected.log(transport);
    }

    /// Serves a connection to its end.
    pub(super) async fn serve(&self, transport: &str, connection: Connection) {
        let name = self.served.name(&connection.peer);
        let peer = name.unwrap_or_else(|| connection.peer.to_string());
        let span = info_span!("peer", peer);
        self.serve_peer(transport, &peer, connection)
            .instrument(span)
            .await;
    }

    async fn serve_peer(&self, transport: &str, peer: &str, mut connection: Connection) {
        let address = connection.address.clone();
        let counts = ByteCounts::default();
        let all = self.served.metrics.traffic.of(peer).wire.clone();
        let counted = Counted::new(connection.stream, counts.clone());
        connection.stream = Box::new(Counted::new(counted, all));
        tracing::info!(event = "peer.connected", peer, transport, address);
        let ended = self.server.serve(connection).await;
        let reason = match &ended {
            Ok(()) => "closed".to_owned(),
            Err(error) => error.chain(),
        };
        if let Err(error) = ended
            && error.kind() == ErrorKind::Protocol
        {
            tracing::warn!(
                event = "protocol.violation",
                peer,
                transport,
                address,
                what = error.doing(),
                value = std::error::Error::source(&error).map(chain)
            );
        }
        tracing::info!(
            event = "peer.disconnected",
            peer,
            transport,
            address,
            reason,
            bytes_in = counts.received(),
            bytes_out = counts.sent()
        );
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

/// Somebody who is not let in, as far as it is known who that is.
struct Rejected<'a> {
    address: Option<&'a str>,
    key: Option<&'a PeerId>,
    reason: String,
}

impl<'a> Rejected<'a> {
    fn new(address: Option<&'a str>, key: Option<&'a PeerId>, reason: &str) -> Self {
        Self {
            address,
            key,
            reason: reason.to_owned(),
        }
    }

    /// The reason names neither address nor key, which are fields of their own: so it is the same for
    /// all who come for the same reason.
    fn of(error: &'a TransportError) -> Self {
        match error {
            TransportError::Identity {
                address,
                peer,
                what,
            } => Self {
                address: Some(address),
                key: peer.as_ref(),
                reason: match peer {
                    Some(peer) => what.replace(peer.as_str(), "the key"),
                    None => what.clone(),
                },
            },
            TransportError::Handshake { address, source } => Self {
                address: Some(address),
                key: None,
                reason: chain(source),
            },
            other => Self {
                address: None,
                key: None,
                reason: chain(other),
            },
        }
    }

    fn log(&self, transport: &str) {
        tracing::warn!(
            event = "peer.rejected",
            transport,
            address = self.address,
            key = self.key.map(PeerId::as_str),
            reason = self.reason
        );
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use async_trait::async_trait;
    use realize_core::transport::Endpoint;
    use rstest::rstest;
    use tokio::time::Instant;

    use super::*;
    use crate::metrics::ServedMetrics;

    /// A listener that the system has no descriptors for, so many times, and that ends then.
    #[derive(Debug)]
    struct Failing(u32);

    #[async_trait]
    impl Listener for Failing {
        fn endpoint(&self) -> Endpoint {
            Endpoint::new("nowhere").unwrap()
        }

        async fn accept(&mut self) -> Result<Handshake, TransportError> {
            let Some(left) = self.0.checked_sub(1) else {
                return Err(TransportError::Closed);
            };
            self.0 = left;
            Err(io::Error::other("too many open files").into())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_fails_is_given_time_and_one_that_ends_is_told_of() {
        let served = Served::new(ServedMetrics::new(["test"]).unwrap());
        let serving = Arc::new(Serving::new(Arc::new(served), KnownPeers::default()));
        let (stop, lost) = (CancellationToken::new(), CancellationToken::new());
        let since = Instant::now();
        let accepting = serving.accept(
            "test".to_owned(),
            Box::new(Failing(20)),
            TaskTracker::new(),
            (stop, lost.clone()),
        );
        accepting.await;
        assert!(since.elapsed() >= ACCEPT_PAUSE * 20);
        assert!(lost.is_cancelled());
    }

    fn identity(peer: Option<&str>, what: &str) -> TransportError {
        TransportError::Identity {
            address: "192.0.2.7:1".to_owned(),
            peer: peer.map(|peer| PeerId::new(peer).unwrap()),
            what: what.to_owned(),
        }
    }

    #[rstest]
    #[case::a_key(
        identity(Some("test:stranger"), "test:stranger is not known here"),
        (Some("192.0.2.7:1"), Some("test:stranger"), "the key is not known here")
    )]
    #[case::no_key(
        identity(None, "found 2 keys"),
        (Some("192.0.2.7:1"), None, "found 2 keys")
    )]
    #[case::no_handshake(
        TransportError::Handshake {
            address: "192.0.2.7:1".to_owned(),
            source: io::Error::new(io::ErrorKind::TimedOut, "no handshake within 10 s"),
        },
        (Some("192.0.2.7:1"), None, "no handshake within 10 s")
    )]
    #[case::nobody(
        TransportError::Io(io::Error::other("too many open files")),
        (None, None, "the connection broke: too many open files")
    )]
    fn a_rejection_says_what_is_known_and_its_reason_is_the_same_for_all(
        #[case] error: TransportError,
        #[case] expected: (Option<&str>, Option<&str>, &str),
    ) {
        let rejected = Rejected::of(&error);
        let key = rejected.key.map(PeerId::as_str);
        assert_eq!((rejected.address, key, &*rejected.reason), expected);
    }
}
