//! What comes from the other end: frames, for as long as they are looked at, and after that nothing
//! but its end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use realize_core::buffers::Buffers;
use realize_core::error::{Error, ErrorKind, Result};
use realize_core::transport::Duplex;
use tokio::io::{AsyncRead, BufReader, ReadBuf, ReadHalf};
use tokio::sync::mpsc;
use tokio::time::Sleep;

use super::{Incoming, Preface, SILENCE, State};
use crate::budget::Budget;
use crate::compression::Compression;
use crate::frame::{Lengths, read_frame};
use crate::hello::network;

/// Bytes of frames, in order, until the other end closes.
pub(super) struct Reader {
    pub(super) stream: BufReader<Heard>,
    pub(super) budget: Option<Budget>,
    pub(super) buffers: Buffers,
    pub(super) compression: Option<Compression>,
    pub(super) preface: Option<Preface>,
    pub(super) arrived: mpsc::Sender<Incoming>,
}

impl Reader {
    pub(super) async fn run(&mut self, state: &State) -> Result<()> {
        let failed = |error: io::Error| network(&error);
        let may_be_compressed = self.compression.is_some();
        if let Some(preface) = self.preface.take() {
            preface(&mut self.stream).await?;
        }
        loop {
            let lengths = Lengths::read(&mut self.stream, may_be_compressed).await;
            let Some(lengths) = lengths.map_err(failed)? else {
                break;
            };
            if lengths.total() == 0 {
                continue;
            }
            let share = match &self.budget {
                Some(budget) => Some(state.hold_up(budget.take(lengths.in_memory())).await?),
                None => None,
            };
            self.stream.get_mut().within = true;
            let frame = read_frame(&mut self.stream, lengths, &self.buffers);
            let mut frame = frame.await.map_err(failed)?;
            self.stream.get_mut().within = false;
            state.mark(&state.moved);
            if let (Some(compression), Some(len)) = (&self.compression, lengths.decompressed) {
                frame = compression.decompress(frame, len).await.map_err(failed)?;
            }
            let arrived = self.arrived.send(Incoming { frame, share });
            if state.hold_up(arrived).await.is_err() {
                // Nobody looks at what comes any more: the connection is closing.
                return Ok(());
            }
        }
        state.closed.store(true, Ordering::Relaxed);
        let gone = Error::new(ErrorKind::Network, "the other end closed the connection");
        Err(gone)
    }

    /// Takes what still comes, and looks at none of it, to the end of the connection: a socket that is
    /// closed before all that came was taken loses what was last written to it.
    pub(super) async fn discard(self, state: &State) {
        let Self {
            mut stream,
            arrived,
            ..
        } = self;
        // Nobody is to wait for more.
        drop(arrived);
        let mut sink = tokio::io::sink();
        tokio::select! {
            () = state.end.cancelled() => {}
            _ = tokio::io::copy(&mut stream, &mut sink) => state.read_out.cancel(),
        }
    }
}

/// Bytes from the other end; when none come for [`SILENCE`], an error.
pub(super) struct Heard {
    stream: ReadHalf<Box<dyn Duplex>>,
    state: Arc<State>,
    /// Whether what comes belongs to a frame of something.
    within: bool,
    /// Set while a read waits for bytes: only then silence is the other end's.
    limit: Option<Pin<Box<Sleep>>>,
}

impl Heard {
    pub(super) fn new(stream: ReadHalf<Box<dyn Duplex>>, state: Arc<State>) -> Self {
        Self {
            stream,
            state,
            within: false,
            limit: None,
        }
    }
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if read.is_ready() {
            this.limit = None;
            this.state.mark(&this.state.heard);
            if this.within {
                this.state.mark(&this.state.moved);
            }
            return read;
        }
        let limit = this
            .limit
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(SILENCE)));
        ready!(limit.as_mut().poll(cx));
        let what = format!("nothing was heard for {} s", SILENCE.as_secs());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, what)))
    }
}
