//! The table, and what a limit that is kept looks like.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use realize_core::throttle::{RateLimiter, Throttle};

use crate::count::Measured;

pub(crate) const HEAD: &str = "\
| over | lanes | direction | limit, bytes/s | average | fullest second | fullest 100 ms | longest silence, ms | no processor, ms | within 1 %, 3 %, 15 % |
|---|---|---|---|---|---|---|---|---|---|";

/// One limit, and what passed it.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) lanes: usize,
    pub(crate) direction: String,
    pub(crate) limit: NonZeroU64,
    pub(crate) measured: Measured,
    /// How long the machine let threads wait, beyond what a burst makes up for.
    pub(crate) lost: Option<Duration>,
    /// Whether it is realize's own, and has to be kept.
    pub(crate) counts: bool,
}

impl Row {
    pub(crate) fn is_kept(&self) -> bool {
        !self.counts || self.within().iter().all(|within| *within)
    }

    /// Average, second and 100 ms, each as a part of what the limit lets through.
    fn ratios(&self) -> [f64; 3] {
        let limit = self.limit.get() as f64;
        [
            self.measured.average / limit,
            self.measured.second as f64 / limit,
            self.measured.tenth as f64 / (limit / 10.0),
        ]
    }

    /// The average is within 1 % on both sides, a second is at most 3 % over, 100 ms are at most 15 %
    /// over, or a slice and a burst where that is more.
    fn within(&self) -> [bool; 3] {
        let [average, second, tenth] = self.ratios();
        let limit = self.limit.get() as f64;
        let slice = RateLimiter::new(Some(self.limit)).slice();
        let slice = slice.unwrap_or_default() as f64;
        // As the throttle has it: 10 ms, or two slices if that is more.
        let burst = (limit / 100.0).max(2.0 * slice);
        let over = (0.15_f64).max((slice + burst) / (limit / 10.0));
        [
            (average - 1.0).abs() <= 0.01,
            second <= 1.03,
            tenth <= 1.0 + over,
        ]
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [average, second, tenth] = self.ratios();
        let limit = match self.limit.get() {
            giga if giga.is_multiple_of(1 << 30) => format!("{}G", giga >> 30),
            mega if mega.is_multiple_of(1 << 20) => format!("{}M", mega >> 20),
            kilo => format!("{}K", kilo >> 10),
        };
        let [one, three, fifteen] = self
            .within()
            .map(|within| if within { "yes" } else { "NO" });
        let lost = self.lost.map(|lost| lost.as_millis().to_string());
        let lost = lost.unwrap_or_default();
        let silence = self.measured.silence.as_secs_f64() * 1e3;
        let Self {
            name,
            lanes,
            direction,
            ..
        } = self;
        write!(
            f,
            "| {name} | {lanes} | {direction} | {limit} | {average:.4} | {second:.4} | {tenth:.3} | {silence:.0} | {lost} | \
             {one}, {three}, {fifteen} |"
        )
    }
}
