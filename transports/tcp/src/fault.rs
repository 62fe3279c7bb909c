//! What went wrong in a handshake, said so that a log or a user can do something with it.

use std::io::{self, ErrorKind};
use std::time::Duration;

use realize_core::transport::TransportError;
use realize_tls::{PublicKey, refused_by_peer, refused_key, tls_error};

/// A handshake that came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {what}")]
struct HandshakeFault {
    address: String,
    what: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A fault of `kind` with the other end at `address` that has no cause but itself.
pub(crate) fn fault(kind: ErrorKind, address: &str, what: impl Into<String>) -> io::Error {
    let fault = HandshakeFault {
        address: address.to_owned(),
        what: what.into(),
        source: None,
    };
    io::Error::new(kind, fault)
}

/// That the handshake took longer than `within`.
pub(crate) fn too_slow(address: &str, within: Duration) -> io::Error {
    let what = format!("no handshake within {} s", within.as_secs_f64());
    fault(ErrorKind::TimedOut, address, what)
}

/// That the other end chose no protocol, or another one.
pub(crate) fn other_protocol(address: &str) -> io::Error {
    let what = "the other end does not name the protocol realize/1 (ALPN)";
    fault(ErrorKind::InvalidData, address, what)
}

/// That the other end does not know `key`, the public key of this machine.
pub(crate) fn not_known_there(key: &PublicKey) -> String {
    format!("the other end does not know this machine's key, {key}")
}

/// What became of a handshake: a matter of keys, or anything else.
pub(crate) enum Failed {
    /// A key was refused, here or there.
    Identity(TransportError),
    /// Something else.
    Other(io::Error),
}

/// What `error`, of a handshake with the other end at `address`, means; `by_peer` says what it is
/// if the other end refused the key of this one.
pub(crate) fn explain(error: io::Error, address: &str, by_peer: impl FnOnce() -> String) -> Failed {
    let identity = |what| {
        Failed::Identity(TransportError::Identity {
            address: address.to_owned(),
            what,
        })
    };
    let Some(tls) = tls_error(&error) else {
        return Failed::Other(io::Error::new(
            error.kind(),
            HandshakeFault {
                address: address.to_owned(),
                what: "the connection broke in the handshake".to_owned(),
                source: Some(error.into()),
            },
        ));
    };
    if let Some(refused) = refused_key(tls) {
        return identity(refused.to_string());
    }
    if refused_by_peer(tls) {
        return identity(by_peer());
    }
    let what = match tls {
        rustls::Error::InvalidMessage(_) => "what came is not TLS 1.3",
        rustls::Error::NoApplicationProtocol => "the other end speaks another protocol",
        rustls::Error::PeerIncompatible(_) => "the other end's TLS is none that realize speaks",
        rustls::Error::AlertReceived(_) => "the other end ended the handshake",
        _ => "the handshake failed",
    };
    Failed::Other(io::Error::new(
        ErrorKind::InvalidData,
        HandshakeFault {
            address: address.to_owned(),
            what: what.to_owned(),
            source: Some(Box::new(tls.clone())),
        },
    ))
}
