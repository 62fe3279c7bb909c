//! Reading a partial back while it arrives: when it is finished, little of it is left to be read.
//!
//! What was read back counts only as long as nothing was written to it since: [`Partial`] notes
//! every place that is written to, and whether anybody else touched the file.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Storage;
use super::content::{BUFFER, misfit};
use super::partial::Partial;
use crate::error::Result;
use crate::hash::{Digest, TreeHasher};
use crate::range::ByteRange;
use crate::service::{MAX_BLOCK, Target};

/// How much one call reads back at most, in bytes, beyond as much as it wrote: what other calls wrote
/// meanwhile, and some of what an earlier run left.
const CATCH_UP: u64 = 3 * MAX_BLOCK;

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
    pub(crate) fn new(partial: Partial) -> Self {
        let read = ReadBack::new(partial.size());
        Self {
            partial: Mutex::new(partial),
            read: Mutex::new(read),
        }
    }

    /// The partial, for one call at a time.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Partial> {
        self.partial.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub(crate) fn catch_up(&self, storage: &Storage, written: u64) -> Result<()> {
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
            storage.hash_alone(&*file, &mut read.hasher, piece)?;
            left = left.saturating_sub(piece.len());
        }
        Ok(())
    }

    /// Reads what is left, when nothing is written any more; answers the partial and the hash of
    /// all of it.
    pub(crate) fn into_read(self, storage: &Storage) -> (Partial, Result<Digest>) {
        let mut partial = self
            .partial
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut read = self
            .read
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let hash = read
            .ready(&mut partial)
            .and_then(|_| read.finish(storage, &partial));
        (partial, hash)
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
        storage.hash_on(&**partial.file(), &mut self.hasher, self.size)?;
        self.hasher.finish().map_err(misfit)
    }
}

#[cfg(test)]
mod tests;
