//! Who may be at the other end.
//!
//! Whoever dials expects one key, and whoever listens knows a set of them, [`KnownPeers`]. Both look
//! at the key that the other end shows and then at its signature over the handshake, which shows
//! that it has the private key too. There is nothing else to check, as there are no certificates,
//! and nothing turns the check off. A key that is refused ends the handshake; on the side that
//! refused, [`refused_key`] tells which key it was, and on the other, [`refused_by_peer`] that it
//! was its own.

use std::io;
use std::sync::Arc;

use realize_core::known_peers::KnownPeers;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerMisbehaved,
    SignatureScheme,
};

use crate::key::{KeyError, PublicKey};

/// A key that was refused in a handshake, by this side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedKey {
    /// Another machine than the one that was dialled.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// The key that was expected.
        expected: PublicKey,
        /// The key that is there.
        found: PublicKey,
    },
    /// A machine that this one does not know.
    #[error("{found} is not known here")]
    Unknown {
        /// Its key.
        found: PublicKey,
    },
    /// What the other end showed is no key.
    #[error("{0}")]
    Unreadable(KeyError),
}

impl RefusedKey {
    /// The key that the other end has shown, if it was one.
    pub fn found(&self) -> Option<&PublicKey> {
        match self {
            Self::Unexpected { found, .. } | Self::Unknown { found } => Some(found),
            Self::Unreadable(_) => None,
        }
    }
}

impl From<RefusedKey> for Error {
    fn from(refused: RefusedKey) -> Self {
        CertificateError::Other(OtherError(Arc::new(refused))).into()
    }
}

/// The key that this side refused, if that is what `error` is about. It says so in better words than
/// the error, which rustls writes.
pub fn refused_key(error: &Error) -> Option<&RefusedKey> {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            inner.downcast_ref()
        }
        _ => None,
    }
}

/// Whether `error` says that the other end refused the key of this side. A client learns that only
/// when it reads: in TLS 1.3 its own part of the handshake is done before the server has seen its
/// key.
pub fn refused_by_peer(error: &Error) -> bool {
    matches!(error, Error::AlertReceived(alert) if is_refusal(u8::from(*alert)))
}

/// Whether the TLS alert of this number (in QUIC, the error code less 0x100) is one that refuses a
/// key: `bad_certificate` to `certificate_unknown`, `unknown_ca`, `access_denied` and
/// `certificate_required`.
pub fn is_refusal(alert: u8) -> bool {
    matches!(alert, 42..=46 | 48 | 49 | 116)
}

/// The TLS error within `error`, as TLS over a stream reports it.
pub fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// The key of the other end, from what TLS says that it showed in the handshake
/// (`peer_certificates` of rustls, `peer_identity` of quinn).
///
/// # Errors
/// [`KeyError`] if that is anything but one ed25519 key.
pub fn peer_key(shown: &[CertificateDer<'_>]) -> Result<PublicKey, KeyError> {
    match shown {
        [only] => PublicKey::from_spki(only),
        _ => Err(KeyError::Count { found: shown.len() }),
    }
}

fn shown_key(
    first: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
) -> Result<PublicKey, RefusedKey> {
    let key = if others.is_empty() {
        PublicKey::from_spki(first)
    } else {
        Err(KeyError::Count {
            found: others.len() + 1,
        })
    };
    key.map_err(RefusedKey::Unreadable)
}

/// Whether the other end has the private key of `key`, which it has shown.
fn verify_signature(
    message: &[u8],
    key: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    if signed.scheme != SignatureScheme::ED25519 {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    }
    let spki = SubjectPublicKeyInfoDer::from(key.as_ref());
    verify_tls13_signature_with_raw_key(message, &spki, signed, algorithms)
}

fn no_tls12() -> Error {
    Error::General("expected TLS 1.3".to_owned())
}

/// The one server that a client wants.
#[derive(Debug)]
pub(crate) struct ExpectedServer {
    pub(crate) key: PublicKey,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ExpectedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = shown_key(end_entity, intermediates)?;
        let expected = self.key;
        if found == expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(RefusedKey::Unexpected { expected, found }.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// The clients that a server knows.
#[derive(Debug)]
pub(crate) struct KnownClients {
    pub(crate) known: KnownPeers,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for KnownClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let found = shown_key(end_entity, intermediates)?;
        let known = found.peer_id().is_ok_and(|peer| self.known.contains(&peer));
        if known {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(RefusedKey::Unknown { found }.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
