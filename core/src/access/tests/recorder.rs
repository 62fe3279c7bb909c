//! A service that notes what it is asked, and says yes to everything.

use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;

use crate::delta::{BlockHash, Delta, Signature};
use crate::entry::{Entry, EntryKind, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::hash::{Digest, RangeHash};
use crate::range::ByteRange;
use crate::service::*;

use super::{path, version};

/// The service, and the calls that reached it: the operation and the paths of its items.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) calls: Mutex<Vec<String>>,
    /// Files of this name cannot be read.
    pub(super) unreadable: Option<&'static str>,
}

impl Recorder {
    /// The calls since it was last asked.
    pub(super) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn note(&self, operation: &str) {
        self.calls.lock().unwrap().push(operation.to_owned());
    }

    fn note_all<'a>(&self, operation: &str, paths: impl Iterator<Item = &'a crate::path::RelPath>) {
        let paths: Vec<_> = paths.map(ToString::to_string).collect();
        self.note(&format!("{operation} {}", paths.join(" ")));
    }

    fn check(&self, path: &crate::path::RelPath) -> Result<()> {
        match self.unreadable {
            Some(name) if name.as_bytes() == path.as_bytes() => {
                Err(Error::new(ErrorKind::Io, "reading"))
            }
            _ => Ok(()),
        }
    }
}

fn receipt() -> Receipt {
    Receipt::issue(Digest::of_content(b""), Outcome::Finished)
}

fn entry(name: &str, kind: EntryKind) -> Entry {
    Entry {
        path: path(name),
        kind,
        version: version(),
        size: 0,
        modified: Timestamp::default(),
        mode: 0o644,
    }
}

#[async_trait]
impl Service for Recorder {
    async fn claim(&self, _: Claim) -> Result<()> {
        self.note("claim");
        Ok(())
    }
    async fn release(&self, ending: Ending) -> Result<()> {
        self.note(&format!("release {ending:?}"));
        Ok(())
    }
    /// A file and a link.
    async fn list(&self, _: List) -> Result<Page> {
        self.note("list");
        let target = b"target".to_vec();
        let entries = vec![
            entry("file", EntryKind::File { sparse: false }),
            entry("link", EntryKind::Link { target }),
        ];
        Ok(Page {
            entries,
            ..Page::default()
        })
    }
    async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Result<Answer>>> {
        self.note_all("offer", offers.iter().map(|offer| &offer.path));
        let answer = |_| {
            Ok(Answer {
                present: Present::Absent,
                partial: None,
            })
        };
        Ok(offers.iter().map(answer).collect())
    }
    async fn read(&self, read: Read) -> Result<Block> {
        self.note("read");
        self.check(&read.path)?;
        Ok(Block::Hole(read.range.len()))
    }
    async fn read_batch(&self, reads: Vec<ReadWhole>) -> Result<Vec<Result<Bytes>>> {
        self.note_all("read_batch", reads.iter().map(|read| &read.path));
        let read = |read: &ReadWhole| self.check(&read.path).map(|()| Bytes::new());
        Ok(reads.iter().map(read).collect())
    }
    async fn send(&self, _: SendBlock) -> Result<()> {
        self.note("send");
        Ok(())
    }
    async fn put(&self, puts: Vec<Put>) -> Result<Vec<Result<Receipt>>> {
        self.note_all("put", puts.iter().map(|put| &put.path));
        Ok(puts.iter().map(|_| Ok(receipt())).collect())
    }
    async fn make_directories(&self, makes: Vec<MakeDirectory>) -> Result<Vec<Result<()>>> {
        self.note_all("make_directories", makes.iter().map(|make| &make.path));
        Ok(makes.iter().map(|_| Ok(())).collect())
    }
    async fn hash(&self, hash: Hash) -> Result<RangeHash> {
        self.note("hash");
        self.check(&hash.path)?;
        Ok(RangeHash::Whole(Digest::of_content(b"")))
    }
    async fn calculate_signature(&self, _: SignatureRequest) -> Result<Signature> {
        self.note("calculate_signature");
        Ok(signature())
    }
    async fn diff(&self, diff: DiffRequest) -> Result<Difference> {
        self.note("diff");
        self.check(&diff.path)?;
        Ok(Difference {
            delta: Delta::default(),
            hash: RangeHash::Part(Vec::new()),
        })
    }
    async fn apply_patch(&self, _: Patch) -> Result<()> {
        self.note("apply_patch");
        Ok(())
    }
    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<Receipt>>> {
        self.note_all("finish", finishes.iter().map(|finish| &finish.path));
        Ok(finishes.iter().map(|_| Ok(receipt())).collect())
    }
    async fn delete(&self, deletes: Vec<Delete>) -> Result<Vec<Result<()>>> {
        self.note_all("delete", deletes.iter().map(Delete::path));
        Ok(deletes.iter().map(|_| Ok(())).collect())
    }
    async fn configure(&self, config: Config) -> Result<Config> {
        self.note("configure");
        Ok(config)
    }
}

/// The signature of nothing.
pub(super) fn signature() -> Signature {
    let nothing = ByteRange::new(0, 0).unwrap();
    Signature::new(nothing, 512, BlockHash::Quick, Vec::new()).unwrap()
}
