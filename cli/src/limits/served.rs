//! The limits of a daemon.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use realize_config::{Config, Rates, Throttle};
use realize_core::clock::{Clock, SystemClock};
use realize_core::transport::PeerId;
use realize_rpc::Limits;
use tokio_util::task::AbortOnDropHandle;

use super::{EVERYBODY, LocalClock, Pair, in_force, keep};

/// Holds what holds in all to `throttle` and its timetable, from now on, until the handle is dropped.
/// What else sets it has its way until the timetable's next change.
pub(crate) fn keep_total(limits: &Arc<ServedLimits>, throttle: Throttle) -> AbortOnDropHandle<()> {
    limits.set_now(&throttle);
    let limits = Arc::clone(limits);
    let keeping = async move {
        match keep(&throttle, &SystemClock, |rates| limits.set_total(rates)).await {}
    };
    AbortOnDropHandle::new(tokio::spawn(keeping))
}

/// What a daemon sends and receives at most: in all, and with each peer. A session keeps the limits
/// that it began with, which change with these.
#[derive(Debug, Default)]
pub(crate) struct ServedLimits {
    total: Pair,
    peers: RwLock<HashMap<PeerId, Pair>>,
}

impl ServedLimits {
    /// Sets what `config` says of `peers`, named as in it.
    pub(crate) fn replace<'a>(
        &self,
        config: &Config,
        peers: impl IntoIterator<Item = (&'a String, &'a PeerId)>,
    ) {
        let mut known = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        let mut kept = HashMap::new();
        for (name, id) in peers {
            let pair = known.remove(id).unwrap_or_default();
            let section = config.peers.get(name);
            pair.set(name, section.map(|peer| peer.throttle).unwrap_or_default());
            kept.insert(id.clone(), pair);
        }
        *known = kept;
    }

    /// Sets what `throttle` and its timetable say at this moment.
    pub(crate) fn set_now(&self, throttle: &Throttle) {
        let at = |moment| SystemClock.offset(moment);
        self.set_total(in_force(throttle, SystemClock.now(), at).rates);
    }

    /// Sets what holds in all, until it is set otherwise.
    pub(crate) fn set_total(&self, rates: Rates) {
        self.total.set(EVERYBODY, rates);
    }

    /// What holds in all.
    pub(crate) fn total(&self) -> Rates {
        self.total.rates()
    }

    /// What the connections with `peer` pass.
    pub(crate) fn of(&self, peer: &PeerId) -> Limits {
        let known = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        let own = known.get(peer).into_iter();
        let pairs: Vec<_> = own.chain([&self.total]).cloned().collect();
        Limits {
            send: pairs.iter().map(|pair| pair.up.clone() as _).collect(),
            receive: pairs.iter().map(|pair| pair.down.clone() as _).collect(),
        }
    }
}
