//! How much memory one peer's requests may take, all of its connections together, and the answers
//! to them.
//!
//! The two have a budget each. A request keeps its share until it is answered, and waits for the
//! answer's meanwhile: out of one budget, requests that wait could hold all of it.

use std::sync::Arc;

use realize_core::error::{Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The budgets of one peer.
#[derive(Clone, Debug)]
pub(crate) struct Budgets {
    pub(crate) requests: Budget,
    pub(crate) answers: Budget,
}

/// What is counted: the number of KiB, rounded up.
const UNIT: usize = 1 << 10;

/// A number of bytes that requests, or answers, share. Clones share it too.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    units: u32,
}

impl Budget {
    /// A budget of so many bytes.
    pub(crate) fn new(bytes: u32) -> Self {
        let units = bytes / UNIT as u32;
        Self {
            free: Arc::new(Semaphore::new(units as usize)),
            units,
        }
    }

    /// Waits for a share of so many bytes, at most the whole budget. It is given back when it is
    /// dropped. Whoever came first is served first. Cancel safe, but the place in the queue is lost.
    pub(crate) async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        Arc::clone(&self.free)
            .acquire_many_owned(units.min(self.units))
            .await
            .map_err(|_| Error::new(ErrorKind::Network, "the connection is closing"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[tokio::test]
    async fn what_is_taken_is_missing_until_it_is_dropped() {
        let budget = Budget::new(10 << 10);
        let share = budget.take(9 << 10).await.unwrap();
        let small = budget.take(1).await.unwrap();
        let more = budget.take(1);
        tokio::pin!(more);
        assert!(futures::poll!(&mut more).is_pending());
        drop(small);
        drop(more.await.unwrap());
        drop(share);
        // More than there is, is all that there is.
        drop(budget.take(usize::MAX).await.unwrap());
    }
}
