//! Listening: who connects, what they have to prove, and the streams that they open.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use quinn::{ConnectionError, Incoming, TokioRuntime, VarInt};
use realize_core::known_peers::KnownPeers;
use realize_core::per_peer::PerPeer;
use realize_core::transport::{Connection, Endpoint, Handshake, Listener, TransportError};
use realize_tls::{
    HostPort, MAX_PENDING, Pending, Place, PublicKey, RefusedKey, canonical, peer_key,
};
use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::fault::{NOT_KNOWN, StreamFault, TOO_MANY, refused_by_peer, refused_here};
use crate::limits::{ARRIVALS, HANDSHAKE_TIMEOUT, MAX_CONNECTIONS_PER_PEER, RESOLVE_TIMEOUT};
use crate::stream::QuicStream;
use crate::transport::{OPENING, QuicTransport};
use crate::{settings, socket};

type Arrival = Result<Connection, TransportError>;

/// Listens at one address, until it is dropped. Streams that were accepted go on, over the same
/// socket: the address is free when they have ended.
#[derive(Debug)]
pub(crate) struct QuicListener {
    endpoint: Endpoint,
    arrivals: mpsc::Receiver<Arrival>,
    _accepting: AbortOnDropHandle<()>,
    socket: quinn::Endpoint,
}

impl QuicListener {
    /// Listens at `endpoint`; of several addresses of a name, at the first that can be had.
    pub(crate) async fn bind(
        transport: &QuicTransport,
        endpoint: &Endpoint,
    ) -> Result<Self, TransportError> {
        let refused = |error| TransportError::address(endpoint, "cannot be listened at", error);
        let place = HostPort::to_listen(endpoint)?;
        let addresses = place.resolve(RESOLVE_TIMEOUT).await.map_err(refused)?;
        let config = settings::server(
            &transport.key,
            &transport.known,
            Arc::clone(&transport.settings),
        )
        .map_err(|error| TransportError::Io(io::Error::other(error)))?;
        let socket = quinn::Endpoint::new(
            settings::endpoint(&transport.key, &transport.options),
            Some(config),
            first_that_binds(&addresses, transport.options.udp_buffer.get()).map_err(refused)?,
            Arc::new(TokioRuntime),
        )
        .map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        let endpoint =
            Endpoint::new(address.to_string()).map_err(|error| refused(io::Error::other(error)))?;
        let (arrived, arrivals) = mpsc::channel(ARRIVALS);
        let gate = Arc::new(Gate {
            known: transport.known.clone(),
            ours: *transport.key.public_key(),
            pending: transport.pending.clone(),
            connections: PerPeer::new(MAX_CONNECTIONS_PER_PEER),
            arrived,
        });
        let accepting = tokio::spawn(gate.accept(socket.clone()));
        Ok(Self {
            endpoint,
            arrivals,
            _accepting: AbortOnDropHandle::new(accepting),
            socket,
        })
    }
}

fn first_that_binds(addresses: &[SocketAddr], buffer: u64) -> io::Result<std::net::UdpSocket> {
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses {
        match socket::bind(*address, buffer) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[async_trait]
impl Listener for QuicListener {
    fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    async fn accept(&mut self) -> Result<Handshake, TransportError> {
        let arrival = self.arrivals.recv().await.ok_or(TransportError::Closed)?;
        Ok(Box::pin(std::future::ready(arrival)))
    }
}

impl Drop for QuicListener {
    fn drop(&mut self) {
        // Whoever comes from now on is refused.
        self.socket.set_server_config(None);
    }
}

/// What all connections of a listener share.
struct Gate {
    known: KnownPeers,
    ours: PublicKey,
    pending: Pending,
    connections: PerPeer,
    arrived: mpsc::Sender<Arrival>,
}

impl Gate {
    /// Accepts connections until the socket is closed.
    async fn accept(self: Arc<Self>, socket: quinn::Endpoint) {
        while let Some(incoming) = socket.accept().await {
            // Who is many at once shows first that their addresses are theirs.
            if self.pending.taken() > MAX_PENDING / 2 && incoming.may_retry() {
                // It cannot fail for one that may.
                let _ = incoming.retry();
                continue;
            }
            let place = self.pending.enter(incoming.remote_address().ip());
            let gate = Arc::clone(&self);
            tokio::spawn(async move {
                let arrived = gate.arrived.clone();
                tokio::select! {
                    () = arrived.closed() => {}
                    served = gate.serve(incoming, place) => {
                        if let Err(error) = served {
                            // Nobody is left who could be told.
                            let _ = arrived.send(Err(error)).await;
                        }
                    }
                }
            });
        }
    }

    /// Has a client prove who it is, and hands on the streams that it opens, to its end.
    async fn serve(&self, incoming: Incoming, mut place: Place) -> Result<(), TransportError> {
        let address = canonical(incoming.remote_address()).to_string();
        let fallen = |kind, what: String| TransportError::Handshake {
            address: address.clone(),
            source: io::Error::new(kind, what),
        };
        let connection = tokio::select! {
            biased;
            () = place.displaced() => {
                let what = "the handshake gave way to newer ones".to_owned();
                return Err(fallen(ErrorKind::ConnectionAborted, what));
            }
            shaken = timeout(HANDSHAKE_TIMEOUT, incoming) => match shaken {
                Ok(shaken) => shaken.map_err(|error| self.explain(error, &address))?,
                Err(_) => {
                    let within = HANDSHAKE_TIMEOUT.as_secs();
                    let what = format!("no handshake within {within} s");
                    return Err(fallen(ErrorKind::TimedOut, what));
                }
            },
        };
        drop(place);
        let nobody = |peer, what| TransportError::Identity {
            address: address.clone(),
            peer,
            what,
        };
        let key = shown(&connection).map_err(|what| nobody(None, what))?;
        let peer = key.peer_id();
        let peer = peer.map_err(|error| nobody(None, error.to_string()))?;
        let close = |code: VarInt, what: String| {
            connection.close(code, what.as_bytes());
            nobody(Some(peer.clone()), what)
        };
        let unknown = || RefusedKey::Unknown { found: key }.to_string();
        let Some(_share) = self.connections.take(&peer) else {
            let what = format!("{peer} has {MAX_CONNECTIONS_PER_PEER} connections already");
            return Err(close(TOO_MANY, what));
        };
        loop {
            // The set may be replaced at any time.
            if !self.known.contains(&peer) {
                return Err(close(NOT_KNOWN, unknown()));
            }
            let Ok((send, mut receive)) = connection.accept_bi().await else {
                // Its streams tell how it ended.
                return Ok(());
            };
            let mut opening = [0];
            let opened = receive.read_exact(&mut opening).await;
            if !self.known.contains(&peer) {
                return Err(close(NOT_KNOWN, unknown()));
            }
            if opened.is_err() || opening != [OPENING] {
                // Given up again, or no stream of ours.
                continue;
            }
            let from = canonical(connection.remote_address());
            let stream = QuicStream::new((send, receive), None, ());
            let arrival = Connection::new(peer.clone(), from, stream);
            if self.arrived.send(Ok(arrival)).await.is_err() {
                return Ok(());
            }
        }
    }

    /// What became of a handshake with the client at `address`.
    fn explain(&self, error: ConnectionError, address: &str) -> TransportError {
        let identity = |what| TransportError::Identity {
            address: address.to_owned(),
            peer: None,
            what,
        };
        if refused_by_peer(&error) {
            let ours = self.ours;
            return identity(format!(
                "the client expected another key than this machine's, {ours}"
            ));
        }
        if refused_here(&error) {
            return identity(format!("a key that is not known here: {error}"));
        }
        let what = format!("the handshake failed: {error}");
        TransportError::Handshake {
            address: address.to_owned(),
            source: io::Error::new(StreamFault::of(error, None).kind(), what),
        }
    }
}

/// The key that the other end of a connection has shown.
fn shown(connection: &quinn::Connection) -> Result<PublicKey, String> {
    let identity = connection.peer_identity();
    let keys = identity.and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let keys = keys.map(|keys| *keys).unwrap_or_default();
    peer_key(&keys).map_err(|error| error.to_string())
}
