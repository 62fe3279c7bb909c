//! The service of a session, accounted for: how long its calls take, which content they carry, and
//! which files were finished or deleted.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use prometheus::Histogram;
use realize_core::Service;
use realize_core::delta::Signature;
use realize_core::error::{ErrorKind, Result};
use realize_core::hash::{Digest, RangeHash};
use realize_core::local::version_size;
use realize_core::path::RelPath;
use realize_core::service::{
    Answer, Block, Claim, Config, Delete, DiffRequest, Difference, Ending, Finish, Hash, List,
    MakeDirectory, Offer, Page, Patch, Put, Read, ReadWhole, Receipt, RunId, SendBlock,
    SignatureRequest,
};

use crate::metrics::{PeerTraffic, ServedMetrics};

/// A service that tells the daemon's metrics and log what it does for a peer.
pub(super) struct Accounted {
    inner: Arc<dyn Service>,
    metrics: ServedMetrics,
    calls: Calls,
    traffic: Arc<PeerTraffic>,
    /// What this machine calls the peer.
    peer: String,
    directory: String,
    run: Mutex<Option<RunId>>,
}

/// A histogram for each method.
struct Calls {
    claim: Histogram,
    release: Histogram,
    list: Histogram,
    offer: Histogram,
    read: Histogram,
    read_batch: Histogram,
    send: Histogram,
    put: Histogram,
    make_directories: Histogram,
    hash: Histogram,
    calculate_signature: Histogram,
    diff: Histogram,
    apply_patch: Histogram,
    finish: Histogram,
    delete: Histogram,
    configure: Histogram,
}

impl Accounted {
    pub(super) fn new(
        inner: Arc<dyn Service>,
        metrics: ServedMetrics,
        peer: &str,
        directory: &str,
    ) -> Self {
        let of = |method| metrics.calls(method);
        Self {
            calls: Calls {
                claim: of("claim"),
                release: of("release"),
                list: of("list"),
                offer: of("offer"),
                read: of("read"),
                read_batch: of("read_batch"),
                send: of("send"),
                put: of("put"),
                make_directories: of("make_directories"),
                hash: of("hash"),
                calculate_signature: of("calculate_signature"),
                diff: of("diff"),
                apply_patch: of("apply_patch"),
                finish: of("finish"),
                delete: of("delete"),
                configure: of("configure"),
            },
            traffic: metrics.traffic.of(peer),
            inner,
            metrics,
            peer: peer.to_owned(),
            directory: directory.to_owned(),
            run: Mutex::default(),
        }
    }

    /// The run that the peer claimed the directory for, as the log has it.
    fn run(&self) -> Option<String> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        run.map(|run| run.to_string())
    }

    /// Tells of the files of a batch that stand under their final names, and of those that do not
    /// because what was read back was something else.
    fn finished(&self, files: &[(RelPath, u64)], results: &[Result<Receipt>]) {
        let run = self.run();
        for ((path, bytes), result) in files.iter().zip(results) {
            match result {
                Ok(receipt) => self.log("file.finished", path, *bytes, receipt.hash(), &run),
                Err(error) if error.kind() == ErrorKind::Mismatch => self.metrics.mismatched(),
                Err(_) => {}
            }
        }
    }

    fn log(&self, event: &str, path: &RelPath, bytes: u64, hash: Digest, run: &Option<String>) {
        tracing::info!(
            target: "realize::file",
            event,
            path = %path,
            bytes,
            hash = %hash,
            peer = self.peer,
            directory = self.directory,
            run
        );
    }
}

/// The seconds that `call` takes go to `histogram`; one that is given up counts too.
async fn timed<T>(histogram: &Histogram, call: impl Future<Output = T>) -> T {
    let _timer = histogram.start_timer();
    call.await
}

fn carried(block: &Block) -> u64 {
    match block {
        Block::Data(data) => data.len() as u64,
        Block::Hole(_) => 0,
    }
}

#[async_trait]
impl Service for Accounted {
    async fn claim(&self, claim: Claim) -> Result<()> {
        let run = claim.run;
        timed(&self.calls.claim, self.inner.claim(claim)).await?;
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
        Ok(())
    }

    async fn release(&self, ending: Ending) -> Result<()> {
        timed(&self.calls.release, self.inner.release(ending)).await?;
        let has_succeeded = matches!(ending, Ending::Clean | Ending::Done);
        if has_succeeded && self.run().is_some() {
            self.metrics.succeeded(&self.directory, SystemTime::now());
        }
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    async fn list(&self, list: List) -> Result<Page> {
        timed(&self.calls.list, self.inner.list(list)).await
    }

    async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Result<Answer>>> {
        timed(&self.calls.offer, self.inner.offer(offers)).await
    }

    async fn read(&self, read: Read) -> Result<Block> {
        let block = timed(&self.calls.read, self.inner.read(read)).await?;
        self.traffic.sent(carried(&block));
        Ok(block)
    }

    async fn read_batch(&self, reads: Vec<ReadWhole>) -> Result<Vec<Result<Bytes>>> {
        let contents = timed(&self.calls.read_batch, self.inner.read_batch(reads)).await?;
        let bytes = contents.iter().flatten().map(|bytes| bytes.len() as u64);
        self.traffic.sent(bytes.sum());
        Ok(contents)
    }

    async fn send(&self, send: SendBlock) -> Result<()> {
        let bytes = carried(&send.block);
        timed(&self.calls.send, self.inner.send(send)).await?;
        self.traffic.received(bytes);
        Ok(())
    }

    async fn put(&self, puts: Vec<Put>) -> Result<Vec<Result<Receipt>>> {
        let file = |put: &Put| (put.path.clone(), put.content.len());
        let files: Vec<_> = puts.iter().map(file).collect();
        let results = timed(&self.calls.put, self.inner.put(puts)).await?;
        let received = files.iter().zip(&results);
        let bytes = received.filter(|(_, result)| result.is_ok());
        let bytes = bytes.map(|((_, bytes), _)| *bytes);
        self.traffic.received(bytes.sum());
        self.finished(&files, &results);
        Ok(results)
    }

    async fn make_directories(&self, makes: Vec<MakeDirectory>) -> Result<Vec<Result<()>>> {
        let made = self.inner.make_directories(makes);
        timed(&self.calls.make_directories, made).await
    }

    async fn hash(&self, hash: Hash) -> Result<RangeHash> {
        timed(&self.calls.hash, self.inner.hash(hash)).await
    }

    async fn calculate_signature(&self, request: SignatureRequest) -> Result<Signature> {
        let signature = self.inner.calculate_signature(request);
        timed(&self.calls.calculate_signature, signature).await
    }

    async fn diff(&self, request: DiffRequest) -> Result<Difference> {
        let difference = timed(&self.calls.diff, self.inner.diff(request)).await?;
        self.traffic.sent(difference.delta.data_len());
        Ok(difference)
    }

    async fn apply_patch(&self, patch: Patch) -> Result<()> {
        let bytes = patch.delta.data_len();
        timed(&self.calls.apply_patch, self.inner.apply_patch(patch)).await?;
        self.traffic.received(bytes);
        Ok(())
    }

    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<Receipt>>> {
        let file = |finish: &Finish| (finish.path.clone(), finish.size);
        let files: Vec<_> = finishes.iter().map(file).collect();
        let results = timed(&self.calls.finish, self.inner.finish(finishes)).await?;
        self.finished(&files, &results);
        Ok(results)
    }

    async fn delete(&self, deletes: Vec<Delete>) -> Result<Vec<Result<()>>> {
        let file = |delete: &Delete| match delete {
            Delete::File {
                path,
                version,
                receipt,
            } => Some((
                path.clone(),
                version_size(version).unwrap_or(0),
                receipt.hash(),
            )),
            Delete::Directory { .. } => None,
        };
        let files: Vec<_> = deletes.iter().map(file).collect();
        let results = timed(&self.calls.delete, self.inner.delete(deletes)).await?;
        let run = self.run();
        for (file, result) in files.iter().zip(&results) {
            if let (Some((path, bytes, hash)), Ok(())) = (file, result) {
                self.log("file.deleted", path, *bytes, *hash, &run);
            }
        }
        Ok(results)
    }

    async fn configure(&self, config: Config) -> Result<Config> {
        timed(&self.calls.configure, self.inner.configure(config)).await
    }

    fn window(&self) -> usize {
        self.inner.window()
    }

    fn block_size(&self) -> u64 {
        self.inner.block_size()
    }
}

impl fmt::Debug for Accounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounted")
            .field("peer", &self.peer)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;
    use realize_core::entry::Timestamp;
    use realize_core::service::{Content, Expect, Role};
    use realize_core::{LocalOptions, LocalService};

    use super::*;

    #[tokio::test]
    async fn a_copy_that_is_not_what_was_sent_is_counted_and_one_that_is_too() {
        let directory = tempfile::tempdir().unwrap();
        let local = LocalService::open(directory.path(), LocalOptions::default()).unwrap();
        let metrics = ServedMetrics::new(["tcp"]).unwrap();
        let accounted = Accounted::new(Arc::new(local), metrics.clone(), "cam", "inbox");
        let claim = Claim {
            role: Role::Destination,
            run: RunId::random().unwrap(),
            origin: realize_core::service::Origin::default(),
            holder: String::new(),
        };
        accounted.claim(claim.clone()).await.unwrap();
        let put = |path: &str, hash| Put {
            path: RelPath::new(path).unwrap(),
            content: Content::File(Bytes::from_static(b"content"), hash),
            mode: 0o644,
            modified: Timestamp::default(),
            expect: Expect::Absent,
        };
        let (right, wrong) = (Digest::of_content(b"content"), Digest::of_content(b""));
        let puts = vec![put("good", right), put("bad", wrong)];
        let results = accounted.put(puts).await.unwrap();
        assert!(matches!(&results[..], [Ok(_), Err(error)] if error.kind() == ErrorKind::Mismatch));
        accounted.release(Ending::Interrupted).await.unwrap();
        let page = || {
            TextEncoder::new()
                .encode_to_string(&metrics.registry.gather())
                .unwrap()
        };
        for line in [
            "realize_verify_mismatches_total 1",
            "realize_bytes_total{direction=\"down\",kind=\"logical\",peer=\"cam\"} 7",
            "realize_rpc_duration_seconds_count{method=\"put\"} 1",
        ] {
            assert!(
                page().lines().any(|found| found == line),
                "{line} in {}",
                page()
            );
        }
        for (ending, has_succeeded) in [(Ending::Failed, false), (Ending::Done, true)] {
            assert!(!metrics.has_succeeded("inbox"));
            accounted.claim(claim.clone()).await.unwrap();
            accounted.release(ending).await.unwrap();
            assert_eq!(metrics.has_succeeded("inbox"), has_succeeded, "{ending:?}");
        }
    }
}
