//! Services over a byte stream: a directory of one machine as a [`Service`](realize_core::Service)
//! of another.
//!
//! [`Client`] dials a peer, with whatever transport, and is the directory that it asks for;
//! [`Server`] serves directories over connections that somebody else accepts and authenticates. In
//! between tarpc makes calls and answers of the service's operations (`protocol`), which travel as
//! messages of a format of their own (`wire`) in frames that carry bulk bytes as they are
//! (`frame`), after a hello that tells versions apart (`hello`). A connection is kept and watched
//! by two tasks (`link`), and goes as fast as its `limits` allow. Where both ends can, bulk bytes
//! are compressed on their way (`compression`).
//!
//! Nothing in here knows which transport it is, or what a directory is made of.

mod budget;
mod client;
mod compression;
mod frame;
mod hello;
mod limits;
mod link;
mod protocol;
mod queues;
mod server;
mod wire;

pub use client::{Client, Remote};
pub use hello::MAX_GRANTS;
pub use limits::{Change, InForce, LimitChange, Limits};
pub use server::{Directories, Opened, Server};

#[cfg(test)]
mod tests;
