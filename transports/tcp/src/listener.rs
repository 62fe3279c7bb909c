//! Listening: who connects, and what they have to prove.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use realize_core::known_peers::KnownPeers;
use realize_core::transport::{Connection, Endpoint, Handshake, Listener, PeerId, TransportError};
use realize_tls::{
    ALPN, HostPort, Pending, Place, PublicKey, RefusedKey, canonical, peer_key, server_config,
};
use rustix::io::Errno;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::fault::{Failed, explain, fault, other_protocol, too_slow};
use crate::limits::{ACCEPT_PAUSE, BACKLOG, Timeouts};
use crate::stream::SecureStream;
use crate::transport::{TcpTransport, new_socket};

/// Listens at one address, until it is dropped.
#[derive(Debug)]
pub(crate) struct TcpListener {
    socket: tokio::net::TcpListener,
    endpoint: Endpoint,
    gate: Arc<Gate>,
    pending: Pending,
    /// Until when nothing is accepted.
    pause: Option<Instant>,
}

/// What a handshake needs to know.
pub(crate) struct Gate {
    acceptor: TlsAcceptor,
    ours: PublicKey,
    known: KnownPeers,
    timeouts: Timeouts,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("ours", &self.ours)
            .finish_non_exhaustive()
    }
}

impl TcpListener {
    /// Listens at `endpoint`; of several addresses of a name, at the first that can be had.
    pub(crate) async fn bind(
        transport: &TcpTransport,
        endpoint: &Endpoint,
    ) -> Result<Self, TransportError> {
        let refused = |source| TransportError::Address {
            endpoint: endpoint.clone(),
            what: "cannot be listened at".to_owned(),
            source: Some(source),
        };
        let tls = server_config(&transport.key, &transport.known, ALPN)
            .map_err(|error| TransportError::Io(io::Error::other(error)))?;
        let place = HostPort::to_listen(endpoint)?;
        let addresses = place.resolve(transport.timeouts.resolve).await;
        let socket = first_that_binds(transport, &addresses.map_err(refused)?).map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        let endpoint =
            Endpoint::new(address.to_string()).map_err(|error| refused(io::Error::other(error)))?;
        Ok(Self {
            socket,
            endpoint,
            gate: Arc::new(Gate {
                acceptor: tls.into(),
                ours: *transport.key.public_key(),
                known: transport.known.clone(),
                timeouts: transport.timeouts,
            }),
            pending: transport.pending.clone(),
            pause: None,
        })
    }
}

fn first_that_binds(
    transport: &TcpTransport,
    addresses: &[SocketAddr],
) -> io::Result<tokio::net::TcpListener> {
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses {
        let bound = new_socket(*address, &transport.options.congestion).and_then(|socket| {
            // So that the address can be had again while old connections fade away.
            socket.set_reuseaddr(true)?;
            socket.bind(*address)?;
            socket.listen(BACKLOG)
        });
        match bound {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[async_trait]
impl Listener for TcpListener {
    fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    async fn accept(&mut self) -> Result<Handshake, TransportError> {
        if let Some(until) = self.pause {
            sleep_until(until).await;
            self.pause = None;
        }
        match self.socket.accept().await {
            Ok((socket, from)) => {
                // Both from now on, whenever the handshake is polled first, if ever.
                let deadline = Instant::now() + self.gate.timeouts.handshake;
                let place = self.pending.enter(from.ip());
                let address = canonical(from).to_string();
                let gate = self.gate.clone();
                Ok(Box::pin(gate.handshake(socket, address, place, deadline)))
            }
            Err(error) => {
                if lasts(&error) {
                    self.pause = Some(Instant::now() + ACCEPT_PAUSE);
                }
                Err(error.into())
            }
        }
    }
}

/// Whether an error of accepting is likely to come again at once. Others are of a connection that
/// was given up before it was accepted, and is no more in the queue.
fn lasts(error: &io::Error) -> bool {
    let of_one = [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::INTR,
        Errno::PERM,
        Errno::PROTO,
        Errno::TIMEDOUT,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
        Errno::NETDOWN,
    ];
    !Errno::from_io_error(error).is_some_and(|errno| of_one.contains(&errno))
}

impl Gate {
    /// Has the client at `address` prove who it is, by `deadline`. It holds `place` from before it is
    /// polled until it is dropped, and ends when the place is given to another.
    async fn handshake(
        self: Arc<Self>,
        socket: TcpStream,
        address: String,
        mut place: Place,
        deadline: Instant,
    ) -> Result<Connection, TransportError> {
        tokio::select! {
            biased;
            () = place.displaced() => {
                let what = "the handshake gave way to newer ones";
                let source = fault(ErrorKind::ConnectionAborted, what);
                Err(TransportError::Handshake { address, source })
            }
            done = self.prove(socket, &address, deadline) => {
                let (peer, tls) = done?;
                Ok(Connection::new(peer, address, SecureStream::accepted(tls.into())))
            }
        }
    }

    /// Who is at the other end of `socket`, and TLS with them.
    async fn prove(
        &self,
        socket: TcpStream,
        address: &str,
        deadline: Instant,
    ) -> Result<(PeerId, TlsStream<TcpStream>), TransportError> {
        let fallen = |source| TransportError::Handshake {
            address: address.to_owned(),
            source,
        };
        let failed = |source: io::Error| -> TransportError {
            match explain(source, address, || self.unwanted()) {
                Failed::Identity(error) => error,
                Failed::Other(error) => fallen(error),
            }
        };
        socket.set_nodelay(true).map_err(failed)?;
        let handshake = self.acceptor.accept(socket).into_fallible();
        let Ok(done) = timeout_at(deadline, handshake).await else {
            return Err(fallen(too_slow(self.timeouts.handshake)));
        };
        let tls = match done {
            Ok(tls) => tls,
            Err((error, socket)) => {
                // Why is on its way to the client, if TLS had a word for it.
                if realize_tls::tls_error(&error).is_some() {
                    linger(socket, self.timeouts.linger).await;
                }
                return Err(failed(error));
            }
        };
        match admit(&tls, &self.known, address) {
            Ok(peer) => Ok((peer, tls)),
            Err(error) => {
                // Without an end of the stream: the client is not to take this for one.
                linger(tls.into_inner().0, self.timeouts.linger).await;
                Err(error)
            }
        }
    }

    /// What a client means that refuses the key of this machine.
    fn unwanted(&self) -> String {
        format!(
            "the client expected another key than this machine's, {}",
            self.ours
        )
    }
}

/// Who is at the other end of a finished handshake, if they are still known and speak realize.
fn admit(
    tls: &TlsStream<TcpStream>,
    known: &KnownPeers,
    address: &str,
) -> Result<PeerId, TransportError> {
    let session = tls.get_ref().1;
    let nobody = |peer, what: String| TransportError::Identity {
        address: address.to_owned(),
        peer,
        what,
    };
    let shown = session.peer_certificates().unwrap_or_default();
    let found = peer_key(shown).map_err(|error| nobody(None, error.to_string()))?;
    let peer = found.peer_id();
    let peer = peer.map_err(|error| nobody(None, error.to_string()))?;
    // The set may have been replaced since TLS looked.
    if !known.contains(&peer) {
        let what = RefusedKey::Unknown { found }.to_string();
        return Err(nobody(Some(peer), what));
    }
    // TLS lets a client pass that names no protocol.
    if session.alpn_protocol() != Some(ALPN) {
        return Err(TransportError::Handshake {
            address: address.to_owned(),
            source: other_protocol(),
        });
    }
    Ok(peer)
}

/// Ends this direction of a socket and reads on until the other end is gone, or for so long. A
/// socket that is closed with bytes unread is reset, and what was sent last is lost.
async fn linger(mut socket: TcpStream, long: Duration) {
    let drain = async {
        socket.shutdown().await?;
        let mut sink = [0; 1024];
        while socket.read(&mut sink).await? > 0 {}
        io::Result::Ok(())
    };
    // It is over either way.
    let _ = timeout(long, drain).await;
}

#[cfg(test)]
mod tests {
    use realize_tls::{PrivateKey, client_config, server_name};
    use rstest::rstest;
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::HANDSHAKE_TIMEOUT;
    use crate::config::{Congestion, TcpOptions};

    /// A listener on this machine that knows `client`, and what it listens with.
    async fn listener(client: &PrivateKey, options: TcpOptions) -> (TcpListener, TcpTransport) {
        let known = KnownPeers::new([client.public_key().peer_id().unwrap()]).unwrap();
        let key = PrivateKey::generate().unwrap();
        let transport = TcpTransport::new(key, known, options);
        let endpoint = Endpoint::new("127.0.0.1:0").unwrap();
        let listener = TcpListener::bind(&transport, &endpoint).await.unwrap();
        (listener, transport)
    }

    #[tokio::test]
    async fn who_is_revoked_after_tls_has_looked_is_refused() {
        let client = PrivateKey::generate().unwrap();
        let (listener, transport) = listener(&client, TcpOptions::default()).await;
        let at = listener.endpoint();
        let near = TcpStream::connect(at.as_str());
        let (near, far) = tokio::join!(near, listener.socket.accept());
        let config = client_config(&client, transport.key.public_key(), ALPN).unwrap();
        let (near, far) = tokio::join!(
            TlsConnector::from(config).connect(server_name(), near.unwrap()),
            listener.gate.acceptor.accept(far.unwrap().0),
        );
        let (_near, far) = (near.unwrap(), far.unwrap());
        let peer = client.public_key().peer_id().unwrap();
        assert_eq!(admit(&far, &transport.known, "there").unwrap(), peer);

        transport.known.replace([]).unwrap();
        let error = admit(&far, &transport.known, "there").unwrap_err();
        assert!(matches!(error, TransportError::Identity { .. }));
        assert_eq!(
            error.to_string(),
            format!("there: {peer} is not known here")
        );
    }

    #[tokio::test]
    async fn accepted_connections_wait_for_nothing() {
        let client = PrivateKey::generate().unwrap();
        let (listener, transport) = listener(&client, TcpOptions::default()).await;
        let at = listener.endpoint();
        let near = TcpStream::connect(at.as_str());
        let (near, far) = tokio::join!(near, listener.socket.accept());
        let config = client_config(&client, transport.key.public_key(), ALPN).unwrap();
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        let (near, far) = tokio::join!(
            TlsConnector::from(config).connect(server_name(), near.unwrap()),
            listener.gate.prove(far.unwrap().0, "there", deadline),
        );
        let (_near, (_, far)) = (near.unwrap(), far.unwrap());
        assert!(far.get_ref().0.nodelay().unwrap());
    }

    #[tokio::test]
    async fn accepted_connections_are_under_the_congestion_control_of_the_options() {
        let options = TcpOptions {
            congestion: Congestion::new("reno").unwrap(),
            ..TcpOptions::default()
        };
        let client = PrivateKey::generate().unwrap();
        let (listener, _transport) = listener(&client, options).await;
        let at = listener.endpoint();
        let near = TcpStream::connect(at.as_str());
        let (_near, far) = tokio::join!(near, listener.socket.accept());
        let name = rustix::net::sockopt::tcp_congestion(far.unwrap().0).unwrap();
        assert_eq!(name, "reno");
    }

    #[rstest]
    #[case(Errno::MFILE, true)]
    #[case(Errno::NFILE, true)]
    #[case(Errno::NOMEM, true)]
    #[case(Errno::NOBUFS, true)]
    #[case(Errno::INVAL, true)]
    #[case(Errno::CONNABORTED, false)]
    #[case(Errno::PROTO, false)]
    fn only_errors_of_one_connection_are_not_waited_after(
        #[case] errno: Errno,
        #[case] waited: bool,
    ) {
        assert_eq!(lasts(&errno.into()), waited);
    }
}
