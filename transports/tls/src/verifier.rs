//! Who may be at the other end.
//!
//! Whoever dials expects one key, and whoever listens knows a set of them, [`KnownKeys`]. Both look
//! at the key that the other end shows and then at its signature over the handshake, which shows
//! that it has the private key too. There is nothing else to check, as there are no certificates,
//! and nothing turns the check off. A key that is refused ends the handshake; on the side that
//! refused, [`refused_key`] tells which key it was, and on the other, [`refused_by_peer`] that it
//! was its own.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerMisbehaved,
    SignatureScheme,
};

use crate::key::{KeyError, PublicKey};

/// How many keys a [`KnownKeys`] holds at most.
pub const MAX_KNOWN_KEYS: usize = 16 * 1024;

/// More keys than [`MAX_KNOWN_KEYS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_KNOWN_KEYS} keys")]
pub struct TooManyKeys;

/// The keys that a listener lets in. Clones share one set, which can be replaced while connections
/// are made: what it holds at the moment when a client shows its key decides. An empty set lets
/// nobody in.
#[derive(Clone, Default)]
pub struct KnownKeys(Arc<RwLock<HashSet<PublicKey>>>);

impl KnownKeys {
    /// A set of `keys`.
    ///
    /// # Errors
    /// [`TooManyKeys`].
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Result<Self, TooManyKeys> {
        Ok(Self(Arc::new(RwLock::new(bounded(keys)?))))
    }

    /// Puts `keys` in the place of all that were known, for every clone. Connections that stand
    /// already are not cut, and one whose key was looked at just before may yet come up: whoever
    /// revokes a key looks through the connections afterwards.
    ///
    /// # Errors
    /// [`TooManyKeys`]; what was known stays known then.
    pub fn replace(&self, keys: impl IntoIterator<Item = PublicKey>) -> Result<(), TooManyKeys> {
        let keys = bounded(keys)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Whether `key` is known now.
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(key)
    }

    /// How many keys are known now.
    pub fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether no key is known now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn bounded(keys: impl IntoIterator<Item = PublicKey>) -> Result<HashSet<PublicKey>, TooManyKeys> {
    let mut set = HashSet::new();
    for key in keys {
        set.insert(key);
        if set.len() > MAX_KNOWN_KEYS {
            return Err(TooManyKeys);
        }
    }
    Ok(set)
}

impl fmt::Debug for KnownKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownKeys")
            .field("len", &self.len())
            .finish()
    }
}

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
    pub(crate) keys: KnownKeys,
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
        if self.keys.contains(&found) {
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
