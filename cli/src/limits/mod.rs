//! Limits that change with the time of day.
//!
//! [`in_force`] is what `[throttle]` says at a moment: a pure function of the configuration, the
//! moment and the zone. [`keep`] holds whatever obeys limits to it as time goes by; how bytes are
//! held to a limit is the [throttle](realize_core::throttle)'s. A [`LocalClock`] tells the time and
//! the zone, so that a test can set both.

mod keeper;
mod local_clock;
mod timetable;

pub use keeper::keep;
pub use local_clock::LocalClock;
pub use timetable::{InForce, in_force};
