//! How much of something each peer has at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::transport::PeerId;

/// A number of shares for each peer, so that no peer has what is there for all. Clones share them.
#[derive(Clone, Debug)]
pub struct PerPeer {
    most: usize,
    taken: Arc<Mutex<HashMap<PeerId, usize>>>,
}

/// A share of a peer, until it is dropped.
#[derive(Debug)]
pub struct Share {
    of: PerPeer,
    peer: PeerId,
}

impl PerPeer {
    /// So many shares for each peer.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            taken: Arc::default(),
        }
    }

    /// One more share for `peer`; `None` if it has all that are for it.
    pub fn take(&self, peer: &PeerId) -> Option<Share> {
        let mut taken = self.taken();
        let count = taken.entry(peer.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share {
            of: self.clone(),
            peer: peer.clone(),
        })
    }

    /// How many shares `peer` has now.
    pub fn held(&self, peer: &PeerId) -> usize {
        self.taken().get(peer).copied().unwrap_or(0)
    }

    /// The table. No change of it stops halfway, so it is sound even if a holder panicked.
    fn taken(&self) -> MutexGuard<'_, HashMap<PeerId, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        if let Some(count) = taken.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_its_own_and_gets_them_back() {
        let peer = |name: &str| PeerId::new(name).unwrap();
        let shares = PerPeer::new(2);
        let first = shares.take(&peer("test:a")).unwrap();
        let _second = shares.clone().take(&peer("test:a")).unwrap();
        assert!(shares.take(&peer("test:a")).is_none());
        let other = shares.take(&peer("test:b")).unwrap();
        assert_eq!(shares.held(&peer("test:a")), 2);
        drop((first, other));
        assert_eq!(shares.held(&peer("test:b")), 0);
        assert_eq!(shares.taken().len(), 1, "who has none is forgotten");
        assert!(shares.take(&peer("test:a")).is_some());
    }
}
