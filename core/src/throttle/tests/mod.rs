//! Limits on paused time: what passes is known to the byte and the millisecond.

mod limiter;
mod properties;
mod stream;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::{RateLimiter, Throttle};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// What tokio's timers are late at most.
const TICK: Duration = Duration::from_millis(1);

fn rate(bytes: u64) -> Option<NonZeroU64> {
    NonZeroU64::new(bytes)
}

fn limited(bytes: u64) -> Arc<RateLimiter> {
    Arc::new(RateLimiter::new(rate(bytes)))
}

fn burst(bytes: u64) -> u64 {
    super::burst(rate(bytes).unwrap())
}

/// The bytes that `bytes` per second bring in `time`.
fn brought(bytes: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(bytes) * time.as_nanos() / 1_000_000_000).unwrap()
}

/// Takes what can be had at once.
fn drain(throttle: &dyn Throttle) -> u64 {
    let mut taken = 0;
    let mut piece = throttle.slice().unwrap();
    while piece > 0 {
        if throttle.try_permit(piece) {
            taken += piece;
        } else {
            piece /= 2;
        }
    }
    taken
}
