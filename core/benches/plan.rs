//! Deciding what to do about files: a dry run between two services that have their answers ready.
//!
//! The engine takes pages of a listing, sorts out what is not meant, offers the rest, and plans a
//! step for each file. No disk and no network are asked, and what the services say was made before.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, Divan};
use realize_core::delta::Signature;
use realize_core::engine::{Filter, Mode, MoveOptions, preview_files};
use realize_core::entry::{Entry, EntryKind, Timestamp, Version};
use realize_core::hash::{HashState, RangeHash, TreeHasher};
use realize_core::range::{ByteRange, RangeSet};
use realize_core::service::{
    Answer, Arrived, Block, Claim, Config, Cursor, Delete, DiffRequest, Difference, Ending, Finish,
    Hash, List, MAX_BATCH, MakeDirectory, Offer, Page, Patch, Present, PresentKind, Put, Read,
    ReadWhole, Receipt, SendBlock, SignatureRequest,
};
use realize_core::{Error, ErrorKind, RelPath, Result, Service};

/// How many pages are listed, of as many files as a batch carries.
const PAGES: usize = 16;
/// How many files that is.
const FILES: usize = PAGES * MAX_BATCH;
/// The size of each, in bytes; they would go in blocks.
const SIZE: u64 = 4 << 20;

fn main() {
    let benches = Divan::default().max_time(Duration::from_secs(2));
    benches.config_with_args().main();
}

/// A directory whose pages and answers are given out one after the other.
#[derive(Debug, Default)]
struct Ready {
    pages: Mutex<VecDeque<Page>>,
    answers: Mutex<VecDeque<Vec<Result<Answer>>>>,
}

fn unasked<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "a dry run asks for it"))
}

#[async_trait]
impl Service for Ready {
    async fn list(&self, _: List) -> Result<Page> {
        Ok(self.pages.lock().unwrap().pop_front().unwrap())
    }
    async fn offer(&self, _: Vec<Offer>) -> Result<Vec<Result<Answer>>> {
        Ok(self.answers.lock().unwrap().pop_front().unwrap())
    }
    async fn claim(&self, _: Claim) -> Result<()> {
        unasked()
    }
    async fn release(&self, _: Ending) -> Result<()> {
        unasked()
    }
    async fn read(&self, _: Read) -> Result<Block> {
        unasked()
    }
    async fn read_batch(&self, _: Vec<ReadWhole>) -> Result<Vec<Result<Bytes>>> {
        unasked()
    }
    async fn send(&self, _: SendBlock) -> Result<()> {
        unasked()
    }
    async fn put(&self, _: Vec<Put>) -> Result<Vec<Result<Receipt>>> {
        unasked()
    }
    async fn make_directories(&self, _: Vec<MakeDirectory>) -> Result<Vec<Result<()>>> {
        unasked()
    }
    async fn hash(&self, _: Hash) -> Result<RangeHash> {
        unasked()
    }
    async fn calculate_signature(&self, _: SignatureRequest) -> Result<Signature> {
        unasked()
    }
    async fn diff(&self, _: DiffRequest) -> Result<Difference> {
        unasked()
    }
    async fn apply_patch(&self, _: Patch) -> Result<()> {
        unasked()
    }
    async fn finish(&self, _: Vec<Finish>) -> Result<Vec<Result<Receipt>>> {
        unasked()
    }
    async fn delete(&self, _: Vec<Delete>) -> Result<Vec<Result<()>>> {
        unasked()
    }
    async fn configure(&self, _: Config) -> Result<Config> {
        unasked()
    }
}

fn version() -> Version {
    Version::new(vec![7; 40]).unwrap()
}

fn entry(number: usize) -> Entry {
    let path = format!("recordings/day-{}/{number:06}.wav", number / 300);
    Entry {
        path: RelPath::new(path).unwrap(),
        kind: EntryKind::File { sparse: false },
        version: version(),
        size: SIZE,
        modified: Timestamp::default(),
        mode: 0o644,
    }
}

fn pages() -> VecDeque<Page> {
    let page = |number: usize| {
        let next = (number + 1 < PAGES).then_some(Cursor {
            listing: 1,
            page: number as u64 + 1,
        });
        Page {
            entries: (0..MAX_BATCH)
                .map(|i| entry(number * MAX_BATCH + i))
                .collect(),
            failures: Vec::new(),
            next,
        }
    };
    (0..PAGES).map(page).collect()
}

/// What the destination says of every file.
#[derive(Clone, Copy, Debug)]
enum Says {
    /// Nothing is there.
    Absent,
    /// It may be there already.
    Perhaps,
    /// An older version is there.
    Differs,
    /// Half of it has arrived.
    HalfArrived,
}

impl Says {
    fn answer(self) -> Answer {
        let absent = Answer {
            present: Present::Absent,
            partial: None,
        };
        match self {
            Self::Absent => absent,
            Self::Perhaps => Answer {
                present: Present::Perhaps(version()),
                partial: None,
            },
            Self::Differs => Answer {
                present: Present::Differs {
                    version: version(),
                    kind: PresentKind::File,
                    size: SIZE / 2,
                },
                partial: None,
            },
            Self::HalfArrived => {
                let mut ranges = RangeSet::new();
                ranges.insert(ByteRange::new(0, SIZE / 2).unwrap());
                Answer {
                    partial: Some(Arrived {
                        ranges,
                        hash: half_hashed(),
                        size: SIZE / 2,
                    }),
                    ..absent
                }
            }
        }
    }
}

/// The state of a hash that has come to half of a file.
fn half_hashed() -> HashState {
    let mut hasher = TreeHasher::new(SIZE);
    hasher.update(&vec![0; SIZE as usize / 2]).unwrap();
    hasher.state().unwrap()
}

fn preview(bencher: Bencher<'_, '_>, says: Says, options: &MoveOptions, done: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let answers = vec![Ok(says.answer()); MAX_BATCH];
    bencher
        .counter(ItemsCount::new(FILES))
        .with_inputs(|| Ready {
            pages: Mutex::new(pages()),
            answers: Mutex::new(vec![answers.clone(); PAGES].into()),
        })
        .bench_local_refs(|ready| {
            let ready: &Ready = ready;
            let report = preview_files(ready, Some(ready), options, &());
            let report = runtime.block_on(report).unwrap();
            assert_eq!(report.done, done as u64);
        });
}

#[divan::bench(args = [Says::Absent, Says::Perhaps, Says::Differs, Says::HalfArrived])]
fn dry_run(bencher: Bencher<'_, '_>, says: Says) {
    preview(bencher, says, &MoveOptions::new(Mode::Move), FILES);
}

/// Every file is looked at by its patterns, and none is meant.
#[divan::bench]
fn dry_run_of_what_is_excluded(bencher: Bencher<'_, '_>) {
    let patterns = [
        "*.tmp".to_owned(),
        "cache/**".to_owned(),
        "*.wav".to_owned(),
    ];
    let options = MoveOptions {
        filter: Filter::new(&[], &patterns).unwrap(),
        ..MoveOptions::new(Mode::Move)
    };
    preview(bencher, Says::Absent, &options, 0);
}
