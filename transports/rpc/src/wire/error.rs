//! Errors: the kind as a number, the rest as texts.

use bytes::Bytes;
use realize_core::ErrorKind;
use realize_core::path::{Escaped, RelPath};
use serde::{Deserialize, Serialize};

use super::batch::Bounded;
use super::parts::cut_text;
use super::{Violation, at_most};

/// The longest text of an error, in bytes; what is longer is cut.
pub(super) const MAX_TEXT: usize = 1 << 10;
/// The most causes of an error, one after the other; what comes after them is left out.
pub(super) const MAX_CAUSES: usize = 8;

/// An error of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Error {
    pub(crate) kind: u8,
    pub(crate) doing: String,
    /// One that is no path does not make the error worthless: it is dropped.
    pub(crate) path: Option<Bytes>,
    /// Nearest first.
    pub(crate) causes: Bounded<String, MAX_CAUSES>,
}

/// A cause at the other end.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
struct Cause {
    text: String,
    #[source]
    next: Option<Box<Cause>>,
}

impl From<realize_core::Error> for Error {
    fn from(error: realize_core::Error) -> Self {
        let first = std::error::Error::source(&error);
        let causes = std::iter::successors(first, |cause| cause.source())
            .take(MAX_CAUSES)
            .map(|cause| cut_text(cause.to_string(), MAX_TEXT));
        Self {
            kind: number(error.kind()),
            doing: cut_text(plain(error.doing()), MAX_TEXT),
            path: error
                .path()
                .map(|path| Bytes::copy_from_slice(path.as_bytes())),
            causes: Bounded(causes.collect()),
        }
    }
}

impl TryFrom<Error> for realize_core::Error {
    type Error = Violation;

    fn try_from(error: Error) -> Result<Self, Violation> {
        let causes = error.causes.checked("causes of an error")?;
        for text in causes.iter().chain([&error.doing]) {
            at_most(text.len() as u64, MAX_TEXT as u64, "bytes in a text")?;
        }
        let mut received = Self::new(kind(error.kind), plain(&error.doing));
        if let Some(path) = error.path.and_then(|path| RelPath::new(path).ok()) {
            received = received.at(&path);
        }
        let chain = causes.into_iter().rev().fold(None, |next, text| {
            let next = next.map(Box::new);
            Some(Cause { text, next })
        });
        Ok(match chain {
            Some(cause) => received.because(cause),
            None => received,
        })
    }
}

/// `text` without what could steer a terminal, for what was being done is printed as it is. Unlike
/// [`Escaped`] it leaves backslashes alone: what is escaped already stays the same.
fn plain(text: &str) -> String {
    let pieces = text.split('\\');
    let pieces: Vec<_> = pieces.map(|p| Escaped(p.as_bytes()).to_string()).collect();
    pieces.join("\\")
}

/// The number of [`ErrorKind::Io`], for kinds that have none.
const IO: u8 = 14;

/// The number of a kind. Numbers stay; a new kind takes a new one, and an older version at the
/// other end takes it for [`ErrorKind::Io`].
fn number(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::NotFound => 0,
        ErrorKind::Changed => 1,
        ErrorKind::InUse => 2,
        ErrorKind::Conflict => 3,
        ErrorKind::Collision => 4,
        ErrorKind::Mismatch => 5,
        ErrorKind::Full => 6,
        ErrorKind::Denied => 7,
        ErrorKind::Forbidden => 8,
        ErrorKind::Busy => 9,
        ErrorKind::Overlap => 10,
        ErrorKind::Unsupported => 11,
        ErrorKind::Invalid => 12,
        ErrorKind::SyncFailed => 13,
        ErrorKind::Io => IO,
        ErrorKind::Network => 15,
        ErrorKind::Timeout => 16,
        ErrorKind::Protocol => 17,
        _ => IO,
    }
}

/// The kind with a number.
fn kind(number: u8) -> ErrorKind {
    match number {
        0 => ErrorKind::NotFound,
        1 => ErrorKind::Changed,
        2 => ErrorKind::InUse,
        3 => ErrorKind::Conflict,
        4 => ErrorKind::Collision,
        5 => ErrorKind::Mismatch,
        6 => ErrorKind::Full,
        7 => ErrorKind::Denied,
        8 => ErrorKind::Forbidden,
        9 => ErrorKind::Busy,
        10 => ErrorKind::Overlap,
        11 => ErrorKind::Unsupported,
        12 => ErrorKind::Invalid,
        13 => ErrorKind::SyncFailed,
        15 => ErrorKind::Network,
        16 => ErrorKind::Timeout,
        17 => ErrorKind::Protocol,
        _ => ErrorKind::Io,
    }
}
