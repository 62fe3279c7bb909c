//! Holding limits to the timetable as time goes by.

use std::convert::Infallible;
use std::time::Duration;

use realize_config::{Rates, Throttle};

use super::{LocalClock, in_force};

/// The longest sleep. A machine that was suspended, or whose clock or zone was set, keeps its old
/// limits no longer than that.
const LONGEST: Duration = Duration::from_secs(60);

/// Calls `set` with the limits that `throttle` sets now, at once, and again whenever they are
/// others, for as long as it is polled. It never ends.
///
/// Cancel safe: what was set last stays. Another one, with another configuration, starts afresh. It
/// sleeps in tokio's time, until the next change by the clock and a minute at most.
pub(super) async fn keep(
    throttle: &Throttle,
    clock: &dyn LocalClock,
    mut set: impl FnMut(Rates),
) -> Infallible {
    let mut last = None;
    loop {
        let now = clock.now();
        let in_force = in_force(throttle, now, |at| clock.offset(at));
        if last.replace(in_force.rates) != Some(in_force.rates) {
            set(in_force.rates);
        }
        let until = in_force.until.and_then(|at| at.duration_since(now).ok());
        tokio::time::sleep(until.map_or(LONGEST, |until| until.min(LONGEST))).await;
    }
}

#[cfg(test)]
mod tests;
