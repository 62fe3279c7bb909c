//! Who hears of a move: an observer, counters, and a ledger of what was moved.

use std::sync::Arc;

use async_trait::async_trait;

use super::report::Observer;
use crate::error::Result;
use crate::hash::Digest;
use crate::metrics::MoveMetrics;
use crate::path::RelPath;
use crate::service::RunId;

/// Who hears of a move while it runs. An [`Observer`] alone becomes one by `into`.
#[derive(Clone)]
pub struct Witnesses {
    /// Hears of everything.
    pub observer: Arc<dyn Observer>,
    /// Count, if they are wanted.
    pub metrics: Option<MoveMetrics>,
    /// Keeps what was moved on record, if that is wanted.
    pub ledger: Option<Arc<dyn Ledger>>,
}

impl<O: Observer + 'static> From<Arc<O>> for Witnesses {
    fn from(observer: Arc<O>) -> Self {
        Self::from(observer as Arc<dyn Observer>)
    }
}

impl From<Arc<dyn Observer>> for Witnesses {
    fn from(observer: Arc<dyn Observer>) -> Self {
        Self {
            observer,
            metrics: None,
            ledger: None,
        }
    }
}

/// Keeps on record what was moved, with the hash of each file.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Records files that stand at the destination, verified and durable. Nothing of them is deleted
    /// at the source before it has returned, and the record must be durable then.
    ///
    /// # Errors
    /// The record could not be made durable. None of the files is deleted, and the run ends.
    async fn finished(&self, files: &[Record<'_>]) -> Result<()>;

    /// Records files that were deleted at the source.
    ///
    /// # Errors
    /// The record could not be written. The run ends.
    async fn deleted(&self, files: &[Record<'_>]) -> Result<()>;
}

/// What is recorded of a file.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The run that moved it.
    pub run: RunId,
    /// Its path at the source.
    pub source: &'a RelPath,
    /// Its path at the destination.
    pub destination: &'a RelPath,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its hash, as the destination verified it.
    pub hash: Digest,
}
