//! What went wrong in a handshake, said so that a log or a user can do something with it.

use std::io::{self, ErrorKind};
use std::time::Duration;

use realize_core::transport::TransportError;
use realize_tls::{PublicKey, refused_by_peer, refused_key, tls_error};

/// A handshake that came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct HandshakeFault {
    what: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// An error with the address that it is about.
#[derive(Debug, thiserror::Error)]
#[error("{address}")]
struct At {
    address: String,
    source: io::Error,
}

/// `error`, of the other end at `address`.
pub(crate) fn at(address: impl ToString, source: io::Error) -> io::Error {
    let address = address.to_string();
    io::Error::new(source.kind(), At { address, source })
}

/// A fault of `kind` that has no cause but itself.
pub(crate) fn fault(kind: ErrorKind, what: impl Into<String>) -> io::Error {
    let fault = HandshakeFault {
        what: what.into(),
        source: None,
    };
    io::Error::new(kind, fault)
}

/// That the handshake took longer than `within`.
pub(crate) fn too_slow(within: Duration) -> io::Error {
    let what = format!("no handshake within {} s", within.as_secs_f64());
    fault(ErrorKind::TimedOut, what)
}

/// That the other end chose no protocol, or another one.
pub(crate) fn other_protocol() -> io::Error {
    let what = "the other end does not name the protocol realize/1 (ALPN)";
    fault(ErrorKind::InvalidData, what)
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
    let identity = |peer, what| {
        Failed::Identity(TransportError::Identity {
            address: address.to_owned(),
            peer,
            what,
        })
    };
    let Some(tls) = tls_error(&error) else {
        return Failed::Other(io::Error::new(
            error.kind(),
            HandshakeFault {
                what: "the connection broke in the handshake".to_owned(),
                source: Some(error.into()),
            },
        ));
    };
    if let Some(refused) = refused_key(tls) {
        let peer = refused.found().and_then(|found| found.peer_id().ok());
        return identity(peer, refused.to_string());
    }
    if refused_by_peer(tls) {
        return identity(None, by_peer());
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
            what: what.to_owned(),
            source: Some(Box::new(tls.clone())),
        },
    ))
}
