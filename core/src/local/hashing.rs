//! Hashing the content of open files: of much of it, two threads hash one share each in turns.

use std::sync::mpsc::sync_channel;
use std::thread;

use super::Storage;
use super::content::{BUFFER, changed, invalid, misfit};
use super::fs::{File, read_full};
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::hash::{Digest, TreeHasher};
use crate::range::ByteRange;
use crate::service::MAX_BLOCK;

/// From how many bytes on a second thread helps.
const MUCH: u64 = 8 * MAX_BLOCK;
/// What each hashes at once: little, so that the disk is read in its order.
const SHARE: u64 = MAX_BLOCK;
/// How many hashes of shares wait to be taken in, at most; then the second thread waits.
const AHEAD: usize = 2;

impl Storage {
    /// The hash of the first `size` bytes of an open file. That it has no more, whoever asks finds
    /// out by its [`Stat`](super::fs::Stat).
    pub(super) fn hash_file(&self, file: &dyn File, size: u64) -> Result<Digest> {
        let mut hasher = TreeHasher::new(size);
        self.hash_on(file, &mut hasher, size)?;
        hasher.finish().map_err(misfit)
    }

    /// Has `hasher` take in what follows of a file, up to `end`.
    pub(super) fn hash_on(&self, file: &dyn File, hasher: &mut TreeHasher, end: u64) -> Result<()> {
        let rest = ByteRange::new(hasher.position(), end);
        let rest = rest.map_err(|_| invalid("the range is none of this file"))?;
        match rest.len() < MUCH {
            true => self.hash_alone(file, hasher, rest),
            false => self.hash_in_turns(file, hasher, rest),
        }
    }

    fn hash_alone(&self, file: &dyn File, hasher: &mut TreeHasher, range: ByteRange) -> Result<()> {
        self.feed(file, range, |piece, _| hasher.update(piece).map_err(misfit))
    }

    /// Hashes `range` in shares, every second of them on another thread.
    fn hash_in_turns(
        &self,
        file: &dyn File,
        hasher: &mut TreeHasher,
        range: ByteRange,
    ) -> Result<()> {
        let size = hasher.size();
        let hash_share = |share: ByteRange| {
            let mut hasher = TreeHasher::range(size, share.start()).map_err(misfit)?;
            self.hash_alone(file, &mut hasher, share)?;
            hasher.into_range().map_err(misfit)
        };
        thread::scope(|scope| {
            let (sends, receives) = sync_channel(AHEAD);
            let help = move || {
                for share in range.pieces(SHARE).skip(1).step_by(2) {
                    // Nobody receives any more where the first thread has failed.
                    if sends.send(hash_share(share)).is_err() {
                        return;
                    }
                }
            };
            if thread::Builder::new().spawn_scoped(scope, help).is_err() {
                // There are too many threads.
                return self.hash_alone(file, hasher, range);
            }
            for (number, share) in range.pieces(SHARE).enumerate() {
                let hash = match number % 2 {
                    0 => hash_share(share),
                    _ => receives.recv().unwrap_or_else(|_| Err(gone())),
                };
                hasher.push(&hash?, share).map_err(misfit)?;
            }
            Ok(())
        })
    }

    /// Hands `range` of a file to `take`, in pieces of [`BUFFER`] that each begin at a multiple of
    /// it, except the first.
    pub(super) fn feed(
        &self,
        file: &dyn File,
        range: ByteRange,
        mut take: impl FnMut(&[u8], ByteRange) -> Result<()>,
    ) -> Result<()> {
        let mut buffer = self.buffers.take();
        for piece in range.pieces(BUFFER as u64) {
            let bytes = buffer.space(piece.len() as usize);
            if read_full(file, bytes, piece.start()).doing("reading")? != bytes.len() {
                return Err(changed());
            }
            take(bytes, piece)?;
            self.go_on()?;
        }
        Ok(())
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Io, "a thread that hashes has ended")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::fs::{FileSystem as _, write_full};
    use super::super::os::OsFileSystem;
    use super::*;
    use crate::{LocalOptions, LocalService};

    /// Hashes `held` bytes of a file that is to have `size`, of which `taken` are hashed already.
    fn hashed(held: u64, size: u64, taken: usize) -> (Result<Digest>, Digest) {
        let directory = tempfile::tempdir().unwrap();
        let mut content = vec![0; usize::try_from(held).unwrap()];
        blake3::Hasher::new().finalize_xof().fill(&mut content);
        let service = LocalService::open(directory.path(), LocalOptions::default()).unwrap();
        let mut hasher = TreeHasher::new(size);
        hasher.update(&content[..taken]).unwrap();
        let root = OsFileSystem.open_root(directory.path()).unwrap();
        let file = root.create(b"f").unwrap();
        write_full(&*file, &content, 0).unwrap();
        let done = service.storage.hash_on(&*file, &mut hasher, size);
        let hash = done.and_then(|()| hasher.finish().map_err(misfit));
        (hash, Digest::of_content(&content))
    }

    #[rstest]
    #[case::little(MUCH - 1, 0)]
    #[case::much(MUCH, 0)]
    #[case::an_odd_end_of_the_other(MUCH + SHARE + 5, 0)]
    #[case::an_odd_end_of_the_first(MUCH + 5, 0)]
    #[case::some_hashed_before(2 * MUCH, 3 * BUFFER)]
    #[case::all_hashed_before(MUCH, MUCH as usize)]
    fn two_threads_find_the_hash_that_one_finds(#[case] size: u64, #[case] taken: usize) {
        let (found, expected) = hashed(size, size, taken);
        assert_eq!(found.unwrap(), expected);
    }

    #[rstest]
    #[case::in_a_share_of_the_first(2 * SHARE + 1)]
    #[case::in_a_share_of_the_second(SHARE + 1)]
    fn a_file_that_became_shorter_is_an_error(#[case] held: u64) {
        let (found, _) = hashed(held, MUCH, 0);
        assert_eq!(found.unwrap_err().kind(), ErrorKind::Changed);
    }
}
