//! Dialling.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use quinn::{ConnectionError, RecvStream, SendStream, TokioRuntime, TransportConfig, WriteError};
use realize_core::known_peers::KnownPeers;
use realize_core::transport::{
    Connection, Endpoint, FAR, Listener, PeerId, Transport, TransportError,
};
use realize_tls::{HostPort, Pending, PrivateKey, PublicKey, canonical, first_of};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::config::QuicOptions;
use crate::fault::{StreamFault, dialling};
use crate::limits::{HANDSHAKE_TIMEOUT, KNOCK, RESOLVE_TIMEOUT};
use crate::listener::QuicListener;
use crate::pool::Pool;
use crate::stream::QuicStream;
use crate::{settings, socket};

/// The first byte of a stream, by which the other end learns of it before anything is sent.
pub(crate) const OPENING: u8 = b'1';

/// Connects machines over QUIC, as the machine whose key it has.
///
/// An endpoint is `HOST:PORT`, where HOST is a name, an IPv4 address, or an IPv6 address in
/// brackets. Dialling looks the name up and tries its addresses in turn, each for
/// [`HANDSHAKE_TIMEOUT`]. Nobody there, no such name and no QUIC there are
/// [`TransportError::Unreachable`]: waiting may mend them.
///
/// What is dialled is a stream over one of a few connections, which stand for as long as they have
/// streams. They survive a change of this machine's address.
///
/// Who listens refuses those who are not in the [`KnownPeers`] at that moment. Whoever dialled learns
/// that from the stream, not from dialling: its first read, or a write, fails with
/// [`ErrorKind::PermissionDenied`] and names the public key of this machine.
///
/// A stream that the other end did not end is an error when it is read, and never reads as ended.
/// Its shutdown ends when the other end has acknowledged every byte. Dropping one before gives up
/// what has not arrived.
#[derive(Clone)]
pub struct QuicTransport {
    pub(crate) key: PrivateKey,
    pub(crate) known: KnownPeers,
    pub(crate) options: QuicOptions,
    pub(crate) settings: Arc<TransportConfig>,
    pub(crate) pending: Pending,
    /// The socket to dial from, once something has been dialled.
    socket: Arc<Mutex<Option<quinn::Endpoint>>>,
    pub(crate) pool: Arc<Pool>,
}

impl fmt::Debug for QuicTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicTransport")
            .field("key", &self.key)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl QuicTransport {
    /// A transport of the machine that has `key`. Its listeners let in whom `known` has when they
    /// connect, which names them as [`PublicKey::peer_id`] does.
    pub fn new(key: PrivateKey, known: KnownPeers, options: QuicOptions) -> Self {
        Self {
            settings: settings::transport(&options),
            key,
            known,
            options,
            pending: Pending::default(),
            socket: Arc::default(),
            pool: Arc::default(),
        }
    }

    /// The socket to dial from.
    pub(crate) fn socket(&self) -> io::Result<quinn::Endpoint> {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(socket) = &*socket {
            return Ok(socket.clone());
        }
        let endpoint = quinn::Endpoint::new(
            settings::endpoint(&self.key, &self.options),
            None,
            socket::bind_anywhere(self.options.udp_buffer.get())?,
            Arc::new(TokioRuntime),
        )?;
        Ok(socket.insert(endpoint).clone())
    }

    /// A new connection to the first of `addresses` where `expected` is.
    async fn connect(
        &self,
        endpoint: &Endpoint,
        expected: &PublicKey,
    ) -> Result<quinn::Connection, TransportError> {
        let unreachable = |error| TransportError::unreachable(endpoint, error);
        let place = HostPort::to_dial(endpoint)?;
        let addresses = place.resolve(RESOLVE_TIMEOUT).await.map_err(unreachable)?;
        let shake = async |address| {
            let handshake = self.handshake(endpoint, address, expected);
            timeout(HANDSHAKE_TIMEOUT, handshake)
                .await
                .unwrap_or_else(|_| {
                    let within = HANDSHAKE_TIMEOUT.as_secs();
                    let what = format!("{}: no answer within {within} s", canonical(address));
                    Err(unreachable(io::Error::new(ErrorKind::TimedOut, what)))
                })
        };
        let is_final = |error: &TransportError| matches!(error, TransportError::Identity { .. });
        let connected = first_of(&addresses, shake, is_final).await;
        connected.unwrap_or_else(|| Err(unreachable(ErrorKind::AddrNotAvailable.into())))
    }

    async fn handshake(
        &self,
        endpoint: &Endpoint,
        address: SocketAddr,
        expected: &PublicKey,
    ) -> Result<quinn::Connection, TransportError> {
        let unreachable = |error| TransportError::unreachable(endpoint, error);
        let config = settings::client(&self.key, expected, Arc::clone(&self.settings))
            .map_err(|error| TransportError::Io(io::Error::other(error)))?;
        // No name is sent; this one is a form of "none".
        let connecting = self
            .socket()
            .map_err(unreachable)?
            .connect_with(config, address, "0.0.0.0")
            .map_err(|error| unreachable(io::Error::other(error)))?;
        let connected = tokio::select! {
            biased;
            connected = connecting => connected,
            error = refused(address) => return Err(unreachable(error)),
        };
        let ours = self.key.public_key();
        let at = canonical(address).to_string();
        connected.map_err(|error| dialling(error, endpoint, &at, expected, ours))
    }
}

/// A new stream of a connection, which the other end learns of at once.
async fn open(connection: &quinn::Connection) -> Result<(SendStream, RecvStream), ConnectionError> {
    let (mut send, receive) = connection.open_bi().await?;
    // What else may be wrong, the stream's user finds too.
    if let Err(WriteError::ConnectionLost(error)) = send.write_all(&[OPENING]).await {
        return Err(error);
    }
    Ok((send, receive))
}

/// That nobody listens at `address`, if the system there says so. QUIC does not hear of it, for its
/// socket sends to many: one that is connected, and sends packets that are none of QUIC's, does.
async fn refused(address: SocketAddr) -> io::Error {
    let knock = async {
        let local = match address {
            SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
            SocketAddr::V6(_) => SocketAddr::from(([0; 16], 0)),
        };
        let socket = UdpSocket::bind(local).await?;
        socket.connect(address).await?;
        loop {
            socket.send(&[]).await?;
            // A system says so only so many times a second, to all who ask.
            if let Ok(heard) = timeout(KNOCK, socket.recv(&mut [0])).await {
                return heard;
            }
        }
    };
    match knock.await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => error,
        // Somebody is there, or whoever is between says nothing.
        _ => std::future::pending().await,
    }
}

#[async_trait]
impl Transport for QuicTransport {
    async fn dial(
        &self,
        endpoint: &Endpoint,
        expected: &PeerId,
    ) -> Result<Connection, TransportError> {
        let key = PublicKey::try_from(expected).map_err(|error| TransportError::Identity {
            address: endpoint.to_string(),
            peer: None,
            what: format!(
                "over quic machines are known by their keys, and {expected} is none: {error}"
            ),
        })?;
        let place = (endpoint.clone(), expected.clone());
        let most = self.options.connections.count().get();
        loop {
            let lease = self.pool.lease(&place, most);
            let made = lease.connection(|| self.connect(endpoint, &key)).await;
            let (connection, fresh) = made?;
            match open(connection).await {
                Ok(stream) => {
                    let address = canonical(connection.remote_address());
                    let ours = Some(*self.key.public_key());
                    let stream = QuicStream::new(stream, ours, lease);
                    return Ok(Connection::new(expected.clone(), address, stream));
                }
                Err(error) if fresh => {
                    return Err(broken(error, endpoint, self.key.public_key()));
                }
                // It ended just now: there is one less, and another is made.
                Err(error) => tracing::debug!(event = "quic.stale", %endpoint, %error),
            }
        }
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        let listener = QuicListener::bind(self, endpoint).await?;
        Ok(Box::new(listener))
    }

    fn lanes(&self, delay: Duration) -> NonZeroUsize {
        let lanes = self.options.lanes.count();
        if delay < FAR {
            lanes.min(self.options.connections.count())
        } else {
            lanes
        }
    }
}

/// What the end of a connection means that has just been made.
fn broken(error: ConnectionError, endpoint: &Endpoint, ours: &PublicKey) -> TransportError {
    let error = StreamFault::of(error, Some(*ours));
    if error.kind() == ErrorKind::PermissionDenied {
        return TransportError::Identity {
            address: endpoint.to_string(),
            peer: None,
            what: error.to_string(),
        };
    }
    TransportError::unreachable(endpoint, error)
}
