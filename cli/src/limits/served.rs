//! The limits of a daemon.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, PoisonError, RwLock};

use realize_config::{Config, Rates, Throttle};
use realize_core::clock::{Clock, SystemClock};
use realize_core::transport::PeerId;
use realize_rpc::{Change, LimitChange, Limits};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{EVERYBODY, LocalClock, Pair, in_force, keep, lower, set};

/// Holds what holds in all to what `throttle` says and its timetable, from now on, until the handle is
/// dropped. What else sets it has its way until the timetable's next change.
pub(crate) fn keep_total(
    limits: &Arc<ServedLimits>,
    mut throttle: watch::Receiver<Throttle>,
) -> AbortOnDropHandle<()> {
    limits.set_now(&throttle.borrow());
    let limits = Arc::clone(limits);
    let keeping = async move {
        loop {
            let current = throttle.borrow_and_update().clone();
            tokio::select! {
                never = keep(&current, &SystemClock, |rates| limits.set_total(rates)) => match never {},
                changed = throttle.changed() => if changed.is_err() {
                    return;
                },
            }
        }
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
        // One machine may have several names, and keeps to the lowest limit of them.
        let mut rates: HashMap<&PeerId, (&str, Rates)> = HashMap::new();
        for (name, id) in peers {
            let section = config.peers.get(name);
            let of_name = section.map(|peer| peer.throttle).unwrap_or_default();
            let (_, rates) = rates.entry(id).or_insert((name, of_name));
            rates.up = lower(rates.up, of_name.up);
            rates.down = lower(rates.down, of_name.down);
        }
        for (id, (name, rates)) in rates {
            let pair = known.remove(id).unwrap_or_default();
            pair.set(name, rates);
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

    /// Changes what holds in all; answers what is in force from then on.
    pub(crate) fn change_total(&self, change: LimitChange) -> Rates {
        let pair = &self.total;
        for (limiter, direction, change) in [
            (&pair.up, "up", change.up),
            (&pair.down, "down", change.down),
        ] {
            if change != Change::Keep {
                set(limiter, EVERYBODY, direction, change.of(None));
            }
        }
        pair.rates()
    }

    /// What is in force in all, by direction.
    pub(crate) fn total(&self) -> [(&'static str, Option<NonZeroU64>); 2] {
        self.total.by_direction()
    }

    /// What is in force with `peer`, by direction.
    pub(crate) fn of_peer(&self, peer: &PeerId) -> [(&'static str, Option<NonZeroU64>); 2] {
        let known = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        known.get(peer).cloned().unwrap_or_default().by_direction()
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

#[cfg(test)]
mod tests {
    use realize_config::{Environment, Overrides};

    use super::*;
    use crate::default_transports;

    /// The configuration of two names, and what each may send at most.
    fn config(one: &str, other: &str) -> Config {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("realize.toml");
        let text = format!(
            "[peers.one]\nkey = \"unix:uid=1\"\nthrottle = {{ {one} }}\n\
             [peers.other]\nkey = \"unix:uid=2\"\nthrottle = {{ {other} }}\n"
        );
        std::fs::write(&file, text).unwrap();
        let (none, flags) = (Environment::default(), Overrides::new());
        Config::load(Some(&file), &none, &flags, &default_transports()).unwrap()
    }

    fn rates(limits: &Limits) -> Vec<Option<u64>> {
        let rate = |throttle: &Arc<dyn realize_core::throttle::Throttle>| {
            throttle.rate().map(NonZeroU64::get)
        };
        limits.send.iter().map(rate).collect()
    }

    #[test]
    fn a_machine_of_two_names_keeps_to_the_lower_limit_also_after_a_reload() {
        let id = PeerId::new("unix:uid=1").unwrap();
        let names = ["one", "other"].map(str::to_owned);
        let both = || names.iter().map(|name| (name, &id));
        let limits = ServedLimits::default();
        limits.replace(&config("up = \"8K\"", ""), both());
        let standing = limits.of(&id);
        assert_eq!(rates(&standing), [Some(8 << 10), None]);
        limits.replace(&config("up = \"8K\"", "up = \"6K\""), both());
        assert_eq!(rates(&standing), [Some(6 << 10), None]);
        assert_eq!(rates(&limits.of(&id)), rates(&standing));
    }

    #[test]
    fn a_change_of_one_direction_leaves_the_other() {
        let limits = ServedLimits::default();
        let set = |rate| Change::Set(NonZeroU64::new(rate).unwrap());
        let (keep, lift) = (Change::Keep, Change::Lift);
        let change = |up, down| {
            let Rates { up, down } = limits.change_total(LimitChange { up, down });
            (up.map(NonZeroU64::get), down.map(NonZeroU64::get))
        };
        assert_eq!(change(set(8192), keep), (Some(8192), None));
        assert_eq!(change(keep, set(5000)), (Some(8192), Some(5000)));
        assert_eq!(change(lift, keep), (None, Some(5000)));
        assert_eq!(change(keep, keep), (None, Some(5000)));
    }
}
