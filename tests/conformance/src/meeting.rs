//! How the machines of a world meet.

use std::sync::Arc;

use realize_core::transport::{Connection, Endpoint, Listener, PeerId, Transport, TransportError};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::failure::{During, Failure, Outcome, PATIENCE, within};
use crate::world::World;

/// How many connections wait to be taken from an [`Accepting`].
const ARRIVALS: usize = 256;

/// Both ends of a connection, and the listener that it came through.
pub(crate) struct Pair {
    /// The end that dialled.
    pub(crate) near: Connection,
    /// The end that accepted.
    pub(crate) far: Connection,
    /// It is dropped last.
    _listener: Box<dyn Listener>,
}

impl Pair {
    /// The two ends, the given one first.
    pub(crate) fn from(self, end: End) -> (Connection, Connection, Box<dyn Listener>) {
        match end {
            End::Dialler => (self.near, self.far, self._listener),
            End::Listener => (self.far, self.near, self._listener),
        }
    }
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Dialler,
    Listener,
}

impl End {
    pub(crate) const BOTH: [Self; 2] = [Self::Dialler, Self::Listener];
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dialler => "the dialler",
            Self::Listener => "the listener",
        })
    }
}

impl World {
    /// A listener, and where it says that it listens.
    pub(crate) async fn listen(&self) -> Outcome<(Box<dyn Listener>, Endpoint)> {
        self.listen_at(&self.endpoint).await
    }

    pub(crate) async fn listen_at(&self, at: &Endpoint) -> Outcome<(Box<dyn Listener>, Endpoint)> {
        let dialler = self.dialler.identity.clone();
        self.known
            .replace([dialler])
            .during("knowing the dialler")?;
        let listening = self.listener.transport.listen(at);
        let listener = within(PATIENCE, "listening", listening).await?;
        let listener = listener.during(format!("listening at {at}"))?;
        let at = listener.endpoint();
        Ok((listener, at))
    }

    /// The dialler's end of a connection to the listener.
    pub(crate) async fn dial(&self, at: &Endpoint) -> Outcome<Connection> {
        let dialled = dial(&self.dialler.transport, at, &self.listener.identity).await?;
        dialled.during(format!("dialling {at}"))
    }

    /// A connection through this listener: the end that dialled, the end that accepted.
    pub(crate) async fn meet(
        &self,
        listener: &mut Box<dyn Listener>,
    ) -> Outcome<(Connection, Connection)> {
        let at = listener.endpoint();
        let accepting = async {
            let handshake = listener.accept().await.during("accepting")?;
            handshake.await.during("the accepted handshake")
        };
        let both = async { tokio::try_join!(self.dial(&at), accepting) };
        within(PATIENCE, "connecting", both).await?
    }

    /// A connection.
    pub(crate) async fn pair(&self) -> Outcome<Pair> {
        let (mut listener, _) = self.listen().await?;
        let (near, far) = self.meet(&mut listener).await?;
        Ok(Pair {
            near,
            far,
            _listener: listener,
        })
    }
}

/// What becomes of dialling, if something does.
pub(crate) async fn dial(
    transport: &Arc<dyn Transport>,
    at: &Endpoint,
    expected: &PeerId,
) -> Outcome<Result<Connection, TransportError>> {
    let what = format!("dialling {at}");
    within(PATIENCE, what, transport.dial(at, expected)).await
}

/// Accepts as a program does, with the handshakes beside each other, until it is dropped.
pub(crate) struct Accepting {
    arrivals: mpsc::Receiver<Result<Connection, TransportError>>,
    task: JoinHandle<()>,
}

impl Accepting {
    pub(crate) fn new(mut listener: Box<dyn Listener>) -> Self {
        let (arrived, arrivals) = mpsc::channel(ARRIVALS);
        let task = tokio::spawn(async move {
            // Dropped with the task, and the handshakes with it.
            let mut handshakes = JoinSet::new();
            loop {
                let arrival = tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok(handshake) => {
                            handshakes.spawn(handshake);
                            continue;
                        }
                        Err(error) => Err(error),
                    },
                    Some(done) = handshakes.join_next() => match done {
                        Ok(done) => done,
                        Err(panic) => Err(std::io::Error::other(panic).into()),
                    },
                };
                let over = matches!(arrival, Err(TransportError::Closed));
                if arrived.send(arrival).await.is_err() || over {
                    return;
                }
            }
        });
        Self { arrivals, task }
    }

    /// What becomes of the next one who comes. Cancel safe.
    pub(crate) async fn next(&mut self) -> Outcome<Result<Connection, TransportError>> {
        let arrival = self.arrivals.recv().await;
        arrival.ok_or_else(|| Failure::new("the listener has ended"))
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.task.abort();
    }
}
