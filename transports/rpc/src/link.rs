//! One connection as two queues of frames, with a task that reads and one that writes.
//!
//! On a connection whose payloads are compressed a third task does that, ahead of the writer.
//!
//! The writer sends what is urgent before what is bulky, and a frame of nothing when it has sent
//! nothing for [`KEEP_ALIVE`]. The reader takes an end that has been silent for [`SILENCE`] for
//! gone. So either end learns that the other has vanished, however long an operation takes.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::future::BoxFuture;
use realize_core::buffers::Buffers;
use realize_core::error::{Error, Result};
use realize_core::transport::Duplex;
use tokio::io::{AsyncRead, AsyncWriteExt, BufReader, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::compression::Compression;
use crate::frame::{Frame, PREFIX};
use crate::hello::network;

mod compressor;
mod reader;

use compressor::Compressor;
use reader::{Heard, Reader};

/// After so long without a frame to send, one of nothing is sent.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// After so long without a byte from the other end, or without one that it takes, it is gone.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);
/// How long the end of what is written may take once the connection closes.
const CLOSING: Duration = Duration::from_secs(5);
/// How long the other end's last words are waited for where it takes no more: longer than a transport
/// waits for those of a program that it has started.
const LAST_WORDS: Duration = Duration::from_secs(6);
/// How long the other end may go on sending once all has been said to it that was to be.
const LINGER: Duration = Duration::from_secs(2);
/// How many frames wait to be written, of either kind.
pub(crate) const OUTGOING: usize = 64;
/// How many frames that were read wait to be looked at.
const INCOMING: usize = 2;
/// Frames are gathered up to so many bytes before they are written.
const GATHER: usize = 64 << 10;
/// How much is read from the connection at once for what is small.
const READ_AHEAD: usize = 32 << 10;

/// A frame on its way out. Its share of the memory is given back when it is written.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) frame: Frame,
    /// The length of the payload before it was compressed; `None` where it was not.
    pub(crate) decompressed: Option<usize>,
    pub(crate) share: Option<OwnedSemaphorePermit>,
}

/// A frame that came in, with its share of the memory.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) frame: Frame,
    pub(crate) share: Option<OwnedSemaphorePermit>,
}

/// Where frames are put to be sent. When all clones are gone, what was put is sent and the
/// connection is closed.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) urgent: mpsc::Sender<Outgoing>,
    pub(crate) bulky: mpsc::Sender<Outgoing>,
}

/// Hears what comes before the first frame.
pub(crate) type Preface = Box<
    dyn for<'a> FnOnce(&'a mut (dyn AsyncRead + Send + Unpin)) -> BoxFuture<'a, Result<()>> + Send,
>;

/// What is known about a connection.
#[derive(Debug)]
pub(crate) struct State {
    since: Instant,
    /// Milliseconds from `since` to the last byte that came.
    heard: AtomicU64,
    /// Whether nothing is read for now, as there is no room for what comes.
    held_up: AtomicBool,
    /// Milliseconds from `since` to the last byte of a frame of something, in either direction.
    moved: AtomicU64,
    ended: OnceLock<Error>,
    /// Whether the other end closed the connection in order.
    closed: AtomicBool,
    /// Cancelled when the connection has ended, for whatever reason.
    pub(crate) end: CancellationToken,
    /// Cancelled to look at nothing more, and to close when what is under way has been answered.
    pub(crate) drain: CancellationToken,
    /// Cancelled when the other end has come to its end after that.
    read_out: CancellationToken,
}

impl Default for State {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            heard: AtomicU64::new(0),
            held_up: AtomicBool::new(false),
            moved: AtomicU64::new(0),
            ended: OnceLock::new(),
            closed: AtomicBool::new(false),
            end: CancellationToken::new(),
            drain: CancellationToken::new(),
            read_out: CancellationToken::new(),
        }
    }
}

impl State {
    fn mark(&self, clock: &AtomicU64) {
        let millis = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        clock.fetch_max(millis, Ordering::Relaxed);
    }

    fn time(&self, clock: &AtomicU64) -> Instant {
        self.since + Duration::from_millis(clock.load(Ordering::Relaxed))
    }

    /// When the last byte came.
    pub(crate) fn heard(&self) -> Instant {
        self.time(&self.heard)
    }

    /// Whether what comes is not read for now, for want of room: the other end may be there and not
    /// be heard.
    pub(crate) fn is_held_up(&self) -> bool {
        self.held_up.load(Ordering::Relaxed)
    }

    /// Waits for room, and says so meanwhile.
    async fn hold_up<T>(&self, room: impl Future<Output = T>) -> T {
        self.held_up.store(true, Ordering::Relaxed);
        let room = room.await;
        self.held_up.store(false, Ordering::Relaxed);
        room
    }

    /// When the last byte of a frame of something went or came.
    pub(crate) fn moved(&self) -> Instant {
        self.time(&self.moved)
    }

    /// Ends the connection, now. The first reason counts.
    pub(crate) fn fail(&self, reason: Error) {
        let _ = self.ended.set(reason);
        self.end.cancel();
    }

    /// Why it ended; `None` while it stands, and where it was closed in order.
    pub(crate) fn reason(&self) -> Option<&Error> {
        self.ended.get()
    }

    /// Why it ended; `None` also where it was the other end that closed it in order.
    pub(crate) fn fault(&self) -> Option<&Error> {
        self.reason()
            .filter(|_| !self.closed.load(Ordering::Relaxed))
    }
}

/// A connection under way.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) sender: Sender,
    pub(crate) incoming: mpsc::Receiver<Incoming>,
    /// Ends when everything is written and the connection is closed.
    pub(crate) writer: JoinHandle<()>,
}

impl Link {
    /// Starts the tasks on `stream`, which tell `state` what they see. Frames that come in take
    /// their share of `budget`. With a `compression` payloads are compressed, either way: both ends
    /// must have agreed on it. A `preface` is heard first; frames are sent meanwhile.
    pub(crate) fn start(
        stream: Box<dyn Duplex>,
        state: Arc<State>,
        budget: Option<Budget>,
        buffers: Buffers,
        compression: Option<Compression>,
        preface: Option<Preface>,
    ) -> Self {
        let (read, write) = tokio::io::split(stream);
        let (urgent, next_urgent) = mpsc::channel(OUTGOING);
        let (bulky, mut next_bulky) = mpsc::channel(OUTGOING);
        let (arrived, incoming) = mpsc::channel(INCOMING);
        let mut reader = Reader {
            stream: BufReader::with_capacity(READ_AHEAD, Heard::new(read, Arc::clone(&state))),
            budget,
            buffers,
            compression: compression.clone(),
            preface,
            arrived,
        };
        let reading = Arc::clone(&state);
        tokio::spawn(async move {
            let ended = tokio::select! {
                biased;
                () = reading.end.cancelled() => return,
                () = reading.drain.cancelled() => None,
                ended = reader.run(&reading) => Some(ended),
            };
            match ended {
                Some(Ok(())) => {}
                Some(Err(error)) => reading.fail(error),
                None => reader.discard(&reading).await,
            }
        });
        if let Some(compression) = compression {
            next_bulky = Compressor::start(compression, next_bulky, &state);
        }
        let mut writer = Writer {
            stream: write,
            state: Arc::clone(&state),
            urgent: next_urgent,
            bulky: next_bulky,
        };
        let writing = Arc::clone(&state);
        let writer = tokio::spawn(async move {
            let ended = tokio::select! {
                biased;
                () = writing.end.cancelled() => return,
                ended = writer.run() => ended,
            };
            match ended {
                Ok(()) => {
                    if writing.drain.is_cancelled() {
                        let _ = timeout(LINGER, writing.read_out.cancelled()).await;
                    }
                    writing.end.cancel();
                }
                Err(error) => {
                    // What the other end said before it went is the better reason.
                    if error.kind() != io::ErrorKind::TimedOut {
                        let _ = timeout(LAST_WORDS, writing.end.cancelled()).await;
                    }
                    writing.fail(network(&error));
                }
            }
        });
        let sender = Sender { urgent, bulky };
        Self {
            sender,
            incoming,
            writer,
        }
    }
}

struct Writer {
    stream: WriteHalf<Box<dyn Duplex>>,
    state: Arc<State>,
    urgent: mpsc::Receiver<Outgoing>,
    bulky: mpsc::Receiver<Outgoing>,
}

/// What the writer finds in its queues.
enum Next {
    Frame(Outgoing),
    Nothing,
    Closed,
}

impl Writer {
    async fn run(&mut self) -> io::Result<()> {
        let mut gathered = BytesMut::with_capacity(GATHER);
        loop {
            let next = match self.ready() {
                Next::Nothing => {
                    self.write(&mut gathered).await?;
                    within(SILENCE, self.stream.flush()).await?;
                    match timeout(KEEP_ALIVE, self.wait()).await {
                        Ok(Some(next)) => Next::Frame(next),
                        Ok(None) => Next::Closed,
                        Err(_) => {
                            within(SILENCE, self.stream.write_all(&[0; PREFIX])).await?;
                            continue;
                        }
                    }
                }
                next => next,
            };
            let Next::Frame(next) = next else {
                self.write(&mut gathered).await?;
                return within(CLOSING, self.stream.shutdown()).await;
            };
            let lengths = next.frame.lengths(next.decompressed).to_bytes();
            let prefix = lengths.ok_or(io::ErrorKind::InvalidData)?;
            gathered.extend_from_slice(&prefix);
            for part in std::iter::once(&next.frame.header).chain(&next.frame.payload) {
                self.gather(&mut gathered, part).await?;
            }
        }
    }

    /// The next frame, if one is there: an urgent one first.
    fn ready(&mut self) -> Next {
        use mpsc::error::TryRecvError::Disconnected;
        let urgent = match self.urgent.try_recv() {
            Ok(next) => return Next::Frame(next),
            Err(none) => none,
        };
        match self.bulky.try_recv() {
            Ok(next) => Next::Frame(next),
            // What is compressed comes after the urgent queue has closed.
            Err(Disconnected) if urgent == Disconnected => Next::Closed,
            Err(_) => Next::Nothing,
        }
    }

    async fn wait(&mut self) -> Option<Outgoing> {
        tokio::select! {
            biased;
            Some(next) = self.urgent.recv() => Some(next),
            Some(next) = self.bulky.recv() => Some(next),
            else => None,
        }
    }

    /// Puts `part` behind what is gathered; what is large is written as it is, without a copy.
    async fn gather(&mut self, gathered: &mut BytesMut, part: &Bytes) -> io::Result<()> {
        if gathered.len() + part.len() <= GATHER {
            gathered.extend_from_slice(part);
            return Ok(());
        }
        self.write(gathered).await?;
        if part.len() < GATHER {
            gathered.extend_from_slice(part);
            return Ok(());
        }
        self.write(&mut part.clone()).await
    }

    /// Writes `bytes` to their end; no step of it may take longer than [`SILENCE`].
    async fn write(&mut self, bytes: &mut impl Buf) -> io::Result<()> {
        while bytes.has_remaining() {
            if within(SILENCE, self.stream.write_buf(bytes)).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.state.mark(&self.state.moved);
        }
        Ok(())
    }
}

async fn within<T>(limit: Duration, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, step).await.unwrap_or_else(|_| {
        let what = format!("the other end has taken nothing for {} s", limit.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, what))
    })
}

#[cfg(test)]
mod tests;
