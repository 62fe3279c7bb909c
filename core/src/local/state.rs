//! What is known about a partial, kept beside it: the source's version, the ranges that arrived,
//! and the hash of the source's content so far. Hints: the hash of the whole file verifies them.
//!
//! The file has two slots of [`SLOT`] bytes, written in turn, so that one is whole whenever the
//! other is torn. A slot is: magic (8 bytes), sequence number (u64), length of the record (u32),
//! both little-endian, the record (postcard), and the first 16 bytes of the BLAKE3 of all that.

use serde::{Deserialize, Serialize};

use super::fs::{File, read_full, write_full};
use crate::entry::Version;
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::hash::HashState;
use crate::range::RangeSet;

const MAGIC: &[u8; 8] = b"RZSTATE1";
const SLOT: usize = 8192;
const SUM: usize = 16;

/// What is known about a partial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartialState {
    /// The version of the source that is being fetched.
    pub(crate) source: Version,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Which ranges of it have arrived.
    pub(crate) ranges: RangeSet,
    /// The hash of its content up to some place.
    pub(crate) hash: HashState,
    /// Device and inode of the partial itself.
    pub(crate) own: (u64, u64),
    /// Set before the partial changes places with an older final file: that file's version.
    pub(crate) displaces: Option<Version>,
    /// From which source it comes, if that is known: an [`Origin`](crate::service::Origin).
    pub(crate) origin: Option<[u8; 16]>,
}

impl PartialState {
    /// Whether it is about the file with this device and inode. The number of the device is another
    /// one after a restart, for some; both lie in one directory, so the inode's is enough.
    pub(crate) fn is_of(&self, own: (u64, u64)) -> bool {
        self.own.1 == own.1
    }
}

/// Writes states, each to the slot that the one before is not in.
#[derive(Debug, Default)]
pub(crate) struct StateWriter {
    sequence: u64,
}

impl StateWriter {
    pub(crate) fn write(&mut self, file: &dyn File, state: &PartialState) -> Result<()> {
        let record = postcard::to_stdvec(state).map_err(|error| {
            Error::new(ErrorKind::Io, "encoding a partial's state").because(error)
        })?;
        self.sequence = self.sequence.wrapping_add(1);
        let mut slot = Vec::with_capacity(record.len() + 64);
        slot.extend_from_slice(MAGIC);
        slot.extend_from_slice(&self.sequence.to_le_bytes());
        slot.extend_from_slice(&(record.len() as u32).to_le_bytes());
        slot.extend_from_slice(&record);
        slot.extend(sum(&slot));
        debug_assert!(slot.len() <= SLOT, "a state is bounded by its types");
        let offset = (self.sequence % 2) * SLOT as u64;
        write_full(file, &slot, offset).doing("writing a partial's state")
    }

    /// The newest whole state in `file`, and the writer to go on with. A file without one, torn or
    /// foreign, is as good as none.
    pub(crate) fn load(file: &dyn File) -> Result<(Self, Option<PartialState>)> {
        let mut bytes = vec![0; 2 * SLOT];
        let len = read_full(file, &mut bytes, 0).doing("reading a partial's state")?;
        bytes.truncate(len);
        let newest = bytes
            .chunks(SLOT)
            .filter_map(parse)
            .max_by_key(|(sequence, _)| *sequence);
        Ok(match newest {
            Some((sequence, state)) => (Self { sequence }, Some(state)),
            None => (Self::default(), None),
        })
    }
}

fn parse(slot: &[u8]) -> Option<(u64, PartialState)> {
    let rest = slot.strip_prefix(MAGIC)?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
    let (record, rest) = rest.split_at_checked(len)?;
    let signed = slot.get(..slot.len().checked_sub(rest.len())?)?;
    if !rest.get(..SUM)?.iter().copied().eq(sum(signed)) {
        return None;
    }
    Some((
        u64::from_le_bytes(*sequence),
        postcard::from_bytes(record).ok()?,
    ))
}

fn sum(bytes: &[u8]) -> impl Iterator<Item = u8> + use<> {
    let hash: [u8; 32] = blake3::hash(bytes).into();
    hash.into_iter().take(SUM)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]

    use super::*;
    use crate::local::fs::{Access, FileSystem};
    use crate::local::os::OsFileSystem;
    use crate::range::{ByteRange, MAX_RANGES};
    use std::sync::Arc;

    fn state(end: u64) -> PartialState {
        let mut ranges = RangeSet::new();
        ranges.insert(ByteRange::new(0, end).unwrap());
        let source = Version::new(vec![1; 56]).unwrap();
        PartialState {
            source,
            size: 100,
            ranges,
            hash: HashState::default(),
            own: (1, 2),
            displaces: None,
            origin: Some([3; 16]),
        }
    }

    fn file() -> (tempfile::TempDir, Arc<dyn File>) {
        let directory = tempfile::tempdir().unwrap();
        let root = OsFileSystem.open_root(directory.path()).unwrap();
        let file = root.create(b"state").unwrap();
        assert!(root.open(b"state", Access::Read).is_ok());
        (directory, file)
    }

    #[test]
    fn the_newest_whole_state_is_found() {
        let (_directory, file) = file();
        let mut writer = StateWriter::default();
        assert_eq!(StateWriter::load(&*file).unwrap().1, None);
        for end in 1..=5 {
            writer.write(&*file, &state(end)).unwrap();
            let (again, found) = StateWriter::load(&*file).unwrap();
            assert_eq!(found, Some(state(end)));
            writer = again;
        }
        // The last one was the fifth: it lies in the second slot. Any torn byte yields the fourth.
        let mut slot = vec![0; 200];
        let len = read_full(&*file, &mut slot, SLOT as u64).unwrap();
        for at in 0..len {
            let flipped = [slot[at] ^ 4];
            write_full(&*file, &flipped, (SLOT + at) as u64).unwrap();
            assert_eq!(
                StateWriter::load(&*file).unwrap().1,
                Some(state(4)),
                "byte {at}"
            );
            write_full(&*file, &slot[at..=at], (SLOT + at) as u64).unwrap();
        }
        assert_eq!(StateWriter::load(&*file).unwrap().1, Some(state(5)));
    }

    #[test]
    fn the_largest_state_fits_its_slot() {
        let mut large = state(0);
        for i in 0..2 * MAX_RANGES as u64 {
            let start = (1 << 62) - i * 10;
            large.ranges.insert(ByteRange::at(start, 1).unwrap());
        }
        large.displaces = Some(large.source.clone());
        let (_directory, file) = file();
        StateWriter::default().write(&*file, &large).unwrap();
        // A hash state has at most one subtree for each bit of a file's size: 54 of 42 bytes.
        assert!(file.stat().unwrap().size as usize - SLOT + 54 * 42 <= SLOT);
    }
}
