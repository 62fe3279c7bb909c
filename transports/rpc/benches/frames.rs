//! Calls over memory: a client and a server in one process and one thread, with a service behind
//! them that has its answers ready.
//!
//! A call is written as a message, goes in a frame through a pipe in memory, is read, checked and
//! handed on, and its answer comes back in the same way. So the time is that of the messages, the
//! frames and their queues on both sides. Blocks travel behind their message as they are: next to
//! `read_block` and `send_block`, `a_pipe_alone` says how much of the time the pipe takes.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, Divan};
use futures::future::try_join_all;
use realize_channel::{ChannelOptions, ChannelTransport};
use realize_core::delta::Signature;
use realize_core::entry::{Entry, EntryKind, Timestamp, Version};
use realize_core::hash::RangeHash;
use realize_core::range::ByteRange;
use realize_core::service::{
    Answer, Block, Claim, Config, Delete, DiffRequest, Difference, Ending, Finish, Hash, List,
    MAX_BATCH, MAX_BLOCK, MakeDirectory, Offer, Page, Patch, Present, Put, Read, ReadWhole,
    Receipt, SendBlock, SignatureRequest, Target,
};
use realize_core::transport::{Endpoint, PeerId, Transport};
use realize_core::{Error, ErrorKind, RelPath, Result, Service};
use realize_rpc::{Client, Directories, InForce, LimitChange, Limits, Opened, Remote, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::{Builder, Runtime};

/// How many blocks are on their way at once, and how many there are, in each measurement.
const BLOCKS: (usize, usize) = (4, 16);
/// The size of a small file, in bytes; a batch has as many as it may.
const SMALL: usize = 8 << 10;
/// How much the pipe of `a_pipe_alone` holds, in bytes: as much as the transport's.
const PIPE: usize = 256 << 10;

fn main() {
    let benches = Divan::default().max_time(Duration::from_secs(2));
    benches.config_with_args().main();
}

/// A directory that has one answer of each kind ready.
#[derive(Debug)]
struct Ready {
    block: Bytes,
    small: Bytes,
    page: Page,
}

fn unasked<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "nobody asks for it"))
}

#[async_trait]
impl Service for Ready {
    async fn list(&self, _: List) -> Result<Page> {
        Ok(self.page.clone())
    }
    async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Result<Answer>>> {
        let absent = Answer {
            present: Present::Absent,
            partial: None,
        };
        Ok(vec![Ok(absent); offers.len()])
    }
    async fn read(&self, _: Read) -> Result<Block> {
        Ok(Block::Data(self.block.clone()))
    }
    async fn read_batch(&self, reads: Vec<ReadWhole>) -> Result<Vec<Result<Bytes>>> {
        Ok(vec![Ok(self.small.clone()); reads.len()])
    }
    async fn send(&self, _: SendBlock) -> Result<()> {
        Ok(())
    }
    async fn claim(&self, _: Claim) -> Result<()> {
        Ok(())
    }
    async fn release(&self, _: Ending) -> Result<()> {
        Ok(())
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
    async fn configure(&self, config: Config) -> Result<Config> {
        Ok(config)
    }
}

/// Serves it to everybody.
#[derive(Debug)]
struct One(Arc<Ready>);

#[async_trait]
impl Directories for One {
    async fn open(&self, _: &PeerId, _: &str) -> Result<Opened> {
        Ok(Opened {
            service: Arc::clone(&self.0) as _,
            grants: Vec::new(),
            peer: "cam".to_owned(),
            limits: Limits::default(),
        })
    }

    fn limits(&self, _: &PeerId, _: LimitChange) -> Result<InForce> {
        unasked()
    }

    fn overview(&self, _: &PeerId) -> Vec<String> {
        Vec::new()
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// A client of a server in the same thread.
async fn connect() -> Client {
    let transport: Arc<dyn Transport> = Arc::new(ChannelTransport::new(ChannelOptions::default()));
    let endpoint = Endpoint::new("nas").unwrap();
    let mut listener = transport.listen(&endpoint).await.unwrap();
    let ready = Ready {
        block: vec![0x5a; MAX_BLOCK as usize].into(),
        small: vec![0x5a; SMALL].into(),
        page: Page {
            entries: (0..MAX_BATCH).map(entry).collect(),
            ..Page::default()
        },
    };
    let server = Arc::new(Server::new(Arc::new(One(Arc::new(ready)))));
    tokio::spawn(async move {
        while let Ok(handshake) = listener.accept().await {
            let (server, connection) = (Arc::clone(&server), handshake.await.unwrap());
            tokio::spawn(async move { server.serve(connection).await });
        }
    });
    let remote = Remote {
        name: "nas".to_owned(),
        peer: PeerId::local(),
        transport,
        endpoint,
        directory: "inbox".to_owned(),
        limits: Limits::default(),
        compress: false,
    };
    Client::connect(remote).await.unwrap()
}

fn version() -> Version {
    Version::new(vec![7; 40]).unwrap()
}

fn path(number: usize) -> RelPath {
    RelPath::new(format!("recordings/day-{}/{number:06}.wav", number / 300)).unwrap()
}

fn entry(number: usize) -> Entry {
    Entry {
        path: path(number),
        kind: EntryKind::File { sparse: false },
        version: version(),
        size: SMALL as u64,
        modified: Timestamp::default(),
        mode: 0o644,
    }
}

/// What the two of blocks are compared with: the same bytes through a pipe, and nothing else.
#[divan::bench]
fn a_pipe_alone(bencher: Bencher<'_, '_>) {
    let (runtime, total) = (runtime(), BLOCKS.1 * MAX_BLOCK as usize);
    let content = vec![0x5a; MAX_BLOCK as usize];
    let mut arrived = content.clone();
    bencher.counter(BytesCount::new(total)).bench_local(|| {
        runtime.block_on(async {
            let (mut near, mut far) = duplex(PIPE);
            for _ in 0..BLOCKS.1 {
                let there = near.write_all(&content);
                let (sent, read) = tokio::join!(there, far.read_exact(&mut arrived));
                sent.unwrap();
                read.unwrap();
            }
        });
    });
}

#[divan::bench]
fn read_block(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let client = runtime.block_on(connect());
    let (at_once, blocks) = BLOCKS;
    let read = || {
        client.read(Read {
            path: path(1),
            version: version(),
            range: ByteRange::new(0, MAX_BLOCK).unwrap(),
        })
    };
    let bencher = bencher.counter(BytesCount::new(blocks * MAX_BLOCK as usize));
    bencher.bench_local(|| {
        runtime.block_on(async {
            for _ in 0..blocks / at_once {
                try_join_all((0..at_once).map(|_| read())).await.unwrap();
            }
        });
    });
}

#[divan::bench]
fn send_block(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let client = runtime.block_on(connect());
    let (at_once, blocks) = BLOCKS;
    let content = Bytes::from(vec![0x5a; MAX_BLOCK as usize]);
    let send = || {
        client.send(SendBlock {
            target: Target {
                path: path(1),
                source: version(),
                size: MAX_BLOCK,
                sparse: false,
            },
            offset: 0,
            block: Block::Data(content.clone()),
            hash: None,
        })
    };
    let bencher = bencher.counter(BytesCount::new(blocks * MAX_BLOCK as usize));
    bencher.bench_local(|| {
        runtime.block_on(async {
            for _ in 0..blocks / at_once {
                try_join_all((0..at_once).map(|_| send())).await.unwrap();
            }
        });
    });
}

#[divan::bench]
fn read_batch_of_small_files(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let client = runtime.block_on(connect());
    let reads = || {
        let read = |number| ReadWhole {
            path: path(number),
            version: version(),
            size: SMALL as u64,
        };
        (0..MAX_BATCH).map(read).collect::<Vec<_>>()
    };
    bencher
        .counter(ItemsCount::new(MAX_BATCH))
        .with_inputs(reads)
        .bench_local_values(|reads| runtime.block_on(client.read_batch(reads)).unwrap());
}

#[divan::bench]
fn offer_batch(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let client = runtime.block_on(connect());
    let offers = || {
        let offer = |number| Offer {
            path: path(number),
            link: false,
            source: version(),
            size: SMALL as u64,
            modified: Timestamp::default(),
        };
        (0..MAX_BATCH).map(offer).collect::<Vec<_>>()
    };
    bencher
        .counter(ItemsCount::new(MAX_BATCH))
        .with_inputs(offers)
        .bench_local_values(|offers| runtime.block_on(client.offer(offers)).unwrap());
}

#[divan::bench]
fn list_page(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let client = runtime.block_on(connect());
    let bencher = bencher.counter(ItemsCount::new(MAX_BATCH));
    bencher.bench_local(|| runtime.block_on(client.list(List::default())).unwrap());
}
