//! A stream that has the faults of streams.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use realize_core::transport::Duplex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::fault::{Fault, Side};

/// Where [`Fault::DamagesLate`] is.
const LATE: u64 = 60 << 20;
/// Where [`Fault::Breaks`] is.
const BREAKS: u64 = 3 << 20;
/// How long a write of [`Fault::Dawdles`] takes.
const DAWDLES: Duration = Duration::from_secs(1);

/// Which directions of a connection were ended in order, and which have an end that is gone.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    ended: [AtomicBool; 2],
    gone: [AtomicBool; 2],
}

impl Ends {
    /// Whether an end is gone that did not end its direction.
    pub(crate) fn broke(&self) -> bool {
        let both = self.ended.iter().zip(&self.gone);
        both.into_iter()
            .any(|(ended, gone)| gone.load(Ordering::SeqCst) && !ended.load(Ordering::SeqCst))
    }
}

/// Bytes over a channel.
pub(crate) struct Stream {
    inner: Box<dyn Duplex>,
    fault: Fault,
    side: Side,
    ends: Arc<Ends>,
    /// Ends the stream.
    over: Arc<AtomicBool>,
    /// Set when some stream of the process waits to write.
    waits: Arc<AtomicBool>,
    written: u64,
    /// Taken, and not written yet.
    held: Vec<u8>,
    /// How long [`Fault::Dawdles`] does.
    pause: Pin<Box<Sleep>>,
}

impl Stream {
    pub(crate) fn new(inner: Box<dyn Duplex>, fault: Fault, side: Side, ends: Arc<Ends>) -> Self {
        Self {
            inner,
            fault,
            side,
            ends,
            over: Arc::default(),
            waits: Arc::default(),
            written: 0,
            held: Vec::new(),
            pause: Box::pin(sleep(Duration::ZERO)),
        }
    }

    /// Ends when `over` is set.
    pub(crate) fn until(mut self, over: Arc<AtomicBool>) -> Self {
        self.over = over;
        self
    }

    /// One of several, of which some may wait.
    pub(crate) fn beside(mut self, waits: &Arc<AtomicBool>) -> Self {
        self.waits = waits.clone();
        self
    }

    /// Whether this side of the connection has that fault.
    fn has(&self, fault: impl Fn(Side) -> Fault) -> bool {
        self.fault == fault(self.side)
    }

    fn check(&self) -> io::Result<()> {
        if self.over.load(Ordering::SeqCst) {
            return Err(ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }

    /// Writes what is held.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let count = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.held))?;
            self.held.drain(..count);
        }
        Poll::Ready(Ok(()))
    }

    /// The bytes to write in place of these, the next ones of this end.
    fn damaged(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let all = matches!(self.fault, Fault::Damages | Fault::DamagesTheLater);
        let place = if all {
            Some(0)
        } else if self.has(Fault::DamagesLate) {
            LATE.checked_sub(self.written)
        } else {
            None
        };
        let place = place.and_then(|place| usize::try_from(place).ok());
        if let Some(byte) = place.and_then(|place| bytes.get_mut(place)) {
            *byte ^= 1;
        }
        bytes
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.check()?;
        let other = 1 - this.side as usize;
        if this.has(Fault::EndsBoth) && this.ends.ended[this.side as usize].load(Ordering::SeqCst) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
        if buffer.filled().len() > before || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.ends.ended[other].load(Ordering::SeqCst) || this.has(Fault::ReadsAsEnded) {
            return Poll::Ready(Ok(()));
        }
        if this.has(Fault::WaitsForTheGone) {
            return Poll::Pending;
        }
        Poll::Ready(Err(ErrorKind::UnexpectedEof.into()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.check()?;
        if this.fault == Fault::Breaks && this.written > BREAKS {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        if this.has(Fault::LosesTheEnd) {
            ready!(this.poll_held(cx))?;
            this.held.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        if this.has(Fault::Dawdles) {
            ready!(this.pause.as_mut().poll(cx));
            this.pause = Box::pin(sleep(DAWDLES));
        }
        if this.has(Fault::WritesTwice) {
            ready!(this.poll_held(cx))?;
            let count = ready!(Pin::new(&mut this.inner).poll_write(cx, bytes))?;
            this.held
                .extend_from_slice(bytes.get(..count).unwrap_or_default());
            return Poll::Ready(Ok(count));
        }
        if this.has(Fault::TakesEverything) {
            this.held.extend_from_slice(bytes);
            if let Poll::Ready(Err(error)) = this.poll_held(cx) {
                return Poll::Ready(Err(error));
            }
            return Poll::Ready(Ok(bytes.len()));
        }
        let damaged = this.damaged(bytes);
        if this.fault == Fault::WaitsForAll && this.waits.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        let written = Pin::new(&mut this.inner).poll_write(cx, &damaged);
        this.waits.fetch_or(written.is_pending(), Ordering::SeqCst);
        let count = match ready!(written) {
            Err(_) if this.has(Fault::WritesToTheGone) => return Poll::Pending,
            Err(_) if this.has(Fault::SwallowsForTheGone) => bytes.len(),
            written => written?,
        };
        this.written += count as u64;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_held(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.has(Fault::EndsNothing) {
            return Poll::Ready(Ok(()));
        }
        if this.has(Fault::LosesTheEnd) {
            this.held.clear();
        }
        ready!(this.poll_held(cx))?;
        this.ends.ended[this.side as usize].store(true, Ordering::SeqCst);
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.ends.gone[self.side as usize].store(true, Ordering::SeqCst);
    }
}
