//! How the counters of a program leave it, for Prometheus to have.
//!
//! Whoever has a [`Registry`](prometheus::Registry) can have it fetched and sent: `endpoint` answers
//! HTTP requests for it while the program runs, `push` sends it to a Pushgateway when the program
//! ends, for Prometheus would come too late. `page` writes it down for both. `program` has what every
//! program says of itself.
//!
//! `mover` is what moves count besides what the engine does, `served` what a daemon counts; `traffic` is
//! the bytes of each peer, in both. What is known elsewhere is looked up when it is asked for: `live`.
//! No label has a path in it, and all are of names in the configuration, so there are only so many
//! series, whatever peers do.

mod endpoint;
mod live;
mod mover;
mod page;
mod program;
mod push;
mod served;
mod traffic;

pub(crate) use endpoint::Endpoint;
pub(crate) use mover::MoverMetrics;
pub(crate) use push::{PushTarget, Replaces, push};
pub(crate) use served::{Looked, ServedMetrics};
pub(crate) use traffic::PeerTraffic;

use program::registry;

/// The metric of the limits in force, in both programs.
const LIMIT: (&str, &str) = (
    "realize_limit_bytes_per_second",
    "The limit in force to (up) and from (down) each peer; for all together the peer is empty. \
     Absent where there is none.",
);
