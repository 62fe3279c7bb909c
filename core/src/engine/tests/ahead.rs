//! What is asked before there is work for it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Barrier;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::delta::Signature;
use crate::engine::{Mode, MoveOptions, PAGES_AHEAD, move_files};
use crate::error::Result;
use crate::hash::RangeHash;
use crate::service::{
    Answer, Block, Claim, Config, Delete, DiffRequest, Difference, Ending, Finish, Hash, List,
    MAX_BATCH, MakeDirectory, Offer, Page, Patch, Put, Read, ReadWhole, Receipt, SendBlock,
    SignatureRequest,
};

/// A destination that answers no offer before so many have been made.
struct Together {
    inner: Arc<dyn Service>,
    offers: Barrier,
}

#[async_trait]
impl Service for Together {
    async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Result<Answer>>> {
        self.offers.wait().await;
        self.inner.offer(offers).await
    }
    async fn claim(&self, claim: Claim) -> Result<()> {
        self.inner.claim(claim).await
    }
    async fn release(&self, ending: Ending) -> Result<()> {
        self.inner.release(ending).await
    }
    async fn list(&self, list: List) -> Result<Page> {
        self.inner.list(list).await
    }
    async fn read(&self, read: Read) -> Result<Block> {
        self.inner.read(read).await
    }
    async fn read_batch(&self, reads: Vec<ReadWhole>) -> Result<Vec<Result<Bytes>>> {
        self.inner.read_batch(reads).await
    }
    async fn send(&self, send: SendBlock) -> Result<()> {
        self.inner.send(send).await
    }
    async fn put(&self, puts: Vec<Put>) -> Result<Vec<Result<Receipt>>> {
        self.inner.put(puts).await
    }
    async fn make_directories(&self, makes: Vec<MakeDirectory>) -> Result<Vec<Result<()>>> {
        self.inner.make_directories(makes).await
    }
    async fn hash(&self, hash: Hash) -> Result<RangeHash> {
        self.inner.hash(hash).await
    }
    async fn calculate_signature(&self, request: SignatureRequest) -> Result<Signature> {
        self.inner.calculate_signature(request).await
    }
    async fn diff(&self, request: DiffRequest) -> Result<Difference> {
        self.inner.diff(request).await
    }
    async fn apply_patch(&self, patch: Patch) -> Result<()> {
        self.inner.apply_patch(patch).await
    }
    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<Receipt>>> {
        self.inner.finish(finishes).await
    }
    async fn delete(&self, deletes: Vec<Delete>) -> Result<Vec<Result<()>>> {
        self.inner.delete(deletes).await
    }
    async fn configure(&self, config: Config) -> Result<Config> {
        self.inner.configure(config).await
    }
}

/// Over a long way each page would otherwise be waited for before the next one is asked about.
#[tokio::test]
async fn pages_are_offered_before_the_ones_before_them_are_answered() {
    let ends = Ends::new();
    let files = PAGES_AHEAD * MAX_BATCH;
    for number in 0..files {
        ends.at_source(&format!("{number:05}"), b"content");
    }
    let destination = Together {
        inner: ends.destination(),
        offers: Barrier::new(PAGES_AHEAD),
    };
    let moving = move_files(
        ends.source(),
        Arc::new(destination),
        MoveOptions::new(Mode::Move),
        Arc::new(()),
        CancellationToken::new(),
    );
    let report = timeout(Duration::from_secs(60), moving).await;
    let report = report.expect("the second page was not offered").unwrap();
    assert!(report.is_clean());
    assert_eq!(fs::read_dir(ends.to.path()).unwrap().count(), files);
    assert_eq!(fs::read_dir(ends.from.path()).unwrap().count(), 0);
}
