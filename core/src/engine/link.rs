//! Files that take the shortcut: they get their final names, and no content is carried.

use super::plan::{Item, Step};
use super::units::Units;
use super::{BATCH_BLOCKS, Run, complete};
use crate::error::Result;
use crate::service::LinkFile;

impl Run {
    /// Whether files may be linked: a copy is to be a file of its own, and what is put on record has
    /// a hash.
    pub(super) fn links(&self) -> bool {
        self.is_move()
            && self.witnesses.ledger.is_none()
            && self.shortcut.get().is_some_and(|shortcut| shortcut.links())
    }

    /// Gives files their final names and deletes the source's; those that the shortcut refuses go the
    /// way that was planned for them.
    pub(super) async fn link(&self, files: Vec<(Item, Step)>) -> Result<()> {
        let Some(shortcut) = self.shortcut.get() else {
            return self.refused(files).await;
        };
        let link = |(item, _): &(Item, Step)| LinkFile {
            source: item.entry.path.clone(),
            version: item.entry.version.clone(),
            target: item.target.clone(),
        };
        let results = shortcut.link(files.iter().map(link).collect()).await?;
        let results = complete(files.len(), results, "link")?;
        let mut linked = Vec::with_capacity(files.len());
        let mut refused = Vec::new();
        for ((item, step), result) in files.into_iter().zip(results) {
            match result {
                Ok(Some(same)) => {
                    self.takes_up(&item);
                    self.progress(&item, item.entry.size, 0);
                    linked.push((item, same));
                }
                Ok(None) => refused.push((item, step)),
                Err(error) => self.ended_badly(&item, error, false).await?,
            }
        }
        if !linked.is_empty() {
            self.conclude_linked(linked).await?;
        }
        self.refused(refused).await
    }

    /// Carries out what was planned.
    async fn refused(&self, files: Vec<(Item, Step)>) -> Result<()> {
        let mut units = Units::new(false);
        for file in files {
            if let Some(unit) = units.add(file, self.block_size() * BATCH_BLOCKS) {
                self.work(unit).await?;
            }
        }
        for unit in units.rest() {
            self.work(unit).await?;
        }
        Ok(())
    }
}
