//! The transport of realize over TCP: mutual TLS 1.3, each side pinned to an ed25519 key.
//!
//! A [`TcpTransport`] dials `HOST:PORT`, where the machine with the expected key must be, and listens
//! for the machines that are known; [`TcpFactory`] makes it from its table in the configuration,
//! [`TcpOptions`]. Keys and TLS are those of realize-tls, and nothing turns them off.
//!
//! Strangers reach a listener before they prove anything. What they can hold is bounded: so many
//! handshakes at once, in all and of one address, each for [`HANDSHAKE_TIMEOUT`]. Where there are
//! too many, the oldest gives way, so that connections that say nothing keep nobody out.
//!
//! One connection carries one stream, so lanes are connections of their own. How fast they go is
//! decided above: there are no limits of rates here.

mod config;
mod fault;
mod limits;
mod listener;
mod stream;
mod transport;

pub use config::{Congestion, Lanes, TcpFactory, TcpOptions};
pub use limits::{
    ACCEPT_PAUSE, BACKLOG, CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT, LINGER, RESOLVE_TIMEOUT,
};
pub use transport::TcpTransport;

#[cfg(test)]
mod tests;
