//! The calls of a [`Service`], each as one call of the peer.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use realize_core::delta::Signature;
use realize_core::error::Result;
use realize_core::hash::RangeHash;
use realize_core::service::{
    Answer, Block, Claim, Config, Delete, DiffRequest, Difference, Ending, Finish, Hash, List,
    MakeDirectory, Offer, Page, Patch, Put, Read, ReadWhole, Receipt, SendBlock, Service,
    SignatureRequest,
};

use super::{Client, Kind};
use crate::protocol::{RealizeServiceClient as Rpc, context};

/// How long a call may go without a byte being moved over its connection: what a disk takes for
/// what is small, or a walk through a tree.
const PATIENCE: Duration = Duration::from_secs(600);
/// The slowest that content is read back, hashed and synced at the other end, in bytes per second;
/// what there is of it adds to [`PATIENCE`].
const SLOWEST: u64 = 1 << 20;

/// The patience for work on so many bytes.
fn patience(bytes: u64) -> Duration {
    PATIENCE.saturating_add(Duration::from_secs(bytes / SLOWEST))
}

#[async_trait]
impl Service for Client {
    async fn claim(&self, claim: Claim) -> Result<()> {
        let call = |rpc: Rpc, claim| async move { rpc.claim(context(), claim).await };
        self.call(Kind::Urgent, PATIENCE, claim, call).await
    }

    async fn release(&self, ending: Ending) -> Result<()> {
        let call = |rpc: Rpc, ending| async move { rpc.release(context(), ending).await };
        self.call(Kind::Urgent, PATIENCE, ending, call).await
    }

    async fn list(&self, list: List) -> Result<Page> {
        let call = |rpc: Rpc, list| async move { rpc.list(context(), list).await };
        self.call(Kind::Urgent, PATIENCE, list, call).await
    }

    async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Result<Answer>>> {
        let call = |rpc: Rpc, offers| async move { rpc.offer(context(), offers).await };
        self.call(Kind::Urgent, PATIENCE, offers, call).await
    }

    async fn read(&self, read: Read) -> Result<Block> {
        let call = |rpc: Rpc, read| async move { rpc.read(context(), read).await };
        self.call(Kind::Bulky, PATIENCE, read, call).await
    }

    async fn read_batch(&self, reads: Vec<ReadWhole>) -> Result<Vec<Result<Bytes>>> {
        let call = |rpc: Rpc, reads| async move { rpc.read_batch(context(), reads).await };
        self.call(Kind::Bulky, PATIENCE, reads, call).await
    }

    async fn send(&self, send: SendBlock) -> Result<()> {
        let call = |rpc: Rpc, send| async move { rpc.send(context(), send).await };
        self.call(Kind::Bulky, PATIENCE, send, call).await
    }

    async fn put(&self, puts: Vec<Put>) -> Result<Vec<Result<Receipt>>> {
        let call = |rpc: Rpc, puts| async move { rpc.put(context(), puts).await };
        self.call(Kind::Bulky, PATIENCE, puts, call).await
    }

    async fn make_directories(&self, makes: Vec<MakeDirectory>) -> Result<Vec<Result<()>>> {
        let call = |rpc: Rpc, makes| async move { rpc.make_directories(context(), makes).await };
        self.call(Kind::Urgent, PATIENCE, makes, call).await
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
        self.call(Kind::Bulky, patience, request, call).await
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
        self.call(Kind::Urgent, patience(bytes), finishes, call)
            .await
    }

    async fn delete(&self, deletes: Vec<Delete>) -> Result<Vec<Result<()>>> {
        let call = |rpc: Rpc, deletes| async move { rpc.delete(context(), deletes).await };
        self.call(Kind::Urgent, PATIENCE, deletes, call).await
    }

    async fn configure(&self, config: Config) -> Result<Config> {
        let call = |rpc: Rpc, config| async move { rpc.configure(context(), config).await };
        self.call(Kind::Urgent, PATIENCE, config, call).await
    }
}
