//! The move engine: from one [`Service`] to another.
//!
//! [`move_files`] lists the source page by page, offers what it finds to the destination, decides
//! (`offered`; `plan`, pure) and carries out: small files in batches (`batch`), large ones in blocks
//! (`transfer`), what is there already by comparing (`batch` too), directories last
//! (`directories`). It knows the two services, its [`Witnesses`], and nothing else. One place deletes
//! files at the source, `Run::delete` in `deletions`, and it takes the destination's receipts.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Instant;

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::{Digest, RangeHash};
use crate::metrics::MoveMetrics;
use crate::range::ByteRange;
use crate::service::{Ending, Hash, List, Receipt, RunId, Service, Shortcut};

mod batch;
mod deletions;
mod directories;
mod ends;
mod events;
mod link;
mod offered;
mod options;
mod outcome;
mod patch;
mod plan;
mod preview;
mod report;
mod transfer;
mod units;
mod verify;
mod witnesses;

pub use options::{Filter, InvalidPattern, Mode, MoveOptions, OnConflict};
pub use plan::SMALL;
pub use preview::preview_files;
pub use report::{
    Broken, Event, Failure, FileEnd, MAX_FAILURES, Observer, Report, Status, Stopped,
};
pub use verify::{Expected, VerifyReport, verify_expected, verify_files};
pub use witnesses::{Ledger, Record, Witnesses};

use directories::Touched;
use plan::Item;
use units::{Unit, Units};

/// How many blocks of content a batch of small files holds at most.
const BATCH_BLOCKS: u64 = 4;
/// How many pages of the listing are offered at once, before there is work for them.
const PAGES_AHEAD: usize = 2;
/// How many units of work (a batch, or a large file) are under way at once, unless the way to one of the
/// ends has room for more blocks.
const MIN_UNITS: usize = 6;
/// How many units are under way at most: a peer has memory for no more.
const MAX_UNITS: usize = 16;
/// How many blocks of large files are held beyond one for each unit: read, and about to be sent.
const BLOCKS_AHEAD: usize = 2;

/// Moves, or copies, files from `source` to `destination`.
///
/// It ends when the source is listed to its end and everything found is moved, left for the next
/// run, or has failed: one file's failure is that file's alone. When `cancel` is cancelled it stops
/// at once, but for deletions that are under way, and the report says so. Dropping the future stops
/// it too, at any await, and leaves everything so that another run goes on where this one was; the
/// claims are then given back by the services' end.
///
/// # Errors
/// What concerns the whole run: a claim that is refused, a listing that cannot begin, a connection
/// that is lost. What was moved until then is moved, and is reported with the error.
pub async fn move_files(
    source: Arc<dyn Service>,
    destination: Arc<dyn Service>,
    options: MoveOptions,
    witnesses: impl Into<Witnesses>,
    cancel: CancellationToken,
) -> std::result::Result<Report, Broken> {
    let witnesses = witnesses.into();
    let _started = witnesses.metrics.as_ref().map(MoveMetrics::start_move);
    let id = RunId::random()?;
    let run = Arc::new_cyclic(|me| Run {
        me: Weak::clone(me),
        id,
        source,
        destination,
        options,
        witnesses,
        report: Mutex::default(),
        unfinished: AtomicBool::new(false),
        over: AtomicBool::new(false),
        blocks: Semaphore::new(0),
        shortcut: OnceLock::new(),
        stop: CancellationToken::new(),
        touched: Mutex::default(),
        deletions: TaskTracker::new(),
        given_up: CancellationToken::new(),
    });
    // Where the future is dropped, deletions end with it.
    let _given_up = run.given_up.clone().drop_guard();
    // Warnings are to bear it, whatever else is logged.
    let span = tracing::error_span!("run", run = %id);
    run.carry_out(cancel).instrument(span).await
}

/// A move under way.
struct Run {
    me: Weak<Run>,
    id: RunId,
    source: Arc<dyn Service>,
    destination: Arc<dyn Service>,
    options: MoveOptions,
    witnesses: Witnesses,
    report: Mutex<Report>,
    /// Whether a file was begun in blocks and not finished.
    unfinished: AtomicBool,
    /// Set when the ends are given back: what is still under way is cut.
    over: AtomicBool,
    /// A permit for each block that is being read or sent, once files are looked at.
    blocks: Semaphore,
    /// The shorter way between the two, if there is one, once both are claimed.
    shortcut: OnceLock<Arc<dyn Shortcut>>,
    /// Cancelled by a conflict at which the run is to stop.
    stop: CancellationToken,
    /// The directories of the source's files that were moved or copied.
    touched: Mutex<Touched>,
    /// Deletions under way, which are brought to their end though the run is stopped: what is gone
    /// from the source is to be reported.
    deletions: TaskTracker,
    /// Cancelled when they are waited for no longer.
    given_up: CancellationToken,
}

impl Run {
    /// From claiming both ends to giving them back.
    async fn carry_out(
        self: &Arc<Self>,
        cancel: CancellationToken,
    ) -> std::result::Result<Report, Broken> {
        let started = Instant::now();
        let claimed = tokio::select! {
            biased;
            () = cancel.cancelled() => {
                // One end may have been claimed.
                let _ = self.release(Ending::Interrupted).await;
                self.with_report(|report| report.stopped = Some(Stopped::Cancelled));
                return Ok(self.with_report(|report| report.clone()));
            }
            claimed = self.claim() => claimed,
        };
        claimed.inspect_err(|error| self.busy(error))?;
        self.log_start();
        if let Some(shortcut) = self.destination.shortcut(&*self.source) {
            let _ = self.shortcut.set(shortcut);
        }
        let ended = tokio::select! {
            biased;
            () = cancel.cancelled() => {
                self.with_report(|report| report.stopped = Some(Stopped::Cancelled));
                Ok(())
            }
            ended = self.all() => ended,
        };
        self.settle_deletions().await;
        self.over.store(true, Ordering::Relaxed);
        let report = self.with_report(|report| report.clone());
        let released = self.release(self.ending(&report, ended.is_ok())).await;
        self.log_end(&report, started.elapsed(), ended.as_ref().err());
        if let Err(error) = ended {
            return Err(Broken { error, report });
        }
        if let Err(error) = released {
            // What was moved is moved all the same; the next run cleans up.
            tracing::warn!(event = "release.failed", reason = %error.chain());
        }
        Ok(report)
    }

    fn is_move(&self) -> bool {
        self.options.mode == Mode::Move
    }

    /// The size of block that suits both ways.
    fn block_size(&self) -> u64 {
        self.source.block_size().min(self.destination.block_size())
    }

    /// How many units of work are to be under way at once. How far the ends are is known once they are
    /// claimed.
    fn units(&self) -> usize {
        let window = self.source.window().max(self.destination.window());
        window.clamp(MIN_UNITS, MAX_UNITS)
    }

    async fn all(self: &Arc<Self>) -> Result<()> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            ended = self.files() => ended?,
        }
        // The last thing that was planned may have been that conflict.
        match self.stop.is_cancelled() {
            true => Ok(()),
            false => self.directories().await,
        }
    }

    /// Lists the source and has every file dealt with: while work is under way, the pages that follow
    /// are listed and offered.
    async fn files(self: &Arc<Self>) -> Result<()> {
        let at_once = self.units();
        self.blocks.add_permits(at_once + BLOCKS_AHEAD);
        let planned = self.pages().map_ok(|items| self.plan_all(items));
        let mut planned = pin!(planned.try_buffered(PAGES_AHEAD));
        let mut listed = false;
        let mut units = Units::new(self.links());
        let mut ready = VecDeque::new();
        let mut tasks = JoinSet::new();
        loop {
            while tasks.len() < at_once
                && let Some(unit) = ready.pop_front()
            {
                let run = Arc::clone(self);
                let work = async move { run.work(unit).await };
                tasks.spawn(work.in_current_span());
            }
            tokio::select! {
                Some(ended) = tasks.join_next() => joined(ended)?,
                page = planned.next(), if !listed && ready.is_empty() => match page {
                    Some(steps) => {
                        let most = self.block_size() * BATCH_BLOCKS;
                        let steps = steps?.into_iter();
                        ready.extend(steps.flat_map(|step| units.add(step, most)));
                    }
                    None => {
                        listed = true;
                        ready.extend(std::mem::take(&mut units).rest());
                    }
                },
                else => return Ok(()),
            }
        }
    }

    /// The files of each page of the source's listing that are to be offered.
    fn pages(&self) -> impl Stream<Item = Result<Vec<Item>>> {
        let first = List {
            within: self.options.within.clone(),
            files: true,
            ..List::default()
        };
        stream::try_unfold(Some(first), move |list| async move {
            let Some(mut list) = list else {
                return Ok(None);
            };
            let page = self.source.list(list.clone()).await?;
            list.cursor = page.next;
            let next = list.cursor.is_some().then_some(list);
            let items = self.choose(page);
            if next.is_none() {
                self.observe(Event::ListingEnded);
            }
            Ok(Some((items, next)))
        })
    }

    async fn work(&self, unit: Unit) -> Result<()> {
        match unit {
            Unit::Link(files) => Box::pin(self.link(files)).await,
            Unit::Put(puts) => self.put(puts).await,
            Unit::Verify(items) => self.verify(items).await,
            Unit::Transfer(item, transfer) => self.transfer(*item, transfer).await,
        }
    }

    /// The hash of a file's content at the source, which is read to its end for it.
    async fn source_hash(&self, item: &Item) -> Result<Digest> {
        source_hash(&*self.source, item).await
    }
}

async fn source_hash(source: &dyn Service, item: &Item) -> Result<Digest> {
    if let Some(target) = item.link() {
        return Ok(Digest::of_link(target));
    }
    hash_whole(source, &item.entry).await
}

/// The hash of the file at `entry`, by the service that listed it.
async fn hash_whole(service: &dyn Service, entry: &Entry) -> Result<Digest> {
    let whole = ByteRange::new(0, entry.size)
        .map_err(|error| Error::new(ErrorKind::Invalid, "the size is too large").because(error))?;
    let hash = Hash {
        path: entry.path.clone(),
        version: entry.version.clone(),
        size: entry.size,
        range: whole,
    };
    match service.hash(hash).await? {
        RangeHash::Whole(digest) => Ok(digest),
        RangeHash::Part(_) => Err(Error::new(
            ErrorKind::Protocol,
            "a whole file's hash came in parts",
        )),
    }
}

/// The results of a batch of `sent` items, which must be as many.
fn complete<T>(sent: usize, results: Vec<T>, of: &str) -> Result<Vec<T>> {
    if results.len() == sent {
        Ok(results)
    } else {
        Err(missing_answer(of))
    }
}

/// A receipt for what was read: one for anything else deletes nothing.
fn matching(receipt: Receipt, hash: Digest) -> Result<Receipt> {
    if receipt.hash() == hash {
        return Ok(receipt);
    }
    Err(Error::new(
        ErrorKind::Protocol,
        "the destination's receipt is for other content",
    ))
}

fn missing_answer(of: &str) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("the answer to {of} has not as many results as it should"),
    )
}

/// What a task ended with; a panic in it is an error of the run.
fn joined(ended: std::result::Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    ended.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Io, "a task of the move failed").because(error))
    })
}

#[cfg(test)]
mod tests;
