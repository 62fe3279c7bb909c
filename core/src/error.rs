//! The one error type of services: what kind, doing what, to which path, and why.

use std::error::Error as StdError;
use std::sync::Arc;
use std::{fmt, io};

use crate::path::{Escaped, RelPath};

/// What went wrong, as far as a caller may act on it. It crosses the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is nothing under that name.
    NotFound,
    /// The file is no longer the version that was asked for.
    Changed,
    /// A process has the file open for writing.
    InUse,
    /// The destination holds something other than what the caller expected under that name.
    Conflict,
    /// The look-up finds an entry whose stored name differs (case-insensitive file systems).
    Collision,
    /// What was read back has another hash than what was sent.
    Mismatch,
    /// No space or quota left.
    Full,
    /// The operating system refused it: permissions, or a read-only file system.
    Denied,
    /// The peer is not allowed to do it.
    Forbidden,
    /// Another move holds this source or this destination.
    Busy,
    /// Source and destination are, or contain, the same directory.
    Overlap,
    /// A kind of file or an operation that is not supported here.
    Unsupported,
    /// The request makes no sense: a range beyond the file, a count over its bound, a reserved name.
    Invalid,
    /// The data could not be made durable.
    SyncFailed,
    /// Any other error of the operating system.
    Io,
    /// The connection could not be made, or was lost.
    Network,
    /// No progress within the time allowed.
    Timeout,
    /// The other end broke the protocol.
    Protocol,
}

impl ErrorKind {
    /// Whether the same call may succeed later without anybody mending anything.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Network | Self::Timeout)
    }

    /// Whether the file is merely not ready: it is left for the next run, and is no failure.
    pub fn is_deferral(self) -> bool {
        matches!(self, Self::Changed | Self::InUse)
    }

    /// The kind of an operating system's error.
    pub fn of_io(error: &io::Error) -> Self {
        use rustix::io::Errno;
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => return Self::Full,
            Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => return Self::Denied,
            Some(Errno::NOENT) => return Self::NotFound,
            Some(Errno::OPNOTSUPP | Errno::NOSYS) => return Self::Unsupported,
            Some(Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::EXIST) => {
                return Self::Conflict;
            }
            Some(Errno::NAMETOOLONG | Errno::ILSEQ) => return Self::Invalid,
            _ => {}
        }
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io,
        }
    }
}

/// An error of a [`Service`](crate::Service).
///
/// Its `Display` says what was being done, to which path (escaped), and, unless the kind alone says
/// it, why; the cause is in [`source`](StdError::source) and is not printed twice.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    doing: String,
    path: Option<RelPath>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The result of a service's operation.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind` while `doing` something ("reading", "the offered name is reserved").
    pub fn new(kind: ErrorKind, doing: impl Into<String>) -> Self {
        Self {
            kind,
            doing: doing.into(),
            path: None,
            source: None,
        }
    }

    /// An operating system's error while `doing` something; the kind follows from it.
    pub fn io(doing: impl Into<String>, source: io::Error) -> Self {
        Self::new(ErrorKind::of_io(&source), doing).because(source)
    }

    /// The same error, about `path`; an error that names a path already keeps it.
    #[must_use]
    pub fn at(mut self, path: &RelPath) -> Self {
        self.path.get_or_insert_with(|| path.clone());
        self
    }

    /// The same error about the path that `map` makes of its own, or about none.
    #[must_use]
    pub fn map_path(mut self, map: impl FnOnce(RelPath) -> Option<RelPath>) -> Self {
        self.path = self.path.and_then(map);
        self
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// The same error with another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same error in other words for what was being done.
    #[must_use]
    pub fn with_doing(mut self, doing: impl Into<String>) -> Self {
        self.doing = doing.into();
        self
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was being done.
    pub fn doing(&self) -> &str {
        &self.doing
    }

    /// The path that it is about, if it is about one.
    pub fn path(&self) -> Option<&RelPath> {
        self.path.as_ref()
    }

    /// The whole chain in one line, for a person: `reading: Input/output error (os error 5)`.
    pub fn chain(&self) -> String {
        let mut text = self.doing.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&Escaped(error.to_string().as_bytes()).to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{path}: {}", self.doing),
            None => f.write_str(&self.doing),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

/// Adds what was being done to an operating system's error.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &str) -> Result<T>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &str) -> Result<T> {
        self.map_err(|error| Error::io(doing, error))
    }
}
