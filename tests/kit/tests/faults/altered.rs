//! A service that does one thing otherwise, and all else as the one that it stands before.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use realize_core::delta::Signature;
use realize_core::error::{Error, ErrorKind};
use realize_core::hash::{Digest, RangeHash};
use realize_core::service::*;
use realize_core::{Result, Service};
use realize_test_kit::sim::SimFileSystem;
use tokio::sync::Barrier;
use tokio::time::{sleep, timeout};

/// What is other in an [`Altered`] service.
pub(crate) enum Alteration {
    /// The hash that is asked for is the one of what is there.
    NoReadBack(SimFileSystem),
    /// Whatever is there now is deleted.
    NoVersion,
    /// No offer is answered before so many have been made, or a minute has gone by.
    OffersTogether(Barrier),
    /// Blocks are sent slowly: what else the run does meanwhile is done before one has arrived.
    SendsSlowly(Arc<UnderWay>),
    /// The connection is lost when something is hashed.
    LosesConnection,
    /// Claims are never answered, nor is giving them back.
    HangsInClaims,
    /// How the run ended is noted.
    NotesEnding(Arc<Mutex<Vec<Ending>>>),
}

/// How many there are at once.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl UnderWay {
    fn begin(&self) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
    }

    fn end(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many there were at most.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

/// A service that does something otherwise.
pub(crate) struct Altered {
    inner: Arc<dyn Service>,
    alteration: Alteration,
}

impl Altered {
    pub(crate) fn new(inner: Arc<dyn Service>, alteration: Alteration) -> Arc<Self> {
        Arc::new(Self { inner, alteration })
    }

    /// The hash of the partial that is there.
    fn partial_hash(&self) -> Option<Digest> {
        let Alteration::NoReadBack(fs) = &self.alteration else {
            return None;
        };
        let partial = fs
            .tree("/dst")
            .into_keys()
            .find(|path| path.ends_with(b".part"))?;
        let path = format!("/dst/{}", String::from_utf8(partial).ok()?);
        Some(Digest::of_content(&fs.read(path)?))
    }

    /// The version that the file has now, whatever was listed.
    async fn current(&self, path: &realize_core::RelPath) -> Option<realize_core::entry::Version> {
        let list = List {
            within: Some(path.clone()),
            files: true,
            ..List::default()
        };
        Some(self.inner.list(list).await.ok()?.entries.pop()?.version)
    }
}

#[async_trait]
impl Service for Altered {
    async fn finish(&self, mut finishes: Vec<Finish>) -> Result<Vec<Result<Receipt>>> {
        if let Some(hash) = self.partial_hash() {
            finishes.iter_mut().for_each(|finish| finish.hash = hash);
        }
        self.inner.finish(finishes).await
    }
    async fn delete(&self, mut deletes: Vec<Delete>) -> Result<Vec<Result<()>>> {
        if let Alteration::NoVersion = self.alteration {
            for delete in &mut deletes {
                if let Delete::File { path, version, .. } = delete
                    && let Some(current) = self.current(path).await
                {
                    *version = current;
                }
            }
        }
        self.inner.delete(deletes).await
    }
    async fn claim(&self, claim: Claim) -> Result<()> {
        if let Alteration::HangsInClaims = self.alteration {
            std::future::pending::<()>().await;
        }
        self.inner.claim(claim).await
    }
    async fn release(&self, ending: Ending) -> Result<()> {
        match &self.alteration {
            Alteration::NotesEnding(endings) => endings.lock().unwrap().push(ending),
            Alteration::HangsInClaims => std::future::pending().await,
            _ => {}
        }
        self.inner.release(ending).await
    }
    async fn list(&self, list: List) -> Result<Page> {
        self.inner.list(list).await
    }
    async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Result<Answer>>> {
        if let Alteration::OffersTogether(others) = &self.alteration {
            timeout(Duration::from_secs(60), others.wait())
                .await
                .map_err(|_| Error::new(ErrorKind::Timeout, "no other offer came"))?;
        }
        self.inner.offer(offers).await
    }
    async fn read(&self, read: Read) -> Result<Block> {
        self.inner.read(read).await
    }
    async fn read_batch(&self, reads: Vec<ReadWhole>) -> Result<Vec<Result<Bytes>>> {
        self.inner.read_batch(reads).await
    }
    async fn send(&self, send: SendBlock) -> Result<()> {
        let Alteration::SendsSlowly(sends) = &self.alteration else {
            return self.inner.send(send).await;
        };
        sends.begin();
        sleep(Duration::from_secs(1)).await;
        let sent = self.inner.send(send).await;
        sends.end();
        sent
    }
    async fn put(&self, puts: Vec<Put>) -> Result<Vec<Result<Receipt>>> {
        self.inner.put(puts).await
    }
    async fn make_directories(&self, makes: Vec<MakeDirectory>) -> Result<Vec<Result<()>>> {
        self.inner.make_directories(makes).await
    }
    async fn hash(&self, hash: Hash) -> Result<RangeHash> {
        if let Alteration::LosesConnection = self.alteration {
            return Err(Error::new(ErrorKind::Network, "the connection is lost"));
        }
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
    async fn configure(&self, config: Config) -> Result<Config> {
        self.inner.configure(config).await
    }
}
