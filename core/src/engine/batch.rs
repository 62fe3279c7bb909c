//! Small files, many at a time: sent whole, or compared with what is there already.

use super::events::MAX_ATTEMPTS;
use super::options::OnConflict;
use super::plan::{self, Item, Step};
use super::{Run, complete, matching, missing_answer};
use crate::entry::Version;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::Digest;
use crate::metrics::Method;
use crate::path::RelPath;
use crate::range::ByteRange;
use crate::service::{Content, Expect, Finish, FinishFrom, Hash, Put, ReadWhole, Receipt};

/// How much of a large file is compared first, in bytes; then twice as much again and again.
const FIRST_PROBE: u64 = 1 << 20;
/// Which part of it is compared at most before all of it is: one in so many.
const PROBED: u64 = 16;

impl Run {
    /// Reads small files, puts them at the destination, and deletes those that have a receipt.
    pub(super) async fn put(&self, wanted: Vec<(Item, Expect)>) -> Result<()> {
        let mut ready = Vec::with_capacity(wanted.len());
        for (item, expect, content) in self.read_all(wanted).await? {
            match content {
                Ok(content) => {
                    self.started(&item);
                    let put = Put {
                        path: item.target.clone(),
                        content,
                        mode: item.entry.mode,
                        modified: item.entry.modified,
                        expect,
                    };
                    ready.push((item, put));
                }
                Err(error) => self.ended_badly(&item, error, false).await?,
            }
        }
        self.put_all(ready).await
    }

    /// The content of files, and of links, which came with the listing.
    async fn read_all(
        &self,
        wanted: Vec<(Item, Expect)>,
    ) -> Result<Vec<(Item, Expect, Result<Content>)>> {
        let mut reads = Vec::new();
        for (item, _) in &wanted {
            self.takes_up(item);
            if item.link().is_none() {
                reads.push(ReadWhole {
                    path: item.entry.path.clone(),
                    version: item.entry.version.clone(),
                    size: item.entry.size,
                });
            }
        }
        let mut contents = self.source.read_batch(reads).await?.into_iter();
        let mut read = Vec::with_capacity(wanted.len());
        for (item, expect) in wanted {
            let content = match item.link() {
                Some(target) => Ok(Content::Link(target.to_vec())),
                None => contents
                    .next()
                    .ok_or_else(|| missing_answer("read_batch"))?
                    .map(|data| {
                        let size = data.len() as u64;
                        self.carried(Method::Read, size, size);
                        let hash = Digest::of_content(&data);
                        Content::File(data, hash)
                    }),
            };
            read.push((item, expect, content));
        }
        Ok(read)
    }

    async fn put_all(&self, ready: Vec<(Item, Put)>) -> Result<()> {
        if ready.is_empty() {
            return Ok(());
        }
        let puts: Vec<Put> = ready.iter().map(|(_, put)| put.clone()).collect();
        let results = complete(ready.len(), self.destination.put(puts).await?, "put")?;
        let mut received = Vec::with_capacity(ready.len());
        for ((item, put), result) in ready.into_iter().zip(results) {
            match self.once_more(&item, &put, result).await? {
                Ok(receipt) => {
                    let receipt = matching(receipt, put.content.hash())?;
                    let size = put.content.len();
                    self.carried(Method::Send, size, size);
                    self.progress(&item, size, size);
                    received.push((item, receipt));
                }
                Err(error) => self.ended_badly(&item, error, false).await?,
            }
        }
        if received.is_empty() {
            Ok(())
        } else {
            self.conclude(received).await
        }
    }

    /// Puts a file again, alone, if what arrived was not what was sent.
    async fn once_more(
        &self,
        item: &Item,
        put: &Put,
        result: Result<Receipt>,
    ) -> Result<Result<Receipt>> {
        match result {
            Err(error) if error.kind() == ErrorKind::Mismatch => {
                self.mismatch(item, 1, put.content.hash(), &error);
                let mut again = self.destination.put(vec![put.clone()]).await?;
                let again = again.pop().ok_or_else(|| missing_answer("put"))?;
                if let Err(error) = &again
                    && error.kind() == ErrorKind::Mismatch
                {
                    self.mismatch(item, MAX_ATTEMPTS, put.content.hash(), error);
                }
                Ok(again)
            }
            other => Ok(other),
        }
    }

    /// Compares files with what is there: what is the same is made durable and deleted at the
    /// source, what is not is dealt with as the conflict that it is.
    pub(super) async fn verify(&self, items: Vec<(Item, Version)>) -> Result<()> {
        let mut finishes = Vec::with_capacity(items.len());
        let mut hashed = Vec::with_capacity(items.len());
        let mut different = Vec::new();
        let mut unsynced = Vec::new();
        for (item, version) in items {
            self.takes_up(&item);
            if self.differs_early(&item, &version).await {
                different.push((item, version));
                continue;
            }
            match self.source_hash(&item).await {
                Ok(hash) => {
                    self.started(&item);
                    finishes.push(finish(&item, hash, FinishFrom::Existing(version.clone())));
                    hashed.push((item, version));
                }
                Err(error) => self.ended_badly(&item, error, false).await?,
            }
        }
        let hashes: Vec<Digest> = finishes.iter().map(|finish| finish.hash).collect();
        let results = match hashes.is_empty() {
            true => Vec::new(),
            false => self.destination.finish(finishes).await?,
        };
        let results = complete(hashed.len(), results, "finish")?;
        let mut received = Vec::with_capacity(hashed.len());
        for (((item, version), result), hash) in hashed.into_iter().zip(results).zip(hashes) {
            match result {
                Ok(receipt) => {
                    let receipt = matching(receipt, hash)?;
                    self.progress(&item, item.entry.size, 0);
                    received.push((item, receipt));
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    different.push((item, version))
                }
                Err(error) if error.kind() == ErrorKind::SyncFailed => {
                    unsynced.push((item, version, error));
                }
                Err(error) => self.ended_badly(&item, error, false).await?,
            }
        }
        if !received.is_empty() {
            self.conclude(received).await?;
        }
        for (item, version) in different {
            self.send_different(item, version).await?;
        }
        for (item, version, error) in unsynced {
            self.send_again(item, &version, error).await?;
        }
        Ok(())
    }

    /// Whether the beginnings of a large file and of what is there, in `version`, differ: both need
    /// not be read to their ends then. What cannot be compared counts as alike: whoever compares all
    /// of it says why.
    async fn differs_early(&self, item: &Item, version: &Version) -> bool {
        let mut at = 0;
        let mut len = FIRST_PROBE;
        while item.link().is_none()
            && let Ok(range) = ByteRange::at(at, len)
            && range.end() <= item.entry.size / PROBED
        {
            let hash = |path: &RelPath, version: &Version| Hash {
                path: path.clone(),
                version: version.clone(),
                size: item.entry.size,
                range,
            };
            let ours = self
                .source
                .hash(hash(&item.entry.path, &item.entry.version));
            let theirs = self.destination.hash(hash(&item.target, version));
            match tokio::join!(ours, theirs) {
                (Ok(ours), Ok(theirs)) if ours == theirs => {}
                (Ok(_), Ok(_)) => return true,
                _ => return false,
            }
            at = range.end();
            len *= 2;
        }
        false
    }

    /// Deals with a file that is the same by size and time but not by content.
    async fn send_different(&self, item: Item, version: Version) -> Result<()> {
        let partial = match self.offer_one(&item).await? {
            Ok(answer) => answer.partial,
            Err(error) => return self.ended_badly(&item, error, false).await,
        };
        let step = plan::plan_different(&item, partial, version, self.options.on_conflict);
        self.carry_out_step(item, step).await
    }

    /// Writes a file again that is the same as what is there, in `version`, but could not be made
    /// durable: what a failed sync left in memory cannot be trusted. If it is another version by now, it
    /// is replaced where newer files replace what is there; elsewhere `error` stands.
    async fn send_again(&self, item: Item, version: &Version, error: Error) -> Result<()> {
        let answer = match self.offer_one(&item).await? {
            Ok(answer) => answer,
            Err(error) => return self.ended_badly(&item, error, false).await,
        };
        match plan::plan(&item, answer, self.options.on_conflict) {
            Step::Verify(found)
                if found == *version || self.options.on_conflict == OnConflict::Replace =>
            {
                let step = plan::send_whole(&item, found);
                self.carry_out_step(item, step).await
            }
            Step::Verify(_) => self.ended_badly(&item, error, false).await,
            step => self.carry_out_step(item, step).await,
        }
    }

    async fn carry_out_step(&self, item: Item, step: Step) -> Result<()> {
        match self.settle(item, step).await? {
            Some((item, Step::Put(expect))) => self.put(vec![(item, expect)]).await,
            Some((item, Step::Transfer(transfer))) => self.transfer(item, transfer).await,
            // Under its new name it was found to be there already.
            Some((item, Step::Verify(version))) => {
                Box::pin(self.verify(vec![(item, version)])).await
            }
            _ => Ok(()),
        }
    }
}

/// What `finish` is asked about a file.
pub(super) fn finish(item: &Item, hash: Digest, from: FinishFrom) -> Finish {
    Finish {
        path: item.target.clone(),
        from,
        size: item.entry.size,
        hash,
        mode: item.entry.mode,
        modified: item.entry.modified,
    }
}
