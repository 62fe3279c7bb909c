//! How long things may take, and how many there may be.

use std::time::Duration;

/// How long looking up a name may take: 10 s.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long connecting to one address may take: 10 s.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a handshake may take, from when the connection is there, on either side: 10 s.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a listener reads on, after it refused a connection, for the other end to learn why: 2 s.
pub const LINGER: Duration = Duration::from_secs(2);

/// How long a listener accepts nothing after the system ran out of something: 100 ms.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections the system keeps for a listener until they are accepted.
pub const BACKLOG: u32 = 1024;

/// The deadlines of a transport, which tests make shorter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) resolve: Duration,
    pub(crate) connect: Duration,
    pub(crate) handshake: Duration,
    pub(crate) linger: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            resolve: RESOLVE_TIMEOUT,
            connect: CONNECT_TIMEOUT,
            handshake: HANDSHAKE_TIMEOUT,
            linger: LINGER,
        }
    }
}
