//! Whom a program lets in.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use crate::transport::{Connection, PeerId, TransportError};

/// How many peers a [`KnownPeers`] holds at most.
pub const MAX_KNOWN_PEERS: usize = 16 * 1024;

/// More peers than [`MAX_KNOWN_PEERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_KNOWN_PEERS} peers")]
pub struct TooManyPeers;

/// The peers that listeners let in. Clones share one set, which can be replaced while connections
/// are made: what it holds at the moment when a peer proves who it is decides. An empty set lets
/// nobody in.
#[derive(Clone, Debug, Default)]
pub struct KnownPeers(Arc<RwLock<HashSet<PeerId>>>);

impl KnownPeers {
    /// A set of `peers`.
    ///
    /// # Errors
    /// [`TooManyPeers`].
    pub fn new(peers: impl IntoIterator<Item = PeerId>) -> Result<Self, TooManyPeers> {
        Ok(Self(Arc::new(RwLock::new(bounded(peers)?))))
    }

    /// Puts `peers` in the place of all that were known, for every clone. Connections that stand
    /// already are not cut, and one whose peer was looked up just before may yet come up: whoever
    /// takes a peer away looks through the connections afterwards.
    ///
    /// # Errors
    /// [`TooManyPeers`]; who was known stays known then.
    pub fn replace(&self, peers: impl IntoIterator<Item = PeerId>) -> Result<(), TooManyPeers> {
        let peers = bounded(peers)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = peers;
        Ok(())
    }

    /// Whether `peer` is known now.
    pub fn contains(&self, peer: &PeerId) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.contains(peer)
    }

    /// The connection, if its peer is known now.
    ///
    /// # Errors
    /// [`TransportError::Identity`].
    pub fn admit(&self, connection: Connection) -> Result<Connection, TransportError> {
        if self.contains(&connection.peer) {
            return Ok(connection);
        }
        Err(TransportError::Identity {
            what: format!("{} is not known here", connection.peer),
            address: connection.address,
            peer: Some(connection.peer),
        })
    }
}

fn bounded(peers: impl IntoIterator<Item = PeerId>) -> Result<HashSet<PeerId>, TooManyPeers> {
    let mut set = HashSet::new();
    for peer in peers {
        set.insert(peer);
        if set.len() > MAX_KNOWN_PEERS {
            return Err(TooManyPeers);
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: usize) -> PeerId {
        PeerId::new(format!("test:{number}")).unwrap()
    }

    #[test]
    fn a_set_is_replaced_for_every_clone() {
        let known = KnownPeers::new([peer(1)]).unwrap();
        let clone = known.clone();
        known.replace([peer(2)]).unwrap();
        assert!(clone.contains(&peer(2)) && !clone.contains(&peer(1)));
        assert!(!KnownPeers::default().contains(&peer(1)));
    }

    #[test]
    fn who_is_known_is_admitted() {
        let known = KnownPeers::new([peer(1)]).unwrap();
        let connection = |number| Connection::new(peer(number), "there", tokio::io::empty());
        assert_eq!(known.admit(connection(1)).unwrap().peer, peer(1));
        let error = known.admit(connection(2)).unwrap_err();
        assert_eq!(error.to_string(), "there: test:2 is not known here");
        assert!(connection(1).expect(&peer(1)).is_ok());
        let error = connection(1).expect(&peer(2)).unwrap_err();
        assert_eq!(error.to_string(), "there: expected test:2, found test:1");
    }

    #[test]
    fn a_set_is_bounded() {
        let known = KnownPeers::new([peer(1)]).unwrap();
        assert_eq!(
            known.replace((0..=MAX_KNOWN_PEERS).map(peer)),
            Err(TooManyPeers)
        );
        assert!(known.contains(&peer(1)));
    }
}
