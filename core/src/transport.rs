//! What carries a move between machines: a duplex byte stream, and who is behind it.
//!
//! A transport knows nothing of files, services or limits: it connects two ends and proves who they
//! are. What speaks over the stream, and how fast, is decided above it. Parallelism is more
//! connections: a transport that can carry several streams over one (as QUIC can) pools them itself.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::path::Escaped;

/// The longest [`PeerId`] and [`Endpoint`], in bytes.
pub const MAX_ADDRESS_LEN: usize = 512;

/// Where a question and its answer take as long as this, a peer is far: more is to be on its way at once,
/// and over a transport that has to wait for what was lost, over more connections.
pub const FAR: Duration = Duration::from_millis(5);

/// Who is at the other end, as a text with a scheme: `ed25519:BASE64`, `unix:uid=1000`, `local:`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(String);

/// Where to dial or to listen, in the words of one transport: `cam.lan:9771`, a path, a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint(String);

/// A text that is no [`PeerId`] or no [`Endpoint`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Empty, longer than [`MAX_ADDRESS_LEN`], or with control characters.
    #[error("{0} is empty, longer than {MAX_ADDRESS_LEN} bytes, or has control characters")]
    Text(&'static str),
    /// A peer's identity without `scheme:`, in lower-case letters and digits.
    #[error("a peer's identity starts with a scheme, such as ed25519:")]
    Scheme,
}

fn plain(text: &str, what: &'static str) -> Result<(), InvalidAddress> {
    let fits = !text.is_empty() && text.len() <= MAX_ADDRESS_LEN;
    if fits && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(InvalidAddress::Text(what))
    }
}

impl PeerId {
    /// The identity written as `text`.
    ///
    /// # Errors
    /// [`InvalidAddress`] if it has no scheme, or the text is not a plain one.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidAddress> {
        let text = text.into();
        plain(&text, "the peer's identity")?;
        let (scheme, _) = text.split_once(':').ok_or(InvalidAddress::Scheme)?;
        let named = scheme.starts_with(|c: char| c.is_ascii_lowercase());
        if named
            && scheme
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        {
            Ok(Self(text))
        } else {
            Err(InvalidAddress::Scheme)
        }
    }

    /// This process itself: `local:`.
    pub fn local() -> Self {
        Self("local:".to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Endpoint {
    /// The endpoint written as `text`; what it means is the transport's.
    ///
    /// # Errors
    /// [`InvalidAddress`] if it is not a plain text.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidAddress> {
        let text = text.into();
        plain(&text, "the address")?;
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(self.0.as_bytes()).fmt(f)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(self.0.as_bytes()).fmt(f)
    }
}

/// A duplex stream of bytes. `poll_flush` hands everything written to the network; `poll_shutdown`
/// does so too and then ends this direction: the other end reads to the end of the stream, and may
/// still write.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection: authenticated, and ready to carry bytes.
pub struct Connection {
    /// Who is at the other end, as the handshake proved it.
    pub peer: PeerId,
    /// Where the other end is, for logs.
    pub address: String,
    /// How long the way there and back took, where the transport saw that while it connected.
    pub delay: Option<Duration>,
    /// The bytes.
    pub stream: Box<dyn Duplex>,
}

impl Connection {
    /// A connection to `peer`, who is at `address`.
    pub fn new(peer: PeerId, address: impl fmt::Display, stream: impl Duplex + 'static) -> Self {
        Self {
            peer,
            address: address.to_string(),
            delay: None,
            stream: Box::new(stream),
        }
    }

    /// The same, with what the way there and back took.
    #[must_use]
    pub fn with_delay(self, delay: Duration) -> Self {
        Self {
            delay: Some(delay),
            ..self
        }
    }

    /// The connection, if it is to `expected`.
    ///
    /// # Errors
    /// [`TransportError::Identity`].
    pub fn expect(self, expected: &PeerId) -> Result<Self, TransportError> {
        if self.peer == *expected {
            return Ok(self);
        }
        let what = format!("expected {expected}, found {}", self.peer);
        Err(TransportError::Identity {
            address: self.address,
            peer: Some(self.peer),
            what,
        })
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("address", &self.address)
            .finish()
    }
}

/// The rest of making an accepted connection: proving who is there. It may take as long as the
/// other end likes, so it runs beside the accepting, and whoever runs it sets a deadline.
pub type Handshake = BoxFuture<'static, Result<Connection, TransportError>>;

/// A way to connect two ends.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Connects to `endpoint`, where `expected` must be. Cancel safe: a dropped future leaves no
    /// connection. It may wait as long as the other end likes: whoever dials sets a deadline. The
    /// other end may not have accepted yet when it returns. Errors: [`TransportError::Identity`] if
    /// somebody else is there, before one byte of the caller's has been sent.
    async fn dial(
        &self,
        endpoint: &Endpoint,
        expected: &PeerId,
    ) -> Result<Connection, TransportError>;

    /// Listens at `endpoint`. Whoever listens keeps the transport as long as the listener. Errors:
    /// [`TransportError::Address`] if that cannot be had.
    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError>;

    /// How many connections to one peer are worth having at once, where a question and its answer take
    /// `delay` in all; the caller bounds it.
    fn lanes(&self, _delay: Duration) -> NonZeroUsize {
        NonZeroUsize::MIN
    }
}

/// Accepts connections until it is dropped, which frees its address.
#[async_trait]
pub trait Listener: Send + fmt::Debug {
    /// Where it listens in fact: with the port that the system chose, where it was asked to.
    fn endpoint(&self) -> Endpoint;

    /// The next connection, not yet authenticated. Cancel safe: no connection is lost when the
    /// future is dropped. An error is of one connection, and accepting goes on, unless it is
    /// [`TransportError::Closed`].
    async fn accept(&mut self) -> Result<Handshake, TransportError>;
}

/// What can go wrong in a transport.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The endpoint is none of this transport, does not resolve, or cannot be listened at.
    #[error("{endpoint}: {what}")]
    Address {
        /// Which endpoint.
        endpoint: Endpoint,
        /// What is wrong with it.
        what: String,
        /// Why.
        #[source]
        source: Option<std::io::Error>,
    },
    /// Nobody answers there.
    #[error("{endpoint}: cannot be reached")]
    Unreachable {
        /// Which endpoint.
        endpoint: Endpoint,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Somebody else than expected is there, or nobody that is known.
    #[error("{address}: {what}")]
    Identity {
        /// Where.
        address: String,
        /// Who is there, as far as they have shown it. It need not have been proved.
        peer: Option<PeerId>,
        /// Who was expected, and who is there.
        what: String,
    },
    /// Whoever came to a listener did not get through the handshake, for another reason than who
    /// they are.
    #[error("{address}")]
    Handshake {
        /// Where they are.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] std::io::Error),
    /// The listener or the transport has been shut down.
    #[error("the transport is shut down")]
    Closed,
}

impl TransportError {
    /// Nobody answers at `endpoint`.
    pub fn unreachable(endpoint: &Endpoint, source: std::io::Error) -> Self {
        Self::Unreachable {
            endpoint: endpoint.clone(),
            source,
        }
    }

    /// `endpoint` cannot be used, and `what` says for what.
    pub fn address(endpoint: &Endpoint, what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Address {
            endpoint: endpoint.clone(),
            what: what.into(),
            source: Some(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ed25519:AAAA", true)]
    #[case("unix:uid=1000", true)]
    #[case("local:", true)]
    #[case("nobody", false)]
    #[case(":x", false)]
    #[case("2x:y", false)]
    #[case("Ed:x", false)]
    #[case("ed:x\n", false)]
    #[case("", false)]
    fn identities(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(PeerId::new(text).is_ok(), valid);
    }

    #[test]
    fn addresses_are_bounded() {
        assert!(Endpoint::new("x".repeat(MAX_ADDRESS_LEN)).is_ok());
        assert!(Endpoint::new("x".repeat(MAX_ADDRESS_LEN + 1)).is_err());
    }
}
