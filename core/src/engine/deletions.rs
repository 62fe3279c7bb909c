//! Deleting at the source what is safe at the destination: the one place where files are deleted. Once
//! begun it comes to its end, though the run is stopped: what is gone is in the report.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::Instrument;

use super::plan::Item;
use super::{Run, complete, events, joined};
use crate::error::Result;
use crate::service::{Delete, DeleteName, Receipt, SameFile};

/// How long deletions that are under way when a run is stopped are waited for.
const SETTLING: Duration = Duration::from_secs(2);

impl Run {
    /// Deletes files at the source, and reports their end: once begun that comes to its own end, whatever
    /// becomes of the future.
    pub(super) async fn conclude(&self, received: Vec<(Item, Receipt)>) -> Result<()> {
        self.to_its_end(|run| async move { run.delete(received).await })
            .await
    }

    /// Spawns what is to come to its end, and waits for that.
    pub(super) async fn to_its_end<F>(&self, work: impl FnOnce(Arc<Self>) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        // Whoever asks works for it.
        let Some(run) = self.me.upgrade() else {
            return Ok(());
        };
        // None begins once they are waited for.
        let _begun = self.deletions.token();
        if self.deletions.is_closed() {
            return Ok(());
        }
        let given_up = run.given_up.clone();
        let work = work(run);
        let work = async move {
            tokio::select! {
                done = work => done,
                () = given_up.cancelled() => Ok(()),
            }
        };
        joined(self.deletions.spawn(work.in_current_span()).await)
    }

    /// Waits for deletions that are under way, for no longer than [`SETTLING`].
    pub(super) async fn settle_deletions(&self) {
        self.deletions.close();
        if timeout(SETTLING, self.deletions.wait()).await.is_err() {
            self.given_up.cancel();
            self.deletions.wait().await;
        }
    }

    /// Deletes files at the source, each by the destination's receipt, and reports their end. In
    /// a copy the receipts alone are reported.
    async fn delete(&self, received: Vec<(Item, Receipt)>) -> Result<()> {
        self.record_finished(&received).await?;
        if !self.is_move() {
            received
                .iter()
                .for_each(|(item, receipt)| self.done(item, receipt));
            return Ok(());
        }
        let delete = |(item, receipt): &(Item, Receipt)| Delete::File {
            path: item.entry.path.clone(),
            version: item.entry.version.clone(),
            receipt: *receipt,
        };
        let deleted = self
            .source
            .delete(received.iter().map(delete).collect())
            .await?;
        let deleted = complete(received.len(), deleted, "delete")?;
        let mut gone = Vec::with_capacity(received.len());
        for ((item, receipt), deleted) in received.iter().zip(deleted) {
            match deleted {
                Ok(()) => {
                    self.done(item, receipt);
                    gone.push((item, receipt));
                }
                Err(error) => self.ended_badly(item, error, true).await?,
            }
        }
        self.record_deleted(&gone).await
    }

    /// The same of files that have their final names by the shortcut.
    pub(super) async fn conclude_linked(&self, linked: Vec<(Item, SameFile)>) -> Result<()> {
        self.to_its_end(|run| async move { run.delete_names(linked).await })
            .await
    }

    /// Deletes the source's names of files that have their final ones, and reports their end.
    async fn delete_names(&self, linked: Vec<(Item, SameFile)>) -> Result<()> {
        let Some(shortcut) = self.shortcut.get() else {
            return Ok(());
        };
        for (item, _) in &linked {
            events::linked("file.finished", &item.target, item);
        }
        let delete = |(item, same): &(Item, SameFile)| DeleteName {
            path: item.entry.path.clone(),
            version: item.entry.version.clone(),
            same: *same,
        };
        let deleted = shortcut.delete(linked.iter().map(delete).collect()).await?;
        let deleted = complete(linked.len(), deleted, "delete")?;
        for ((item, _), deleted) in linked.iter().zip(deleted) {
            match deleted {
                Ok(()) => {
                    self.done_by_link(item);
                    events::linked("file.deleted", &item.entry.path, item);
                }
                Err(error) => self.ended_badly(item, error, true).await?,
            }
        }
        Ok(())
    }
}
