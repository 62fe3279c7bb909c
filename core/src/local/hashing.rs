//! Hashing the content of open files: of much of it, two threads hash one share each in turns. Of the
//! two, `Workers` counts the one that the call has in any case.

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
/// What each hashes at once, in bytes: little, so that what is read lies close together.
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

    /// Has `hasher` take in `range`, which comes next, on this thread alone: in pieces of [`BUFFER`]
    /// that each begin at a multiple of it, except the first.
    pub(super) fn hash_alone(
        &self,
        file: &dyn File,
        hasher: &mut TreeHasher,
        range: ByteRange,
    ) -> Result<()> {
        let mut buffer = self.buffers.take();
        for piece in range.pieces(BUFFER as u64) {
            let bytes = buffer.space(piece.len() as usize);
            if read_full(file, bytes, piece.start()).doing("reading")? != bytes.len() {
                return Err(changed());
            }
            hasher.update(bytes).map_err(misfit)?;
            self.go_on()?;
        }
        Ok(())
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
            let Ok(helper) = thread::Builder::new().spawn_scoped(scope, help) else {
                // There are too many threads.
                return self.hash_alone(file, hasher, range);
            };
            for (number, share) in range.pieces(SHARE).enumerate() {
                let hash = match number % 2 {
                    0 => hash_share(share),
                    _ => receives.recv().unwrap_or_else(|_| Err(gone())),
                };
                hasher.push(&hash?, share).map_err(misfit)?;
            }
            helper.join().map_err(|_| gone())
        })
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Io, "a thread that hashes has ended")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use rstest::rstest;

    use super::super::fs::{FileSystem as _, write_full};
    use super::super::os::OsFileSystem;
    use super::*;
    use crate::{LocalOptions, LocalService};

    /// A file, and the content that it holds.
    struct Held {
        file: Arc<dyn File>,
        content: Vec<u8>,
        service: LocalService,
        _directory: tempfile::TempDir,
    }

    impl Held {
        fn new(len: u64) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let mut content = vec![0; usize::try_from(len).unwrap()];
            blake3::Hasher::new().finalize_xof().fill(&mut content);
            let service = LocalService::open(directory.path(), LocalOptions::default()).unwrap();
            let root = OsFileSystem.open_root(directory.path()).unwrap();
            let file = root.create(b"f").unwrap();
            write_full(&*file, &content, 0).unwrap();
            Self {
                file,
                content,
                service,
                _directory: directory,
            }
        }

        fn hash_on(&self, hasher: &mut TreeHasher, end: u64) -> Result<()> {
            self.service.storage.hash_on(&*self.file, hasher, end)
        }
    }

    #[rstest]
    #[case::little(MUCH - 1, 0)]
    #[case::much(MUCH, 0)]
    #[case::an_odd_end_of_the_other(MUCH + SHARE + 5, 0)]
    #[case::an_odd_end_of_the_first(MUCH + 5, 0)]
    #[case::some_hashed_before(2 * MUCH, 3 * BUFFER)]
    #[case::all_hashed_before(MUCH, MUCH as usize)]
    fn two_threads_find_the_hash_that_one_finds(#[case] size: u64, #[case] taken: usize) {
        let held = Held::new(size);
        let mut hasher = TreeHasher::new(size);
        hasher.update(&held.content[..taken]).unwrap();
        held.hash_on(&mut hasher, size).unwrap();
        assert_eq!(hasher.finish(), Ok(Digest::of_content(&held.content)));
    }

    #[test]
    fn ranges_that_two_threads_hash_join() {
        let held = Held::new(2 * MUCH + SHARE + 5);
        let size = held.content.len() as u64;
        let mut whole = TreeHasher::new(size);
        for range in ByteRange::new(0, size).unwrap().pieces(MUCH) {
            let mut hasher = TreeHasher::range(size, range.start()).unwrap();
            held.hash_on(&mut hasher, range.end()).unwrap();
            whole.push(&hasher.into_range().unwrap(), range).unwrap();
        }
        assert_eq!(whole.finish(), Ok(Digest::of_content(&held.content)));
    }

    #[rstest]
    #[case::in_a_share_of_the_first(2 * SHARE + 1)]
    #[case::in_a_share_of_the_other(SHARE + 1)]
    fn a_file_that_became_shorter_is_an_error(#[case] len: u64) {
        let hashed = Held::new(len).hash_on(&mut TreeHasher::new(MUCH), MUCH);
        assert_eq!(hashed.unwrap_err().kind(), ErrorKind::Changed);
    }

    #[test]
    fn it_ends_with_the_run() {
        let held = Held::new(MUCH);
        held.service.storage.ending.store(true, Ordering::Relaxed);
        let hashed = held.hash_on(&mut TreeHasher::new(MUCH), MUCH);
        assert!(hashed.is_err());
    }
}
