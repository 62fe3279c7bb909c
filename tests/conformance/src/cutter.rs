//! A transport whose connections are cut after so many bytes.

use std::io::{self, ErrorKind};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use realize_core::transport::{
    Connection, Duplex, Endpoint, Listener, PeerId, Transport, TransportError,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Whose bytes are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Dialler,
    Listener,
}

/// After how many bytes of one end, over all connections together, all are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) from: From,
    pub(crate) after: u64,
}

/// The connections from one setting to the next.
#[derive(Debug)]
struct Line {
    cut: Option<Cut>,
    passed: [AtomicU64; 2],
    happened: CancellationToken,
}

impl Line {
    fn new(cut: Option<Cut>) -> Arc<Self> {
        Arc::new(Self {
            cut,
            passed: Default::default(),
            happened: CancellationToken::new(),
        })
    }

    fn counter(&self, from: From) -> &AtomicU64 {
        let [dialler, listener] = &self.passed;
        match from {
            From::Dialler => dialler,
            From::Listener => listener,
        }
    }

    /// How many of `wanted` bytes may pass before the cut.
    fn allows(&self, from: From, wanted: usize) -> usize {
        let Some(cut) = self.cut.filter(|cut| cut.from == from) else {
            return wanted;
        };
        let passed = self.counter(from).load(Ordering::SeqCst);
        let left = cut.after.saturating_sub(passed);
        usize::try_from(left).map_or(wanted, |left| left.min(wanted))
    }

    fn pass(&self, from: From, count: usize) {
        self.counter(from).fetch_add(count as u64, Ordering::SeqCst);
    }
}

/// Dials as another transport does.
#[derive(Debug)]
pub(crate) struct Cutter {
    inner: Arc<dyn Transport>,
    line: Mutex<Arc<Line>>,
}

impl Cutter {
    /// One that cuts nothing yet.
    pub(crate) fn new(inner: Arc<dyn Transport>) -> Self {
        Self {
            inner,
            line: Mutex::new(Line::new(None)),
        }
    }

    fn line(&self) -> Arc<Line> {
        self.line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What is to happen from now on, once. Until the next setting nobody is reached after it.
    pub(crate) fn set(&self, cut: Option<Cut>) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = Line::new(cut);
    }

    /// Whether it has happened.
    pub(crate) fn happened(&self) -> bool {
        self.line().happened.is_cancelled()
    }

    /// How many bytes of the dialler, and of the listener, have passed since the last setting.
    pub(crate) fn passed(&self) -> [u64; 2] {
        let line = self.line();
        [From::Dialler, From::Listener].map(|from| line.counter(from).load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Transport for Cutter {
    async fn dial(
        &self,
        endpoint: &Endpoint,
        expected: &PeerId,
    ) -> Result<Connection, TransportError> {
        let line = self.line();
        if line.happened.is_cancelled() {
            let cut = io::Error::new(ErrorKind::NetworkDown, "the line is cut");
            return Err(TransportError::unreachable(endpoint, cut));
        }
        let dialled = self.inner.dial(endpoint, expected).await?;
        let stream = CutStream {
            inner: Some(dialled.stream),
            cut: Box::pin(line.happened.clone().cancelled_owned()),
            line,
        };
        Ok(Connection::new(dialled.peer, dialled.address, stream))
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        self.inner.listen(endpoint).await
    }

    fn lanes(&self, delay: Duration) -> NonZeroUsize {
        self.inner.lanes(delay)
    }
}

/// The stream of one that dialled; it is dropped with the cut.
struct CutStream {
    inner: Option<Box<dyn Duplex>>,
    line: Arc<Line>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl CutStream {
    /// The stream, if it is not cut.
    fn stream(&mut self, cx: &mut Context<'_>) -> io::Result<&mut Box<dyn Duplex>> {
        // Also has whoever waits woken by the cut of another connection.
        if self.cut.as_mut().poll(cx).is_ready() {
            self.inner = None;
        }
        self.inner
            .as_mut()
            .ok_or_else(|| ErrorKind::ConnectionReset.into())
    }

    /// How many of `wanted` bytes may pass; with the last one before the cut, it happens.
    fn allowed(&mut self, from: From, wanted: usize) -> io::Result<usize> {
        let allowed = self.line.allows(from, wanted);
        if allowed == 0 && wanted > 0 {
            self.line.happened.cancel();
            self.inner = None;
            return Err(ErrorKind::ConnectionReset.into());
        }
        Ok(allowed)
    }
}

impl AsyncRead for CutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let allowed = self.allowed(From::Listener, buffer.remaining())?;
        let stream = self.stream(cx)?;
        let mut part = buffer.take(allowed);
        ready!(Pin::new(stream).poll_read(cx, &mut part))?;
        let read = part.filled().to_vec();
        buffer.put_slice(&read);
        self.line.pass(From::Listener, read.len());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for CutStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let allowed = self.allowed(From::Dialler, bytes.len())?;
        let part = bytes.get(..allowed).unwrap_or(bytes);
        let written = ready!(Pin::new(self.stream(cx)?).poll_write(cx, part))?;
        self.line.pass(From::Dialler, written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream(cx)?).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream(cx)?).poll_shutdown(cx)
    }
}
