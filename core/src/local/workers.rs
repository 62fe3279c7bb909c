//! How many calls storage works on at once.
//!
//! What a blocking thread has begun it brings to its end, though nobody waits for it any more: so a
//! call that was given up counts for as long as its work goes on, with the memory that it holds.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, ErrorKind, Result};

/// How many there are where nothing else is said: more than a move has calls under way.
const MAX_WORKERS: usize = 64;

/// A number of calls that are worked on at once; the others wait, and those that are given up
/// meanwhile never begin. Clones share it: services that are opened for one peer can be held to one
/// number together.
#[derive(Clone, Debug)]
pub struct Workers(Arc<Semaphore>);

impl Workers {
    /// So many at once, at least one.
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(most)))
    }

    /// Waits until one is free; it is busy until the answer is dropped. Whoever came first is served
    /// first. Cancel safe, but the place in the queue is lost.
    pub(super) async fn take(&self) -> Result<OwnedSemaphorePermit> {
        let taken = Arc::clone(&self.0).acquire_owned().await;
        taken.map_err(|error| Error::new(ErrorKind::Io, "waiting for storage").because(error))
    }
}

impl Default for Workers {
    fn default() -> Self {
        Self::new(MAX_WORKERS)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::service::{List, Service};
    use crate::{LocalOptions, LocalService, RelPath};

    #[tokio::test]
    async fn a_call_that_was_given_up_counts_until_its_work_is_done() {
        let directory = tempfile::tempdir().unwrap();
        let workers = Workers::new(1);
        let open = || {
            let options = LocalOptions {
                workers: workers.clone(),
                ..LocalOptions::default()
            };
            LocalService::open(directory.path(), options).unwrap()
        };
        let (one, other) = (open(), open());
        let path = RelPath::new("f").unwrap();
        let held = one.storage.construction.take(&path).unwrap();
        let (begins, begun) = std::sync::mpsc::channel();
        let waits = one.blocking(move |storage| {
            begins.send(()).unwrap();
            storage.construction.write(&path).map(drop)
        });
        let mut waits = Box::pin(waits);
        assert!(futures::poll!(&mut waits).is_pending());
        begun.recv_timeout(Duration::from_secs(10)).unwrap();
        drop(waits);
        // Its thread still waits for the name, and nobody else's call begins.
        assert_eq!(workers.0.available_permits(), 0);
        let mut listed = other.list(List::default());
        assert!(futures::poll!(&mut listed).is_pending());
        drop(held);
        let ended = tokio::time::timeout(Duration::from_secs(10), listed);
        ended.await.unwrap().unwrap();
    }
}
