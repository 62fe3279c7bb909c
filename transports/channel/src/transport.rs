//! The table of names, and the connections between those who share it.
//!
//! A listener puts its name into the table, with the sending end of a bounded queue. Whoever dials
//! the name makes both ends of a connection and puts the listener's end into the queue; nothing is
//! left to negotiate, so the handshake of an accepted connection is ready at once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use realize_core::transport::{
    Connection, Endpoint, Handshake, Listener, PeerId, Transport, TransportError,
};
use tokio::sync::mpsc;

use crate::config::ChannelOptions;

/// How many connections wait at a listener to be accepted; whoever dials beyond that waits.
pub const BACKLOG: usize = 64;

/// Connects those who hold clones of it, within this process.
///
/// Clones are cheap and share one table of names; two transports made separately do not see each
/// other. Any [`Endpoint`] is a name. Who a clone is, when it dials and when it listens, is what
/// [`as_peer`](Self::as_peer) said, or `local:`.
///
/// A dialled connection may be written to at once, before it is accepted. If the listener is dropped
/// first, or the handshake is, the stream ends. Dialling waits while [`BACKLOG`] connections wait to
/// be accepted, for as long as the listener takes: whoever dials sets a deadline.
///
/// A stream holds up to [`ChannelOptions::buffer`] bytes in each direction, and what it holds is
/// still read after the writer is gone. Writing to an end that is gone is
/// [`ErrorKind::BrokenPipe`].
///
/// Dropping the last clone ends the table: a listener that outlives it accepts what was dialled
/// already, and is [`TransportError::Closed`] from then on.
#[derive(Clone, Debug)]
pub struct ChannelTransport {
    names: Arc<Names>,
    identity: PeerId,
    buffer: usize,
}

impl ChannelTransport {
    /// A transport with a table of names of its own, whose identity is `local:`.
    pub fn new(options: ChannelOptions) -> Self {
        Self {
            names: Arc::default(),
            identity: PeerId::local(),
            buffer: options.buffer.count().get(),
        }
    }

    /// A clone, with the same table of names, that dials and listens as `peer`.
    pub fn as_peer(&self, peer: PeerId) -> Self {
        Self {
            identity: peer,
            ..self.clone()
        }
    }
}

impl Default for ChannelTransport {
    fn default() -> Self {
        Self::new(ChannelOptions::default())
    }
}

#[async_trait]
impl Transport for ChannelTransport {
    async fn dial(
        &self,
        endpoint: &Endpoint,
        expected: &PeerId,
    ) -> Result<Connection, TransportError> {
        let unreachable = || TransportError::Unreachable {
            endpoint: endpoint.clone(),
            source: io::Error::new(ErrorKind::ConnectionRefused, "nobody listens at this name"),
        };
        let Bound { identity, queue } = self.names.find(endpoint).ok_or_else(unreachable)?;
        if identity != *expected {
            return Err(TransportError::Identity {
                address: address(endpoint),
                what: format!("expected {expected}, and {identity} is there"),
                peer: Some(identity),
            });
        }
        // The place is taken first and the connection made last: a future that is dropped while it
        // waits leaves nothing behind.
        let place = queue.reserve().await.map_err(|_| unreachable())?;
        let (near, far) = tokio::io::duplex(self.buffer);
        let address = address(endpoint);
        place.send(Connection::new(self.identity.clone(), &address, far));
        Ok(Connection::new(identity, address, near))
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        let (queue, arrivals) = mpsc::channel(BACKLOG);
        self.names.bind(
            endpoint,
            Bound {
                identity: self.identity.clone(),
                queue,
            },
        )?;
        Ok(Box::new(ChannelListener {
            endpoint: endpoint.clone(),
            arrivals,
            names: Arc::downgrade(&self.names),
        }))
    }
}

/// How logs and errors call an end: a bare name would not tell what it is.
fn address(endpoint: &Endpoint) -> String {
    format!("channel:{endpoint}")
}

/// Who listens at which name.
#[derive(Debug, Default)]
struct Names(Mutex<BTreeMap<Endpoint, Bound>>);

/// A name in use: who listens there, and where connections for them go.
#[derive(Clone)]
struct Bound {
    identity: PeerId,
    queue: mpsc::Sender<Connection>,
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Names {
    /// The table. No change of it stops halfway, so it is sound even if a holder panicked.
    fn table(&self) -> MutexGuard<'_, BTreeMap<Endpoint, Bound>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, endpoint: &Endpoint) -> Option<Bound> {
        self.table().get(endpoint).cloned()
    }

    fn bind(&self, endpoint: &Endpoint, bound: Bound) -> Result<(), TransportError> {
        match self.table().entry(endpoint.clone()) {
            Entry::Vacant(free) => {
                free.insert(bound);
                Ok(())
            }
            Entry::Occupied(_) => Err(TransportError::Address {
                endpoint: endpoint.clone(),
                what: "this name is in use; listen at another one".to_owned(),
                source: Some(ErrorKind::AddrInUse.into()),
            }),
        }
    }

    fn free(&self, endpoint: &Endpoint) {
        self.table().remove(endpoint);
    }
}

/// Listens at one name of the table, until it is dropped.
struct ChannelListener {
    endpoint: Endpoint,
    arrivals: mpsc::Receiver<Connection>,
    /// Weak, so that the queue ends when nobody is left who could dial.
    names: Weak<Names>,
}

impl fmt::Debug for ChannelListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelListener")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Listener for ChannelListener {
    fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    async fn accept(&mut self) -> Result<Handshake, TransportError> {
        let connection = self.arrivals.recv().await.ok_or(TransportError::Closed)?;
        Ok(Box::pin(std::future::ready(Ok(connection))))
    }
}

impl Drop for ChannelListener {
    fn drop(&mut self) {
        // The entry is this listener's: a name in use is given to nobody else.
        if let Some(names) = self.names.upgrade() {
            names.free(&self.endpoint);
        }
    }
}

#[cfg(test)]
mod tests;
