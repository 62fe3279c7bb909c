//! The connections that have not sent their request yet.
//!
//! Where there are too many connections, the oldest of these gives way: a scraper sends its request
//! at once, and is answered however many connections others hold and say nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// All of them, the oldest first. There are as many as there are connections, at most.
#[derive(Clone, Default)]
pub(super) struct Silent(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    next: u64,
    waiting: BTreeMap<u64, CancellationToken>,
}

/// A connection's place among them, until it is dropped.
pub(super) struct Place {
    number: u64,
    displaced: CancellationToken,
    silent: Silent,
}

impl Silent {
    /// One more, the youngest.
    pub(super) fn enter(&self) -> Place {
        let displaced = CancellationToken::new();
        let mut table = self.table();
        let number = table.next;
        table.next = table.next.wrapping_add(1);
        table.waiting.insert(number, displaced.clone());
        drop(table);
        Place {
            number,
            displaced,
            silent: self.clone(),
        }
    }

    /// Has the oldest give way, if there is one.
    pub(super) fn displace_oldest(&self) {
        let oldest = self.table().waiting.pop_first();
        if let Some((_, displaced)) = oldest {
            displaced.cancel();
        }
    }

    /// The table. No change of it stops halfway, so it is sound even if a holder panicked.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Its request is there: it does not give way any more.
    pub(super) fn heard(&self) {
        let gone = self.silent.table().waiting.remove(&self.number);
        drop(gone);
    }

    /// Waits until it is to give way. Cancel safe.
    pub(super) async fn displaced(&self) {
        self.displaced.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.heard();
    }
}
