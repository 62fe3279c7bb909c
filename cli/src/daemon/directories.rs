//! The directories that are served, and what each peer may do in them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use async_trait::async_trait;
use realize_config::{Config, Rates};
use realize_core::access::{AccessPolicy, Grant, Guarded, InvalidPolicy, Right};
use realize_core::error::{Error, ErrorKind, Result};
use realize_core::path::Escaped;
use realize_core::transport::PeerId;
use realize_core::{LocalOptions, LocalService, Workers};
use realize_rpc::{Change, Directories, InForce, LimitChange, MAX_GRANTS, Opened};

use super::accounted::Accounted;
use crate::limits::ServedLimits;
use crate::metrics::{Looked, ServedMetrics};

/// How many calls of one peer storage works on at once, over all its sessions: so that no peer has all
/// the threads there are, though its calls take long or are given up.
const WORKERS_OF_PEER: usize = 16;

/// What is served, to whom.
#[derive(Debug)]
pub(super) struct Served {
    policy: AccessPolicy,
    /// What is counted of it.
    pub(super) metrics: ServedMetrics,
    /// How fast.
    pub(super) limits: Arc<ServedLimits>,
    current: RwLock<Current>,
    workers: Mutex<HashMap<PeerId, Workers>>,
    /// Whether it is for one connection alone.
    is_alone: bool,
}

/// What a reload replaces.
#[derive(Debug, Default)]
struct Current {
    paths: BTreeMap<String, PathBuf>,
    /// Every peer, by name.
    peers: BTreeMap<String, PeerId>,
    /// What this machine calls each peer.
    names: HashMap<PeerId, String>,
    /// Who may change the limits that hold in all.
    controllers: HashSet<PeerId>,
}

impl Served {
    /// Serves nothing to anybody yet.
    pub(super) fn new(metrics: ServedMetrics) -> Self {
        Self {
            policy: AccessPolicy::default(),
            metrics,
            limits: Arc::default(),
            current: RwLock::default(),
            workers: Mutex::default(),
            is_alone: false,
        }
    }

    /// The same for one connection alone, with which the program ends.
    pub(super) fn alone(self) -> Self {
        Self {
            is_alone: true,
            ..self
        }
    }

    /// Serves what `config` says from now on, to `peers` by their names in it. Sessions that stand
    /// keep the path that they were opened with; rights apply to their next call.
    pub(super) fn replace(
        &self,
        config: &Config,
        peers: &BTreeMap<String, PeerId>,
    ) -> std::result::Result<(), InvalidPolicy> {
        let grants = config.directories.iter().flat_map(|(directory, section)| {
            section.allow.iter().filter_map(|(peer, rights)| {
                Some(Grant {
                    directory: directory.clone(),
                    peer: peers.get(peer)?.clone(),
                    rights: rights.iter().copied().map(right).collect(),
                })
            })
        });
        self.policy.replace(grants)?;
        self.limits.replace(config, peers);
        self.metrics.traffic.keep(peers.keys());
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|peer, _| peers.values().any(|known| known == peer));
        drop(workers);
        let paths = config.directories.iter();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current {
            paths: paths
                .map(|(name, section)| (name.clone(), section.path.clone()))
                .collect(),
            peers: peers.clone(),
            names: peers
                .iter()
                .map(|(name, id)| (id.clone(), name.clone()))
                .collect(),
            controllers: peers
                .iter()
                .filter(|(name, _)| config.peers.get(*name).is_some_and(|peer| peer.control))
                .map(|(_, id)| id.clone())
                .collect(),
        };
        Ok(())
    }

    /// What works for a peer.
    fn workers(&self, peer: &PeerId) -> Workers {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = workers.entry(peer.clone());
        of_peer
            .or_insert_with(|| Workers::new(WORKERS_OF_PEER))
            .clone()
    }

    fn current(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this machine calls a peer.
    pub(super) fn name(&self, peer: &PeerId) -> Option<String> {
        self.current().names.get(peer).cloned()
    }

    /// Every peer, by name.
    pub(super) fn peers(&self) -> BTreeMap<String, PeerId> {
        self.current().peers.clone()
    }

    /// Every directory, by name.
    pub(super) fn paths(&self) -> BTreeMap<String, PathBuf> {
        self.current().paths.clone()
    }
}

impl Looked for Served {
    fn peers(&self) -> BTreeMap<String, PeerId> {
        Self::peers(self)
    }

    fn directories(&self) -> BTreeMap<String, PathBuf> {
        self.paths()
    }
}

#[async_trait]
impl Directories for Served {
    async fn open(&self, peer: &PeerId, directory: &str) -> Result<Opened> {
        let rights = self.policy.rights(peer, directory);
        let path = self.current().paths.get(directory).cloned();
        let Some(path) = path.filter(|_| !rights.is_empty()) else {
            let name = self.name(peer);
            tracing::warn!(
                event = "access.denied",
                peer = name.as_deref().unwrap_or(peer.as_str()),
                directory,
                operation = "open"
            );
            let directory = Escaped(directory.as_bytes());
            let what = format!("no directory `{directory}` is served to this machine");
            return Err(Error::new(ErrorKind::Forbidden, what));
        };
        let options = LocalOptions {
            peer: peer.clone(),
            workers: self.workers(peer),
            ..LocalOptions::default()
        };
        let local = open(path, options).await.map_err(|error| {
            // Where it lies here is none of the peer's business.
            tracing::error!(event = "directory.failed", directory, reason = %error.chain());
            // Nor is it the peer's fault, should it be gone.
            let kind = match error.kind() {
                ErrorKind::Denied => ErrorKind::Denied,
                _ => ErrorKind::Io,
            };
            let what = format!("the directory `{directory}` cannot be opened there");
            Error::new(kind, what)
        })?;
        let name = self.name(peer).unwrap_or_else(|| peer.to_string());
        let policy = self.policy.clone();
        let guarded = Guarded::new(Arc::new(local), policy, peer.clone(), directory);
        let guarded = Arc::new(guarded.named(&*name));
        let accounted = Accounted::new(guarded, self.metrics.clone(), &name, directory);
        Ok(Opened {
            service: Arc::new(accounted),
            grants: rights.iter().map(|right| right.to_string()).collect(),
            peer: name,
            limits: self.limits.of(peer),
        })
    }

    fn limits(&self, peer: &PeerId, change: LimitChange) -> Result<InForce> {
        let LimitChange { up, down } = change;
        if self.is_alone && (up, down) != (Change::Keep, Change::Keep) {
            let what = "the limits there are those of this one connection, which ends now: only a \
                        daemon that listens has limits to change";
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        if !self.current().controllers.contains(peer) {
            let name = self.name(peer);
            tracing::warn!(
                event = "access.denied",
                peer = name.as_deref().unwrap_or(peer.as_str()),
                operation = "limit"
            );
            let what = "this machine may not change the limits there: it lacks the right control";
            return Err(Error::new(ErrorKind::Forbidden, what));
        }
        let Rates { up, down } = self.limits.change_total(change);
        Ok(InForce { up, down })
    }

    fn overview(&self, peer: &PeerId) -> Vec<String> {
        let current = self.current();
        let granted = current.paths.keys().filter_map(|directory| {
            let rights = self.policy.rights(peer, directory);
            (!rights.is_empty()).then(|| format!("{directory}: {rights}"))
        });
        granted.take(MAX_GRANTS).collect()
    }
}

/// Opens a directory, which may take long where it is on a network.
pub(super) async fn open(path: PathBuf, options: LocalOptions) -> Result<LocalService> {
    tokio::task::spawn_blocking(move || LocalService::open(&path, options))
        .await
        .map_err(|error| Error::new(ErrorKind::Io, "opening a directory").because(error))?
}

fn right(right: realize_config::Right) -> Right {
    match right {
        realize_config::Right::List => Right::List,
        realize_config::Right::Read => Right::Read,
        realize_config::Right::Write => Right::Write,
        realize_config::Right::Replace => Right::Replace,
        realize_config::Right::Delete => Right::Delete,
    }
}
