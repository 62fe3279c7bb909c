//! What a move did, as it happens and at the end.

use super::Mode;
use crate::entry::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::hash::Digest;
use crate::path::RelPath;
use crate::service::Outcome;

/// How many failures a [`Report`] keeps; all are counted, and observed as they happen.
pub const MAX_FAILURES: usize = 100;

/// Hears of everything that a move does, while it does it. Calls come from several tasks at once
/// and must return soon.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event<'_>);
}

/// An observer that does nothing.
impl Observer for () {
    fn event(&self, _event: Event<'_>) {}
}

/// What an [`Observer`] hears of.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A page of the source was listed: so many more files are meant, of so many bytes.
    Listed {
        /// How many files.
        files: u64,
        /// Their size in bytes.
        bytes: u64,
    },
    /// The source is listed to its end; not everything that was found has been started yet.
    ListingEnded,
    /// Work on a file began.
    Started {
        /// Its path at the source.
        path: &'a RelPath,
        /// Its size in bytes.
        size: u64,
        /// When it was last modified.
        modified: Timestamp,
    },
    /// What arrived of a file was not what was sent. It is sent again, unless it was already.
    Mismatch {
        /// Its path at the destination.
        path: &'a RelPath,
    },
    /// So many bytes of a file are at the destination now.
    Progress {
        /// Its path at the source.
        path: &'a RelPath,
        /// How many bytes more.
        bytes: u64,
        /// How many of them were sent; the others were there, or are holes.
        sent: u64,
    },
    /// Work on a file ended.
    Ended(&'a FileEnd<'a>),
}

/// How work on a file ended.
#[derive(Clone, Copy, Debug)]
pub struct FileEnd<'a> {
    /// Its path at the source, as bytes: it may be none that a [`RelPath`] can hold.
    pub path: &'a [u8],
    /// Its size in bytes.
    pub size: u64,
    /// When it was last modified, if that is known.
    pub modified: Option<Timestamp>,
    /// What became of it.
    pub status: Status<'a>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug)]
pub enum Status<'a> {
    /// It is safe at the destination and, in a move, gone from the source.
    Done {
        /// Its hash; `None` in a preview, which reads nothing.
        hash: Option<Digest>,
        /// Whether it was there already.
        outcome: Outcome,
        /// Its name at the destination, where that is another one.
        renamed: Option<&'a RelPath>,
    },
    /// It is left for the next run.
    Deferred(&'a str),
    /// Somebody else took it from the source before it was moved: there is nothing left to move.
    Gone,
    /// It was not moved.
    Failed(&'a Failure),
}

/// A file that was not moved, or not deleted.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its path, as bytes.
    pub path: Vec<u8>,
    /// Why.
    pub error: Error,
    /// Whether a verified, durable copy is at the destination although the file is at the source.
    pub copied: bool,
}

/// What a move did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Files that are safe at the destination and, in a move, gone from the source.
    pub done: u64,
    /// How many of them were there already.
    pub identical: u64,
    /// The size in bytes of those done.
    pub bytes: u64,
    /// The size in bytes of those that were there already.
    pub identical_bytes: u64,
    /// How many bytes of content were sent, for whatever became of it.
    pub sent: u64,
    /// Files left for the next run.
    pub deferred: u64,
    /// Files that were not moved.
    pub failed: u64,
    /// The first [`MAX_FAILURES`] of them.
    pub failures: Vec<Failure>,
    /// Directories removed at the source.
    pub directories: u64,
    /// Whether it ended before its time.
    pub stopped: Option<Stopped>,
}

/// Why a move ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It was cancelled.
    Cancelled,
    /// There was a conflict, and it was asked to stop at one.
    Conflict,
}

/// A run that an error ended.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct Broken {
    /// Why.
    pub error: Error,
    /// What it did until then.
    pub report: Report,
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self {
            error,
            report: Report::default(),
        }
    }
}

impl Report {
    /// The report of this run and an earlier one that it went on from, both of `mode`: what was done
    /// counts together, what was left then has been looked at again. What a copy finds to be there
    /// already is, first of all, what the earlier one brought there: it counts once.
    #[must_use]
    pub fn following(mut self, earlier: &Self, mode: Mode) -> Self {
        if mode == Mode::Copy {
            let again = self.identical.min(earlier.done);
            self.done = self.done.saturating_sub(again);
            self.identical = self.identical.saturating_sub(again);
            let again = self.identical_bytes.min(earlier.bytes);
            self.bytes = self.bytes.saturating_sub(again);
            self.identical_bytes = self.identical_bytes.saturating_sub(again);
        }
        self.done = self.done.saturating_add(earlier.done);
        self.identical = self.identical.saturating_add(earlier.identical);
        self.identical_bytes = self.identical_bytes.saturating_add(earlier.identical_bytes);
        self.bytes = self.bytes.saturating_add(earlier.bytes);
        self.sent = self.sent.saturating_add(earlier.sent);
        self.directories = self.directories.saturating_add(earlier.directories);
        self
    }

    /// Whether a run of `mode` brought the work forward. That a copy finds files to be there does not:
    /// it may find the same ones again and again.
    pub fn has_progressed(&self, mode: Mode) -> bool {
        let done = match mode {
            Mode::Move => self.done,
            Mode::Copy => self.done.saturating_sub(self.identical),
        };
        self.sent > 0 || done > 0
    }

    /// Whether every file that was meant is where it should be.
    pub fn is_clean(&self) -> bool {
        self.failed == 0 && self.deferred == 0 && self.stopped.is_none()
    }

    /// Whether a failure of this kind is among those kept.
    pub fn has(&self, kind: ErrorKind) -> bool {
        self.failures
            .iter()
            .any(|failure| failure.error.kind() == kind)
    }

    pub(super) fn add_failure(&mut self, failure: Failure) {
        self.failed = self.failed.saturating_add(1);
        // A kind that is not among those kept yet decides the exit code: it takes the last place.
        if self.failures.len() >= MAX_FAILURES {
            if self.has(failure.error.kind()) {
                return;
            }
            self.failures.pop();
        }
        self.failures.push(failure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(done: u64, identical: u64) -> Report {
        Report {
            done,
            identical,
            bytes: done * 10,
            identical_bytes: identical * 10,
            ..Report::default()
        }
    }

    #[test]
    fn what_a_copy_did_before_it_broke_off_counts_once() {
        // A hundred files, ten of which were there, and all of them again with fifty more.
        let all = report(150, 100).following(&report(100, 10), Mode::Copy);
        assert_eq!((all.done, all.identical, all.bytes), (150, 10, 1500));
        // It broke off again before it had come as far.
        let all = report(40, 40).following(&report(100, 10), Mode::Copy);
        assert_eq!((all.done, all.identical, all.bytes), (100, 10, 1000));
        // What a move has done is not there any more.
        let all = report(40, 40).following(&report(100, 10), Mode::Move);
        assert_eq!((all.done, all.identical, all.bytes), (140, 50, 1400));
    }

    #[test]
    fn what_is_found_again_is_no_progress_of_a_copy() {
        assert!(!report(100, 100).has_progressed(Mode::Copy));
        assert!(report(101, 100).has_progressed(Mode::Copy));
        assert!(report(100, 100).has_progressed(Mode::Move));
        assert!(!report(0, 0).has_progressed(Mode::Move));
    }
}
