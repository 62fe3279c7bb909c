//! What `realized` counts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    Result,
};
use realize_core::per_peer::PerPeer;
use realize_core::transport::PeerId;

use super::live::Live;
use super::traffic::Traffic;
use super::{LIMIT, registry};
use crate::limits::ServedLimits;

/// The bounds of the histogram of calls, in seconds: from what a look at a directory takes to what a
/// disk needs for a large file.
const BOUNDS: [f64; 10] = [
    0.000_25, 0.001, 0.004, 0.016, 0.064, 0.25, 1.0, 4.0, 16.0, 64.0,
];

/// The metrics of a daemon.
#[derive(Clone, Debug)]
pub(crate) struct ServedMetrics {
    pub(crate) registry: Registry,
    pub(crate) traffic: Traffic,
    calls: HistogramVec,
    mismatches: IntCounter,
    rejections: IntCounterVec,
    /// When a run last ended without failures, by directory.
    succeeded: Arc<Mutex<BTreeMap<String, Duration>>>,
}

/// What a daemon's metrics are looked up from.
pub(crate) trait Looked: Send + Sync {
    /// Every peer of the configuration, by its name.
    fn peers(&self) -> BTreeMap<String, PeerId>;
    /// Every directory that is served, by its name.
    fn directories(&self) -> BTreeMap<String, std::path::PathBuf>;
}

impl ServedMetrics {
    /// Metrics of a daemon that listens by these transports.
    ///
    /// # Errors
    /// None that a user could cause.
    pub(crate) fn new<'a>(transports: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let registry = registry()?;
        let calls = HistogramVec::new(
            HistogramOpts::new(
                "realize_rpc_duration_seconds",
                "How long the calls of peers took, by method.",
            )
            .buckets(BOUNDS.to_vec()),
            &["method"],
        )?;
        let mismatches = IntCounter::new(
            "realize_verify_mismatches_total",
            "Copies that were read back here and were not what was sent. Their sources are intact.",
        )?;
        let rejections = IntCounterVec::new(
            Opts::new(
                "realize_auth_rejections_total",
                "Connections that were not let in, by transport.",
            ),
            &["transport"],
        )?;
        registry.register(Box::new(calls.clone()))?;
        registry.register(Box::new(mismatches.clone()))?;
        registry.register(Box::new(rejections.clone()))?;
        for transport in transports {
            rejections.with_label_values(&[transport]);
        }
        let traffic = Traffic::default();
        traffic.register(&registry)?;
        Ok(Self {
            registry,
            traffic,
            calls,
            mismatches,
            rejections,
            succeeded: Arc::default(),
        })
    }

    /// Has what is looked up shown too: who is connected, what is in force, how much room there is.
    ///
    /// # Errors
    /// None that a user could cause.
    pub(crate) fn show(
        &self,
        looked: &Arc<impl Looked + 'static>,
        connections: &PerPeer,
        limits: &Arc<ServedLimits>,
    ) -> Result<()> {
        let registry = &self.registry;
        let connected = (
            "realize_peer_connected",
            "How many connections each peer has now.",
        );
        let (of, connections) = (Arc::clone(looked), connections.clone());
        Live::register(registry, connected, &["peer"], move |family: &GaugeVec| {
            for (name, id) in of.peers() {
                let count = connections.held(&id);
                family.with_label_values(&[&name]).set(count as f64);
            }
        })?;
        let (of, limits) = (Arc::clone(looked), Arc::clone(limits));
        let labels = ["peer", "direction"];
        Live::register(registry, LIMIT, &labels, move |family: &GaugeVec| {
            let all = limits.total().map(|limit| (String::new(), limit));
            let peers = of.peers();
            let each = peers
                .iter()
                .flat_map(|(name, id)| limits.of_peer(id).map(|limit| (name.clone(), limit)));
            for (peer, (direction, rate)) in all.into_iter().chain(each) {
                if let Some(rate) = rate {
                    let series = family.with_label_values(&[peer.as_str(), direction]);
                    series.set(rate.get() as f64);
                }
            }
        })?;
        let free = (
            "realize_directory_free_bytes",
            "How many bytes can still be written in each directory.",
        );
        let of = Arc::clone(looked);
        Live::register(registry, free, &["directory"], move |family: &GaugeVec| {
            for (name, path) in of.directories() {
                // Of one that cannot be asked nothing is shown.
                if let Some(free) = free_bytes(&path) {
                    family.with_label_values(&[&name]).set(free as f64);
                }
            }
        })?;
        let last = (
            "realize_last_success_timestamp_seconds",
            "When a run of a peer last ended without failures in each directory, in seconds since 1970.",
        );
        let (of, succeeded) = (Arc::clone(looked), Arc::clone(&self.succeeded));
        Live::register(registry, last, &["directory"], move |family: &GaugeVec| {
            let directories = of.directories();
            let succeeded = succeeded.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, since) in succeeded
                .iter()
                .filter(|(name, _)| directories.contains_key(*name))
            {
                family.with_label_values(&[name]).set(since.as_secs_f64());
            }
        })
    }

    /// The histogram of the calls of a method.
    pub(crate) fn calls(&self, method: &str) -> Histogram {
        self.calls.with_label_values(&[method])
    }

    /// Counts a copy that was read back and was not what was sent.
    pub(crate) fn mismatched(&self) {
        self.mismatches.inc();
    }

    /// Counts a connection that was not let in.
    pub(crate) fn rejected(&self, transport: &str) {
        self.rejections.with_label_values(&[transport]).inc();
    }

    /// A run of a peer ended in `directory` without failures.
    pub(crate) fn succeeded(&self, directory: &str, now: SystemTime) {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut succeeded = self
            .succeeded
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        succeeded.insert(directory.to_owned(), since);
    }

    /// Whether a run of a peer ended in `directory` without failures.
    #[cfg(test)]
    pub(crate) fn has_succeeded(&self, directory: &str) -> bool {
        self.succeeded.lock().unwrap().contains_key(directory)
    }
}

/// How many bytes may still be written below `path`.
fn free_bytes(path: &Path) -> Option<u64> {
    let space = rustix::fs::statvfs(path).ok()?;
    space.f_bavail.checked_mul(space.f_frsize)
}
