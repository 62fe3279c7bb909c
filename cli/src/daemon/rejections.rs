//! What the log says of those who are not let in: the first few, and then how many more.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many rejections are logged one by one in an [`INTERVAL`].
const ONE_BY_ONE: u64 = 10;
/// After so long the others are counted in one line.
const INTERVAL: Duration = Duration::from_secs(60);

/// The rejections of the interval that is under way.
#[derive(Debug, Default)]
pub(super) struct Rejections(Mutex<Option<Interval>>);

#[derive(Debug)]
struct Interval {
    since: Instant,
    count: u64,
}

impl Rejections {
    /// Notes that somebody was not let in, and why.
    pub(super) fn note(&self, transport: &str, reason: &str) {
        let (logged, more) = self.count(Instant::now());
        if more > 0 {
            tracing::warn!(event = "peer.rejected", transport, more);
        }
        if logged {
            tracing::warn!(event = "peer.rejected", transport, reason);
        }
    }

    /// Whether this one is to be logged, and how many of an interval that is over were not.
    fn count(&self, now: Instant) -> (bool, u64) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut more = 0;
        let fresh = |interval: &Interval| now.duration_since(interval.since) < INTERVAL;
        if !current.as_ref().is_some_and(fresh) {
            more = current
                .take()
                .map_or(0, |old| old.count.saturating_sub(ONE_BY_ONE));
        }
        let interval = current.get_or_insert(Interval {
            since: now,
            count: 0,
        });
        interval.count = interval.count.saturating_add(1);
        (interval.count <= ONE_BY_ONE, more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_not_logged() {
        let rejections = Rejections::default();
        let start = Instant::now();
        let logged = (0..100).filter(|_| rejections.count(start).0).count();
        assert_eq!(logged as u64, ONE_BY_ONE);
        assert_eq!(rejections.count(start + INTERVAL), (true, 90));
        assert_eq!(rejections.count(start + INTERVAL * 3), (true, 0));
    }
}
