//! The stream of a connection: TLS over a socket, whose end and whose errors can be relied on.
//!
//! A stream that was not ended by the other end, with TLS's close_notify, never reads as ended: it
//! fails, and goes on failing. And whoever dialled learns from it that the other end refused the key
//! of this machine: in TLS 1.3 that is known only after the handshake, by what comes first, or by a
//! write that fails.

use std::io::{self, ErrorKind, IoSlice, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use realize_tls::{PublicKey, refused_by_peer, tls_error};
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use crate::fault::not_known_there;

/// How often a socket is read from, at most, to find out why it cannot be written to.
const LAST_READS: usize = 64;

/// A connection's bytes.
#[derive(Debug)]
pub(crate) struct SecureStream {
    tls: TlsStream<TcpStream>,
    /// The key that this end has shown, until the other end shows that it took it. `None` at the
    /// end that listens: there the handshake does not end before the client took the key.
    shown: Option<PublicKey>,
    /// Why nothing can be read any more.
    broken: Option<Broken>,
    /// Whether this end has ended its direction.
    ended: bool,
}

/// In what way a stream broke.
#[derive(Clone, Copy, Debug)]
enum Broken {
    /// The other end does not know this key.
    Refused(PublicKey),
    /// In another way.
    Else(ErrorKind),
}

/// Why a stream cannot be read or written.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error("{}", not_known_there(.key))]
    Refused {
        key: PublicKey,
        #[source]
        source: Option<rustls::Error>,
    },
    #[error(
        "the other end closed the connection before it answered; does it know this machine's key, \
         {key}?"
    )]
    Unanswered {
        key: PublicKey,
        #[source]
        source: io::Error,
    },
    #[error("the other end is gone, and did not end the stream")]
    Truncated,
    #[error("what came was damaged on the way")]
    Damaged(#[source] rustls::Error),
    #[error("the connection broke before")]
    Again,
    #[error("this end has ended the stream")]
    Ended,
}

impl SecureStream {
    /// The stream of the end that dialled, with the key that it has shown.
    pub(crate) fn dialled(tls: TlsStream<TcpStream>, shown: PublicKey) -> Self {
        Self {
            shown: Some(shown),
            ..Self::accepted(tls)
        }
    }

    /// The stream of the end that listened.
    pub(crate) fn accepted(tls: TlsStream<TcpStream>) -> Self {
        Self {
            tls,
            shown: None,
            broken: None,
            ended: false,
        }
    }

    fn check(&self) -> io::Result<()> {
        match self.broken {
            None => Ok(()),
            Some(Broken::Refused(key)) => Err(refused(key, None)),
            Some(Broken::Else(kind)) => Err(io::Error::new(kind, StreamError::Again)),
        }
    }

    fn check_write(&self) -> io::Result<()> {
        self.check()?;
        if self.ended {
            return Err(io::Error::new(ErrorKind::BrokenPipe, StreamError::Ended));
        }
        Ok(())
    }

    /// What `error`, of a read, is to those who read. The stream is broken from then on.
    fn read_failed(&mut self, error: io::Error) -> io::Error {
        if let Some(key) = self.shown
            && let Some(tls) = tls_error(&error)
            && refused_by_peer(tls)
        {
            self.broken = Some(Broken::Refused(key));
            return refused(key, Some(tls.clone()));
        }
        if let Some(tls) = tls_error(&error) {
            // Both ends know TLS: what breaks its rules, here or there, was changed between them.
            let damaged = ErrorKind::ConnectionAborted;
            self.broken = Some(Broken::Else(damaged));
            return io::Error::new(damaged, StreamError::Damaged(tls.clone()));
        }
        let kind = error.kind();
        self.broken = Some(Broken::Else(kind));
        let error = match kind {
            // The text of rustls is for those who program with it.
            ErrorKind::UnexpectedEof => io::Error::new(kind, StreamError::Truncated),
            _ => error,
        };
        self.unanswered(error)
    }

    /// What `error`, of a write, is to those who write. What has arrived can still be read.
    fn write_failed(&mut self, error: io::Error) -> io::Error {
        if let Some(key) = self.shown
            && is_closed(error.kind())
            && let Some(tls) = self.find_refusal()
        {
            self.broken = Some(Broken::Refused(key));
            return refused(key, Some(tls));
        }
        self.unanswered(error)
    }

    /// `error`, with a guess at its reason where the other end has not said a word.
    fn unanswered(&self, error: io::Error) -> io::Error {
        match self.shown {
            Some(key) if is_closed(error.kind()) => {
                let source = error;
                io::Error::new(source.kind(), StreamError::Unanswered { key, source })
            }
            _ => error,
        }
    }

    /// The refusal that came before the other end closed the connection, if one did. This is asked
    /// while somebody writes, and must not take the place of whoever waits to read: it goes past the
    /// runtime, and waits for nothing.
    fn find_refusal(&mut self) -> Option<rustls::Error> {
        let TlsStream::Client(tls) = &mut self.tls else {
            return None;
        };
        let (socket, session) = tls.get_mut();
        for _ in 0..LAST_READS {
            if !session.wants_read() {
                break;
            }
            if !session.read_tls(&mut Arrived(socket)).is_ok_and(|n| n > 0) {
                break;
            }
            if let Err(error) = session.process_new_packets() {
                return refused_by_peer(&error).then_some(error);
            }
        }
        None
    }

    fn written<T>(&mut self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        result.map_err(|error| self.write_failed(error))
    }
}

fn refused(key: PublicKey, source: Option<rustls::Error>) -> io::Error {
    let error = StreamError::Refused { key, source };
    io::Error::new(ErrorKind::PermissionDenied, error)
}

/// Whether an error of this kind says that the other end closed the connection.
fn is_closed(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
    )
}

/// What has arrived at a socket.
struct Arrived<'a>(&'a TcpStream);

impl Read for Arrived<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (_, count) = rustix::net::recv(self.0, buffer, RecvFlags::DONTWAIT)?;
        Ok(count)
    }
}

impl AsyncRead for SecureStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        this.check()?;
        let result = std::task::ready!(Pin::new(&mut this.tls).poll_read(cx, buffer));
        Poll::Ready(match result {
            Ok(()) => {
                // Bytes, or the end, under the keys of a handshake that the other end finished.
                this.shown = None;
                Ok(())
            }
            Err(error) => Err(this.read_failed(error)),
        })
    }
}

impl AsyncWrite for SecureStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_write()?;
        let result = Pin::new(&mut this.tls).poll_write(cx, bytes);
        this.written(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_write()?;
        let result = Pin::new(&mut this.tls).poll_write_vectored(cx, bytes);
        this.written(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        let result = Pin::new(&mut this.tls).poll_flush(cx);
        this.written(result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        this.ended = true;
        let result = Pin::new(&mut this.tls).poll_shutdown(cx);
        this.written(result)
    }
}
