//! Dialling.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use realize_core::known_peers::KnownPeers;
use realize_core::transport::{
    Connection, Endpoint, FAR, Listener, PeerId, Transport, TransportError,
};
use realize_tls::{
    ALPN, HostPort, Pending, PrivateKey, PublicKey, canonical, client_config, first_of, server_name,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tracing::warn;

use crate::config::{Congestion, TcpOptions};
use crate::fault::{Failed, at, explain, not_known_there, other_protocol, too_slow};
use crate::limits::Timeouts;
use crate::listener::TcpListener;
use crate::stream::SecureStream;

/// Connects machines over TCP, as the machine whose key it has.
///
/// An endpoint is `HOST:PORT`, where HOST is a name, an IPv4 address, or an IPv6 address in brackets.
/// Dialling looks the name up and tries its addresses in turn, each for
/// [`CONNECT_TIMEOUT`](crate::CONNECT_TIMEOUT). Nobody there, no such name and no TLS there are
/// [`TransportError::Unreachable`]: waiting may mend them.
///
/// Who listens refuses those who are not in the [`KnownPeers`] at that moment. Whoever dialled learns
/// that from the stream, not from dialling: its first read, or a write, fails with
/// [`ErrorKind::PermissionDenied`] and names the public key of this machine.
///
/// A stream that the other end did not end is an error when it is read, [`ErrorKind::UnexpectedEof`]
/// for instance, and never reads as ended.
///
/// Clones share the bounds on the handshakes of their listeners.
#[derive(Clone, Debug)]
pub struct TcpTransport {
    pub(crate) key: PrivateKey,
    pub(crate) known: KnownPeers,
    pub(crate) options: TcpOptions,
    pub(crate) timeouts: Timeouts,
    pub(crate) pending: Pending,
}

impl TcpTransport {
    /// A transport of the machine that has `key`. Its listeners let in whom `known` has when they
    /// connect, which names them as [`PublicKey::peer_id`] does.
    pub fn new(key: PrivateKey, known: KnownPeers, options: TcpOptions) -> Self {
        Self::with_timeouts(key, known, options, Timeouts::default())
    }

    pub(crate) fn with_timeouts(
        key: PrivateKey,
        known: KnownPeers,
        options: TcpOptions,
        timeouts: Timeouts,
    ) -> Self {
        Self {
            key,
            known,
            options,
            timeouts,
            pending: Pending::default(),
        }
    }

    /// A socket to the first of `addresses` that answers.
    async fn connect(&self, addresses: &[SocketAddr]) -> io::Result<Connected> {
        let connect = async |address: SocketAddr| {
            let asked = Instant::now();
            let socket = self.connect_to(address).await.map_err(|error| {
                // Whoever dialled one address knows which it was.
                match addresses.len() {
                    1 => error,
                    _ => at(address, error),
                }
            })?;
            Ok(Connected {
                socket,
                address: canonical(address).to_string(),
                delay: asked.elapsed(),
            })
        };
        let connected = first_of(addresses, connect, |_| false).await;
        connected.unwrap_or_else(|| Err(ErrorKind::AddrNotAvailable.into()))
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = new_socket(address, &self.options.congestion)?;
        let within = self.timeouts.connect;
        let socket = timeout(within, socket.connect(address)).await;
        let socket = socket.map_err(|_| {
            let what = format!("no answer within {} s", within.as_secs_f64());
            io::Error::new(ErrorKind::TimedOut, what)
        })??;
        socket.set_nodelay(true)?;
        Ok(socket)
    }

    /// TLS over `socket`, with nobody but `expected`.
    async fn secure(
        &self,
        endpoint: &Endpoint,
        socket: TcpStream,
        address: &str,
        expected: &PublicKey,
    ) -> Result<SecureStream, TransportError> {
        let unreachable = |source| TransportError::Unreachable {
            endpoint: endpoint.clone(),
            source: at(address, source),
        };
        let config = client_config(&self.key, expected, ALPN)
            .map_err(|error| TransportError::Io(io::Error::other(error)))?;
        let handshake = TlsConnector::from(config).connect(server_name(), socket);
        let within = self.timeouts.handshake;
        let done = timeout(within, handshake)
            .await
            .map_err(|_| unreachable(too_slow(within)))?;
        let shown = *self.key.public_key();
        let tls =
            done.map_err(
                |error| match explain(error, address, || not_known_there(&shown)) {
                    Failed::Identity(error) => error,
                    Failed::Other(error) => unreachable(error),
                },
            )?;
        if tls.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(unreachable(other_protocol()));
        }
        Ok(SecureStream::dialled(tls.into(), shown))
    }
}

/// A socket that is connected.
#[derive(Debug)]
struct Connected {
    socket: TcpStream,
    /// With whom.
    address: String,
    /// How long the other system took to answer, and no program of it.
    delay: Duration,
}

/// A socket that can connect to `address`, or listen there, under `congestion`. Connections that it
/// accepts are under it too.
pub(crate) fn new_socket(address: SocketAddr, congestion: &Congestion) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    let (wanted, name) = (!congestion.is_automatic(), congestion.name());
    if let Some(name) = name
        && let Err(error) = rustix::net::sockopt::set_tcp_congestion(&socket, name)
        && wanted
    {
        warn!(congestion = name, %error, "the system refuses this congestion control; its own is used");
    }
    Ok(socket)
}

#[async_trait]
impl Transport for TcpTransport {
    async fn dial(
        &self,
        endpoint: &Endpoint,
        expected: &PeerId,
    ) -> Result<Connection, TransportError> {
        let place = HostPort::to_dial(endpoint)?;
        let key = PublicKey::try_from(expected).map_err(|error| TransportError::Identity {
            address: endpoint.to_string(),
            peer: None,
            what: format!(
                "over tcp machines are known by their keys, and {expected} is none: {error}"
            ),
        })?;
        let unreachable = |source| TransportError::Unreachable {
            endpoint: endpoint.clone(),
            source,
        };
        let addresses = place.resolve(self.timeouts.resolve).await;
        let addresses = addresses.map_err(unreachable)?;
        let Connected {
            socket,
            address,
            delay,
        } = self.connect(&addresses).await.map_err(unreachable)?;
        let stream = self.secure(endpoint, socket, &address, &key).await?;
        Ok(Connection::new(expected.clone(), address, stream).with_delay(delay))
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        let listener = TcpListener::bind(self, endpoint).await?;
        Ok(Box::new(listener))
    }

    fn lanes(&self, delay: Duration) -> NonZeroUsize {
        if delay < FAR {
            self.options.lanes.count()
        } else {
            self.options.far_lanes.count()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn transport(options: TcpOptions, connect: Duration) -> TcpTransport {
        let timeouts = Timeouts {
            connect,
            ..Timeouts::default()
        };
        let key = PrivateKey::generate().unwrap();
        TcpTransport::with_timeouts(key, KnownPeers::default(), options, timeouts)
    }

    async fn listening() -> (tokio::net::TcpListener, SocketAddr) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address where nobody listens.
    async fn deserted() -> SocketAddr {
        listening().await.1
    }

    #[tokio::test]
    async fn addresses_are_tried_in_turn() {
        let transport = transport(TcpOptions::default(), Duration::from_secs(60));
        let (_listener, alive) = listening().await;
        let addresses = [deserted().await, alive, deserted().await];
        let connected = transport.connect(&addresses).await.unwrap();
        assert_eq!(connected.address, alive.to_string());
    }

    #[tokio::test]
    async fn if_no_address_answers_the_last_one_is_told() {
        let transport = transport(TcpOptions::default(), Duration::from_secs(60));
        let addresses = [deserted().await, deserted().await];
        let error = transport.connect(&addresses).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(error.to_string(), addresses[1].to_string());
        let error = transport.connect(&[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_is_given_up() {
        let transport = transport(TcpOptions::default(), Duration::from_millis(100));
        let full = TcpSocket::new_v4().unwrap();
        full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = full.listen(1).unwrap();
        let address = full.local_addr().unwrap();
        // The queue is soon full, and from then on the system answers nobody.
        let mut queued = Vec::new();
        let error = loop {
            match transport.connect(&[address]).await {
                Ok(socket) => queued.push(socket),
                Err(error) => break error,
            }
            assert!(queued.len() < 100, "the queue is never full");
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "no answer within 0.1 s");
    }

    #[tokio::test]
    async fn sockets_wait_for_nothing_and_heed_the_options() {
        let (_listener, address) = listening().await;
        let congestion = Congestion::new("reno").unwrap();
        let options = TcpOptions {
            congestion,
            ..TcpOptions::default()
        };
        let transport = transport(options, Duration::from_secs(60));
        let socket = transport.connect(&[address]).await.unwrap().socket;
        assert!(socket.nodelay().unwrap());
        let name = rustix::net::sockopt::tcp_congestion(&socket).unwrap();
        assert_eq!(name, "reno");
    }

    #[tokio::test]
    async fn a_congestion_control_that_the_system_refuses_hinders_nothing() {
        let (_listener, address) = listening().await;
        let options = TcpOptions {
            congestion: Congestion::new("no_such").unwrap(),
            ..TcpOptions::default()
        };
        let transport = transport(options, Duration::from_secs(60));
        transport.connect(&[address]).await.unwrap();
    }
}
