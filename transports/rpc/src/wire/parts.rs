//! What messages are made of: paths, versions, times, ranges, and the rules for single numbers.

use bytes::Bytes;
use realize_core::entry::{self, MODE_BITS};
use realize_core::path::RelPath;
use realize_core::range::{ByteRange, MAX_FILE_SIZE, MAX_RANGES};
use serde::{Deserialize, Serialize};

use super::batch::Bounded;
use super::{Violation, at_most};

/// The longest target of a link, in bytes (Linux's `PATH_MAX` less its NUL).
pub(super) const MAX_LINK_TARGET: usize = 4095;

const NANOS_PER_SECOND: u32 = 1_000_000_000;

/// A relative path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Path(pub(crate) Bytes);

impl From<RelPath> for Path {
    fn from(path: RelPath) -> Self {
        Self(Bytes::copy_from_slice(path.as_bytes()))
    }
}

impl TryFrom<Path> for RelPath {
    type Error = Violation;

    fn try_from(path: Path) -> Result<Self, Violation> {
        Ok(Self::new(path.0)?)
    }
}

/// The version of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version(pub(crate) Bytes);

impl From<entry::Version> for Version {
    fn from(version: entry::Version) -> Self {
        Self(Vec::from(version).into())
    }
}

impl TryFrom<Version> for entry::Version {
    type Error = Violation;

    fn try_from(version: Version) -> Result<Self, Violation> {
        Ok(Self::new(version.0)?)
    }
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timestamp {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

impl From<entry::Timestamp> for Timestamp {
    fn from(time: entry::Timestamp) -> Self {
        Self {
            seconds: time.seconds,
            nanos: time.nanos,
        }
    }
}

impl TryFrom<Timestamp> for entry::Timestamp {
    type Error = Violation;

    fn try_from(time: Timestamp) -> Result<Self, Violation> {
        if time.nanos >= NANOS_PER_SECOND {
            return Err(Violation::Nanos);
        }
        Ok(Self {
            seconds: time.seconds,
            nanos: time.nanos,
        })
    }
}

/// A range of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Range {
    /// The range, if it has no more than `max` bytes.
    pub(super) fn at_most(self, max: u64) -> Result<ByteRange, Violation> {
        let range = ByteRange::try_from(self)?;
        at_most(range.len(), max, "bytes in a range")?;
        Ok(range)
    }
}

impl From<ByteRange> for Range {
    fn from(range: ByteRange) -> Self {
        Self {
            start: range.start(),
            end: range.end(),
        }
    }
}

impl TryFrom<Range> for ByteRange {
    type Error = Violation;

    fn try_from(range: Range) -> Result<Self, Violation> {
        Ok(Self::new(range.start, range.end)?)
    }
}

/// Ranges that are sorted and apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RangeSet(pub(crate) Bounded<Range, MAX_RANGES>);

impl From<realize_core::range::RangeSet> for RangeSet {
    fn from(set: realize_core::range::RangeSet) -> Self {
        Self(Bounded(set.iter().map(Range::from).collect()))
    }
}

impl TryFrom<RangeSet> for realize_core::range::RangeSet {
    type Error = Violation;

    fn try_from(set: RangeSet) -> Result<Self, Violation> {
        let ranges = set.0.checked("ranges")?.into_iter();
        let ranges: Result<Vec<_>, _> = ranges.map(ByteRange::try_from).collect();
        Ok(Self::try_from(ranges?)?)
    }
}

/// `size`, if a file can have it.
pub(super) fn size(size: u64) -> Result<u64, Violation> {
    if size <= MAX_FILE_SIZE {
        Ok(size)
    } else {
        Err(Violation::Size)
    }
}

/// `mode`, if it has only bits that are carried.
pub(super) fn mode(mode: u32) -> Result<u32, Violation> {
    if mode & !MODE_BITS == 0 {
        Ok(mode)
    } else {
        Err(Violation::Mode)
    }
}

/// `target`, if a link can point there.
pub(super) fn link_target(target: Bytes) -> Result<Vec<u8>, Violation> {
    let max = MAX_LINK_TARGET as u64;
    at_most(target.len() as u64, max, "bytes in a link's target")?;
    if target.contains(&0) {
        return Err(Violation::Nul);
    }
    Ok(target.into())
}

/// The first `max` bytes of `bytes`, which are for a person to read.
pub(super) fn cut_bytes(mut bytes: Vec<u8>, max: usize) -> Bytes {
    bytes.truncate(max);
    bytes.into()
}

/// `text` up to the last character that ends within `max` bytes.
pub(super) fn cut_text(mut text: String, max: usize) -> String {
    text.truncate(text.floor_char_boundary(max));
    text
}
