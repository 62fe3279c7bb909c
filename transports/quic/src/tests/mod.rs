//! Two machines on real sockets, and everybody else.

mod addresses;
mod connections;
mod endings;
mod options;
mod packets;
mod peers;
mod strangers;
mod survival;
mod times;
mod windows;

use std::error::Error;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use realize_core::known_peers::KnownPeers;
use realize_core::number::{Number, Range};
use realize_core::transport::{Connection, Endpoint, Listener, PeerId, Transport, TransportError};
use realize_tls::PrivateKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::config::QuicOptions;
use crate::transport::QuicTransport;

/// By when what must happen has happened.
const SOON: Duration = Duration::from_secs(60);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("it takes too long")
}

fn endpoint(text: &str) -> Endpoint {
    Endpoint::new(text).unwrap()
}

fn number<R: Range>(number: u64) -> Number<R> {
    Number::new(number).unwrap()
}

fn peer(key: &PrivateKey) -> PeerId {
    key.public_key().peer_id().unwrap()
}

/// Two machines, of which `nas` knows `cam`.
struct Machines {
    cam: QuicTransport,
    nas: QuicTransport,
}

impl Machines {
    fn new() -> Self {
        Self::with(QuicOptions::default())
    }

    fn with(options: QuicOptions) -> Self {
        let [cam, nas] = [(); 2].map(|()| PrivateKey::generate().unwrap());
        let known = KnownPeers::new([peer(&cam)]).unwrap();
        Self {
            cam: QuicTransport::new(cam, KnownPeers::default(), options.clone()),
            nas: QuicTransport::new(nas, known, options),
        }
    }

    fn nas_peer(&self) -> PeerId {
        peer(&self.nas.key)
    }

    fn cam_peer(&self) -> PeerId {
        peer(&self.cam.key)
    }

    /// `cam` once more, with sockets and connections of its own.
    fn cam_again(&self) -> QuicTransport {
        let options = self.cam.options.clone();
        QuicTransport::new(self.cam.key.clone(), KnownPeers::default(), options)
    }

    async fn listen(&self) -> (Box<dyn Listener>, Endpoint) {
        let listener = self.nas.listen(&endpoint("127.0.0.1:0")).await.unwrap();
        let at = listener.endpoint();
        (listener, at)
    }

    async fn dial(&self, at: &Endpoint) -> Result<Connection, TransportError> {
        soon(self.cam.dial(at, &self.nas_peer())).await
    }

    /// Both ends of a stream: that of `cam`, which dialled, and that of `nas`.
    async fn meet(
        &self,
        listener: &mut Box<dyn Listener>,
        at: &Endpoint,
    ) -> (Connection, Connection) {
        let (near, far) = tokio::join!(self.dial(at), prove(listener));
        (near.unwrap(), far.unwrap())
    }

    /// Several streams, made one after the other.
    async fn meet_often(
        &self,
        listener: &mut Box<dyn Listener>,
        at: &Endpoint,
        count: usize,
    ) -> Vec<(Connection, Connection)> {
        let mut ends = Vec::new();
        for _ in 0..count {
            ends.push(self.meet(listener, at).await);
        }
        ends
    }

    /// The connections that `cam` has made and that stand.
    fn standing(&self) -> Vec<quinn::Connection> {
        let mut made = self.cam.pool.connections();
        made.retain(|connection| connection.close_reason().is_none());
        made
    }
}

type Outcome = Result<Connection, TransportError>;

/// What becomes of the next stream.
async fn prove(listener: &mut Box<dyn Listener>) -> Outcome {
    soon(async { listener.accept().await.unwrap().await }).await
}

/// The next stream, whatever becomes of others before it.
async fn arrives(listener: &mut Box<dyn Listener>) -> Connection {
    loop {
        if let Ok(connection) = prove(listener).await {
            return connection;
        }
    }
}

/// Bytes that differ from place to place.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at % 65_521 % 251) as u8).collect()
}

/// Sends so many bytes one way, which arrive as they were sent.
async fn send(from: &mut Connection, to: &mut Connection, count: usize) {
    let sent = bytes(count);
    let mut read = vec![0; count];
    let (written, filled) = soon(async {
        tokio::join!(
            from.stream.write_all(&sent),
            to.stream.read_exact(&mut read)
        )
    })
    .await;
    written.unwrap();
    filled.unwrap();
    assert!(sent == read, "other bytes arrived");
}

/// Sends so many bytes each way.
async fn talk((near, far): (&mut Connection, &mut Connection), count: usize) {
    send(near, far, count).await;
    send(far, near, count).await;
}

/// An error and its causes, as a log shows them.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
