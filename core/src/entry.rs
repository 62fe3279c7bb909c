//! What a directory holds, as a service describes it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::path::RelPath;

/// The longest [`Version`], in bytes.
pub const MAX_VERSION_LEN: usize = 64;

/// Which state of a file something was said about: opaque to all but the service that issued it.
///
/// Two equal versions of one service under one path mean that the content has not changed.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Version(Box<[u8]>);

/// A version longer than [`MAX_VERSION_LEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version is longer than {MAX_VERSION_LEN} bytes")]
pub struct VersionTooLong;

impl Version {
    /// A version with these bytes.
    ///
    /// # Errors
    /// [`VersionTooLong`] if they are more than [`MAX_VERSION_LEN`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, VersionTooLong> {
        let bytes = bytes.into();
        if bytes.len() <= MAX_VERSION_LEN {
            Ok(Self(bytes.into()))
        } else {
            Err(VersionTooLong)
        }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for Version {
    type Error = VersionTooLong;
    fn try_from(bytes: Vec<u8>) -> Result<Self, VersionTooLong> {
        Self::new(bytes)
    }
}

impl From<Version> for Vec<u8> {
    fn from(version: Version) -> Self {
        version.0.into()
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Version(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A point in time as file systems keep it: seconds since 1970 (negative before), and nanoseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub seconds: i64,
    /// Nanoseconds after that, below 1,000,000,000.
    pub nanos: u32,
}

impl Timestamp {
    /// How long ago it was at `now`; zero for what lies in the future.
    pub fn age(self, now: SystemTime) -> Duration {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let Ok(seconds) = u64::try_from(self.seconds) else {
            return now;
        };
        now.saturating_sub(Duration::new(seconds, self.nanos.min(999_999_999)))
    }
}

/// The bits of a mode that are carried: read, write and execute for owner, group and others, and a
/// directory's sticky bit. Set-id bits never are.
pub const MODE_BITS: u32 = 0o1777;

/// What a [`Service`](crate::Service) says of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub path: RelPath,
    /// What it is.
    pub kind: EntryKind,
    /// Its state when it was listed.
    pub version: Version,
    /// Its size in bytes when it was listed: a hint, the content is what a read finds.
    pub size: u64,
    /// When its content last changed.
    pub modified: Timestamp,
    /// Its permissions, within [`MODE_BITS`].
    pub mode: u32,
}

/// What an [`Entry`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Whether the file system stores less than its size.
        sparse: bool,
    },
    /// A symbolic link, and where it points.
    Link {
        /// The target, as bytes; it is never followed.
        target: Vec<u8>,
    },
    /// A directory.
    Directory {
        /// Whether it held nothing when the listing left it.
        empty: bool,
    },
    /// Something that is not moved.
    Special(Special),
}

/// The kinds of files that are reported and left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// A named pipe.
    Fifo,
    /// A Unix domain socket.
    Socket,
    /// A block or character device.
    Device,
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fifo => "named pipe",
            Self::Socket => "socket",
            Self::Device => "device",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_never_negative() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        let at = |seconds, nanos| Timestamp { seconds, nanos }.age(now);
        assert_eq!(at(40, 0), Duration::from_secs(60));
        assert_eq!(at(99, 500_000_000), Duration::from_millis(500));
        assert_eq!(at(200, 0), Duration::ZERO);
        assert_eq!(at(-5, 0), Duration::from_secs(100));
    }
}
