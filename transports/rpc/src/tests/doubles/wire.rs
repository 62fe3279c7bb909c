//! A transport that shows what is dialled.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use realize_core::Result;
use realize_core::transport::{Connection, Endpoint, Listener, PeerId, Transport, TransportError};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::client::Remote;
use crate::limits::Limits;
use crate::server::Server;

/// A transport whose other ends are the test's.
#[derive(Debug)]
pub(crate) struct Wire {
    lanes: usize,
    buffer: usize,
    /// How far the other end is, where it says.
    delay: Option<Duration>,
    /// How often it was dialled.
    pub(crate) dials: AtomicUsize,
    /// Whether nobody is there.
    pub(crate) refuses: AtomicBool,
    far: mpsc::UnboundedSender<DuplexStream>,
}

impl Wire {
    /// A transport of so many lanes, each with `buffer` bytes each way, and where their other ends
    /// come out.
    pub(crate) fn new(
        lanes: usize,
        buffer: usize,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<DuplexStream>) {
        Self::made(None, lanes, buffer)
    }

    /// The same, that says how far the other ends are.
    pub(crate) fn at(
        delay: Duration,
        lanes: usize,
        buffer: usize,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<DuplexStream>) {
        Self::made(Some(delay), lanes, buffer)
    }

    fn made(
        delay: Option<Duration>,
        lanes: usize,
        buffer: usize,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<DuplexStream>) {
        let (far, dialled) = mpsc::unbounded_channel();
        let wire = Self {
            lanes,
            buffer,
            delay,
            dials: AtomicUsize::new(0),
            refuses: AtomicBool::new(false),
            far,
        };
        (Arc::new(wire), dialled)
    }

    /// A transport to `server`, and the tasks that serve its connections.
    pub(crate) fn to(server: &Arc<Server>, lanes: usize, buffer: usize) -> (Arc<Self>, Served) {
        let (wire, mut dialled) = Self::new(lanes, buffer);
        let (server, served) = (Arc::clone(server), Served::default());
        let tasks = Arc::clone(&served);
        tokio::spawn(async move {
            while let Some(far) = dialled.recv().await {
                let server = Arc::clone(&server);
                let connection = connection("test:client", far);
                let serving = tokio::spawn(async move { server.serve(connection).await });
                tasks.lock().unwrap().push_back(serving);
            }
        });
        (wire, served)
    }

    pub(crate) fn remote(self: &Arc<Self>) -> Remote {
        Remote {
            name: "nas".to_owned(),
            peer: PeerId::local(),
            transport: Arc::clone(self) as _,
            endpoint: Endpoint::new("there").unwrap(),
            directory: "inbox".to_owned(),
            limits: Limits::default(),
            compress: false,
        }
    }

    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::Relaxed)
    }
}

/// The connections that are, or were, served, oldest first.
pub(crate) type Served = Arc<Mutex<VecDeque<JoinHandle<Result<()>>>>>;

#[async_trait]
impl Transport for Wire {
    async fn dial(
        &self,
        endpoint: &Endpoint,
        peer: &PeerId,
    ) -> std::result::Result<Connection, TransportError> {
        self.dials.fetch_add(1, Ordering::Relaxed);
        let (near, far) = duplex(self.buffer);
        if self.refuses.load(Ordering::Relaxed) || self.far.send(far).is_err() {
            return Err(TransportError::Unreachable {
                endpoint: endpoint.clone(),
                source: std::io::ErrorKind::ConnectionRefused.into(),
            });
        }
        Ok(Connection {
            delay: self.delay,
            ..Connection::new(peer.clone(), "a test", near)
        })
    }

    async fn listen(&self, _: &Endpoint) -> std::result::Result<Box<dyn Listener>, TransportError> {
        Err(TransportError::Closed)
    }

    fn lanes(&self, _delay: Duration) -> NonZeroUsize {
        NonZeroUsize::new(self.lanes).unwrap()
    }
}
