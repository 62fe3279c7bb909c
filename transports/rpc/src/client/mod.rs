//! A directory of a peer, as a [`Service`](realize_core::Service).
//!
//! A client speaks over several connections, its lanes: the first is made when it connects, the
//! others when it claims the directory, or has something bulky to carry without. A lane that breaks is made
//! anew, and what was under way on it is asked again on another: every call may be repeated. When
//! the last one breaks the session is over at the server too, with its claims, and so is the client:
//! whoever moves files connects again and goes on where it was.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use realize_core::error::{Error, ErrorKind, Result};
use realize_core::transport::{Endpoint, PeerId, Transport};
use tarpc::client::RpcError;
use tokio::time::timeout;

use crate::hello::Granted;
use crate::limits::{InForce, LimitChange, Limits};
use crate::protocol::RealizeServiceClient;
use crate::wire::Violation;

mod greeting;
mod lane;
mod lanes;
mod service;

use greeting::unasked;
use lane::Called;
use lanes::Lanes;

pub(crate) use lanes::MAX_LANES;

/// How many lanes may break under one call before it is given up: perhaps it is the call that breaks
/// them.
const LOSSES: usize = 8;
/// How long the orderly end of the connections is waited for.
const CLOSING: Duration = Duration::from_secs(3);

/// Where a directory of a peer is.
#[derive(Clone, Debug)]
pub struct Remote {
    /// What to call the peer, in messages.
    pub name: String,
    /// Who it must be.
    pub peer: PeerId,
    /// What to dial it with.
    pub transport: Arc<dyn Transport>,
    /// Where to dial it.
    pub endpoint: Endpoint,
    /// Which of its directories is meant, by the name that the peer gives it; at most 256 bytes.
    pub directory: String,
    /// How fast the connections with it go; all lanes share them.
    pub limits: Limits,
    /// Whether content is compressed on its way, in either direction, if the peer can do that.
    pub compress: bool,
}

/// What a call weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Little, and others wait for it.
    Urgent,
    /// Content goes one way or the other.
    Bulky,
}

/// A directory of a peer.
#[derive(Debug)]
pub struct Client {
    lanes: Arc<Lanes>,
    compresses: bool,
    /// How fast the peer sends at most, as it answered last, in bytes per second; 0 is no limit.
    peer_rate: AtomicU64,
}

impl Client {
    /// Connects, and asks for a session. The answer is not waited for, unless content is to be
    /// compressed: the first calls go with the question, and what is wrong they say.
    /// [`granted`](Self::granted) waits for it. Cancel safe.
    ///
    /// # Errors
    /// Of this, or of the first calls: `Network` or `Timeout` if the peer cannot be reached, which
    /// may be otherwise later; `Forbidden` if somebody else is there, or the peer refuses this machine
    /// or knows no such directory for it; `Invalid` for an address that is none; `Protocol` if no
    /// realize, or another version, is there.
    pub async fn connect(remote: Remote) -> Result<Self> {
        let lanes = Arc::new(Lanes::new(remote)?);
        let compresses = lanes.open().await?;
        Ok(Self {
            lanes,
            compresses,
            peer_rate: AtomicU64::new(0),
        })
    }

    /// Asks a peer what this machine may do there, in which directory; the remote's own is of no
    /// concern. Cancel safe.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn ask(remote: &Remote) -> Result<Vec<String>> {
        match greeting::ask(remote, None).await? {
            Granted::Rights(rights) => Ok(rights),
            Granted::Limits(_) => Err(unasked()),
        }
    }

    /// Asks a peer for the limits that hold for all that it sends and receives, and changes them;
    /// the remote's directory is of no concern. Answers what is in force from then on. Cancel safe,
    /// but for whether they were changed.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); `Forbidden` too if they are not this machine's to know.
    pub async fn limits(remote: &Remote, change: LimitChange) -> Result<InForce> {
        match greeting::ask(remote, Some(change)).await? {
            Granted::Limits(limits) => Ok(limits),
            Granted::Rights(_) => Err(unasked()),
        }
    }

    /// What the peer lets this machine do in the directory, in its words: `list`, `read`, ... It is
    /// waited for. Cancel safe.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn granted(&self) -> Result<&[String]> {
        self.lanes.welcomed().await
    }

    /// Whether content is compressed on its way: it is where that was wanted and the peer can.
    pub fn compresses(&self) -> bool {
        self.compresses
    }

    /// Closes the connections in order: what was asked has been answered, and the peer sees that it
    /// was meant. Without it they are cut when the client is dropped.
    pub async fn close(self) {
        let tasks = self.lanes.close();
        drop(self);
        let _ = timeout(CLOSING, futures::future::join_all(tasks)).await;
    }

    /// Makes a call, on another lane if one breaks under it.
    async fn call<C, W, F, A, T>(
        &self,
        kind: Kind,
        patience: Duration,
        request: C,
        call: impl Fn(RealizeServiceClient, W) -> F,
    ) -> Result<T>
    where
        W: From<C> + Clone,
        F: Future<Output = std::result::Result<A, RpcError>>,
        Result<T>: TryFrom<A, Error = Violation>,
    {
        let request = W::from(request);
        let mut losses = 0;
        loop {
            let lane = match kind {
                Kind::Urgent => self.lanes.choose(kind)?,
                Kind::Bulky => self.lanes.choose_bulky().await?,
            };
            let called = |rpc| call(rpc, request.clone());
            let called = lane.call(patience, called).await;
            match called.map_err(|error| self.lanes.named(error))? {
                Called::Answered(answer) => return self.received(answer),
                Called::Lost => self.lanes.lose(&lane),
            }
            losses += 1;
            let reason = lane.reason();
            // Whoever breaks the protocol is not asked again.
            if losses == LOSSES || reason.kind() == ErrorKind::Protocol {
                return Err(self.lanes.named(reason));
            }
        }
    }

    /// An answer as core knows it.
    fn received<A, T>(&self, answer: A) -> Result<T>
    where
        Result<T>: TryFrom<A, Error = Violation>,
    {
        Result::<T>::try_from(answer)
            .map_err(|violation| self.broken(violation))
            .flatten()
    }

    /// That the peer broke the protocol, and how.
    fn broken(&self, how: impl std::error::Error + Send + Sync + 'static) -> Error {
        let error = Error::new(ErrorKind::Protocol, "the other end broke the protocol");
        self.lanes.named(error.because(how))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.lanes.give_up();
    }
}

#[cfg(test)]
mod tests;
