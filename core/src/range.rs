//! Byte ranges of a file, and sets of them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The largest file size and offset: what a signed 64-bit file offset can hold.
pub const MAX_FILE_SIZE: u64 = i64::MAX as u64;

/// A range of a file: from `start` (included) to `end` (excluded), in bytes; never inverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "(u64, u64)", into = "(u64, u64)")]
pub struct ByteRange {
    start: u64,
    end: u64,
}

/// A range that is inverted or goes beyond [`MAX_FILE_SIZE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the byte range is inverted or lies beyond the largest file size")]
pub struct InvalidRange;

impl ByteRange {
    /// The range from `start` to `end`.
    ///
    /// # Errors
    /// [`InvalidRange`] if `start > end` or `end > MAX_FILE_SIZE`.
    pub fn new(start: u64, end: u64) -> Result<Self, InvalidRange> {
        if start <= end && end <= MAX_FILE_SIZE {
            Ok(Self { start, end })
        } else {
            Err(InvalidRange)
        }
    }

    /// The range of `len` bytes from `start`.
    ///
    /// # Errors
    /// [`InvalidRange`] if its end lies beyond [`MAX_FILE_SIZE`].
    pub fn at(start: u64, len: u64) -> Result<Self, InvalidRange> {
        Self::new(start, start.checked_add(len).ok_or(InvalidRange)?)
    }

    /// Its first byte.
    pub fn start(self) -> u64 {
        self.start
    }

    /// The byte after its last.
    pub fn end(self) -> u64 {
        self.end
    }

    /// How many bytes it has.
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether it has no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The part of it that lies in `other`; empty, at some place, where there is none.
    #[must_use]
    pub fn clamp_to(self, other: Self) -> Self {
        let start = self.start.clamp(other.start, other.end);
        Self {
            start,
            end: self.end.clamp(start, other.end),
        }
    }

    /// The range cut into consecutive pieces of at most `len` bytes, each but the first beginning
    /// at a multiple of `len`. A `len` of 0 counts as 1.
    pub fn pieces(self, len: u64) -> impl Iterator<Item = Self> + Send {
        self.pieces_by(move || len)
    }

    /// The same, where `len` is asked for each piece anew.
    pub fn pieces_by(
        self,
        mut len: impl FnMut() -> u64 + Send,
    ) -> impl Iterator<Item = Self> + Send {
        let mut start = self.start;
        std::iter::from_fn(move || {
            if start >= self.end {
                return None;
            }
            let len = len().max(1);
            let end = (start - start % len).saturating_add(len).min(self.end);
            let piece = Self { start, end };
            start = end;
            Some(piece)
        })
    }
}

impl TryFrom<(u64, u64)> for ByteRange {
    type Error = InvalidRange;
    fn try_from((start, end): (u64, u64)) -> Result<Self, InvalidRange> {
        Self::new(start, end)
    }
}

impl From<ByteRange> for (u64, u64) {
    fn from(range: ByteRange) -> Self {
        (range.start, range.end)
    }
}

/// How many separate ranges a [`RangeSet`] keeps at most.
pub const MAX_RANGES: usize = 64;

/// Which ranges of a file have arrived: sorted, disjoint, not touching, at most [`MAX_RANGES`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<ByteRange>", into = "Vec<ByteRange>")]
pub struct RangeSet(Vec<ByteRange>);

impl RangeSet {
    /// The set of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `range`. A set that would grow over [`MAX_RANGES`] forgets its last range: what it
    /// names has arrived for certain, what it does not name is merely sent again.
    pub fn insert(&mut self, range: ByteRange) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|r| r.end < range.start);
        let after = self.0.partition_point(|r| r.start <= range.end);
        let touched: Range<usize> = first..after.max(first);
        let merged =
            self.0
                .get(touched.clone())
                .unwrap_or_default()
                .iter()
                .fold(range, |sum, r| ByteRange {
                    start: sum.start.min(r.start),
                    end: sum.end.max(r.end),
                });
        self.0.splice(touched, [merged]);
        self.0.truncate(MAX_RANGES);
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = ByteRange> + '_ {
        self.0.iter().copied()
    }

    /// How many bytes it names.
    pub fn len(&self) -> u64 {
        self.iter().map(ByteRange::len).fold(0, u64::saturating_add)
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of `range` is in it.
    pub fn covers(&self, range: ByteRange) -> bool {
        range.is_empty()
            || self
                .iter()
                .any(|r| r.start <= range.start && range.end <= r.end)
    }
}

/// More ranges than [`MAX_RANGES`], or not sorted and apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a set of byte ranges is unsorted, overlaps, or has more than {MAX_RANGES} ranges")]
pub struct InvalidRangeSet;

impl TryFrom<Vec<ByteRange>> for RangeSet {
    type Error = InvalidRangeSet;
    fn try_from(ranges: Vec<ByteRange>) -> Result<Self, InvalidRangeSet> {
        let apart = ranges
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.end < b.start));
        let full = ranges.iter().all(|range| !range.is_empty());
        if apart && full && ranges.len() <= MAX_RANGES {
            Ok(Self(ranges))
        } else {
            Err(InvalidRangeSet)
        }
    }
}

impl From<RangeSet> for Vec<ByteRange> {
    fn from(set: RangeSet) -> Self {
        set.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(start: u64, end: u64) -> ByteRange {
        ByteRange::new(start, end).unwrap()
    }

    #[test]
    fn absurd_ranges_are_refused() {
        assert!(ByteRange::new(2, 1).is_err());
        assert!(ByteRange::new(0, 1 << 63).is_err());
        assert!(ByteRange::at(u64::MAX, 1).is_err());
        assert!(ByteRange::at(MAX_FILE_SIZE, 0).is_ok());
    }

    #[test]
    fn pieces_are_aligned() {
        let pieces: Vec<_> = range(10, 35).pieces(16).collect();
        assert_eq!(pieces, [range(10, 16), range(16, 32), range(32, 35)]);
        assert_eq!(range(5, 5).pieces(16).count(), 0);
        let mut lens = [16, 4, 8].into_iter().cycle();
        let pieces: Vec<_> = range(10, 35)
            .pieces_by(|| lens.next().unwrap_or(1))
            .collect();
        assert_eq!(
            pieces,
            [
                range(10, 16),
                range(16, 20),
                range(20, 24),
                range(24, 32),
                range(32, 35)
            ]
        );
    }

    proptest! {
        #[test]
        fn a_set_names_what_was_inserted(spans in proptest::collection::vec((0u64..60, 0u64..8), 0..30)) {
            let mut set = RangeSet::new();
            let mut bytes = [false; 80];
            for (start, len) in spans {
                set.insert(range(start, start + len));
                bytes[start as usize..(start + len) as usize].fill(true);
            }
            for (i, &present) in bytes.iter().enumerate() {
                prop_assert_eq!(set.covers(range(i as u64, i as u64 + 1)), present);
            }
            prop_assert_eq!(set.len(), bytes.iter().filter(|&&b| b).count() as u64);
            prop_assert!(RangeSet::try_from(Vec::from(set)).is_ok());
        }
    }

    #[test]
    fn a_set_is_bounded() {
        let mut set = RangeSet::new();
        for i in 0..1000 {
            set.insert(range(i * 10, i * 10 + 1));
        }
        assert_eq!(set.iter().count(), MAX_RANGES);
        assert!(set.covers(range(0, 1)));
    }
}
