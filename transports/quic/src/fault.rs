//! What went wrong, said so that a log or a user can do something with it.

use std::io::{self, ErrorKind};

use quinn::{ConnectionError, VarInt};
use realize_core::transport::{Endpoint, TransportError};
use realize_tls::{PublicKey, is_refusal};

/// Closes a connection that is needed no more.
pub(crate) const DONE: VarInt = VarInt::from_u32(0);
/// Closes the connection of one who is not known, or not any more.
pub(crate) const NOT_KNOWN: VarInt = VarInt::from_u32(1);
/// Closes one connection of a peer that has too many.
pub(crate) const TOO_MANY: VarInt = VarInt::from_u32(2);
/// Gives a stream up that was not ended.
pub(crate) const GIVEN_UP: VarInt = VarInt::from_u32(3);

/// Where the numbers of TLS's alerts begin among QUIC's errors (RFC 9001, section 4.8).
const CRYPTO: u64 = 0x100;

/// The TLS alert that a code stands for, if it does.
fn alert(code: u64) -> Option<u8> {
    u8::try_from(code.checked_sub(CRYPTO)?).ok()
}

/// Whether the other end does not know the key of this machine.
pub(crate) fn refused_by_peer(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::ConnectionClosed(close) => {
            alert(close.error_code.into()).is_some_and(is_refusal)
        }
        ConnectionError::ApplicationClosed(close) => close.error_code == NOT_KNOWN,
        _ => false,
    }
}

/// Whether this end refused the key of the other.
pub(crate) fn refused_here(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::TransportError(error) => alert(error.code.into()).is_some_and(is_refusal),
        _ => false,
    }
}

/// Whether the other end closed in order.
pub(crate) fn is_done(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::ApplicationClosed(close) if close.error_code == DONE)
}

/// That the other end does not know `key`, the public key of this machine.
pub(crate) fn not_known_there(key: &PublicKey) -> String {
    format!("the other end does not know this machine's key, {key}")
}

/// What a connection that ended means to whoever reads or writes one of its streams.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamFault {
    #[error("{}", not_known_there(.key))]
    Refused {
        key: PublicKey,
        #[source]
        source: ConnectionError,
    },
    #[error("the other end has too many connections already, or is ending")]
    TooMany,
    #[error("the other end is gone, and did not end the stream")]
    Gone,
    #[error("the other end gave the stream up")]
    GivenUp,
    #[error("the other end reads no more")]
    NotRead,
    #[error("this end has ended the stream")]
    Ended,
    #[error("the connection broke")]
    Broken(#[source] ConnectionError),
}

impl StreamFault {
    /// The end of a connection as a fault of its streams. `ours` is the public key of this machine,
    /// if the other end may yet have to say whether it knows it.
    pub(crate) fn of(error: ConnectionError, ours: Option<PublicKey>) -> io::Error {
        if let Some(key) = ours
            && refused_by_peer(&error)
        {
            return Self::Refused { key, source: error }.into();
        }
        match error {
            ConnectionError::ApplicationClosed(close) if close.error_code == TOO_MANY => {
                Self::TooMany.into()
            }
            ConnectionError::ApplicationClosed(_) | ConnectionError::LocallyClosed => {
                Self::Gone.into()
            }
            error => Self::Broken(error).into(),
        }
    }
}

impl From<StreamFault> for io::Error {
    fn from(fault: StreamFault) -> Self {
        let kind = match &fault {
            StreamFault::Refused { .. } => ErrorKind::PermissionDenied,
            StreamFault::TooMany => ErrorKind::ConnectionRefused,
            StreamFault::Gone => ErrorKind::UnexpectedEof,
            StreamFault::GivenUp => ErrorKind::ConnectionReset,
            StreamFault::NotRead | StreamFault::Ended => ErrorKind::BrokenPipe,
            StreamFault::Broken(ConnectionError::TimedOut) => ErrorKind::TimedOut,
            StreamFault::Broken(ConnectionError::Reset) => ErrorKind::ConnectionReset,
            StreamFault::Broken(_) => ErrorKind::ConnectionAborted,
        };
        Self::new(kind, fault)
    }
}

/// What a handshake that failed means to whoever dialled `endpoint` at `address`, where `expected`
/// should be, as the machine with the key `ours`.
pub(crate) fn dialling(
    error: ConnectionError,
    endpoint: &Endpoint,
    address: &str,
    expected: &PublicKey,
    ours: &PublicKey,
) -> TransportError {
    let identity = |what| TransportError::Identity {
        address: address.to_owned(),
        peer: None,
        what,
    };
    if refused_here(&error) {
        return identity(format!("expected {expected}, found another machine"));
    }
    if refused_by_peer(&error) {
        return identity(not_known_there(ours));
    }
    let error = match error {
        ConnectionError::TimedOut => io::Error::new(ErrorKind::TimedOut, "no answer"),
        error => io::Error::new(ErrorKind::ConnectionAborted, error),
    };
    TransportError::unreachable(endpoint, error)
}
