//! The keys that machines know each other by: ed25519, without certificates.
//!
//! A machine keeps a [`PrivateKey`] in a PEM file of its own, and the [`PublicKey`] of every other
//! machine in its configuration, as the text `ed25519:BASE64`; that text is also the
//! [`PeerId`] under which the rest of realize knows a machine. The files are those of `openssl
//! genpkey -algorithm ed25519` and `openssl pkey -pubout`, in both directions.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use realize_core::transport::{InvalidAddress, PeerId};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::SigningKey;
use zeroize::Zeroizing;

use crate::encoding::{Half, PRIVATE_PREFIX, PUBLIC_PREFIX};

/// The scheme of a [`PeerId`] that is an ed25519 key.
const SCHEME: &str = "ed25519:";

/// The points whose order divides 8, but for the sign: whoever pins one of them, as zeros in the
/// place of a key, pins nobody, for signatures that it verifies can be made up.
const SMALL_ORDER: [[u8; 32]; 7] = [
    small(0x00, 0x00, 0x00),
    small(0x01, 0x00, 0x00),
    small(0xec, 0xff, 0x7f),
    small(0xed, 0xff, 0x7f),
    small(0xee, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

const fn small(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut point = [middle; 32];
    let [a, .., z] = &mut point;
    *a = first;
    *z = last;
    point
}

/// What is wrong with a key. No message repeats what may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no PEM section at all.
    #[error("expected a PEM file with -----BEGIN {expected}-----")]
    NoSection {
        /// The label that was expected.
        expected: &'static str,
    },
    /// The PEM section is of another kind.
    #[error(
        "expected a PEM file with -----BEGIN {expected}-----, found {found}; realize takes ed25519 \
         keys without a passphrase, as `openssl genpkey -algorithm ed25519` makes them"
    )]
    Section {
        /// The label that was expected.
        expected: &'static str,
        /// The label that is there.
        found: String,
    },
    /// There are several keys in one PEM file.
    #[error("expected one -----BEGIN {expected}----- in the PEM file, found several")]
    Several {
        /// The label that was expected.
        expected: &'static str,
    },
    /// The PEM section is damaged.
    #[error("the PEM section is damaged: {what}")]
    Pem {
        /// In what way.
        what: &'static str,
    },
    /// A key of another algorithm.
    #[error(
        "expected an ed25519 key, as `openssl genpkey -algorithm ed25519` makes it; found one whose \
         algorithm is {found}"
    )]
    Algorithm {
        /// Of which.
        found: &'static str,
    },
    /// Bytes that are no key of the encoding that is expected.
    #[error(
        "expected an ed25519 key in the {expected} bytes that OpenSSL writes, found {found} bytes \
         that are none"
    )]
    Encoding {
        /// How many bytes such a key has.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A text that is no public key.
    #[error("expected ed25519: and 44 characters of base64, {found}")]
    Text {
        /// What is there instead.
        found: &'static str,
    },
    /// A public key that proves nothing: anybody can make signatures that it verifies.
    #[error("expected the public key of a machine, found one that proves nothing")]
    Worthless,
    /// The other end showed no key, or more than one.
    #[error("expected one raw public key from the other end, found {found}")]
    Count {
        /// How many there are.
        found: usize,
    },
    /// The system has no randomness to make a key of.
    #[error("the system gave no randomness for a key")]
    Randomness,
    /// The cryptographic library does not take the private key.
    #[error("the private key cannot be used")]
    Unusable,
}

/// A machine's private key. It is overwritten in memory when the last clone is dropped, and never
/// shown: `Debug` shows its public key.
#[derive(Clone)]
pub struct PrivateKey {
    /// Shared, so that neither a clone nor a move leaves a copy behind.
    seed: Arc<Zeroizing<[u8; 32]>>,
    public: PublicKey,
}

impl PrivateKey {
    /// A new key, from the randomness of the operating system.
    ///
    /// # Errors
    /// [`KeyError::Randomness`] if there is none.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        let random = SystemRandom::new();
        random
            .fill(seed.as_mut_slice())
            .map_err(|_| KeyError::Randomness)?;
        Self::from_seed(seed)
    }

    /// The key in `pem`: one section `PRIVATE KEY`, with a PKCS#8 version 1 ed25519 key.
    ///
    /// # Errors
    /// [`KeyError`] says what was expected and what is there, without showing a byte of a key.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        Self::from_seed(Half::Private.read_pem(pem)?)
    }

    fn from_seed(seed: Zeroizing<[u8; 32]>) -> Result<Self, KeyError> {
        let pair =
            Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| KeyError::Unusable)?;
        let public = <[u8; 32]>::try_from(pair.public_key().as_ref());
        Ok(Self {
            seed: Arc::new(seed),
            public: PublicKey(public.map_err(|_| KeyError::Unusable)?),
        })
    }

    /// The key as [`PrivateKey::from_pem`] and `openssl pkey` read it.
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem(Half::Private, self.to_der().as_slice())
    }

    /// The public key that belongs to it.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// A secret that follows from this key and `purpose`, the same at every start of the machine,
    /// and from which the key does not follow: HMAC-SHA-256 of `purpose` under the key's seed.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.seed.as_slice());
        let tag = hmac::sign(&key, purpose.as_bytes());
        let mut secret = Zeroizing::new([0; 32]);
        let bytes = tag.as_ref().iter();
        secret
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        secret
    }

    fn to_der(&self) -> Zeroizing<[u8; 48]> {
        let mut der = Zeroizing::new([0; 48]);
        let bytes = PRIVATE_PREFIX.iter().chain(self.seed.iter());
        der.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        der
    }

    /// The key as rustls signs with it.
    pub(crate) fn signing_key(&self) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        let der = self.to_der();
        rustls::crypto::aws_lc_rs::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der.as_slice()))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// A machine's public key: what others know it by. As a text it is `ed25519:` and the standard
/// base64, with padding, of its 32 bytes; one key has one text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The length of [`PublicKey::to_spki`].
    pub const SPKI_LEN: usize = 44;

    /// The key of these bytes.
    ///
    /// # Errors
    /// [`KeyError::Worthless`] for the few keys that prove nothing, 32 zeros among them.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let mut point = bytes;
        let [.., sign] = &mut point;
        *sign &= 0x7f;
        if SMALL_ORDER.contains(&point) {
            Err(KeyError::Worthless)
        } else {
            Ok(Self(bytes))
        }
    }

    /// The bytes of the key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key in `pem`: one section `PUBLIC KEY`, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// [`KeyError`] says what was expected and what is there.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        Self::from_bytes(*Half::Public.read_pem(pem)?)
    }

    /// The key as [`PublicKey::from_pem`] and `openssl pkey -pubin` read it.
    pub fn to_pem(&self) -> String {
        std::mem::take(&mut *pem(Half::Public, &self.to_spki()))
    }

    /// The key in a SubjectPublicKeyInfo, as TLS carries it.
    ///
    /// # Errors
    /// [`KeyError`] if it is not an ed25519 key, or has more or fewer bytes than such a key.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        Self::from_bytes(*Half::Public.read_der(spki)?)
    }

    /// The key as a SubjectPublicKeyInfo.
    pub fn to_spki(&self) -> [u8; Self::SPKI_LEN] {
        let mut spki = [0; Self::SPKI_LEN];
        let bytes = PUBLIC_PREFIX.iter().chain(&self.0);
        spki.iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        spki
    }

    /// The identity of the machine that has this key.
    ///
    /// # Errors
    /// None in fact: the text of a key is always that of a peer.
    pub fn peer_id(&self) -> Result<PeerId, InvalidAddress> {
        PeerId::new(self.to_string())
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// The key that `text` is, written as [`PublicKey`] says and in no other way.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let fault = |found| KeyError::Text { found };
        let Some(base64) = text.strip_prefix(SCHEME) else {
            return Err(fault("found no ed25519: at the start"));
        };
        let bytes = STANDARD
            .decode(base64)
            .map_err(|_| fault("found no base64"))?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| fault("found another length"))?;
        Self::from_bytes(bytes)
    }
}

impl TryFrom<&PeerId> for PublicKey {
    type Error = KeyError;

    fn try_from(peer: &PeerId) -> Result<Self, KeyError> {
        peer.as_str().parse()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// `der` as a PEM file. It fits one line of the 64 characters that one has at most.
fn pem(half: Half, der: &[u8]) -> Zeroizing<String> {
    let label = half.label();
    let base64 = Zeroizing::new(STANDARD.encode(der));
    Zeroizing::new(format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        base64.as_str()
    ))
}

#[cfg(test)]
mod tests;
