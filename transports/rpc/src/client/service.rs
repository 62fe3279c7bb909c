//! The calls of a [`Service`], each as one call of the peer.

use std::num::NonZeroU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use realize_core::delta::Signature;
use realize_core::error::Result;
use realize_core::hash::RangeHash;
use realize_core::service::{
    Answer, Block, Claim, Config, Delete, DiffRequest, Difference, Ending, Finish, Hash, List,
    MakeDirectory, Offer, Page, Patch, Put, Read, ReadWhole, Receipt, SendBlock, Service,
    SignatureRequest, block_size_at,
};
use realize_core::transport::FAR;

use super::{Client, Kind};
use crate::limits::lowest;
use crate::protocol::{RealizeServiceClient as Rpc, context};

/// How long a call may go without a byte being moved over its connection: what a disk takes for
/// what is small, or a walk through a tree.
const PATIENCE: Duration = Duration::from_secs(600);
/// The slowest that content is read back, hashed and synced at the other end, in bytes per second;
/// what there is of it adds to [`PATIENCE`].
const SLOWEST: u64 = 1 << 20;

/// How many blocks of a file are on their way at once at most.
pub(super) const MAX_WINDOW: usize = 12;

/// The patience for work on so many bytes.
fn patience(bytes: u64) -> Duration {
    PATIENCE.saturating_add(Duration::from_secs(bytes / SLOWEST))
}

/// An answer that is well formed, but none to what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// More of a file than was asked for.
    #[error("a block that is longer than was asked for")]
    Longer,
    /// A whole file of another size.
    #[error("a file of another size than was asked for")]
    Size,
    /// A batch with too few or too many results.
    #[error("a batch with not as many results as it has items")]
    Count,
    /// A signature of something else.
    #[error("a signature of something else than was asked for")]
    Signature,
}

impl Client {
    /// The results of a batch of `sent` items, which must be as many.
    fn complete<T>(&self, sent: usize, results: Vec<T>) -> Result<Vec<T>> {
        if results.len() == sent {
            Ok(results)
        } else {
            Err(self.broken(Unfit::Count))
        }
    }
}

#[async_trait]
impl Service for Client {
    async fn claim(&self, claim: Claim) -> Result<()> {
        let call = |rpc: Rpc, claim| async move { rpc.claim(context(), claim).await };
        // Whoever claims is about to move content: the other lanes are made meanwhile.
        self.lanes.widen();
        self.call(Kind::Urgent, PATIENCE, claim, call).await
    }

    async fn release(&self, ending: Ending) -> Result<()> {
        if ending == Ending::Interrupted && !self.lanes.is_welcomed() {
            // Nobody may be there to answer; what was claimed is given back with the connection.
            return Ok(());
        }
        let call = |rpc: Rpc, ending| async move { rpc.release(context(), ending).await };
        self.call(Kind::Urgent, PATIENCE, ending, call).await
    }

    async fn list(&self, list: List) -> Result<Page> {
        let call = |rpc: Rpc, list| async move { rpc.list(context(), list).await };
        self.call(Kind::Urgent, PATIENCE, list, call).await
    }

    async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Result<Answer>>> {
        let call = |rpc: Rpc, offers| async move { rpc.offer(context(), offers).await };
        let count = offers.len();
        let answers = self.call(Kind::Urgent, PATIENCE, offers, call).await?;
        self.complete(count, answers)
    }

    async fn read(&self, read: Read) -> Result<Block> {
        let call = |rpc: Rpc, read| async move { rpc.read(context(), read).await };
        let asked = read.range.len();
        let block: Block = self.call(Kind::Bulky, PATIENCE, read, call).await?;
        if block.len() > asked {
            return Err(self.broken(Unfit::Longer));
        }
        Ok(block)
    }

    async fn read_batch(&self, reads: Vec<ReadWhole>) -> Result<Vec<Result<Bytes>>> {
        let call = |rpc: Rpc, reads| async move { rpc.read_batch(context(), reads).await };
        let sizes: Vec<u64> = reads.iter().map(|read| read.size).collect();
        let contents: Vec<Result<Bytes>> = self.call(Kind::Bulky, PATIENCE, reads, call).await?;
        let contents = self.complete(sizes.len(), contents)?;
        let fits = |(content, size): (&Result<Bytes>, &u64)| {
            content
                .as_ref()
                .map_or(true, |bytes| bytes.len() as u64 == *size)
        };
        if !contents.iter().zip(&sizes).all(fits) {
            return Err(self.broken(Unfit::Size));
        }
        Ok(contents)
    }

    async fn send(&self, send: SendBlock) -> Result<()> {
        let call = |rpc: Rpc, send| async move { rpc.send(context(), send).await };
        self.call(Kind::Bulky, PATIENCE, send, call).await
    }

    async fn put(&self, puts: Vec<Put>) -> Result<Vec<Result<Receipt>>> {
        let call = |rpc: Rpc, puts| async move { rpc.put(context(), puts).await };
        let count = puts.len();
        let answers = self.call(Kind::Bulky, PATIENCE, puts, call).await?;
        self.complete(count, answers)
    }

    async fn make_directories(&self, makes: Vec<MakeDirectory>) -> Result<Vec<Result<()>>> {
        let call = |rpc: Rpc, makes| async move { rpc.make_directories(context(), makes).await };
        let count = makes.len();
        let answers = self.call(Kind::Urgent, PATIENCE, makes, call).await?;
        self.complete(count, answers)
    }

    async fn hash(&self, hash: Hash) -> Result<RangeHash> {
        let call = |rpc: Rpc, hash| async move { rpc.hash(context(), hash).await };
        let patience = patience(hash.range.len());
        self.call(Kind::Urgent, patience, hash, call).await
    }

    async fn calculate_signature(&self, request: SignatureRequest) -> Result<Signature> {
        let call =
            |rpc: Rpc, request| async move { rpc.calculate_signature(context(), request).await };
        let patience = patience(request.range.len());
        let (asked, block) = (request.range, request.block);
        let signature: Signature = self.call(Kind::Bulky, patience, request, call).await?;
        let found = signature.range();
        // What lies beyond the end of the basis is left out.
        let within = found.start() == asked.start() && found.end() <= asked.end();
        if signature.block() != block || !(within || found.is_empty()) {
            return Err(self.broken(Unfit::Signature));
        }
        Ok(signature)
    }

    async fn diff(&self, request: DiffRequest) -> Result<Difference> {
        let call = |rpc: Rpc, request| async move { rpc.diff(context(), request).await };
        self.call(Kind::Bulky, PATIENCE, request, call).await
    }

    async fn apply_patch(&self, patch: Patch) -> Result<()> {
        let call = |rpc: Rpc, patch| async move { rpc.apply_patch(context(), patch).await };
        self.call(Kind::Bulky, PATIENCE, patch, call).await
    }

    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<Receipt>>> {
        let call = |rpc: Rpc, finishes| async move { rpc.finish(context(), finishes).await };
        let bytes = finishes
            .iter()
            .fold(0, |sum: u64, finish| sum.saturating_add(finish.size));
        let count = finishes.len();
        let answers = self
            .call(Kind::Urgent, patience(bytes), finishes, call)
            .await?;
        self.complete(count, answers)
    }

    async fn delete(&self, deletes: Vec<Delete>) -> Result<Vec<Result<()>>> {
        let call = |rpc: Rpc, deletes| async move { rpc.delete(context(), deletes).await };
        let count = deletes.len();
        let answers = self.call(Kind::Urgent, PATIENCE, deletes, call).await?;
        self.complete(count, answers)
    }

    async fn configure(&self, config: Config) -> Result<Config> {
        let call = |rpc: Rpc, config| async move { rpc.configure(context(), config).await };
        let answer: Config = self.call(Kind::Urgent, PATIENCE, config, call).await?;
        let rate = answer.send_rate.map_or(0, NonZeroU64::get);
        self.peer_rate.store(rate, Ordering::Relaxed);
        Ok(answer)
    }

    fn window(&self) -> usize {
        if self.lanes.delay().is_some_and(|delay| delay >= FAR) {
            // What is on its way is to fill the way there and back.
            return MAX_WINDOW;
        }
        // One for each lane, and some for what is being answered.
        (self.lanes.wanted().get() + 4).min(MAX_WINDOW)
    }

    fn block_size(&self) -> u64 {
        let rate = NonZeroU64::new(self.peer_rate.load(Ordering::Relaxed));
        let ours = lowest(&self.lanes.remote.limits.send);
        block_size_at(rate.into_iter().chain(ours).min())
    }
}
