//! A large file, block by block: a window of reads, hashed in order, a window of sends.

use std::sync::atomic::Ordering;

use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered, StreamExt};

use super::batch::finish;
use super::events::MAX_ATTEMPTS;
use super::patch::Patching;
use super::plan::{Item, Segment, Transfer, segments};
use super::{Run, matching, missing_answer};
use crate::error::{Error, ErrorKind, Result};
use crate::hash::{Digest, HashState, Misfit, TreeHasher};
use crate::metrics::Method;
use crate::range::ByteRange;
use crate::service::{
    Block, FinishFrom, Hash, MAX_BLOCK, Read, Receipt, SendBlock, ShareFile, Target,
};

/// How much of the source one call hashes that need not be sent.
const HASH_RANGE: u64 = 64 << 20;

/// What a hole reads as.
static ZEROS: [u8; MAX_BLOCK as usize] = [0; MAX_BLOCK as usize];

impl Run {
    /// Sends a large file, finishes it, and deletes it at the source.
    pub(super) async fn transfer(&self, item: Item, transfer: Transfer) -> Result<()> {
        self.takes_up(&item);
        if !transfer.have.is_empty() {
            let offset = transfer.have.len();
            tracing::debug!(target: "realize::file", event = "file.resumed", path = %item.target, offset);
        }
        match self.send_and_finish(&item, transfer).await {
            Ok(receipt) => self.conclude(vec![(item, receipt)]).await,
            Err(error) => {
                self.unfinished.store(true, Ordering::Relaxed);
                self.ended_badly(&item, error, false).await
            }
        }
    }

    async fn send_and_finish(&self, item: &Item, mut transfer: Transfer) -> Result<Receipt> {
        let mut attempt = 1;
        if transfer.have.is_empty() && self.share(item).await? {
            transfer = transfer.arrived(item.entry.size);
        }
        loop {
            let hash = self.content(item, &transfer).await?;
            let from = FinishFrom::Partial(item.entry.version.clone(), transfer.expect.clone());
            let mut results = self
                .destination
                .finish(vec![finish(item, hash, from)])
                .await?;
            let result = results.pop().ok_or_else(|| missing_answer("finish"))?;
            let error = match result {
                Ok(receipt) => return matching(receipt, hash),
                Err(error) => error,
            };
            if error.kind() == ErrorKind::Mismatch {
                self.mismatch(item, attempt, hash, &error);
            }
            transfer = match error.kind() {
                ErrorKind::Mismatch if attempt < MAX_ATTEMPTS => transfer.mend(),
                ErrorKind::SyncFailed if attempt < MAX_ATTEMPTS => transfer.again(),
                _ => return Err(error),
            };
            attempt += 1;
        }
    }

    /// Has the partial share the source's blocks, if there is a shortcut that can.
    async fn share(&self, item: &Item) -> Result<bool> {
        let Some(shortcut) = self.shortcut.get() else {
            return Ok(false);
        };
        let share = ShareFile {
            source: item.entry.path.clone(),
            target: target(item),
        };
        shortcut.share(share).await
    }

    /// Brings the whole content into the partial; answers its hash, as read from the source.
    async fn content(&self, item: &Item, transfer: &Transfer) -> Result<Digest> {
        let size = item.entry.size;
        let hasher = TreeHasher::resume(size, transfer.hashed.clone());
        // What was kept does not fit: it is hashed from the beginning.
        let mut hasher = hasher.unwrap_or_else(|_| TreeHasher::new(size));
        let mut patching = Patching::new(size, transfer.basis.clone());
        for segment in segments(size, &transfer.have, hasher.position()) {
            match (segment, &mut patching) {
                (
                    Segment {
                        send: false,
                        hash,
                        range,
                    },
                    _,
                ) => {
                    if hash {
                        self.hash_at_source(item, &mut hasher, range).await?;
                    }
                    self.progress(item, range.len(), 0);
                }
                (
                    Segment {
                        hash: true, range, ..
                    },
                    Some(patching),
                ) => {
                    self.patch_range(item, patching, &mut hasher, range).await?;
                }
                (Segment { hash, range, .. }, _) => {
                    self.send_blocks(item, hash.then_some(&mut hasher), range)
                        .await?;
                }
            }
        }
        if let Some(patching) = patching {
            patching.log(item);
        }
        hasher.finish().map_err(misfit)
    }

    /// Reads a range of the source block by block, hashes it if a hasher is given, and sends it.
    pub(super) async fn send_blocks(
        &self,
        item: &Item,
        mut hasher: Option<&mut TreeHasher>,
        range: ByteRange,
    ) -> Result<()> {
        let reads = range
            .pieces_by(|| self.block_size())
            .map(|piece| async move {
                let permit = self.blocks.acquire().await;
                let read = Read {
                    path: item.entry.path.clone(),
                    version: item.entry.version.clone(),
                    range: piece,
                };
                let block = self.source.read(read).await?;
                self.started(item);
                self.carried(Method::Read, data_len(&block), data_len(&block));
                if block.len() == piece.len() {
                    Ok((permit, piece, block))
                } else {
                    Err(shorter())
                }
            });
        let mut reads = stream::iter(reads).buffered(self.source.window());
        let mut sends: FuturesUnordered<BoxFuture<'_, Result<()>>> = FuturesUnordered::new();
        loop {
            // Both go on while either waits.
            let (permit, piece, block) = tokio::select! {
                Some(sent) = sends.next() => {
                    sent?;
                    continue;
                }
                read = reads.next(), if sends.len() < self.destination.window() => match read {
                    Some(read) => read?,
                    None => break,
                },
            };
            let state = match hasher.as_deref_mut() {
                Some(hasher) => {
                    hasher.update(content(&block)).map_err(misfit)?;
                    hasher.state()
                }
                None => None,
            };
            let send = self.send_block(item, piece, block, state);
            sends.push(Box::pin(async move {
                let _permit = permit;
                send.await
            }));
        }
        while let Some(sent) = sends.next().await {
            sent?;
        }
        Ok(())
    }

    async fn send_block(
        &self,
        item: &Item,
        range: ByteRange,
        block: Block,
        hash: Option<HashState>,
    ) -> Result<()> {
        let sent = data_len(&block);
        let send = SendBlock {
            target: target(item),
            offset: range.start(),
            block,
            hash,
        };
        self.destination.send(send).await?;
        self.carried(Method::Send, sent, sent);
        self.progress(item, range.len(), sent);
        Ok(())
    }

    /// Has the source hash a range that the destination has already.
    async fn hash_at_source(
        &self,
        item: &Item,
        hasher: &mut TreeHasher,
        range: ByteRange,
    ) -> Result<()> {
        for piece in range.pieces(HASH_RANGE) {
            let hash = Hash {
                path: item.entry.path.clone(),
                version: item.entry.version.clone(),
                size: item.entry.size,
                range: piece,
            };
            let hash = self.source.hash(hash).await?;
            self.started(item);
            hasher.push(&hash, piece).map_err(misfit)?;
        }
        Ok(())
    }
}

/// How many bytes of a block there are to carry.
fn data_len(block: &Block) -> u64 {
    match block {
        Block::Data(data) => data.len() as u64,
        Block::Hole(_) => 0,
    }
}

fn content(block: &Block) -> &[u8] {
    match block {
        Block::Data(data) => data,
        Block::Hole(len) => ZEROS.get(..*len as usize).unwrap_or(&ZEROS),
    }
}

pub(super) fn target(item: &Item) -> Target {
    Target {
        path: item.target.clone(),
        source: item.entry.version.clone(),
        size: item.entry.size,
        sparse: item.is_sparse(),
    }
}

fn shorter() -> Error {
    Error::new(
        ErrorKind::Changed,
        "it became shorter while it was being read",
    )
}

pub(super) fn misfit(error: Misfit) -> Error {
    Error::new(ErrorKind::Protocol, "a hash does not fit the file").because(error)
}

#[cfg(test)]
mod tests;
