//! Sessions: what all lanes of one client of one directory share.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use realize_core::Service;
use realize_core::error::{Error, ErrorKind, Result};
use realize_core::service::{Config, Ending, Role};
use realize_core::throttle::{RateLimiter, Throttle};
use realize_core::transport::PeerId;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::budget::{Budget, Budgets};
use crate::client::MAX_LANES;
use crate::hello::SessionId;
use crate::limits::{Limits, lowest};
use crate::link::{KEEP_ALIVE, SILENCE, State};

use super::Opened;

/// How many sessions a peer has at most.
const MAX_SESSIONS: usize = 8;
/// How many bytes the requests of one peer take at most, and how many the answers to them.
pub(super) const PEER_BUDGET: u32 = 24 << 20;
/// A session that has been silent for so long is not in the way of a newer one of the same peer,
/// unless it is this end that does not listen.
const STALE: Duration = KEEP_ALIVE.saturating_mul(3);
/// How long what a session of a peer had claimed when it ended is waited for: what a disk has begun, as
/// a sync of all that a slow one was sent, cannot be broken off.
const RETURNING: Duration = Duration::from_secs(600);
/// How often a claim that is on its way back is asked for.
const AGAIN: Duration = Duration::from_millis(50);

/// The sessions of a server.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    peers: Mutex<HashMap<PeerId, Peer>>,
    /// How often peers were cut; it changes while `peers` is held.
    cuts: AtomicU64,
}

/// What is known of a peer that has, or had, sessions.
#[derive(Debug)]
struct Peer {
    budgets: Budgets,
    sessions: HashMap<SessionId, Arc<Session>>,
    /// The directories that sessions had claimed which have ended, while they are given back.
    returning: Vec<Returning>,
}

/// A directory on its way back from a session that has ended.
#[derive(Debug)]
struct Returning {
    directory: String,
    since: Instant,
    /// Dropped when it is given back.
    under_way: Weak<()>,
}

/// A client's session.
pub(super) struct Session {
    pub(super) peer: PeerId,
    pub(super) directory: String,
    pub(super) service: Arc<dyn Service>,
    pub(super) grants: Vec<String>,
    pub(super) budgets: Budgets,
    /// What this machine calls the peer.
    pub(super) name: String,
    /// What all lanes pass; the first of what is sent is the one that the peer sets.
    pub(super) limits: Limits,
    asked: Arc<RateLimiter>,
    id: SessionId,
    lanes: Mutex<Vec<Arc<State>>>,
    /// What it has claimed the directory for.
    claimed: Mutex<Option<Role>>,
    /// Why it was ended from this side.
    over: OnceLock<Error>,
    /// Cancelled to end it, with all its lanes.
    pub(super) cut: CancellationToken,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("peer", &self.peer)
            .field("directory", &self.directory)
            .finish()
    }
}

/// A lane of a session. The session ends with its last one.
pub(super) struct Entered<'a> {
    sessions: &'a Sessions,
    pub(super) session: Arc<Session>,
    pub(super) state: Arc<State>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut table = self.sessions.table();
        let mut lanes = self.session.lanes();
        lanes.retain(|lane| !Arc::ptr_eq(lane, &self.state));
        if lanes.is_empty()
            && let Some(peer) = table.get_mut(&self.session.peer)
            // A peer that was cut, and is back, may have given the name to another one.
            && peer
                .sessions
                .get(&self.session.id)
                .is_some_and(|session| Arc::ptr_eq(session, &self.session))
        {
            peer.sessions.remove(&self.session.id);
        }
        // Whatever became of the peer: its calls may still be at work.
        if lanes.is_empty()
            && self.session.claimed().is_some()
            && let Some(under_way) = self.session.give_back()
            && let Some(peer) = table.get_mut(&self.session.peer)
        {
            peer.returning
                .retain(|other| other.under_way.strong_count() > 0);
            peer.returning.push(Returning {
                directory: self.session.directory.clone(),
                since: Instant::now(),
                under_way,
            });
        }
    }
}

impl Session {
    fn lanes(&self) -> std::sync::MutexGuard<'_, Vec<Arc<State>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claimed(&self) -> Option<Role> {
        *self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what it has claimed the directory for; `None` once that is released.
    pub(super) fn note_claim(&self, role: Option<Role>) {
        *self.claimed.lock().unwrap_or_else(PoisonError::into_inner) = role;
    }

    /// Gives back what it has claimed, as its client is gone: what is at work for it ends as soon as it
    /// can. The answer can be upgraded for as long as that takes.
    fn give_back(&self) -> Option<Weak<()>> {
        let service = Arc::clone(&self.service);
        let under_way = Arc::new(());
        let returning = Arc::downgrade(&under_way);
        // Without a runtime the program ends, and so do its claims.
        let runtime = Handle::try_current().ok()?;
        runtime.spawn(
            async move {
                if let Err(error) = service.release(Ending::Interrupted).await {
                    tracing::warn!(event = "release.failed", reason = %error.chain());
                }
                drop(under_way);
            }
            .in_current_span(),
        );
        Some(returning)
    }

    /// Ends it, with all its lanes. The first reason counts.
    fn end(&self, kind: ErrorKind, why: &str) {
        let _ = self.over.set(Error::new(kind, why));
        self.cut.cancel();
    }

    /// Why it was ended.
    pub(super) fn over(&self) -> Error {
        let ended = || Error::new(ErrorKind::Network, "the session is over");
        self.over.get().cloned().unwrap_or_else(ended)
    }

    /// Sets how fast is sent over all lanes together, as the client asks; answers what is in force
    /// with what else limits it.
    pub(super) fn configure(&self, asked: Config) -> Config {
        let old = self.asked.rate();
        self.asked.set_rate(asked.send_rate);
        if old != asked.send_rate {
            tracing::info!(
                event = "limit.changed",
                peer = self.name,
                directory = self.directory,
                direction = "up",
                old = old.map(NonZeroU64::get),
                new = asked.send_rate.map(NonZeroU64::get)
            );
        }
        Config {
            send_rate: lowest(&self.limits.send),
            receive_rate: lowest(&self.limits.receive),
        }
    }

    /// When the client was last heard, over whichever lane.
    fn heard(&self) -> Option<Instant> {
        self.lanes().iter().map(|lane| lane.heard()).max()
    }

    /// Whether the client is silent on all lanes, and has been for so long that it is gone.
    fn is_stale(&self) -> bool {
        let lanes = self.lanes();
        let mut heard = lanes.iter().map(|lane| lane.heard());
        let is_held_up = lanes.iter().any(|lane| lane.is_held_up());
        !is_held_up && heard.all(|heard| heard.elapsed() > STALE)
    }
}

impl Sessions {
    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<PeerId, Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a lane to a session that stands.
    ///
    /// # Errors
    /// `NotFound` if it is over, or is about another directory; `Invalid` if it has too many lanes.
    pub(super) fn join(
        &self,
        peer: &PeerId,
        id: SessionId,
        directory: &str,
        state: &Arc<State>,
    ) -> Result<Entered<'_>> {
        let table = self.table();
        let session = table.get(peer).and_then(|peer| peer.sessions.get(&id));
        let session = session.filter(|session| session.directory == directory);
        let session = session
            .map(Arc::clone)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "the session is over"))?;
        let mut lanes = session.lanes();
        if lanes.len() >= MAX_LANES {
            return Err(Error::new(
                ErrorKind::Invalid,
                "the session has too many lanes",
            ));
        }
        lanes.push(Arc::clone(state));
        drop(lanes);
        Ok(self.entered(session, state))
    }

    /// How often peers were cut.
    pub(super) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// Begins a session with its first lane; none where peers were cut since there were `cuts`, and
    /// what was opened may be nothing for this peer any more.
    ///
    /// # Errors
    /// `Busy` if the peer has too many; `Invalid` if it has one of that name.
    pub(super) fn begin(
        &self,
        cuts: u64,
        peer: &PeerId,
        id: SessionId,
        directory: &str,
        opened: Opened,
        state: &Arc<State>,
    ) -> Result<Option<Entered<'_>>> {
        let mut table = self.table();
        if self.cuts() != cuts {
            return Ok(None);
        }
        let known = table.entry(peer.clone()).or_insert_with(|| Peer {
            budgets: Budgets {
                requests: Budget::new(PEER_BUDGET),
                answers: Budget::new(PEER_BUDGET),
            },
            sessions: HashMap::new(),
            returning: Vec::new(),
        });
        if known.sessions.contains_key(&id) {
            return Err(Error::new(ErrorKind::Invalid, "the session exists already"));
        }
        if known.sessions.len() >= MAX_SESSIONS {
            let what = format!("this peer has {MAX_SESSIONS} sessions already");
            return Err(Error::new(ErrorKind::Busy, what));
        }
        let asked = Arc::new(RateLimiter::new(None));
        let mut limits = opened.limits;
        limits.send.insert(0, Arc::clone(&asked) as _);
        let session = Arc::new(Session {
            name: opened.peer,
            limits,
            asked,
            peer: peer.clone(),
            directory: directory.to_owned(),
            service: opened.service,
            grants: opened.grants,
            budgets: known.budgets.clone(),
            id,
            lanes: Mutex::new(vec![Arc::clone(state)]),
            claimed: Mutex::default(),
            over: OnceLock::new(),
            cut: CancellationToken::new(),
        });
        known.sessions.insert(id, Arc::clone(&session));
        Ok(Some(self.entered(session, state)))
    }

    fn entered(&self, session: Arc<Session>, state: &Arc<State>) -> Entered<'_> {
        Entered {
            sessions: self,
            session,
            state: Arc::clone(state),
        }
    }

    /// Ends the sessions of every peer that is not `wanted`.
    pub(super) fn cut(&self, wanted: impl Fn(&PeerId) -> bool) {
        let mut table = self.table();
        self.cuts.fetch_add(1, Ordering::Relaxed);
        table.retain(|peer, known| {
            let stays = wanted(peer);
            if !stays {
                known.sessions.values().for_each(|session| {
                    session.end(ErrorKind::Forbidden, "the peer is not known any more");
                });
            }
            stays
        });
    }

    /// Whether a directory that was found taken may be free soon for `role`, as those in the way are,
    /// or were, sessions of the same peer whose client is gone. They are ended first; a client that is
    /// there shows it within [`KEEP_ALIVE`], or within [`SILENCE`] where there is no room for what it
    /// says.
    pub(super) async fn make_way(&self, session: &Session, role: Role) -> bool {
        let asked = Instant::now();
        let mut has_waited = false;
        loop {
            let rivals = self.rivals(session, role);
            if rivals.is_empty() {
                return has_waited || self.is_returning(session);
            }
            has_waited = true;
            let is_there = |rival: &Arc<Session>| rival.heard() > Some(asked);
            if rivals.iter().any(is_there) || asked.elapsed() > SILENCE {
                return false;
            }
            for rival in rivals.iter().filter(|rival| rival.is_stale()) {
                rival.end(ErrorKind::Timeout, "the session gave way to a newer one");
            }
            sleep(AGAIN).await;
        }
    }

    /// The other sessions of a session's peer that have claimed the same directory for `role`.
    fn rivals(&self, session: &Session, role: Role) -> Vec<Arc<Session>> {
        let table = self.table();
        let Some(peer) = table.get(&session.peer) else {
            return Vec::new();
        };
        let is_rival = |rival: &&Arc<Session>| {
            rival.id != session.id
                && rival.directory == session.directory
                && rival.claimed() == Some(role)
        };
        let rivals = peer.sessions.values().filter(is_rival);
        rivals.map(Arc::clone).collect()
    }

    /// Whether a session's directory is on its way back from one of the same peer that has ended.
    pub(super) fn is_returning(&self, session: &Session) -> bool {
        let table = self.table();
        let peer = table.get(&session.peer);
        peer.is_some_and(|peer| {
            peer.returning.iter().any(|returning| {
                returning.directory == session.directory
                    && returning.under_way.strong_count() > 0
                    && returning.since.elapsed() < RETURNING
            })
        })
    }
}

/// Waits before a claim is asked for again.
pub(super) async fn pause() {
    sleep(AGAIN).await;
}
