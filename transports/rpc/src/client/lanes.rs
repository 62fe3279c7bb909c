//! The lanes of a client: how many there are, which a call takes, and what becomes of those that end.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use realize_core::buffers::Buffers;
use realize_core::error::{Error, ErrorKind, Result};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::greeting::{greet, unasked, within_time};
use super::lane::Lane;
use super::{Kind, Remote};
use crate::compression::Compression;
use crate::hello::{self, Granted, SessionId};

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
    /// How long the first lane's hello was answered in: how far the peer is.
    delay: OnceLock<Duration>,
    buffers: Buffers,
    compression: Compression,
    pub(super) alive: RwLock<Vec<Arc<Lane>>>,
    /// Set once, when the last lane has ended.
    over: Mutex<Option<Error>>,
    pub(super) tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Set when further lanes are being made.
    widened: Mutex<bool>,
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
            delay: OnceLock::new(),
            compression: Compression::new(buffers.clone()),
            buffers,
            alive: RwLock::default(),
            over: Mutex::default(),
            tasks: Mutex::default(),
            widened: Mutex::default(),
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

    /// Makes a lane; answers what the peer grants, and whether payloads are compressed on it.
    pub(super) async fn dial(self: &Arc<Self>, first: bool) -> Result<(Vec<String>, bool)> {
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
    pub(super) fn named(&self, error: Error) -> Error {
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
        let error = over.get_or_insert_with(|| {
            let closed = || Error::new(ErrorKind::Network, "the connection is closed");
            self.named(reason.unwrap_or_else(closed))
        });
        self.closing.cancel();
        Err(error.clone())
    }

    /// Forgets a lane that has ended, unless it is the last one, whose reason is kept.
    pub(super) fn lose(&self, lost: &Arc<Lane>) {
        let mut alive = self.alive.write().unwrap_or_else(PoisonError::into_inner);
        if alive.len() > 1 {
            alive.retain(|lane| !Arc::ptr_eq(lane, lost));
        }
    }

    /// How far the peer is, once a lane has been made.
    pub(super) fn delay(&self) -> Option<Duration> {
        self.delay.get().copied()
    }

    /// How many lanes there are to be.
    pub(super) fn wanted(&self) -> NonZeroUsize {
        let lanes = |delay| self.remote.transport.lanes(delay).min(BOUND);
        self.delay().map_or(NonZeroUsize::MIN, lanes)
    }

    /// Sees to it that there are as many lanes as are wanted.
    pub(super) fn widen(self: &Arc<Self>) {
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
