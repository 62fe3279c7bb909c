//! The lanes of a client: how many there are, which a call takes, and what becomes of those that end.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use realize_core::buffers::Buffers;
use realize_core::error::{Error, ErrorKind, Result};
use realize_core::transport::{Duplex, FAR};
use tokio::sync::{Notify, SetOnce};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::greeting::{self, CONNECTING, session_hello, too_slow, unasked, within_time};
use super::lane::Lane;
use super::service::MAX_WINDOW;
use super::{Kind, Remote};
use crate::compression::Compression;
use crate::hello::{self, Granted, Greeted, SessionId};
use crate::link::Preface;

/// How many lanes there are at most.
pub(crate) const MAX_LANES: usize = 16;
const BOUND: NonZeroUsize = match NonZeroUsize::new(MAX_LANES) {
    Some(bound) => bound,
    None => NonZeroUsize::MIN,
};
/// How long after a lane could not be made another is tried first, and at most.
pub(super) const REDIAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The connections of a client, which share a session.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) remote: Remote,
    session: SessionId,
    /// What the way there and back took, as the transport saw it. Something that is nearer may have
    /// answered in the peer's place.
    connected: OnceLock<Duration>,
    /// The same for the first hello.
    answered: OnceLock<Duration>,
    /// What the peer lets this machine do, once it has said so.
    grants: SetOnce<Vec<String>>,
    buffers: Buffers,
    compression: Compression,
    pub(super) alive: RwLock<Vec<Arc<Lane>>>,
    /// Set once, when the last lane has ended.
    over: Mutex<Option<Error>>,
    pub(super) tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Set when further lanes are being made.
    widened: AtomicBool,
    /// Cancelled when the first try to make them has ended.
    settled: CancellationToken,
    /// Told when a lane has been added, or has less to do.
    roomier: Arc<Notify>,
    /// Cancelled when the client is gone.
    closing: CancellationToken,
}

impl Lanes {
    /// None yet, of a session to be.
    pub(super) fn new(remote: Remote) -> Result<Self> {
        let mut session = SessionId::default();
        getrandom::fill(&mut session).map_err(|error| {
            Error::new(ErrorKind::Io, "asking the system for random bytes").because(error)
        })?;
        let buffers = Buffers::default();
        Ok(Self {
            remote,
            session,
            connected: OnceLock::new(),
            answered: OnceLock::new(),
            grants: SetOnce::new(),
            compression: Compression::new(buffers.clone()),
            buffers,
            alive: RwLock::default(),
            over: Mutex::default(),
            tasks: Mutex::default(),
            widened: AtomicBool::new(false),
            settled: CancellationToken::new(),
            roomier: Arc::default(),
            closing: CancellationToken::new(),
        })
    }

    /// Closes them in order; answers what ends when they have.
    pub(super) fn close(&self) -> Vec<JoinHandle<()>> {
        let tasks = &self.tasks;
        let tasks = std::mem::take(&mut *tasks.lock().unwrap_or_else(PoisonError::into_inner));
        self.give_up();
        // With the lane go the last senders of its link, which closes it.
        let mut alive = self.alive.write().unwrap_or_else(PoisonError::into_inner);
        alive.clear();
        tasks
    }

    /// Makes no more of them.
    pub(super) fn give_up(&self) {
        self.closing.cancel();
    }

    /// Makes the first lane, and asks for the session; answers whether payloads are compressed. Where
    /// that is wanted the peer's answer is waited for, as both must have agreed on it before the first
    /// frame. Otherwise calls go out behind the question, and the answer is [awaited](Self::welcomed)
    /// meanwhile.
    pub(super) async fn open(self: &Arc<Self>) -> Result<bool> {
        let begun = Instant::now();
        let opening = async {
            let mut connection = greeting::dial(&self.remote).await?;
            if let Some(delay) = connection.delay {
                self.connected.get_or_init(|| delay);
            }
            let hello = session_hello(&self.remote, self.session, true);
            let asked = Instant::now();
            hello::say(&mut connection.stream, &hello).await?;
            if !self.remote.compress {
                let answer = Self::hear_answer(Arc::downgrade(self), asked, begun + CONNECTING);
                self.start(true, connection.stream, None, Some(answer))?;
                return Ok(false);
            }
            let greeted = hello::hear(&mut connection.stream, hello.features).await?;
            let compresses = greeted.features & hello::ZSTD != 0;
            self.welcome(greeted, asked.elapsed())?;
            let compression = compresses.then(|| self.compression.clone());
            self.start(true, connection.stream, compression, None)?;
            Ok(compresses)
        };
        within_time(&self.remote, opening).await
    }

    /// Makes a further lane.
    async fn widen_by_one(&self) -> Result<()> {
        let widening = async {
            let mut connection = greeting::dial(&self.remote).await?;
            // Before, the peer may know of no session.
            self.welcomed().await?;
            let hello = session_hello(&self.remote, self.session, false);
            let greeted = hello::greet(&mut connection.stream, &hello).await?;
            let compresses = greeted.features & hello::ZSTD != 0;
            let compression = compresses.then(|| self.compression.clone());
            Ok((connection.stream, compression))
        };
        let (stream, compression) = within_time(&self.remote, widening).await?;
        self.start(false, stream, compression, None)
    }

    /// Speaks over the first lane, or another one.
    fn start(
        &self,
        first: bool,
        stream: Box<dyn Duplex>,
        compression: Option<Compression>,
        answer: Option<Preface>,
    ) -> Result<()> {
        let mut alive = self.alive.write().unwrap_or_else(PoisonError::into_inner);
        // The end of the last lane was the end of the client.
        if !first && !alive.iter().any(|lane| lane.is_alive()) {
            return Err(closed());
        }
        let (buffers, roomier) = (self.buffers.clone(), Arc::clone(&self.roomier));
        let (lane, task) = Lane::start(stream, buffers, compression, answer, roomier);
        alive.push(Arc::new(lane));
        drop(alive);
        self.roomier.notify_waiters();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
        Ok(())
    }

    /// Hears the answer to a hello of `asked`, until `deadline`.
    fn hear_answer(lanes: Weak<Self>, asked: Instant, deadline: Instant) -> Preface {
        Box::new(move |stream| {
            let hearing = async move {
                let mut stream = stream;
                let heard = timeout_at(deadline, hello::hear(&mut stream, 0)).await;
                let greeted = heard.unwrap_or_else(|_| Err(too_slow()))?;
                match lanes.upgrade() {
                    Some(lanes) => lanes.welcome(greeted, asked.elapsed()),
                    None => Err(closed()),
                }
            };
            Box::pin(hearing)
        })
    }

    /// Notes what the peer grants, and how long that took.
    fn welcome(&self, greeted: Greeted, delay: Duration) -> Result<()> {
        let Granted::Rights(rights) = greeted.granted else {
            return Err(unasked());
        };
        self.answered.get_or_init(|| delay);
        let _ = self.grants.set(rights);
        Ok(())
    }

    /// Whether the peer has answered the first hello.
    pub(super) fn is_welcomed(&self) -> bool {
        self.grants.get().is_some()
    }

    /// What the peer lets this machine do, once it has answered the first hello.
    pub(super) async fn welcomed(&self) -> Result<&[String]> {
        if let Some(grants) = self.grants.get() {
            return Ok(grants);
        }
        // One that ends leaves its reason, and no further one comes before the answer.
        let first = self.choose(Kind::Urgent)?;
        tokio::select! {
            biased;
            grants = self.grants.wait() => Ok(grants),
            () = first.ended() => Err(self.named(first.reason())),
        }
    }

    /// The same error, with the peer's name, and where it is until it has answered.
    pub(super) fn named(&self, error: Error) -> Error {
        if !self.is_welcomed() {
            return self.remote.named(error);
        }
        let doing = format!("{}: {}", self.remote.name, error.doing());
        error.with_doing(doing)
    }

    /// The lane for a call. What is urgent takes the first, what is bulky the one with the least to
    /// do.
    pub(super) fn choose(&self, kind: Kind) -> Result<Arc<Lane>> {
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
        let error = over.get_or_insert_with(|| self.named(reason.unwrap_or_else(closed)));
        self.closing.cancel();
        Err(error.clone())
    }

    /// The lane for a bulky call. While further lanes are being made for the first time, those that are
    /// there get no more than their share of what is to be on its way: what waits goes on the others.
    pub(super) async fn choose_bulky(self: &Arc<Self>) -> Result<Arc<Lane>> {
        self.widen();
        loop {
            let roomier = self.roomier.notified();
            let lane = self.choose(Kind::Bulky)?;
            let share = MAX_WINDOW.div_ceil(self.wanted().get());
            if lane.load() < share || self.settled.is_cancelled() {
                return Ok(lane);
            }
            tokio::select! {
                () = roomier => {}
                () = self.settled.cancelled() => {}
            }
        }
    }

    /// Forgets a lane that has ended, unless it is the last one, whose reason is kept.
    pub(super) fn lose(&self, lost: &Arc<Lane>) {
        let mut alive = self.alive.write().unwrap_or_else(PoisonError::into_inner);
        if alive.len() > 1 {
            alive.retain(|lane| !Arc::ptr_eq(lane, lost));
        }
    }

    /// How far the peer is, once that is known.
    pub(super) fn delay(&self) -> Option<Duration> {
        self.connected.get().max(self.answered.get()).copied()
    }

    /// How many lanes there are to be.
    pub(super) fn wanted(&self) -> NonZeroUsize {
        let lanes = |delay| self.remote.transport.lanes(delay).min(BOUND);
        self.delay().map_or(NonZeroUsize::MIN, lanes)
    }

    /// Sees to it that there are as many lanes as are wanted.
    pub(super) fn widen(self: &Arc<Self>) {
        if self.widened.swap(true, Ordering::Relaxed) {
            return;
        }
        let (lanes, closing) = (Arc::downgrade(self), self.closing.clone());
        let settled = self.settled.clone().drop_guard();
        tokio::spawn(async move {
            tokio::select! {
                () = closing.cancelled() => {}
                () = tend(lanes, settled) => {}
            }
        });
    }
}

/// Makes lanes until there are as many as wanted, and again when one has ended; ends when all have, or
/// one is enough. `settled` is dropped after the first try.
async fn tend(lanes: Weak<Lanes>, settled: DropGuard) {
    if !are_wanted(&lanes).await {
        return;
    }
    let mut settled = Some(settled);
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
            settled.take();
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
        let dials = (0..missing).map(|_| lanes.widen_by_one());
        let failed = futures::future::join_all(dials).await.into_iter();
        settled.take();
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

/// Whether more than one lane is wanted: at once if the peer is known to be far, or else when it has
/// answered.
async fn are_wanted(lanes: &Weak<Lanes>) -> bool {
    let Some(lanes) = lanes.upgrade() else {
        return false;
    };
    let is_far = lanes.delay().is_some_and(|delay| delay >= FAR);
    (is_far || lanes.welcomed().await.is_ok()) && lanes.wanted() > NonZeroUsize::MIN
}

fn closed() -> Error {
    Error::new(ErrorKind::Network, "the connection is closed")
}
