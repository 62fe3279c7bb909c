//! The transport of realize over QUIC: mutual TLS 1.3, each side pinned to an ed25519 key.
//!
//! A [`QuicTransport`] dials `HOST:PORT`, where the machine with the expected key must be, and
//! listens for the machines that are known; [`QuicFactory`] makes it from its table in the
//! configuration, [`QuicOptions`]. Keys and TLS are those of realize-tls, as over tcp: a machine is
//! the same peer over both.
//!
//! What is dialled is a stream, and a few pooled connections to a peer carry all streams to it
//! (`pool`). Streams have small windows and there are several connections, because under loss one
//! connection stops for what one stream has lost, and a large window of gaps ends it (`settings`).
//! A stream is ended once the other end has acknowledged it to its last byte; one that was dropped
//! before is given up, and never reads as ended (`stream`).
//!
//! Strangers reach a listener before they prove anything (`listener`). What they can hold is
//! bounded as over tcp. There is no 0-RTT: nothing that was sent can be replayed. How fast bytes go
//! is decided above: there are no limits of rates here.

mod config;
mod fault;
mod limits;
mod listener;
mod pool;
mod settings;
mod socket;
mod stream;
mod transport;

pub use config::{
    Bandwidth, Congestion, Connections, Delay, IdleTimeout, KeepAlive, Lanes, Mtu, QuicFactory,
    QuicOptions, UdpBuffer,
};
pub use limits::{
    ARRIVALS, HANDSHAKE_TIMEOUT, MAX_CONNECTION_WINDOW, MAX_CONNECTIONS_PER_PEER, MAX_STREAMS,
    RESOLVE_TIMEOUT, STREAM_WINDOW,
};
pub use transport::QuicTransport;

#[cfg(test)]
mod tests;
