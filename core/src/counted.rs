//! Counting the bytes of a stream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes went each way. Clones share the counts, so that several streams may have the same
/// ones, and somebody else may look at them.
#[derive(Clone, Debug, Default)]
pub struct ByteCounts(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
}

impl ByteCounts {
    /// How many bytes were written so far.
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// How many bytes were read so far.
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }
}

/// A stream whose bytes are counted as the stream within takes and gives them: an addition for each
/// read and each write.
#[derive(Debug)]
pub struct Counted<S> {
    inner: S,
    counts: ByteCounts,
}

impl<S> Counted<S> {
    /// `inner`, its bytes added to `counts`.
    pub fn new(inner: S, counts: ByteCounts) -> Self {
        Self { inner, counts }
    }

    fn written(&self, result: io::Result<usize>) -> io::Result<usize> {
        if let Ok(count) = result {
            self.counts
                .0
                .sent
                .fetch_add(count as u64, Ordering::Relaxed);
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        let count = buffer.filled().len().saturating_sub(before);
        let received = &this.counts.0.received;
        received.fetch_add(count as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = ready!(Pin::new(&mut this.inner).poll_write(context, bytes));
        Poll::Ready(this.written(result))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = ready!(Pin::new(&mut this.inner).poll_write_vectored(context, buffers));
        Poll::Ready(this.written(result))
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A stream that takes at most five bytes of all buffers of a write, and says that it likes
    /// several.
    struct Narrow(Vec<u8>);

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = &bytes[..bytes.len().min(5)];
            self.0.extend_from_slice(taken);
            Poll::Ready(Ok(taken.len()))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffers: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = buffers.iter().flat_map(|b| b.to_vec()).collect();
            self.poll_write(context, &all)
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
        }
    }

    #[tokio::test]
    async fn what_passes_is_counted_each_way_over_all_who_share_the_counts() {
        let counts = ByteCounts::default();
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Counted::new(near, counts.clone());
        near.write_all(b"to the other end").await.unwrap();
        far.write_all(b"and back").await.unwrap();
        let mut heard = [0; 8];
        near.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"and back");
        assert_eq!((counts.sent(), counts.received()), (16, 8));

        drop(far);
        assert_eq!(near.read(&mut heard).await.unwrap(), 0);
        near.write_all(b"nobody").await.unwrap_err();
        assert_eq!((counts.sent(), counts.received()), (16, 8));

        let mut again = Counted::new(Narrow(Vec::new()), counts.clone());
        again.write_all(b"123").await.unwrap();
        assert_eq!(counts.sent(), 19);
    }

    #[tokio::test]
    async fn of_several_buffers_what_was_taken_is_counted() {
        let counts = ByteCounts::default();
        let mut stream = Counted::new(Narrow(Vec::new()), counts.clone());
        assert!(stream.is_write_vectored());
        let buffers = [IoSlice::new(b"abc"), IoSlice::new(b"defg")];
        let taken = poll_fn(|cx| Pin::new(&mut stream).poll_write_vectored(cx, &buffers));
        assert_eq!(taken.await.unwrap(), 5);
        assert_eq!(
            (stream.inner.0.as_slice(), counts.sent()),
            (&b"abcde"[..], 5)
        );
    }

    #[tokio::test]
    async fn the_end_of_a_stream_is_that_of_the_one_within() {
        let mut stream = Counted::new(Narrow(Vec::new()), ByteCounts::default());
        stream.flush().await.unwrap();
        let ended = stream.shutdown().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::NotConnected);
    }
}
