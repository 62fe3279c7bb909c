//! The counters of moves, on a registry that is handed in.
//!
//! There is no global one: two engines in one process, each with a registry of its own, do not
//! disturb each other, and whoever hands the same counters to several moves has them add up.

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// The calls of a [`Service`](crate::Service) whose bytes are counted. A call for many files counts
/// under the one whose work it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `read`, and `read_batch`.
    Read,
    /// `diff`.
    Diff,
    /// `send`, and `put`.
    Send,
    /// `apply_patch`.
    ApplyPatch,
}

/// What a method is called in the label `method`.
pub fn method_label(method: Method) -> &'static str {
    match method {
        Method::Read => "read",
        Method::Diff => "diff",
        Method::Send => "send",
        Method::ApplyPatch => "apply_patch",
    }
}

/// The label `status` of a file that is safe at the destination and, in a move, gone from the source.
pub const STATUS_OK: &str = "Ok";
/// The label `status` of a file that was not moved.
pub const STATUS_FAILED: &str = "Sync Failed";

/// What moves count. Clones count together.
///
/// | metric | counts |
/// |---|---|
/// | `realize_move_start_count` | calls of [`move_files`](crate::engine::move_files) |
/// | `realize_move_end_count` | those that ended, in whatever way; one that is dropped, too |
/// | `realize_move_file_start_count` | files whose content was begun to be read, or that failed before |
/// | `realize_move_file_end_count{status}` | files that are done ([`STATUS_OK`]) or were not moved ([`STATUS_FAILED`]) |
/// | `realize_move_read_bytes{method}` | bytes that a `read` or a `diff` answered |
/// | `realize_move_write_bytes{method}` | bytes of the data of a `send`, of the patch of an `apply_patch` |
/// | `realize_move_range_read_bytes{method}` | the same as read; for `diff` the size of the range |
/// | `realize_move_range_write_bytes{method}` | the same as written; for `apply_patch` the size of the range |
///
/// Only calls that succeed count. A hole in a sparse file has no bytes. A file that is deferred was
/// not started, unless it changed after some of it had been read; it has no end. A preview counts
/// nothing.
#[derive(Clone, Debug)]
pub struct MoveMetrics {
    moves_started: IntCounter,
    moves_ended: IntCounter,
    files_started: IntCounter,
    file_ends: IntCounterVec,
    files_ok: IntCounter,
    files_failed: IntCounter,
    read: Bytes,
    write: Bytes,
}

/// Bytes by method: as they travelled, and as the range of a file that they stand for.
#[derive(Clone, Debug)]
struct Bytes {
    size: IntCounterVec,
    range: IntCounterVec,
    /// Of the method that carries content whole.
    whole: Pair,
    /// Of the one that carries differences.
    difference: Pair,
}

/// The counters of one method: of the size, and of the range.
#[derive(Clone, Debug)]
struct Pair(IntCounter, IntCounter);

impl MoveMetrics {
    /// Counters on `registry`.
    ///
    /// # Errors
    /// The registry has metrics of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self::new()?;
        let collectors: [Box<dyn Collector>; 8] = [
            Box::new(metrics.moves_started.clone()),
            Box::new(metrics.moves_ended.clone()),
            Box::new(metrics.files_started.clone()),
            Box::new(metrics.file_ends.clone()),
            Box::new(metrics.read.size.clone()),
            Box::new(metrics.read.range.clone()),
            Box::new(metrics.write.size.clone()),
            Box::new(metrics.write.range.clone()),
        ];
        for collector in collectors {
            registry.register(collector)?;
        }
        Ok(metrics)
    }

    fn new() -> prometheus::Result<Self> {
        let status = Opts::new(
            "realize_move_file_end_count",
            "Files ended, by how: finished (and deleted at the source, in a move), or not.",
        );
        let file_ends = IntCounterVec::new(status, &["status"])?;
        Ok(Self {
            moves_started: IntCounter::new("realize_move_start_count", "Moves started.")?,
            moves_ended: IntCounter::new(
                "realize_move_end_count",
                "Moves ended, successfully or not.",
            )?,
            files_started: IntCounter::new("realize_move_file_start_count", "Files started.")?,
            files_ok: file_ends.with_label_values(&[STATUS_OK]),
            files_failed: file_ends.with_label_values(&[STATUS_FAILED]),
            file_ends,
            read: Bytes::new("read", "read", [Method::Read, Method::Diff])?,
            write: Bytes::new("write", "written", [Method::Send, Method::ApplyPatch])?,
        })
    }

    /// Counts a move that starts, and, when the answer is dropped, its end.
    pub(crate) fn start_move(&self) -> StartedMove {
        self.moves_started.inc();
        StartedMove(self.moves_ended.clone())
    }

    pub(crate) fn file_started(&self) {
        self.files_started.inc();
    }

    pub(crate) fn file_ok(&self) {
        self.files_ok.inc();
    }

    pub(crate) fn file_failed(&self) {
        self.files_failed.inc();
    }

    /// Counts what a call of `method` carried: so many bytes, for a range of so many.
    pub(crate) fn carried(&self, method: Method, bytes: u64, range: u64) {
        let Pair(size, of_range) = match method {
            Method::Read => &self.read.whole,
            Method::Diff => &self.read.difference,
            Method::Send => &self.write.whole,
            Method::ApplyPatch => &self.write.difference,
        };
        size.inc_by(bytes);
        of_range.inc_by(range);
    }
}

impl Bytes {
    /// Counters of content that was `done`, read or written.
    fn new(direction: &str, done: &str, methods: [Method; 2]) -> prometheus::Result<Self> {
        let size = IntCounterVec::new(
            Opts::new(
                format!("realize_move_{direction}_bytes"),
                format!("Bytes of content {done}, as they travelled."),
            ),
            &["method"],
        )?;
        let range = IntCounterVec::new(
            Opts::new(
                format!("realize_move_range_{direction}_bytes"),
                format!("Bytes of files that the content {done} stands for."),
            ),
            &["method"],
        )?;
        let pair = |method| {
            let label = [method_label(method)];
            Pair(
                size.with_label_values(&label),
                range.with_label_values(&label),
            )
        };
        let [whole, difference] = methods.map(pair);
        Ok(Self {
            size,
            range,
            whole,
            difference,
        })
    }
}

/// A move that was counted as started.
#[derive(Debug)]
pub(crate) struct StartedMove(IntCounter);

impl Drop for StartedMove {
    fn drop(&mut self) {
        self.0.inc();
    }
}
