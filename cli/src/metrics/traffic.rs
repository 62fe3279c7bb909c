//! How many bytes went to and came from each peer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::{IntCounterVec, Registry, Result};
use realize_core::counted::ByteCounts;

use super::live::Live;

/// Bytes by peer. The peers are those of the configuration, so they are not many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic(Arc<Mutex<BTreeMap<String, Arc<PeerTraffic>>>>);

/// Bytes of one peer.
#[derive(Debug, Default)]
pub(crate) struct PeerTraffic {
    /// What its connections carried, within the encryption.
    pub(crate) wire: ByteCounts,
    /// Content of files in it, that this machine sent and received.
    sent: AtomicU64,
    received: AtomicU64,
}

impl PeerTraffic {
    /// Counts content of files that was sent.
    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts content of files that was received.
    pub(crate) fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Traffic {
    /// The counts of a peer, by its name.
    pub(crate) fn of(&self, peer: &str) -> Arc<PeerTraffic> {
        Arc::clone(self.peers().entry(peer.to_owned()).or_default())
    }

    /// Forgets all but the peers of these names.
    pub(crate) fn keep<'a>(&self, names: impl Iterator<Item = &'a String>) {
        let names: Vec<_> = names.collect();
        self.peers().retain(|name, _| names.contains(&name));
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<String, Arc<PeerTraffic>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `registry` show them.
    pub(super) fn register(&self, registry: &Registry) -> Result<()> {
        let traffic = self.clone();
        let what = (
            "realize_bytes_total",
            "Bytes to (up) and from (down) each peer: of its connections, within the encryption \
             (wire), and of the content of files in them (logical).",
        );
        let labels = ["peer", "direction", "kind"];
        Live::register(registry, what, &labels, move |family: &IntCounterVec| {
            for (peer, bytes) in &*traffic.peers() {
                for (kind, direction, count) in [
                    ("wire", "up", bytes.wire.sent()),
                    ("wire", "down", bytes.wire.received()),
                    ("logical", "up", bytes.sent.load(Ordering::Relaxed)),
                    ("logical", "down", bytes.received.load(Ordering::Relaxed)),
                ] {
                    let labels = [peer.as_str(), direction, kind];
                    family.with_label_values(&labels).inc_by(count);
                }
            }
        })
    }
}
