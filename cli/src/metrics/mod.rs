//! How the counters of a program leave it, for Prometheus to have.
//!
//! Whoever has a [`Registry`](prometheus::Registry) can have it fetched and sent: `endpoint` answers
//! HTTP requests for it while the program runs, `push` sends it to a Pushgateway when the program
//! ends, for Prometheus would come too late. `page` writes it down for both. `program` has what every
//! program says of itself.
//!
//! What is counted is no business of this module, and no metric is kept here.

mod endpoint;
mod page;
mod program;
mod push;

pub(crate) use endpoint::Endpoint;
pub(crate) use program::registry;
pub(crate) use push::{PushTarget, push};
