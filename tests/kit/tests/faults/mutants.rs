//! Code that is broken on purpose, where a deletion is decided: these tests pass when the checks of
//! the other modules catch it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use realize_core::delta::Signature;
use realize_core::hash::{Digest, RangeHash};
use realize_core::service::*;
use realize_core::{Result, Service};
use realize_test_kit::sim::script::Lie;
use realize_test_kit::sim::{Crash, SimFileSystem};
use rstest::rstest;

use crate::check::broken;
use crate::scenario::{Planted, Scenario, content, leaves, run, run_between, services};
use crate::source_changes::{Change, wrong_after};

/// Deleting before the sync: a sync that is skipped is one that says that all is well and does
/// nothing.
#[rstest]
#[case::file(&[Lie::FileSync, Lie::FileSystemSync], Scenario::New)]
#[case::files_of_a_batch(&[Lie::FileSync, Lie::FileSystemSync], Scenario::Batch)]
#[case::directory(&[Lie::DirectorySync], Scenario::New)]
#[case::directories_of_a_batch(&[Lie::DirectorySync], Scenario::Batch)]
#[case::directories_of_linked_files(&[Lie::DirectorySync], Scenario::Linked)]
fn a_skipped_sync_is_caught(#[case] lies: &[Lie], #[case] scenario: Scenario) {
    assert_catches(&scenario.plant(), lies);
}

/// What is linked may never have been synced by whoever wrote it.
#[rstest]
#[case::file(Scenario::Linked, "/src/other")]
#[case::files_of_a_batch(Scenario::LinkedBatch, "/src/d1/large")]
fn a_skipped_sync_of_the_source_is_caught(#[case] scenario: Scenario, #[case] path: &str) {
    let mut planted = scenario.plant();
    planted.fs.write(path, content(9000, 77));
    planted.new = leaves(&planted.fs, "/src");
    assert_catches(&planted, &[Lie::FileSync, Lie::FileSystemSync]);
}

fn assert_catches(planted: &Planted, lies: &[Lie]) {
    let loses = |lies: &[Lie]| {
        let fs = planted.fs.survivor(Crash::All, 0);
        lies.iter().for_each(|lie| fs.script().lie(*lie));
        assert!(run(&fs).unwrap().is_clean());
        // The deletion reached the disk, as it may at any time; what was not synced need not have.
        fs.script().clear();
        sync_source(&fs);
        (0..40).any(|seed| broken(planted, &fs.survivor(Crash::Journal, seed)).is_some())
            || broken(planted, &fs.survivor(Crash::OnlySynced, 0)).is_some()
    };
    assert!(!loses(&[]), "the code as it is loses nothing");
    assert!(loses(lies), "{lies:?} was not caught");
}

/// Makes the names in the source durable.
fn sync_source(fs: &SimFileSystem) {
    use realize_core::local::fs::FileSystem;
    let root = fs.open_root("/src".as_ref()).unwrap();
    root.sync().unwrap();
    for name in ["d", "d0", "d1", "d2"] {
        if let Ok(directory) = root.open_directory(name.as_bytes()) {
            directory.sync().unwrap();
        }
    }
}

/// Finishing before the read-back: the hash that a file must have is taken from what arrived.
#[test]
fn a_skipped_read_back_is_caught() {
    let planted = Scenario::New.plant();
    let loses = |mutant: bool| {
        (1..=20).any(|n| {
            let fs = planted.fs.survivor(Crash::All, 0);
            fs.script().flip_bit(n, 12345);
            let (source, mut destination) = services(&fs).unwrap();
            if mutant {
                let fs = fs.clone();
                destination = Broken::new(destination, Fault::NoReadBack(fs));
            }
            let _ = run_between((source, destination));
            broken(&planted, &fs).is_some()
        })
    };
    assert!(!loses(false), "the code as it is loses nothing");
    assert!(loses(true), "not caught");
}

/// Trusting what was listed: the file that is deleted is whatever bears the name by then.
#[rstest]
fn a_skipped_source_check_is_caught(
    #[values(Change::Grow, Change::Rewrite, Change::Replace)] change: Change,
) {
    let planted = Scenario::New.plant();
    let loses = |mutant: bool| {
        (1..=120).any(|n| {
            let ends = |fs: &SimFileSystem| {
                let (source, destination) = services(fs).unwrap();
                if !mutant {
                    return (source, destination);
                }
                (
                    Broken::new(source, Fault::NoVersion) as Arc<dyn Service>,
                    destination,
                )
            };
            wrong_after(&planted.fs, change, n, ends).is_some()
        })
    };
    assert!(!loses(false), "the code as it is loses nothing");
    assert!(loses(true), "not caught");
}

/// What is broken in a [`Broken`] service.
enum Fault {
    NoReadBack(SimFileSystem),
    NoVersion,
}

/// A service with a fault.
struct Broken {
    inner: Arc<dyn Service>,
    fault: Fault,
}

impl Broken {
    fn new(inner: Arc<dyn Service>, fault: Fault) -> Arc<Self> {
        Arc::new(Self { inner, fault })
    }

    /// The hash of the partial that is there.
    fn partial_hash(&self) -> Option<Digest> {
        let Fault::NoReadBack(fs) = &self.fault else {
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
impl Service for Broken {
    async fn finish(&self, mut finishes: Vec<Finish>) -> Result<Vec<Result<Receipt>>> {
        if let Some(hash) = self.partial_hash() {
            finishes.iter_mut().for_each(|finish| finish.hash = hash);
        }
        self.inner.finish(finishes).await
    }
    async fn delete(&self, mut deletes: Vec<Delete>) -> Result<Vec<Result<()>>> {
        if let Fault::NoVersion = self.fault {
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
        self.inner.claim(claim).await
    }
    async fn release(&self, ending: Ending) -> Result<()> {
        self.inner.release(ending).await
    }
    async fn list(&self, list: List) -> Result<Page> {
        self.inner.list(list).await
    }
    async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Result<Answer>>> {
        self.inner.offer(offers).await
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
    async fn configure(&self, config: Config) -> Result<Config> {
        self.inner.configure(config).await
    }
}
