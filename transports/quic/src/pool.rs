//! The connections to peers, and how streams are spread over them.
//!
//! There are at most so many connections to a peer. A stream goes to a new connection while there
//! are fewer, and then to the one with the fewest streams. The end of its last stream closes a
//! connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quinn::Connection;
use realize_core::transport::{Endpoint, PeerId};

use crate::fault::DONE;

/// Whom a connection is to: where, and who must be there.
pub(crate) type Place = (Endpoint, PeerId);

/// The connections of a transport that dials.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    places: Mutex<HashMap<Place, Arc<Connections>>>,
}

/// The connections to one place. Whoever wants a stream there takes its turn, so that those who
/// come at once do not make one connection each.
pub(crate) type Connections = tokio::sync::Mutex<Vec<Arc<Pooled>>>;

/// A connection, and how many streams it has.
#[derive(Debug)]
pub(crate) struct Pooled {
    pub(crate) connection: Connection,
    streams: AtomicUsize,
}

/// Keeps a connection for one stream.
#[derive(Debug)]
pub(crate) struct Lease(pub(crate) Arc<Pooled>);

impl Pool {
    /// The connections to `place`, some of which may have ended. Places without any are forgotten.
    pub(crate) fn at(&self, place: Place) -> Arc<Connections> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|_, connections| {
            // Somebody else has it, or may yet dial.
            Arc::strong_count(connections) > 1
                || connections.try_lock().is_ok_and(|mut connections| {
                    forget_ended(&mut connections);
                    !connections.is_empty()
                })
        });
        Arc::clone(places.entry(place).or_default())
    }
}

/// Forgets connections that have ended.
fn forget_ended(connections: &mut Vec<Arc<Pooled>>) {
    connections.retain(|pooled| pooled.connection.close_reason().is_none());
}

/// The connection for one more stream; none if a new one is to be made, of which there are `most`.
pub(crate) fn choose(connections: &mut Vec<Arc<Pooled>>, most: usize) -> Option<Lease> {
    forget_ended(connections);
    if connections.len() < most {
        return None;
    }
    let fewest = connections
        .iter()
        .min_by_key(|pooled| pooled.streams.load(Ordering::Relaxed))?;
    Some(Lease::take(fewest))
}

impl Pooled {
    pub(crate) fn new(connection: Connection) -> Arc<Self> {
        Arc::new(Self {
            connection,
            streams: AtomicUsize::new(0),
        })
    }
}

impl Lease {
    pub(crate) fn take(pooled: &Arc<Pooled>) -> Self {
        pooled.streams.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(pooled))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Whoever takes it in this moment finds it closed, and takes another.
        if self.0.streams.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.connection.close(DONE, b"done");
        }
    }
}
