//! The core of realize: the traits that its parts meet at, local storage, and the move engine.
//!
//! - [`Service`]: what a directory can do, near or far; [`LocalService`] is one of this machine.
//! - [`transport`] and [`registry`]: how two machines are connected, and how transports plug in.
//! - [`throttle`]: limits on how fast bytes are sent.
//! - [`access`]: who may do what in which directory; [`Subtree`]: a directory below another's root.
//! - [`engine`]: moves files from one service to another, and knows nothing else; [`metrics`] counts
//!   what it does.
//!
//! No transport, wire format, command line or configuration schema is named in this crate.

pub mod access;
pub mod buffers;
pub mod clock;
pub mod counted;
pub mod delta;
pub mod engine;
pub mod entry;
pub mod error;
pub mod hash;
pub mod known_peers;
pub mod local;
pub mod metrics;
pub mod number;
pub mod path;
pub mod per_peer;
pub mod range;
pub mod registry;
pub mod service;
mod subtree;
#[cfg(test)]
mod tests;
pub mod throttle;
pub mod transport;

pub use error::{Error, ErrorKind, Result};
pub use local::{LocalOptions, LocalService, Workers};
pub use path::RelPath;
pub use service::Service;
pub use subtree::Subtree;
