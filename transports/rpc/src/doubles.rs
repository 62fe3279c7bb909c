//! What the tests of this crate put at the other end: directories that do as they are told, peers
//! that speak by hand, a transport that shows what is dialled.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use realize_core::buffers::Buffers;
use realize_core::delta::{Delta, Signature};
use realize_core::entry::{Timestamp, Version};
use realize_core::hash::{Digest, RangeHash};
use realize_core::range::ByteRange;
use realize_core::service::*;
use realize_core::transport::{Connection, Endpoint, Listener, PeerId, Transport, TransportError};
use realize_core::{Error, ErrorKind, RelPath, Result};
use tarpc::{ClientMessage, Request, Response, trace};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::Remote;
use crate::frame::{Frame, Lengths, read_frame};
use crate::hello::{self, ClientHello, SessionId};
use crate::protocol::{Call, Reply, context, decode_reply, encode_call};
use crate::server::{Directories, Opened, Server};

/// Under paused time it passes as soon as nothing else can go on; longer than anything here waits.
pub(crate) const LONG: Duration = Duration::from_secs(1 << 22);

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
        *self.owner.lock().unwrap() = None;
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
        let signature = Signature::new(none, request.block, Vec::new()).unwrap();
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
        *self.owner.lock().unwrap() = Some(u64::MAX);
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
        })
    }

    fn overview(&self, _: &PeerId) -> Vec<String> {
        vec!["all: everything".to_owned()]
    }
}

/// A client that speaks by hand.
pub(crate) struct Raw {
    pub(crate) stream: DuplexStream,
}

impl Raw {
    /// Connects to `server` as `peer` with `buffer` bytes each way.
    pub(crate) fn dial(
        server: &Arc<Server>,
        peer: &str,
        buffer: usize,
    ) -> (Self, JoinHandle<Result<()>>) {
        let (near, far) = duplex(buffer);
        let server = Arc::clone(server);
        let connection = connection(peer, far);
        let serving = tokio::spawn(async move { server.serve(connection).await });
        (Self { stream: near }, serving)
    }

    /// Says hello.
    pub(crate) async fn greet(&mut self, session: u8, first: bool) -> Result<Vec<String>> {
        let hello = ClientHello {
            session: id(session),
            first,
            features: 0,
            program: "a test".to_owned(),
            directory: "inbox".to_owned(),
        };
        hello::greet(&mut self.stream, &hello).await
    }

    /// Connects and opens, or joins, a session.
    pub(crate) async fn enter(
        server: &Arc<Server>,
        peer: &str,
        session: u8,
        first: bool,
    ) -> (Self, JoinHandle<Result<()>>) {
        let (mut raw, serving) = Self::dial(server, peer, 64 << 10);
        raw.greet(session, first).await.unwrap();
        (raw, serving)
    }

    pub(crate) async fn call(&mut self, id: u64, call: Call) {
        write(&mut self.stream, &request(id, call)).await;
    }

    pub(crate) async fn cancel(&mut self, id: u64) {
        write(&mut self.stream, &cancel(id)).await;
    }

    /// The next reply.
    pub(crate) async fn reply(&mut self) -> Option<Response<Reply>> {
        let frame = read(&mut self.stream).await?;
        Some(decode_reply(&frame).unwrap())
    }
}

pub(crate) fn id(session: u8) -> SessionId {
    [session; 16]
}

/// A connection from `peer`.
pub(crate) fn connection(peer: &str, stream: DuplexStream) -> Connection {
    Connection {
        peer: PeerId::new(peer).unwrap(),
        address: "a test".to_owned(),
        stream: Box::new(stream),
    }
}

/// The frame of a call.
pub(crate) fn request(id: u64, call: Call) -> Frame {
    let request = Request {
        context: context(),
        id,
        message: call,
    };
    encode_call(ClientMessage::Request(request)).unwrap()
}

/// The frame that gives a call up.
pub(crate) fn cancel(request_id: u64) -> Frame {
    let trace_context = trace::Context::default();
    encode_call(ClientMessage::Cancel {
        trace_context,
        request_id,
    })
    .unwrap()
}

/// A frame's bytes.
pub(crate) fn bytes(frame: &Frame) -> Vec<u8> {
    let mut bytes = frame.prefix().unwrap().to_vec();
    bytes.extend_from_slice(&frame.header);
    frame
        .payload
        .iter()
        .for_each(|p| bytes.extend_from_slice(p));
    bytes
}

/// Writes a frame, as far as the other end takes it.
pub(crate) async fn write(stream: &mut DuplexStream, frame: &Frame) {
    let _ = stream.write_all(&bytes(frame)).await;
}

/// The next frame of something; `None` at the end of the stream, however it ends.
pub(crate) async fn read(stream: &mut DuplexStream) -> Option<Frame> {
    loop {
        let lengths = Lengths::read(stream).await.ok()??;
        if lengths.total() > 0 {
            return read_frame(stream, lengths, &Buffers::default()).await.ok();
        }
    }
}

pub(crate) fn path(name: &str) -> RelPath {
    RelPath::new(name.to_owned()).unwrap()
}

pub(crate) fn version() -> Version {
    Version::new([1]).unwrap()
}

pub(crate) fn list(name: &str) -> List {
    List {
        within: Some(path(name)),
        files: true,
        ..List::default()
    }
}

pub(crate) fn read_of(name: &str, len: u64) -> Read {
    Read {
        path: path(name),
        version: version(),
        range: ByteRange::new(0, len).unwrap(),
    }
}

pub(crate) fn target(name: &str) -> Target {
    Target {
        path: path(name),
        source: version(),
        size: 1 << 30,
        sparse: false,
    }
}

pub(crate) fn send_of(name: &str, len: usize) -> SendBlock {
    SendBlock {
        target: target(name),
        offset: 0,
        block: Block::Data(vec![9; len].into()),
        hash: None,
    }
}

pub(crate) fn put_of(name: &str, len: usize) -> Put {
    Put {
        path: path(name),
        content: Content::File(vec![9; len].into(), Digest::from_bytes([1; 32])),
        mode: 0o600,
        modified: Timestamp {
            seconds: 1,
            nanos: 0,
        },
        expect: Expect::Absent,
    }
}

pub(crate) fn claim() -> Claim {
    Claim {
        role: Role::Destination,
        run: RunId::from_bytes([1; 16]),
        holder: "a test".to_owned(),
    }
}

pub(crate) fn list_call(name: &str) -> Call {
    Call::List {
        list: list(name).into(),
    }
}

pub(crate) fn read_call(name: &str, len: u64) -> Call {
    Call::Read {
        read: read_of(name, len).into(),
    }
}

pub(crate) fn send_call(name: &str, len: usize) -> Call {
    Call::Send {
        send: send_of(name, len).into(),
    }
}

pub(crate) fn put_call(name: &str, len: usize) -> Call {
    Call::Put {
        puts: vec![put_of(name, len)].into(),
    }
}

pub(crate) fn claim_call() -> Call {
    Call::Claim {
        claim: claim().into(),
    }
}

/// A transport whose other ends are the test's.
#[derive(Debug)]
pub(crate) struct Wire {
    lanes: usize,
    buffer: usize,
    /// How often it was dialled.
    pub(crate) dials: AtomicUsize,
    /// Whether nobody is there.
    pub(crate) refuses: AtomicBool,
    far: mpsc::UnboundedSender<DuplexStream>,
}

impl Wire {
    /// A transport of so many lanes, each with `buffer` bytes each way, and where their other ends
    /// come out.
    pub(crate) fn new(
        lanes: usize,
        buffer: usize,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<DuplexStream>) {
        let (far, dialled) = mpsc::unbounded_channel();
        let wire = Self {
            lanes,
            buffer,
            dials: AtomicUsize::new(0),
            refuses: AtomicBool::new(false),
            far,
        };
        (Arc::new(wire), dialled)
    }

    /// A transport to `server`, and the tasks that serve its connections.
    pub(crate) fn to(server: &Arc<Server>, lanes: usize, buffer: usize) -> (Arc<Self>, Served) {
        let (wire, mut dialled) = Self::new(lanes, buffer);
        let (server, served) = (Arc::clone(server), Served::default());
        let tasks = Arc::clone(&served);
        tokio::spawn(async move {
            while let Some(far) = dialled.recv().await {
                let server = Arc::clone(&server);
                let connection = connection("test:client", far);
                let serving = tokio::spawn(async move { server.serve(connection).await });
                tasks.lock().unwrap().push_back(serving);
            }
        });
        (wire, served)
    }

    pub(crate) fn remote(self: &Arc<Self>) -> Remote {
        Remote {
            name: "nas".to_owned(),
            peer: PeerId::local(),
            transport: Arc::clone(self) as _,
            endpoint: Endpoint::new("there").unwrap(),
            directory: "inbox".to_owned(),
        }
    }

    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::Relaxed)
    }
}

/// The connections that are, or were, served, oldest first.
pub(crate) type Served = Arc<Mutex<VecDeque<JoinHandle<Result<()>>>>>;

#[async_trait]
impl Transport for Wire {
    async fn dial(
        &self,
        endpoint: &Endpoint,
        peer: &PeerId,
    ) -> std::result::Result<Connection, TransportError> {
        self.dials.fetch_add(1, Ordering::Relaxed);
        let (near, far) = duplex(self.buffer);
        if self.refuses.load(Ordering::Relaxed) || self.far.send(far).is_err() {
            return Err(TransportError::Unreachable {
                endpoint: endpoint.clone(),
                source: std::io::ErrorKind::ConnectionRefused.into(),
            });
        }
        Ok(Connection {
            peer: peer.clone(),
            address: "a test".to_owned(),
            stream: Box::new(near),
        })
    }

    async fn listen(&self, _: &Endpoint) -> std::result::Result<Box<dyn Listener>, TransportError> {
        Err(TransportError::Closed)
    }

    fn lanes(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.lanes).unwrap()
    }
}
