//! A stream that is held to throttles.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::gate::{Gate, Throttles};

/// How many buffers of a vectored write are looked at, while a limit is in force.
const BUFFERS: usize = 16;

/// A stream whose writes wait until each of its [`Throttles`] has granted them. While none of them
/// has a limit, everything goes to the stream within as it comes.
///
/// Reads pass too, unless they are paced: then what was read is owed, and the next read waits until
/// it has been granted. That holds back a peer that sends faster than it was told to.
///
/// Writes and reads are cut into slices while there is a limit. What was granted for a write and not
/// taken by the stream within is kept for the next one.
#[derive(Debug)]
pub struct RateLimitStream<S> {
    inner: S,
    writes: Gate,
    reads: Gate,
    /// Bytes that were read and not granted yet.
    owed: usize,
}

impl<S> RateLimitStream<S> {
    /// `inner`, its writes held to `writes`.
    pub fn new(inner: S, writes: Throttles) -> Self {
        Self {
            inner,
            writes: Gate::new(writes),
            reads: Gate::new(Throttles::default()),
            owed: 0,
        }
    }

    /// The same, its reads paced by `reads`. Unlike writes they are counted when they have happened.
    #[must_use]
    pub fn pace_reads(mut self, reads: Throttles) -> Self {
        self.reads = Gate::new(reads);
        self
    }

    /// The stream within.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Waits until what was read has been granted.
    fn poll_settled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.owed > 0 {
            let granted = ready!(self.reads.poll_grant(context, self.owed));
            let granted = granted.unwrap_or(self.owed);
            self.reads.pass(granted);
            self.owed = self.owed.saturating_sub(granted);
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RateLimitStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_settled(context));
        let inner = Pin::new(&mut this.inner);
        let Some(slice) = this.reads.slice() else {
            return inner.poll_read(context, buffer);
        };
        let most = usize::try_from(slice).map_or(buffer.remaining(), |s| s.min(buffer.remaining()));
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(inner.poll_read(context, &mut part))?;
        let read = part.filled().len();
        buffer.advance(read);
        this.owed = read;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RateLimitStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let granted = ready!(this.writes.poll_grant(context, buffer.len()));
        let inner = Pin::new(&mut this.inner);
        let Some(granted) = granted else {
            return inner.poll_write(context, buffer);
        };
        let part = buffer.get(..granted).unwrap_or(buffer);
        let written = ready!(inner.poll_write(context, part))?;
        this.writes.pass(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let length = buffers
            .iter()
            .fold(0usize, |sum, buffer| sum.saturating_add(buffer.len()));
        let granted = ready!(this.writes.poll_grant(context, length));
        let inner = Pin::new(&mut this.inner);
        let Some(granted) = granted else {
            return inner.poll_write_vectored(context, buffers);
        };
        let mut parts = [IoSlice::new(&[]); BUFFERS];
        let parts = first(buffers, granted, &mut parts);
        let written = ready!(inner.poll_write_vectored(context, parts))?;
        this.writes.pass(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

/// The first `bytes` of `buffers`, or as many of them as fit into `parts`. Empty ones are left out.
fn first<'a, 'b>(
    buffers: &'a [IoSlice<'_>],
    bytes: usize,
    parts: &'b mut [IoSlice<'a>],
) -> &'b [IoSlice<'a>] {
    let mut left = bytes;
    let mut used = 0;
    let filled = buffers.iter().filter(|buffer| !buffer.is_empty());
    for (part, buffer) in parts.iter_mut().zip(filled) {
        if left == 0 {
            break;
        }
        let taken = buffer.get(..left).unwrap_or(buffer);
        *part = IoSlice::new(taken);
        left -= taken.len();
        used += 1;
    }
    parts.get(..used).unwrap_or(&[])
}
