//! Directories that do as they are told, and what is seen of their calls.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use realize_core::delta::{BlockHash, Delta, Signature};
use realize_core::hash::{Digest, RangeHash};
use realize_core::range::ByteRange;
use realize_core::service::*;
use realize_core::transport::PeerId;
use realize_core::{Error, ErrorKind, RelPath, Result};
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;
use crate::limits::{InForce, LimitChange, Limits};
use crate::server::{Directories, Opened};

/// What has been seen of the calls of a [`Double`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Calls that began.
    pub(crate) begun: usize,
    /// Calls that ended, answered or dropped.
    pub(crate) ended: usize,
    /// Calls that were dropped before they were answered.
    pub(crate) dropped: usize,
    /// The most calls at once.
    pub(crate) at_once: usize,
    /// Bytes of answers that are somewhere, and their most.
    pub(crate) held: usize,
    pub(crate) most: usize,
    /// Services that are gone.
    pub(crate) gone: usize,
}

/// Counts that can be waited for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(watch::Sender<Counts>);

impl Seen {
    pub(crate) fn now(&self) -> Counts {
        *self.0.borrow()
    }

    fn note(&self, change: impl FnOnce(&mut Counts)) {
        self.0.send_modify(change);
    }

    /// Waits until the counts are as `wanted`.
    pub(crate) async fn until(&self, wanted: impl Fn(&Counts) -> bool) {
        let mut watched = self.0.subscribe();
        let waited = timeout(LONG, watched.wait_for(|counts| wanted(counts))).await;
        assert!(waited.is_ok(), "it stays at {:?}", self.now());
    }
}

/// A call under way.
struct UnderWay {
    seen: Seen,
    answered: bool,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let dropped = usize::from(!self.answered);
        self.seen.note(|counts| {
            counts.ended += 1;
            counts.dropped += dropped;
        });
    }
}

/// Bytes that are counted for as long as they are held.
struct Held(Vec<u8>, Seen);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.1.note(|counts| counts.held -= self.0.len());
    }
}

/// A directory whose files do what they are called: `waits` until it is let go, `wedged` for ever,
/// `panics`, `huge` answers more than a frame holds; all others answer at once.
pub(crate) struct Double {
    seen: Seen,
    go: watch::Receiver<bool>,
    me: u64,
    owner: Owner,
}

impl Drop for Double {
    fn drop(&mut self) {
        let mut owner = self.owner.lock().unwrap();
        if *owner == Some(self.me) {
            *owner = None;
        }
        self.seen.note(|counts| counts.gone += 1);
    }
}

impl Double {
    async fn act<T>(&self, path: Option<&RelPath>, answer: T) -> Result<T> {
        self.seen.note(|counts| {
            counts.begun += 1;
            counts.at_once = counts.at_once.max(counts.begun - counts.ended);
        });
        let mut call = UnderWay {
            seen: self.seen.clone(),
            answered: false,
        };
        match path.map(RelPath::as_bytes) {
            Some(b"waits") => drop(self.go.clone().wait_for(|go| *go).await),
            Some(b"wedged") => std::future::pending().await,
            Some(b"panics") => panic!("a test's panic"),
            _ => {}
        }
        call.answered = true;
        Ok(answer)
    }

    fn bytes(&self, len: usize) -> Bytes {
        self.seen.note(|counts| {
            counts.held += len;
            counts.most = counts.most.max(counts.held);
        });
        Bytes::from_owner(Held(vec![7; len], self.seen.clone()))
    }
}

#[async_trait]
impl Service for Double {
    async fn claim(&self, _: Claim) -> Result<()> {
        let mut owner = self.owner.lock().unwrap();
        if owner.is_some_and(|owner| owner != self.me) {
            return Err(Error::new(ErrorKind::Busy, "it is taken"));
        }
        *owner = Some(self.me);
        Ok(())
    }

    async fn release(&self, _: Ending) -> Result<()> {
        // What is at work comes to its end first.
        while *self.owner.lock().unwrap() == Some(HELD) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut owner = self.owner.lock().unwrap();
        *owner = owner.filter(|owner| *owner != self.me);
        Ok(())
    }

    async fn list(&self, list: List) -> Result<Page> {
        self.act(list.within.as_ref(), Page::default()).await
    }

    async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Result<Answer>>> {
        let answer = |_: &Offer| {
            Ok(Answer {
                present: Present::Absent,
                partial: None,
            })
        };
        let path = offers.first().map(|offer| &offer.path);
        self.act(path, offers.iter().map(answer).collect()).await
    }

    async fn read(&self, read: Read) -> Result<Block> {
        self.act(Some(&read.path), ()).await?;
        let len = match read.path.as_bytes() {
            b"huge" => 9 << 20,
            _ => read.range.len() as usize,
        };
        Ok(Block::Data(self.bytes(len)))
    }

    async fn read_batch(&self, reads: Vec<ReadWhole>) -> Result<Vec<Result<Bytes>>> {
        self.act(None, ()).await?;
        let content = |read: &ReadWhole| Ok(self.bytes(read.size as usize));
        Ok(reads.iter().map(content).collect())
    }

    async fn send(&self, send: SendBlock) -> Result<()> {
        self.act(Some(&send.target.path), ()).await
    }

    async fn put(&self, puts: Vec<Put>) -> Result<Vec<Result<Receipt>>> {
        let receipt = |put: &Put| Ok(Receipt::issue(put.content.hash(), Outcome::Finished));
        let path = puts.first().map(|put| &put.path);
        self.act(path, puts.iter().map(receipt).collect()).await
    }

    async fn make_directories(&self, makes: Vec<MakeDirectory>) -> Result<Vec<Result<()>>> {
        self.act(None, makes.iter().map(|_| Ok(())).collect()).await
    }

    async fn hash(&self, hash: Hash) -> Result<RangeHash> {
        let whole = RangeHash::Whole(Digest::from_bytes([1; 32]));
        self.act(Some(&hash.path), whole).await
    }

    async fn calculate_signature(&self, request: SignatureRequest) -> Result<Signature> {
        let none = ByteRange::new(0, 0).unwrap();
        let signature = Signature::new(none, request.block, BlockHash::Quick, Vec::new()).unwrap();
        self.act(Some(&request.target.path), signature).await
    }

    async fn diff(&self, request: DiffRequest) -> Result<Difference> {
        let difference = Difference {
            delta: Delta::default(),
            hash: RangeHash::Whole(Digest::from_bytes([1; 32])),
        };
        self.act(Some(&request.path), difference).await
    }

    async fn apply_patch(&self, patch: Patch) -> Result<()> {
        self.act(Some(&patch.target.path), ()).await
    }

    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<Receipt>>> {
        let receipt = |finish: &Finish| Ok(Receipt::issue(finish.hash, Outcome::Finished));
        self.act(None, finishes.iter().map(receipt).collect()).await
    }

    async fn delete(&self, deletes: Vec<Delete>) -> Result<Vec<Result<()>>> {
        self.act(None, deletes.iter().map(|_| Ok(())).collect())
            .await
    }

    async fn configure(&self, config: Config) -> Result<Config> {
        Ok(config)
    }
}

/// Serves [`Double`]s to whoever asks, all about the same directory; `none` there is none.
#[derive(Debug)]
pub(crate) struct Doubles {
    pub(crate) seen: Seen,
    /// Lets those go that wait.
    pub(crate) go: watch::Sender<bool>,
    /// How often a directory was opened.
    pub(crate) opened: AtomicU64,
    /// Whether opening waits until those that wait are let go.
    pub(crate) opens_late: AtomicBool,
    owner: Owner,
}

/// Who has the directory.
type Owner = Arc<Mutex<Option<u64>>>;

/// Who has a directory that is kept.
const HELD: u64 = u64::MAX;

/// Keeps the directory taken for as long as it is there.
pub(crate) struct Hold(Owner);

impl Drop for Hold {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = None;
    }
}

impl Doubles {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            seen: Seen::default(),
            go: watch::Sender::new(false),
            opened: AtomicU64::new(0),
            opens_late: AtomicBool::new(false),
            owner: Arc::default(),
        })
    }

    /// Has the directory kept, as by work that outlives its session.
    pub(crate) fn hold(&self) -> Hold {
        *self.owner.lock().unwrap() = Some(HELD);
        Hold(Arc::clone(&self.owner))
    }
}

#[async_trait]
impl Directories for Doubles {
    async fn open(&self, _: &PeerId, directory: &str) -> Result<Opened> {
        if directory == "none" {
            return Err(Error::new(ErrorKind::Forbidden, "no such directory"));
        }
        let me = self.opened.fetch_add(1, Ordering::Relaxed);
        if self.opens_late.load(Ordering::Relaxed) {
            drop(self.go.subscribe().wait_for(|go| *go).await);
        }
        let service = Double {
            seen: self.seen.clone(),
            go: self.go.subscribe(),
            me,
            owner: Arc::clone(&self.owner),
        };
        Ok(Opened {
            service: Arc::new(service),
            grants: vec!["everything".to_owned()],
            peer: "a peer".to_owned(),
            limits: Limits::default(),
        })
    }

    fn limits(&self, _: &PeerId, _: LimitChange) -> Result<InForce> {
        Err(Error::new(ErrorKind::Forbidden, "not this peer's to know"))
    }

    fn overview(&self, _: &PeerId) -> Vec<String> {
        vec!["all: everything".to_owned()]
    }
}
