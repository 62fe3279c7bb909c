//! Reading a partial back while it arrives: when it is finished, little of it is left to be read.
//!
//! What was read back counts only as long as nothing was written to it since: [`Partial`] notes
//! every place that is written to, and whether anybody else touched the file. That holds too where a
//! move breaks off and goes on: [`ReadBacks`] keeps how far its partials were read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::Storage;
use super::content::{BUFFER, misfit};
use super::partial::Partial;
use super::version::LocalVersion;
use crate::error::Result;
use crate::hash::{Digest, TreeHasher};
use crate::range::ByteRange;
use crate::service::{MAX_BLOCK, Target};

/// How much one call reads back at most, in bytes, beyond as much as it wrote: what other calls wrote
/// meanwhile, and some of what an earlier run left.
const CATCH_UP: u64 = 3 * MAX_BLOCK;

/// For how many partials that are closed it is kept how far they were read back.
const MAX_CLOSED: usize = 64;
/// For how long that is kept: what lies longer may be worth another look.
const KEPT: Duration = Duration::from_secs(3600);

/// How far partials have been read back that are not open, as long as they stay as they were left.
///
/// Clones share it. One that several services of a directory are given, one after the other, keeps a
/// move that was interrupted from reading back again what was read back before. It is in memory
/// alone: after a crash of the machine, which may have lost what was not synced, nothing is known.
#[derive(Clone, Debug, Default)]
pub struct ReadBacks(Arc<Mutex<VecDeque<Closed>>>);

/// A partial that was closed.
#[derive(Debug)]
struct Closed {
    version: LocalVersion,
    since: SystemTime,
    read: ReadBack,
}

impl ReadBacks {
    /// Closes `partial`, which nobody uses any more.
    pub(crate) fn close(&self, partial: OpenPartial, now: SystemTime) {
        let (mut partial, mut read) = partial.into_parts();
        let ready = read.ready(&mut partial);
        if let (Ok(_), Some(version)) = (ready, partial.left()) {
            let mut closed = self.lock();
            if closed.len() >= MAX_CLOSED {
                closed.pop_front();
            }
            closed.push_back(Closed {
                version,
                since: now,
                read,
            });
        }
        // Unlocked only now: whoever opens it next finds what was kept.
        drop(partial);
    }

    /// What `partial` begins with, which has just been opened.
    fn resume(&self, partial: &mut Partial, now: SystemTime) -> ReadBack {
        let size = partial.size();
        let closed = partial.seen().ok().and_then(|version| {
            let mut closed = self.lock();
            closed.retain(|closed| now.duration_since(closed.since).unwrap_or_default() <= KEPT);
            let at = closed.iter().position(|closed| closed.version == version)?;
            closed.remove(at)
        });
        let read = closed.map(|closed| closed.read);
        read.filter(|read| read.size == size)
            .unwrap_or_else(|| ReadBack::new(size))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Closed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open partial, and how far it has been read back.
#[derive(Debug)]
pub(crate) struct OpenPartial {
    partial: Mutex<Partial>,
    read: Mutex<ReadBack>,
}

/// The hash of a partial's content from its beginning on, as it was read back.
#[derive(Debug)]
struct ReadBack {
    hasher: TreeHasher,
    size: u64,
}

impl OpenPartial {
    /// One that has just been opened, and may have been read back before.
    pub(crate) fn new(mut partial: Partial, read_backs: &ReadBacks, now: SystemTime) -> Self {
        let read = read_backs.resume(&mut partial, now);
        Self {
            partial: Mutex::new(partial),
            read: Mutex::new(read),
        }
    }

    /// The partial, for one call at a time.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Partial> {
        self.partial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to where it has been read back, in bytes.
    pub(crate) fn read_so_far(&self) -> u64 {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.hasher.position()
    }

    /// Whether it is the one for `target`.
    pub(crate) fn is_for(&self, target: &Target) -> bool {
        self.lock().is_for(target)
    }

    /// Reads on in what has arrived, now that `written` bytes were written, unless another call does
    /// so: that one goes on, or else the next one.
    ///
    /// # Errors
    /// It cannot be read; it is read again when it is finished.
    pub(super) fn catch_up(&self, storage: &Storage, written: u64) -> Result<()> {
        let Ok(mut read) = self.read.try_lock() else {
            return Ok(());
        };
        let mut left = written.saturating_add(CATCH_UP);
        while left > 0 {
            let (file, ready) = {
                let mut partial = self.lock();
                let ready = read.ready(&mut partial)?;
                (partial.file().clone(), ready)
            };
            let Some(piece) = ready.and_then(|ready| ready.pieces(left).next()) else {
                return Ok(());
            };
            storage.feed(&*file, piece, |bytes, _| {
                read.hasher.update(bytes).map_err(misfit)
            })?;
            left = left.saturating_sub(piece.len());
        }
        Ok(())
    }

    /// Reads what is left, when nothing is written any more; answers the partial and the hash of
    /// all of it.
    pub(super) fn into_read(self, storage: &Storage) -> (Partial, Result<Digest>) {
        let (mut partial, mut read) = self.into_parts();
        let hash = read
            .ready(&mut partial)
            .and_then(|_| read.finish(storage, &partial));
        (partial, hash)
    }

    fn into_parts(self) -> (Partial, ReadBack) {
        let partial = self.partial.into_inner();
        let read = self.read.into_inner();
        (
            partial.unwrap_or_else(PoisonError::into_inner),
            read.unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl ReadBack {
    fn new(size: u64) -> Self {
        Self {
            hasher: TreeHasher::new(size),
            size,
        }
    }

    /// What can be read now: from where it is to where content has arrived, in whole pieces. Begins
    /// anew if something was written to what had been read.
    fn ready(&mut self, partial: &mut Partial) -> Result<Option<ByteRange>> {
        if partial.written_since()? < self.hasher.position() {
            *self = Self::new(self.size);
        }
        let start = self.hasher.position();
        let end = match partial.arrived_until(start) {
            end if end >= self.size => self.size,
            end => end - end % BUFFER as u64,
        };
        Ok(ByteRange::new(start, end)
            .ok()
            .filter(|ready| !ready.is_empty()))
    }

    fn finish(mut self, storage: &Storage, partial: &Partial) -> Result<Digest> {
        if let Ok(rest) = ByteRange::new(self.hasher.position(), self.size) {
            storage.feed(&**partial.file(), rest, |bytes, _| {
                self.hasher.update(bytes).map_err(misfit)
            })?;
        }
        self.hasher.finish().map_err(misfit)
    }
}

#[cfg(test)]
mod tests;
