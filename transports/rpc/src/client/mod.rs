//! A directory of a peer, as a [`Service`](realize_core::Service).
//!
//! A client speaks over several connections, its lanes: the first is made when it connects, the
//! others when it claims the directory, or has something bulky to carry without. A lane that breaks is made
//! anew, and what was under way on it is asked again on another: every call may be repeated. When
//! the last one breaks the session is over at the server too, with its claims, and so is the client:
//! whoever moves files connects again and goes on where it was.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use realize_core::buffers::Buffers;
use realize_core::error::{Error, ErrorKind, Result};
use realize_core::transport::{Connection, Endpoint, PeerId, Transport, TransportError};
use tarpc::client::RpcError;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::compression::Compression;
use crate::hello::{self, ClientHello, Granted, Greeted, SessionId};
use crate::limits::{InForce, LimitChange, Limits, Passed};
use crate::protocol::RealizeServiceClient;
use crate::wire::Violation;

mod lane;
mod service;

use lane::{Called, Lane};

/// How long dialling and saying hello may take, together.
const CONNECTING: Duration = Duration::from_secs(20);
/// How many lanes there are at most.
pub(crate) const MAX_LANES: usize = 16;
/// How long after a lane could not be made another is tried first, and at most.
const REDIAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
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
    grants: Vec<String>,
    compresses: bool,
}

#[derive(Debug)]
struct Lanes {
    remote: Remote,
    session: SessionId,
    /// How long the first lane's hello was answered in: how far the peer is.
    delay: OnceLock<Duration>,
    buffers: Buffers,
    compression: Compression,
    alive: RwLock<Vec<Arc<Lane>>>,
    /// Set once, when the last lane has ended.
    over: Mutex<Option<Error>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Set when further lanes are being made.
    widened: Mutex<bool>,
    /// How fast the peer sends at most, as it answered last, in bytes per second; 0 is no limit.
    peer_rate: AtomicU64,
    /// Cancelled when the client is gone.
    closing: CancellationToken,
}

impl Client {
    /// Connects, and opens a session. Cancel safe.
    ///
    /// # Errors
    /// `Network` or `Timeout` if the peer cannot be reached, which may be otherwise later;
    /// `Forbidden` if somebody else is there, or the peer refuses this machine or knows no such
    /// directory for it; `Invalid` for an address that is none; `Protocol` if no realize, or
    /// another version, is there.
    pub async fn connect(remote: Remote) -> Result<Self> {
        let mut session = SessionId::default();
        getrandom::fill(&mut session).map_err(|error| {
            Error::new(ErrorKind::Io, "asking the system for random bytes").because(error)
        })?;
        let buffers = Buffers::default();
        let lanes = Arc::new(Lanes {
            remote,
            session,
            delay: OnceLock::new(),
            compression: Compression::new(buffers.clone()),
            buffers,
            alive: RwLock::default(),
            over: Mutex::default(),
            tasks: Mutex::default(),
            widened: Mutex::default(),
            peer_rate: AtomicU64::new(0),
            closing: CancellationToken::new(),
        });
        let (grants, compresses) = lanes.dial(true).await?;
        Ok(Self {
            lanes,
            grants,
            compresses,
        })
    }

    /// Asks a peer what this machine may do there, in which directory; the remote's own is of no
    /// concern. Cancel safe.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn ask(remote: &Remote) -> Result<Vec<String>> {
        match Self::ask_for(remote, None).await? {
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
        match Self::ask_for(remote, Some(change)).await? {
            Granted::Limits(limits) => Ok(limits),
            Granted::Rights(_) => Err(unasked()),
        }
    }

    async fn ask_for(remote: &Remote, limits: Option<LimitChange>) -> Result<Granted> {
        let asking = async {
            let (_, greeted, _) = greet(remote, SessionId::default(), true, "", limits).await?;
            Ok(greeted.granted)
        };
        within_time(remote, asking).await
    }

    /// What the peer lets this machine do in the directory, in its words: `list`, `read`, ...
    pub fn grants(&self) -> &[String] {
        &self.grants
    }

    /// Whether content is compressed on its way: it is where that was wanted and the peer can.
    pub fn compresses(&self) -> bool {
        self.compresses
    }

    /// Closes the connections in order: what was asked has been answered, and the peer sees that it
    /// was meant. Without it they are cut when the client is dropped.
    pub async fn close(self) {
        let tasks = std::mem::take(
            &mut *self
                .lanes
                .tasks
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.lanes.closing.cancel();
        // With the lane go the last senders of its link, which closes it.
        self.lanes
            .alive
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
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
        if kind == Kind::Bulky {
            self.lanes.widen();
        }
        let mut losses = 0;
        loop {
            let lane = self.lanes.choose(kind)?;
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
        self.lanes.closing.cancel();
    }
}

const BOUND: NonZeroUsize = match NonZeroUsize::new(MAX_LANES) {
    Some(bound) => bound,
    None => NonZeroUsize::MIN,
};

impl Lanes {
    /// Makes a lane; answers what the peer grants, and whether payloads are compressed on it.
    async fn dial(self: &Arc<Self>, first: bool) -> Result<(Vec<String>, bool)> {
        let directory = &self.remote.directory;
        let greeted = greet(&self.remote, self.session, first, directory, None);
        let (connection, greeted, delay) = within_time(&self.remote, greeted).await?;
        self.delay.get_or_init(|| delay);
        let Granted::Rights(grants) = greeted.granted else {
            return Err(unasked());
        };
        let compresses = greeted.features & hello::ZSTD != 0;
        let mut alive = self.alive.write().unwrap_or_else(PoisonError::into_inner);
        // The end of the last lane was the end of the client.
        if !first && !alive.iter().any(|lane| lane.is_alive()) {
            return Err(Error::new(ErrorKind::Network, "the connection is closed"));
        }
        let compression = compresses.then(|| self.compression.clone());
        let (lane, task) = Lane::start(connection.stream, self.buffers.clone(), compression);
        alive.push(Arc::new(lane));
        drop(alive);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
        Ok((grants, compresses))
    }

    /// The same error, with the peer's name.
    fn named(&self, error: Error) -> Error {
        let doing = format!("{}: {}", self.remote.name, error.doing());
        error.with_doing(doing)
    }

    /// The lane for a call. What is urgent takes the first, what is bulky the one with the least to
    /// do.
    fn choose(&self, kind: Kind) -> Result<Arc<Lane>> {
        let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
        let mut lanes = alive.iter().filter(|lane| lane.is_alive());
        let lane = if kind == Kind::Bulky {
            lanes.min_by_key(|lane| lane.load())
        } else {
            lanes.next()
        };
        if let Some(lane) = lane {
            return Ok(Arc::clone(lane));
        }
        // The last one has ended: nothing of this client works any more.
        let reason = alive.first().map(|lane| lane.reason());
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let error = over.get_or_insert_with(|| {
            let closed = || Error::new(ErrorKind::Network, "the connection is closed");
            self.named(reason.unwrap_or_else(closed))
        });
        self.closing.cancel();
        Err(error.clone())
    }

    /// Forgets a lane that has ended, unless it is the last one, whose reason is kept.
    fn lose(&self, lost: &Arc<Lane>) {
        let mut alive = self.alive.write().unwrap_or_else(PoisonError::into_inner);
        if alive.len() > 1 {
            alive.retain(|lane| !Arc::ptr_eq(lane, lost));
        }
    }

    /// How far the peer is, once a lane has been made.
    fn delay(&self) -> Option<Duration> {
        self.delay.get().copied()
    }

    /// How many lanes there are to be.
    fn wanted(&self) -> NonZeroUsize {
        let lanes = |delay| self.remote.transport.lanes(delay).min(BOUND);
        self.delay().map_or(NonZeroUsize::MIN, lanes)
    }

    /// Sees to it that there are as many lanes as are wanted.
    fn widen(self: &Arc<Self>) {
        let mut widened = self.widened.lock().unwrap_or_else(PoisonError::into_inner);
        if *widened || self.wanted() == NonZeroUsize::MIN {
            return;
        }
        *widened = true;
        let (lanes, closing) = (Arc::downgrade(self), self.closing.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = closing.cancelled() => {}
                () = tend(lanes) => {}
            }
        });
    }
}

/// That the answer to hello is none to what was asked.
fn unasked() -> Error {
    let what = "the answer to hello is none to what was asked";
    Error::new(ErrorKind::Protocol, what)
}

/// Dials a peer and says hello. How long the answer took is about what any other will take.
async fn greet(
    remote: &Remote,
    session: SessionId,
    first: bool,
    directory: &str,
    limits: Option<LimitChange>,
) -> Result<(Connection, Greeted, Duration)> {
    let dialled = remote.transport.dial(&remote.endpoint, &remote.peer).await;
    let mut connection = dialled.map_err(dialling)?;
    let passed = Passed::default();
    passed.add(&remote.limits);
    connection.stream = passed.hold(connection.stream);
    let hello = ClientHello {
        session,
        first,
        features: if remote.compress { hello::ZSTD } else { 0 },
        program: hello::program(),
        directory: directory.to_owned(),
        limits,
    };
    let asked = Instant::now();
    let greeted = hello::greet(&mut connection.stream, &hello).await?;
    Ok((connection, greeted, asked.elapsed()))
}

/// Bounds the time that connecting takes, and says in its errors to whom.
async fn within_time<T>(remote: &Remote, connecting: impl Future<Output = Result<T>>) -> Result<T> {
    let made = timeout(CONNECTING, connecting).await.unwrap_or_else(|_| {
        let what = format!("no connection within {} s", CONNECTING.as_secs());
        Err(Error::new(ErrorKind::Timeout, what))
    });
    made.map_err(|error| {
        let doing = format!("{} ({}): {}", remote.name, remote.endpoint, error.doing());
        error.with_doing(doing)
    })
}

/// Makes lanes until there are as many as wanted, and again when one has ended; ends when all have.
async fn tend(lanes: Weak<Lanes>) {
    let mut pause = REDIAL.0;
    loop {
        let Some(lanes) = lanes.upgrade() else { return };
        let alive: Vec<Arc<Lane>> = {
            let mut alive = lanes.alive.write().unwrap_or_else(PoisonError::into_inner);
            if !alive.iter().any(|lane| lane.is_alive()) {
                return;
            }
            alive.retain(|lane| lane.is_alive());
            alive.clone()
        };
        if alive.len() >= lanes.wanted().get() {
            drop(lanes);
            let ends = alive.iter().map(|lane| Box::pin(lane.ended()));
            futures::future::select_all(ends).await;
            continue;
        }
        // All that are missing at once: over a long way each takes several times its delay. While
        // they cannot be had, one.
        let missing = match pause == REDIAL.0 {
            true => lanes.wanted().get() - alive.len(),
            false => 1,
        };
        drop(alive);
        let dials = (0..missing).map(|_| lanes.dial(false));
        let failed = futures::future::join_all(dials).await.into_iter();
        match failed.filter_map(Result::err).next() {
            None => pause = REDIAL.0,
            Some(error) => {
                tracing::debug!(event = "lane.failed", reason = %error.chain());
                drop(lanes);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(REDIAL.1);
            }
        }
    }
}

/// A transport's error as a service's.
fn dialling(error: TransportError) -> Error {
    let kind = match &error {
        TransportError::Unreachable { .. } | TransportError::Closed => ErrorKind::Network,
        TransportError::Identity { .. } => ErrorKind::Forbidden,
        TransportError::Address { .. } => ErrorKind::Invalid,
        TransportError::Io(inner) => return hello::network(inner),
        _ => ErrorKind::Network,
    };
    Error::new(kind, "connecting").because(error)
}

#[cfg(test)]
mod tests;
