//! What a run tells: to its observer, its counters, its ledger, and the log.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::plan::Item;
use super::report::{Event, Report};
use super::witnesses::Record;
use super::{Mode, Run};
use crate::error::{Error, ErrorKind, Result};
use crate::hash::Digest;
use crate::metrics::{Method, MoveMetrics};
use crate::path::{Escaped, RelPath};
use crate::service::Receipt;

/// How often a file is sent when what arrives is not what was sent.
pub(super) const MAX_ATTEMPTS: u32 = 2;

impl Run {
    pub(super) fn observe(&self, event: Event<'_>) {
        self.witnesses.observer.event(event);
    }

    pub(super) fn count(&self, count: impl FnOnce(&MoveMetrics)) {
        if let Some(metrics) = &self.witnesses.metrics {
            count(metrics);
        }
    }

    /// Work on a file begins.
    pub(super) fn takes_up(&self, item: &Item) {
        self.observe(Event::Started {
            path: &item.entry.path,
            size: item.entry.size,
            modified: item.entry.modified,
        });
    }

    /// Some of a file was read: it counts as started, once. Before that it may turn out that it is
    /// still being written, and was never started.
    pub(super) fn started(&self, item: &Item) {
        if !item.started.swap(true, Ordering::Relaxed) {
            self.count(MoveMetrics::file_started);
        }
    }

    /// A call succeeded that carried so many bytes of content, for a range of so many.
    pub(super) fn carried(&self, method: Method, bytes: u64, range: u64) {
        self.count(|metrics| metrics.carried(method, bytes, range));
    }

    /// A copy was read back that is not what was sent. It is sent again, unless that was the last
    /// attempt.
    pub(super) fn mismatch(&self, item: &Item, attempt: u32, expected: Digest, error: &Error) {
        let (path, reason) = (&item.target, error.chain());
        if attempt < MAX_ATTEMPTS {
            tracing::warn!(
                target: "realize::file",
                event = "file.mismatch",
                path = %path,
                %expected,
                attempt,
                reason
            );
        } else {
            tracing::error!(
                target: "realize::file",
                event = "file.mismatch",
                path = %path,
                %expected,
                attempt,
                reason
            );
        }
        self.observe(Event::Mismatch { path });
    }

    pub(super) fn busy(&self, error: &Error) {
        if error.kind() == ErrorKind::Busy {
            // It names the holder.
            tracing::warn!(event = "run.busy", reason = %error.chain());
        }
    }

    pub(super) fn log_start(&self) {
        tracing::info!(
            event = "run.started",
            mode = match self.options.mode {
                Mode::Move => "move",
                Mode::Copy => "copy",
            },
            source = self.options.source,
            destination = self.options.destination
        );
    }

    pub(super) fn log_end(&self, report: &Report, took: Duration, broken: Option<&Error>) {
        tracing::info!(
            event = "run.finished",
            moved = report.done,
            deferred = report.deferred,
            failed = report.failed,
            bytes_sent = report.sent,
            bytes_moved = report.bytes,
            seconds = took.as_secs_f64(),
            broken = broken.map(Error::chain)
        );
    }

    /// Files stand at the destination. When the answer is there, that is on record.
    pub(super) async fn record_finished(&self, files: &[(Item, Receipt)]) -> Result<()> {
        let files = files.iter().map(|(item, receipt)| (item, receipt));
        let records = self.records("file.finished", files, |item| &item.target);
        match &self.witnesses.ledger {
            Some(ledger) => ledger.finished(&records).await,
            None => Ok(()),
        }
    }

    /// Files were deleted at the source.
    pub(super) async fn record_deleted(&self, files: &[(&Item, &Receipt)]) -> Result<()> {
        let records = self.records("file.deleted", files.iter().copied(), |item| {
            &item.entry.path
        });
        match &self.witnesses.ledger {
            Some(ledger) if !records.is_empty() => ledger.deleted(&records).await,
            _ => Ok(()),
        }
    }

    /// Logs what became of each file; answers what there is to have on record.
    fn records<'a>(
        &self,
        event: &str,
        files: impl Iterator<Item = (&'a Item, &'a Receipt)>,
        path: impl Fn(&'a Item) -> &'a RelPath,
    ) -> Vec<Record<'a>> {
        let record = |(item, receipt): (&'a Item, &Receipt)| {
            tracing::info!(
                target: "realize::file",
                event,
                path = %path(item),
                bytes = item.entry.size,
                hash = %receipt.hash()
            );
            self.record(item, receipt)
        };
        files.map(record).collect()
    }

    fn record<'a>(&self, item: &'a Item, receipt: &Receipt) -> Record<'a> {
        Record {
            run: self.id,
            source: &item.entry.path,
            destination: &item.target,
            bytes: item.entry.size,
            hash: receipt.hash(),
        }
    }
}

/// A file has its final name by the shortcut, or no other any more. Nobody has its hash.
pub(super) fn linked(event: &str, path: &RelPath, item: &Item) {
    let bytes = item.entry.size;
    tracing::info!(target: "realize::file", event, path = %path, bytes);
}

/// The destination takes the name of a file for that of another.
pub(super) fn collides(item: &Item, other: &[u8]) {
    tracing::warn!(
        target: "realize::file",
        event = "file.collision",
        path = %item.target,
        other = %Escaped(other)
    );
}
