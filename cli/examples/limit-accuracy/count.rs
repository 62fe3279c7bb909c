//! Counting bytes, each with the time at which it passed.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What has passed since a start, in order.
pub(crate) struct Count {
    start: Instant,
    passed: Mutex<Vec<(Duration, u64)>>,
}

/// What a count comes to.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    /// Bytes a second, over the whole time.
    pub(crate) average: f64,
    /// The longest time in which nothing passed.
    pub(crate) silence: Duration,
    /// The most bytes in any second.
    pub(crate) second: u64,
    /// The most bytes in any 100 ms.
    pub(crate) tenth: u64,
}

impl Count {
    pub(crate) fn new(start: Instant) -> Arc<Self> {
        Arc::new(Self {
            start,
            passed: Mutex::default(),
        })
    }

    fn passed(&self) -> MutexGuard<'_, Vec<(Duration, u64)>> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn clear(&self) {
        self.passed().clear();
    }

    pub(crate) fn add(&self, bytes: usize) {
        // The time is taken within the lock, so that it never goes back.
        let mut passed = self.passed();
        passed.push((
            self.start.elapsed(),
            u64::try_from(bytes).unwrap_or(u64::MAX),
        ));
    }

    /// What has passed in `time`, the whole of which counts.
    pub(crate) fn measured(&self, time: Duration) -> Measured {
        let passed = self.passed();
        Measured {
            average: total(&passed) as f64 / time.as_secs_f64(),
            silence: silence(&passed),
            second: fullest(&passed, Duration::from_secs(1)),
            tenth: fullest(&passed, Duration::from_millis(100)),
        }
    }

    /// The same, where the time is that from the first byte to the last.
    pub(crate) fn measured_from_first_to_last(&self) -> Measured {
        let ends = {
            let passed = self.passed();
            passed.first().zip(passed.last()).map(|(a, b)| b.0 - a.0)
        };
        self.measured(ends.unwrap_or_default())
    }

    /// How many bytes have passed.
    pub(crate) fn total(&self) -> u64 {
        total(&self.passed())
    }
}

fn total(passed: &[(Duration, u64)]) -> u64 {
    passed.iter().map(|(_, bytes)| bytes).sum()
}

/// The longest time between two that passed.
fn silence(passed: &[(Duration, u64)]) -> Duration {
    let pairs = passed.iter().zip(passed.iter().skip(1));
    let times = pairs.map(|((before, _), (after, _))| *after - *before);
    times.max().unwrap_or_default()
}

/// The most bytes in any stretch of `length`.
fn fullest(passed: &[(Duration, u64)], length: Duration) -> u64 {
    let (mut most, mut sum) = (0, 0);
    let mut first = passed.iter().peekable();
    for (at, bytes) in passed {
        sum += bytes;
        while let Some((_, gone)) = first.next_if(|(begin, _)| *at - *begin >= length) {
            sum -= gone;
        }
        most = most.max(sum);
    }
    most
}

/// Counts what is written to a stream when the stream has taken it.
pub(crate) struct Counted<S> {
    inner: S,
    count: Arc<Count>,
}

impl<S> Counted<S> {
    pub(crate) fn new(inner: S, count: Arc<Count>) -> Self {
        Self { inner, count }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, buffer))?;
        self.count.add(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}
