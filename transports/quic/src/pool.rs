//! The connections to peers, and how streams are spread over them.
//!
//! There are at most so many connections to a peer. A stream goes to a new connection while there
//! are fewer, and then to the one with the fewest streams. The end of its last stream closes a
//! connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quinn::Connection;
use realize_core::transport::{Endpoint, PeerId, TransportError};
use tokio::sync::OnceCell;

use crate::fault::DONE;

/// Whom a connection is to: where, and who must be there.
pub(crate) type Place = (Endpoint, PeerId);

/// The connections of a transport that dials.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<HashMap<Place, Vec<Arc<Pooled>>>>);

/// A connection, or one that is being made, and how many streams it has.
#[derive(Debug, Default)]
struct Pooled {
    connection: OnceCell<Connection>,
    streams: AtomicUsize,
}

/// Keeps a connection for one stream.
#[derive(Debug)]
pub(crate) struct Lease(Arc<Pooled>);

impl Pool {
    /// A connection to `place` for one more stream, of which there are `most`. It may have to be made
    /// yet.
    pub(crate) fn lease(&self, place: &Place, most: usize) -> Lease {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|_, all| {
            all.retain(|pooled| pooled.is_of_use());
            !all.is_empty()
        });
        let all = places.entry(place.clone()).or_default();
        let fewest = all
            .iter()
            .min_by_key(|pooled| pooled.streams.load(Ordering::Relaxed));
        let pooled = match fewest {
            Some(fewest) if all.len() >= most => Arc::clone(fewest),
            _ => {
                let pooled = Arc::<Pooled>::default();
                all.push(Arc::clone(&pooled));
                pooled
            }
        };
        pooled.streams.fetch_add(1, Ordering::Relaxed);
        Lease(pooled)
    }

    /// The connections that have been made, to all places.
    #[cfg(test)]
    pub(crate) fn connections(&self) -> Vec<Connection> {
        let places = self.0.lock().unwrap();
        let pooled = places.values().flatten();
        let made = pooled.filter_map(|pooled| pooled.connection.get());
        made.cloned().collect()
    }
}

impl Pooled {
    /// Whether it stands, or somebody is making it.
    fn is_of_use(&self) -> bool {
        match self.connection.get() {
            Some(connection) => connection.close_reason().is_none(),
            None => self.streams.load(Ordering::Relaxed) > 0,
        }
    }
}

impl Lease {
    /// The connection, made by `make` if it has not been; who comes meanwhile waits for it. Says too
    /// whether it has been made just now.
    pub(crate) async fn connection<F>(
        &self,
        make: impl FnOnce() -> F,
    ) -> Result<(&Connection, bool), TransportError>
    where
        F: Future<Output = Result<Connection, TransportError>>,
    {
        let mut fresh = false;
        let made = self.0.connection.get_or_try_init(|| {
            fresh = true;
            make()
        });
        let connection = made.await?;
        Ok((connection, fresh))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Whoever takes it in this moment finds it closed, and takes another.
        if self.0.streams.fetch_sub(1, Ordering::Relaxed) == 1
            && let Some(connection) = self.0.connection.get()
        {
            connection.close(DONE, b"done");
        }
    }
}
