//! Trying again what the network interrupted.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use realize_config::Move;

/// The tries of one command: how many are left, and how long to wait before each.
pub(crate) struct Retries {
    builder: ExponentialBuilder,
    delays: ExponentialBackoff,
    attempt: u32,
}

impl Retries {
    /// What the configuration says.
    pub(crate) fn new(section: &Move) -> Self {
        let builder = ExponentialBuilder::new()
            .with_min_delay(section.retry_delay)
            .with_max_delay(section.retry_max_delay)
            .with_max_times(section.retries as usize)
            .with_factor(2.0)
            .with_jitter();
        Self {
            builder,
            delays: builder.build(),
            attempt: 1,
        }
    }

    /// How many tries there have been.
    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How long to wait before the next try; `None` when there were enough. After one that got
    /// something done the count begins anew.
    pub(crate) fn next(&mut self, progressed: bool) -> Option<Duration> {
        if progressed {
            self.delays = self.builder.build();
        }
        self.attempt = self.attempt.saturating_add(1);
        self.delays.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(count: u32) -> Retries {
        Retries::new(&Move {
            retries: count,
            retry_delay: Duration::from_secs(1),
            retry_max_delay: Duration::from_secs(4),
            ..Move::default()
        })
    }

    #[test]
    fn the_delay_doubles_up_to_its_bound() {
        let mut retries = retries(5);
        for (least, most) in [(1, 2), (2, 4), (4, 8), (4, 8), (4, 8)] {
            let delay = retries.next(false).unwrap();
            assert!(delay >= Duration::from_secs(least), "{delay:?}");
            assert!(delay <= Duration::from_secs(most), "{delay:?}");
        }
        assert_eq!(retries.next(false), None);
        assert_eq!(retries.attempt(), 7);
    }

    #[test]
    fn progress_begins_the_count_anew() {
        let mut retries = retries(1);
        assert!(retries.next(false).is_some());
        assert!(retries.next(true).is_some());
        assert!(retries.next(false).is_none());
    }
}
