//! Partials: files under construction, beside their target, and what is known about them.

use std::io;
use std::sync::Arc;

use super::fs::{Directory, File, read_full, write_full};
use super::names::PartialNames;
use super::state::{PartialState, StateWriter};
use super::version::LocalVersion;
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::hash::HashState;
use crate::range::{ByteRange, RangeSet};
use crate::service::{Block, Origin, Target};

mod leftover;
mod locked;

use leftover::recover;
pub(crate) use leftover::{discard, find, forget, note_exchange};
use locked::open_or_create;

/// Zeros are left out of sparse files in pieces of this size, which is a page.
const PAGE: usize = 4096;

/// What to do with a partial that holds another version of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// Begin anew.
    Discard,
    /// Keep the content: it is being patched in place.
    Keep,
}

/// An open, locked partial.
#[derive(Debug)]
pub(crate) struct Partial {
    file: Arc<dyn File>,
    state_file: Arc<dyn File>,
    state: PartialState,
    writer: StateWriter,
    /// Whether nothing but zeros lies where nothing was written.
    fresh: bool,
    sparse: bool,
    /// The first place that was written to since it was asked for; `u64::MAX` if none was.
    written: u64,
    /// What our last write left, by which we see whether anybody else writes to it.
    left: Option<LocalVersion>,
}

impl Partial {
    /// Opens the partial of `target` in `directory`, or makes it.
    pub(crate) fn open(
        directory: &dyn Directory,
        names: &PartialNames,
        target: &Target,
        origin: Origin,
        stale: Stale,
    ) -> Result<Self> {
        recover(directory, names, &target.path)?;
        let (content, state) = (names.content(&target.path), names.state(&target.path));
        let (file, created) = open_or_create(directory, &content)?;
        let (state_file, _) = open_or_create(directory, &state)?;
        let stat = file.stat().doing("looking at the partial")?;
        let own = (stat.device, stat.inode);
        let (writer, found) = StateWriter::load(&*state_file)?;
        let same = |state: &PartialState| {
            state.source == target.source && state.size == target.size && state.is_of(own)
        };
        let known = found.filter(|state| !created && same(state) && stat.size == target.size);
        let resumed = known.is_some();
        let mut state = known.unwrap_or_else(|| PartialState {
            source: target.source.clone(),
            size: target.size,
            ranges: RangeSet::new(),
            hash: HashState::default(),
            own,
            displaces: None,
            origin: None,
        });
        state.origin = Some(*origin.as_bytes());
        let sparse = target.sparse;
        let mut partial = Self {
            file,
            state_file,
            state,
            writer,
            fresh: created,
            sparse,
            written: u64::MAX,
            left: None,
        };
        if !resumed {
            partial.begin(directory, stale, stat.size)?;
        }
        Ok(partial)
    }

    fn begin(&mut self, directory: &dyn Directory, stale: Stale, held: u64) -> Result<()> {
        // What is known goes first: a crash in between must not find old knowledge of new content.
        self.keep_state()?;
        if stale == Stale::Discard && !self.fresh {
            self.file.set_size(0).doing("emptying the partial")?;
            self.fresh = true;
        }
        let held = if self.fresh { 0 } else { held };
        let needed = self.state.size.saturating_sub(held);
        let free = directory.free_space().doing("asking for the free space")?;
        if !self.sparse && needed > free {
            let what = format!("{needed} bytes are needed, {free} are free");
            return Err(Error::new(ErrorKind::Full, what));
        }
        self.file
            .set_size(self.state.size)
            .doing("sizing the partial")
    }

    /// Whether it is the one for `target`.
    pub(crate) fn is_for(&self, target: &Target) -> bool {
        self.state.source == target.source && self.state.size == target.size
    }

    /// Its size in bytes, once all of it has arrived.
    pub(crate) fn size(&self) -> u64 {
        self.state.size
    }

    /// Up to where everything has arrived from `start` on; `start` if nothing has.
    pub(crate) fn arrived_until(&self, start: u64) -> u64 {
        let mut ranges = self.state.ranges.iter();
        let around = ranges.find(|range| range.start() <= start && start < range.end());
        around.map_or(start, ByteRange::end)
    }

    /// The first place that was written to, by us or by anybody else, since this was asked last;
    /// `u64::MAX` if nothing was.
    pub(crate) fn written_since(&mut self) -> Result<u64> {
        self.look(u64::MAX)?;
        Ok(std::mem::replace(&mut self.written, u64::MAX))
    }

    /// Looks at it before something is written at `offset`.
    pub(crate) fn look(&mut self, offset: u64) -> Result<()> {
        self.written = self.written.min(offset);
        let now = self.version()?;
        if self.left.replace(now).is_some_and(|left| left != now) {
            // By somebody else, or by a write of ours that failed.
            self.written = 0;
        }
        Ok(())
    }

    fn version(&self) -> Result<LocalVersion> {
        let stat = self.file.stat().doing("looking at the partial")?;
        Ok(LocalVersion::of(&stat))
    }

    /// Its content.
    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Writes a block and, where it is further on than the one kept, the hash state.
    pub(crate) fn write(
        &mut self,
        offset: u64,
        block: &Block,
        hash: Option<&HashState>,
    ) -> Result<()> {
        let range = self.range(offset, block.len())?;
        self.look(offset)?;
        match block {
            Block::Data(data) if self.sparse => self.write_sparse(offset, data)?,
            Block::Data(data) => self.write_data(offset, data)?,
            Block::Hole(len) => self.write_zeros(offset, *len)?,
        }
        self.arrived(range, hash)
    }

    /// Makes the content that of `source`, which has the target's size, if the file system can share
    /// its blocks. The error says why it cannot; nothing has arrived then.
    pub(crate) fn share(&mut self, source: &dyn File) -> Result<io::Result<()>> {
        self.look(0)?;
        let shared = self.file.share(source);
        if shared.is_err() {
            // It may have come half way.
            self.state.ranges = RangeSet::new();
            self.keep_state()?;
            self.file.set_size(0).doing("emptying the partial")?;
            self.file
                .set_size(self.state.size)
                .doing("sizing the partial")?;
            self.fresh = true;
            return Ok(shared);
        }
        self.fresh = false;
        let whole = self.range(0, self.state.size)?;
        self.arrived(whole, None).map(Ok)
    }

    /// Notes that `range` has arrived; before it was written, there was a [`look`](Self::look).
    pub(crate) fn arrived(&mut self, range: ByteRange, hash: Option<&HashState>) -> Result<()> {
        self.left = Some(self.version()?);
        self.state.ranges.insert(range);
        if let Some(hash) = hash {
            if !hash.is_valid() || hash.position() > self.state.size {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "the hash state is none of this file",
                ));
            }
            if hash.position() > self.state.hash.position() {
                self.state.hash = hash.clone();
            }
        }
        self.keep_state()
    }

    /// Writes bytes without noting that they arrived.
    pub(crate) fn write_unnoted(&self, offset: u64, data: &[u8]) -> Result<()> {
        if self.sparse {
            self.write_sparse(offset, data)
        } else {
            self.write_data(offset, data)
        }
    }

    /// Has the file system copy a range of another file to `to`, without noting that it arrived;
    /// answers how much it did. What it does not is to be read and written, which meets every error
    /// that is not of copying alone. It would make blocks of holes: what is sparse is not copied so.
    fn copy_unnoted(&self, from: &dyn File, range: ByteRange, to: u64) -> u64 {
        let mut done = 0;
        while !self.sparse && done < range.len() {
            let left = usize::try_from(range.len() - done).unwrap_or(usize::MAX);
            let (at, to) = (range.start() + done, to.saturating_add(done));
            match self.file.copy_from(from, at, to, left) {
                Ok(0) | Err(_) => break,
                Ok(count) => done = done.saturating_add(count as u64).min(range.len()),
            }
        }
        done
    }

    /// Forgets what arrived: the content turned out not to be what it should.
    pub(crate) fn distrust(&mut self) -> Result<()> {
        self.state.ranges = RangeSet::new();
        self.state.hash = HashState::default();
        self.keep_state()
    }

    fn keep_state(&mut self) -> Result<()> {
        self.writer.write(&*self.state_file, &self.state)
    }

    fn range(&self, offset: u64, len: u64) -> Result<ByteRange> {
        let range = ByteRange::at(offset, len)
            .ok()
            .filter(|range| range.end() <= self.state.size);
        range.ok_or_else(|| Error::new(ErrorKind::Invalid, "the block lies beyond the file's end"))
    }

    fn write_data(&self, offset: u64, data: &[u8]) -> Result<()> {
        write_full(&*self.file, data, offset).doing("writing")
    }

    fn write_sparse(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut at = offset;
        for run in data
            .chunks(PAGE)
            .collect::<Vec<_>>()
            .chunk_by(|a, b| is_zero(a) == is_zero(b))
        {
            let len = run.iter().map(|page| page.len()).sum::<usize>();
            let start = usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
            let bytes = data
                .get(start..)
                .and_then(|rest| rest.get(..len))
                .unwrap_or_default();
            if run.first().is_some_and(|page| is_zero(page)) {
                self.write_zeros(at, len as u64)?;
            } else {
                self.write_data(at, bytes)?;
            }
            at = at.saturating_add(len as u64);
        }
        Ok(())
    }

    fn write_zeros(&self, offset: u64, len: u64) -> Result<()> {
        if self.fresh {
            return Ok(());
        }
        match self.file.punch_hole(offset, len) {
            Err(error) if ErrorKind::of_io(&error) == ErrorKind::Unsupported => {}
            other => return other.doing("leaving a hole"),
        }
        let zeros = [0; PAGE];
        let range = self.range(offset, len)?;
        for piece in range.pieces(PAGE as u64) {
            let zeros = zeros.get(..piece.len() as usize).unwrap_or(&zeros);
            self.write_data(piece.start(), zeros)?;
        }
        Ok(())
    }
}

fn is_zero(page: &[u8]) -> bool {
    page.iter().all(|&byte| byte == 0)
}

/// Copies `range` of `from`, which begins at `start` there, into the partial at `to`.
pub(crate) fn copy(
    partial: &Partial,
    from: &dyn File,
    range: ByteRange,
    to: u64,
    buffer: &mut [u8],
) -> Result<()> {
    let done = partial.copy_unnoted(from, range, to);
    let (to, start) = (to.saturating_add(done), range.start().saturating_add(done));
    let rest = ByteRange::new(start, range.end()).unwrap_or(range);
    for piece in rest.pieces(buffer.len() as u64) {
        let Some(bytes) = buffer.get_mut(..piece.len() as usize) else {
            continue;
        };
        let count = read_full(from, bytes, piece.start()).doing("reading the older version")?;
        if count != bytes.len() {
            return Err(Error::new(
                ErrorKind::Changed,
                "the older version became shorter",
            ));
        }
        let offset = to.saturating_add(piece.start().saturating_sub(start));
        partial.write_unnoted(offset, bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
