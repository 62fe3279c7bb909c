//! One stream, as whoever reads and writes it has it.
//!
//! QUIC by itself ends a stream whose writer was dropped, so that half a file would read as a whole
//! one: here a stream that is dropped before it was ended is given up. And it ends a stream at
//! once, whatever has arrived of it: here its end waits until the other end has acknowledged all.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use quinn::{ReadError, RecvStream, SendStream, StoppedError, VarInt, WriteError};
use realize_tls::PublicKey;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::fault::{GIVEN_UP, StreamFault, is_done};

type Acknowledged = BoxFuture<'static, Result<Option<VarInt>, StoppedError>>;

/// A stream, and what keeps its connection.
pub(crate) struct QuicStream<K> {
    send: SendStream,
    receive: RecvStream,
    ending: Ending,
    /// Whether the other end gave its direction up. QUIC says so once, and then that it has ended.
    given_up: bool,
    /// The public key of this machine, until the other end has said a word: it may not know it.
    ours: Option<PublicKey>,
    _keeper: K,
}

/// How far this direction has ended.
enum Ending {
    Open,
    Waiting(Acknowledged),
    Ended,
}

impl<K> QuicStream<K> {
    /// The stream of the end that dialled as the machine with the key `ours`, or of the one that
    /// listened, which has nothing to learn of that.
    pub(crate) fn new(
        (send, receive): (SendStream, RecvStream),
        ours: Option<PublicKey>,
        keeper: K,
    ) -> Self {
        Self {
            send,
            receive,
            ending: Ending::Open,
            given_up: false,
            ours,
            _keeper: keeper,
        }
    }
}

impl<K: Unpin> AsyncRead for QuicStream<K> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.given_up {
            return Poll::Ready(Err(StreamFault::GivenUp.into()));
        }
        Poll::Ready(match ready!(this.receive.poll_read_buf(cx, buffer)) {
            Ok(()) => {
                this.ours = None;
                Ok(())
            }
            Err(ReadError::Reset(_)) => {
                this.given_up = true;
                Err(StreamFault::GivenUp.into())
            }
            Err(ReadError::ConnectionLost(error)) => Err(StreamFault::of(error, this.ours)),
            Err(error) => Err(error.into()),
        })
    }
}

impl<K: Unpin> AsyncWrite for QuicStream<K> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !matches!(this.ending, Ending::Open) {
            return Poll::Ready(Err(StreamFault::Ended.into()));
        }
        let written = ready!(Pin::new(&mut this.send).poll_write(cx, bytes));
        Poll::Ready(written.map_err(|error| match error {
            WriteError::Stopped(_) => StreamFault::NotRead.into(),
            WriteError::ConnectionLost(error) => StreamFault::of(error, this.ours),
            error => error.into(),
        }))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's own task sends what was written.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.ending, Ending::Open) {
            if this.send.finish().is_err() {
                this.ending = Ending::Ended;
                return Poll::Ready(Err(StreamFault::NotRead.into()));
            }
            this.ending = Ending::Waiting(Box::pin(this.send.stopped()));
        }
        let Ending::Waiting(acknowledged) = &mut this.ending else {
            return Poll::Ready(Ok(()));
        };
        let acknowledged = ready!(acknowledged.as_mut().poll(cx));
        this.ending = Ending::Ended;
        Poll::Ready(match acknowledged {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(StreamFault::NotRead.into()),
            // It went in order, and wanted no more.
            Err(StoppedError::ConnectionLost(error)) if is_done(&error) => Ok(()),
            Err(StoppedError::ConnectionLost(error)) => Err(StreamFault::of(error, this.ours)),
            Err(error) => Err(error.into()),
        })
    }
}

impl<K> Drop for QuicStream<K> {
    fn drop(&mut self) {
        if !matches!(self.ending, Ending::Ended) {
            // Fails where there is nothing to give up any more.
            let _ = self.send.reset(GIVEN_UP);
        }
    }
}
