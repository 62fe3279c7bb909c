//! What the tests of this crate put at the other end: directories that do as they are told, peers
//! that speak by hand, a transport that shows what is dialled.

mod directory;
mod messages;
mod raw;
mod wire;

pub(crate) use directory::*;
pub(crate) use messages::*;
pub(crate) use raw::*;
pub(crate) use wire::*;

use std::time::Duration;

/// Under paused time it passes as soon as nothing else can go on; longer than anything here waits.
pub(crate) const LONG: Duration = Duration::from_secs(1 << 22);
