//! The transport of realize within one process: two ends that share a table of names.
//!
//! A [`ChannelTransport`] listens at a name, and its clones dial that name; bytes pass through
//! memory. It is for local ends that are to be served and dialled like any peer, so that a local
//! move can be limited too, and for testing the whole path without a network. [`ChannelFactory`]
//! makes it from its table in the configuration, [`ChannelOptions`].
//!
//! It is not for reaching another process, and it proves nobody's identity: the code that holds the
//! transport says who it is, and is believed.

mod config;
mod transport;

pub use config::{Buffer, ChannelFactory, ChannelOptions};
pub use transport::{BACKLOG, ChannelTransport};
