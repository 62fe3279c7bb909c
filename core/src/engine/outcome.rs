//! What became of each file: counted, logged, and told to the observer.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::Run;
use super::plan::Item;
use super::report::{Event, Failure, FileEnd, Report, Status};
use crate::entry::{Entry, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::hash::Digest;
use crate::metrics::MoveMetrics;
use crate::path::{Escaped, RelPath};
use crate::service::{List, Outcome, Receipt};

impl Run {
    /// A file has a receipt and, in a move, is gone from the source.
    pub(super) fn done(&self, item: &Item, receipt: &Receipt) {
        self.safe(item, Some(receipt.hash()), receipt.outcome());
    }

    /// A file has its final name and no other: nobody has read it.
    pub(super) fn done_by_link(&self, item: &Item) {
        self.safe(item, None, Outcome::Finished);
    }

    fn safe(&self, item: &Item, hash: Option<Digest>, outcome: Outcome) {
        self.started(item);
        self.touch(&item.entry.path);
        self.count(MoveMetrics::file_ok);
        self.with_report(|report| {
            report.done = report.done.saturating_add(1);
            report.bytes = report.bytes.saturating_add(item.entry.size);
            if outcome == Outcome::Identical {
                report.identical = report.identical.saturating_add(1);
                report.identical_bytes = report.identical_bytes.saturating_add(item.entry.size);
            }
        });
        let renamed = (item.target != item.entry.path).then_some(&item.target);
        let status = Status::Done {
            hash,
            outcome,
            renamed,
        };
        self.ended(&item.entry, status);
    }

    /// Sorts out an error about one file: deferred, failed, or one that ends the run. `copied` says
    /// that the file is safe at the destination and only its deletion failed.
    pub(super) async fn ended_badly(&self, item: &Item, error: Error, copied: bool) -> Result<()> {
        if self.over.load(Ordering::Relaxed) {
            // The ends are being given back under work that was cut: it is for the next run.
            return Ok(());
        }
        let path = &item.entry.path;
        match error.kind() {
            // The connection's errors are not the file's.
            ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Protocol => return Err(error),
            // Somebody else took it between the listing and now: there is nothing left to move.
            ErrorKind::NotFound if !copied && self.is_gone(path).await? => {
                tracing::debug!(
                    target: "realize::file",
                    event = "file.vanished",
                    path = %path,
                    reason = %error.chain()
                );
                self.ended(&item.entry, Status::Gone);
            }
            kind if kind.is_deferral() => {
                if kind == ErrorKind::Changed {
                    tracing::warn!(
                        target: "realize::file",
                        event = "file.changed",
                        path = %path,
                        reason = %error.chain()
                    );
                }
                self.deferred(&item.entry, error.doing());
            }
            _ => {
                self.started(item);
                self.count(MoveMetrics::file_failed);
                let entry = &item.entry;
                let what = (path.as_bytes(), entry.size, Some(entry.modified));
                self.failed(what, error, copied);
            }
        }
        Ok(())
    }

    /// Whether there is nothing at `path` at the source any more.
    async fn is_gone(&self, path: &RelPath) -> Result<bool> {
        let list = List {
            within: Some(path.clone()),
            files: true,
            ..List::default()
        };
        match self.source.list(list).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) if error.kind().is_retryable() => Err(error),
            _ => Ok(false),
        }
    }

    pub(super) fn deferred(&self, entry: &Entry, why: &str) {
        tracing::debug!(
            target: "realize::file",
            event = "file.deferred",
            path = %entry.path,
            reason = why
        );
        self.with_report(|report| report.deferred = report.deferred.saturating_add(1));
        self.ended(entry, Status::Deferred(why));
    }

    /// What was listed cannot be moved, and there is no more to be known of it.
    pub(super) fn never_started(&self, path: &[u8], modified: Option<Timestamp>, error: Error) {
        self.count(MoveMetrics::file_started);
        self.count(MoveMetrics::file_failed);
        self.failed((path, 0, modified), error, false);
    }

    /// Something could not be done about a directory. `copied` says that it is at the destination.
    pub(super) fn of_directory(&self, path: &RelPath, error: Error, copied: bool) {
        self.failed((path.as_bytes(), 0, None), error, copied);
    }

    fn failed(
        &self,
        (path, size, modified): (&[u8], u64, Option<Timestamp>),
        error: Error,
        copied: bool,
    ) {
        tracing::error!(
            target: "realize::file",
            event = "file.failed",
            path = %Escaped(path),
            step = error.doing(),
            kind = ?error.kind(),
            reason = %error.chain(),
            source_intact = true,
            copied
        );
        let failure = Failure {
            path: path.to_vec(),
            error,
            copied,
        };
        self.observe(Event::Ended(&FileEnd {
            path,
            size,
            modified,
            status: Status::Failed(&failure),
        }));
        self.with_report(|report| report.add_failure(failure));
    }

    fn ended(&self, entry: &Entry, status: Status<'_>) {
        let end = FileEnd {
            path: entry.path.as_bytes(),
            size: entry.size,
            modified: Some(entry.modified),
            status,
        };
        self.observe(Event::Ended(&end));
    }

    pub(super) fn progress(&self, item: &Item, bytes: u64, sent: u64) {
        self.with_report(|report| report.sent = report.sent.saturating_add(sent));
        self.observe(Event::Progress {
            path: &item.entry.path,
            bytes,
            sent,
        });
    }

    pub(super) fn with_report<T>(&self, change: impl FnOnce(&mut Report) -> T) -> T {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
