//! What the destination says of a file before anything is sent.

use crate::entry::{Timestamp, Version};
use crate::hash::HashState;
use crate::path::RelPath;
use crate::range::RangeSet;

/// Offers a file to the destination.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Its final name.
    pub path: RelPath,
    /// Whether it is a link; otherwise it is a file.
    pub link: bool,
    /// The source's version.
    pub source: Version,
    /// Its size in bytes.
    pub size: u64,
    /// When its content last changed.
    pub modified: Timestamp,
}

/// What the destination says of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What stands under the final name.
    pub present: Present,
    /// What has arrived of the file in an earlier run.
    pub partial: Option<Arrived>,
}

/// What stands under a final name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Present {
    /// Nothing.
    Absent,
    /// A file of the same kind, size and time: perhaps the same content.
    Perhaps(Version),
    /// Something else.
    Differs {
        /// Its version.
        version: Version,
        /// What it is.
        kind: PresentKind,
        /// Its size in bytes.
        size: u64,
    },
    /// An entry whose stored name is another one; the bytes of that name.
    Collides(Vec<u8>),
}

/// What kind of thing stands under a final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresentKind {
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A directory, a device or the like: never replaced.
    Other,
}

/// What has arrived of a file: hints, which the hash at the end verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Which ranges of the version offered; none where the partial is of another version.
    pub ranges: RangeSet,
    /// The hash of the source's content up to some place.
    pub hash: HashState,
    /// The size of the partial in bytes.
    pub size: u64,
}
