//! How long things may take, and how many there may be.

use std::time::Duration;

/// How long looking up a name may take: 10 s.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a handshake may take, on either side: 10 s.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often whoever dials asks the system there whether anybody listens, until it has heard: 500 ms.
pub(crate) const KNOCK: Duration = Duration::from_millis(500);

/// How many streams wait at a listener to be accepted.
pub const ARRIVALS: usize = 64;

/// How many streams a peer may have open on one connection.
pub const MAX_STREAMS: u32 = 64;

/// How many connections one peer may have to a listener. Those of a mover that was killed count
/// until they are given up, [`idle_timeout`](crate::QuicOptions::idle_timeout) later.
pub const MAX_CONNECTIONS_PER_PEER: usize = 32;

/// How many bytes of one stream may arrive before they are read, at most: 1 MiB. More is of no use: a
/// stream with more than 1,024 gaps ends its connection, and a larger window has them. It is less
/// where more than two lanes share a connection, whose window has to be enough for all.
pub const STREAM_WINDOW: u32 = 1 << 20;

/// How many bytes of one connection may arrive before they are read, at most: 2 MiB. With
/// [`MAX_CONNECTIONS_PER_PEER`] it bounds what a peer holds in memory: 64 MiB.
pub const MAX_CONNECTION_WINDOW: u32 = 2 << 20;
