//! How fast a program sends, and what it is willing to receive.
//!
//! `mover` is what holds for a move: what this machine sends to the destination, and what it asks of
//! the source. `served` is what holds for a daemon: in all, and for each peer. Limits may change with
//! the time of day: `timetable` is what `[throttle]` says at a moment, `keeper` holds limits to it as
//! time goes by, and `local_clock` tells the time and the zone, so that a test can set both. How bytes
//! are held to a limit is the [throttle](realize_core::throttle)'s.

use std::num::NonZeroU64;
use std::sync::Arc;

use realize_config::{Rates, Throttle};
use realize_core::throttle::{RateLimiter, Throttle as _};

mod keeper;
mod local_clock;
mod mover;
mod served;
mod timetable;

pub(crate) use mover::MoverLimits;
pub(crate) use served::{ServedLimits, keep_total};

use keeper::keep;
use local_clock::LocalClock;
use timetable::in_force;

/// Whom a limit is about that is about no peer, in logs.
const EVERYBODY: &str = "all";

/// Limits of both directions.
#[derive(Clone, Debug)]
struct Pair {
    up: Arc<RateLimiter>,
    down: Arc<RateLimiter>,
}

impl Default for Pair {
    fn default() -> Self {
        Self {
            up: Arc::new(RateLimiter::new(None)),
            down: Arc::new(RateLimiter::new(None)),
        }
    }
}

impl Pair {
    fn set(&self, peer: &str, rates: Rates) {
        set(&self.up, peer, "up", rates.up);
        set(&self.down, peer, "down", rates.down);
    }

    fn by_direction(&self) -> [(&'static str, Option<NonZeroU64>); 2] {
        [("up", self.up.rate()), ("down", self.down.rate())]
    }

    fn rates(&self) -> Rates {
        Rates {
            up: self.up.rate(),
            down: self.down.rate(),
        }
    }
}

/// Sets a limit, and says so if it is another one than before.
fn set(limiter: &RateLimiter, peer: &str, direction: &str, rate: Option<NonZeroU64>) {
    let old = limiter.rate();
    if old == rate {
        return;
    }
    limiter.set_rate(rate);
    tracing::info!(
        event = "limit.changed",
        peer,
        direction,
        old = old.map(NonZeroU64::get),
        new = rate.map(NonZeroU64::get)
    );
}

/// Has what was typed, or is in the environment, go over the timetable, in the directions that it says.
pub(crate) fn said_over(throttle: &mut Throttle, up: bool, down: bool) {
    for period in &mut throttle.schedule {
        if up {
            period.rates.up = None;
        }
        if down {
            period.rates.down = None;
        }
    }
}

/// The lower of two limits.
fn lower(one: Option<NonZeroU64>, other: Option<NonZeroU64>) -> Option<NonZeroU64> {
    one.into_iter().chain(other).min()
}
