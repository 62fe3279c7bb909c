//! How keys are written in files and on the wire: PEM around DER, of ed25519 alone.
//!
//! An ed25519 key has one encoding of a fixed length each: whoever reads one compares a prefix.
//! Anything else is refused, and looked into only for the error to say what it is.

use rustls::pki_types::pem::{Error as PemError, PemObject, SectionKind};
use zeroize::Zeroizing;

use crate::key::KeyError;

/// What stands before the 32 bytes of a private key: PKCS#8 version 1 (RFC 8410).
pub(crate) const PRIVATE_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// What stands before the 32 bytes of a public key: a SubjectPublicKeyInfo (RFC 8410).
pub(crate) const PUBLIC_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The longest label of a PEM section that an error repeats.
const MAX_LABEL: usize = 40;

/// Object identifiers of algorithms that a key may be of, and what people call them.
const ALGORITHMS: [(&[u8], &str); 11] = [
    (&[0x2b, 0x65, 0x70], "ed25519"),
    (&[0x2b, 0x65, 0x71], "ed448"),
    (&[0x2b, 0x65, 0x6e], "X25519"),
    (&[0x2b, 0x65, 0x6f], "X448"),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01],
        "RSA",
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a],
        "RSA-PSS",
    ),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01], "EC"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01], "DSA"),
    (
        &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x11],
        "ML-DSA",
    ),
    (
        &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12],
        "ML-DSA",
    ),
    (
        &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x13],
        "ML-DSA",
    ),
];

/// Which half of a key is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Private,
    Public,
}

impl Half {
    /// The label of its PEM section.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Private => "PRIVATE KEY",
            Self::Public => "PUBLIC KEY",
        }
    }

    fn section(self) -> SectionKind {
        match self {
            Self::Private => SectionKind::PrivateKey,
            Self::Public => SectionKind::PublicKey,
        }
    }

    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Private => &PRIVATE_PREFIX,
            Self::Public => &PUBLIC_PREFIX,
        }
    }

    /// The 32 bytes of the key that `pem` holds.
    pub(crate) fn read_pem(self, pem: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        self.read_der(&self.only_section(pem)?)
    }

    /// The 32 bytes of the key that `der` is.
    pub(crate) fn read_der(self, der: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        if let Some(key) = der.strip_prefix(self.prefix())
            && let Ok(key) = <[u8; 32]>::try_from(key)
        {
            return Ok(Zeroizing::new(key));
        }
        match algorithm(self, der) {
            Some(found) if found != "ed25519" => Err(KeyError::Algorithm { found }),
            _ => Err(KeyError::Encoding {
                expected: self.prefix().len() + 32,
                found: der.len(),
            }),
        }
    }

    /// The DER of the one section in `pem`, which has to be of this half.
    fn only_section(self, pem: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let mut only = None;
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
            let (kind, der) = section.map_err(|error| KeyError::Pem {
                what: pem_fault(&error),
            })?;
            let der = Zeroizing::new(der);
            if kind != self.section() {
                return Err(self.wrong_section(pem));
            }
            if only.replace(der).is_some() {
                return Err(KeyError::Several {
                    expected: self.label(),
                });
            }
        }
        only.ok_or_else(|| self.wrong_section(pem))
    }

    fn wrong_section(self, pem: &[u8]) -> KeyError {
        let expected = self.label();
        match other_label(pem, expected) {
            Some(found) => KeyError::Section { expected, found },
            None => KeyError::NoSection { expected },
        }
    }
}

/// What is wrong with a PEM section, without a byte of it: it may be secret.
fn pem_fault(error: &PemError) -> &'static str {
    match error {
        PemError::MissingSectionEnd { .. } => "its END line is missing",
        PemError::IllegalSectionStart { .. } => "its BEGIN line is broken",
        PemError::Base64Decode(_) => "its base64 is broken",
        _ => "it cannot be read",
    }
}

/// The label of the first section in `pem` that has another than `expected`.
fn other_label(pem: &[u8], expected: &str) -> Option<String> {
    let labels = pem
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .filter_map(|line| {
            let line = line.trim_ascii().strip_prefix(b"-----BEGIN ")?;
            line.strip_suffix(b"-----")
        });
    let other = labels
        .into_iter()
        .find(|label| *label != expected.as_bytes())?;
    let plain = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b' ';
    match str::from_utf8(other) {
        Ok(label) if other.len() <= MAX_LABEL && other.iter().all(plain) => Some(label.to_owned()),
        _ => Some("something unheard of".to_owned()),
    }
}

/// The algorithm that the key in `der` is of, if it says so where it should.
fn algorithm(half: Half, der: &[u8]) -> Option<&'static str> {
    let mut fields = contents(der, 0x30)?;
    if half == Half::Private {
        fields = fields.strip_prefix(&[0x02, 0x01])?.get(1..)?;
    }
    let identifier = contents(contents(fields, 0x30)?, 0x06)?;
    let known = ALGORITHMS.iter().find(|(id, _)| *id == identifier);
    Some(known.map_or("unknown", |(_, name)| name))
}

/// What is in the DER value of type `tag` at the front of `der`.
fn contents(der: &[u8], tag: u8) -> Option<&[u8]> {
    let (length, rest) = der.strip_prefix(&[tag])?.split_first()?;
    let (length, rest) = match *length {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => rest
            .split_first()
            .map(|(n, rest)| (usize::from(*n), rest))?,
        0x82 => {
            let (n, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*n)), rest)
        }
        _ => return None,
    };
    rest.get(..length)
}
