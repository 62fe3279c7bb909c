//! Which rights each peer has in each directory.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::rights::Rights;
use crate::transport::PeerId;

/// How many grants an [`AccessPolicy`] is made of at most.
pub const MAX_GRANTS: usize = 64 * 1024;
/// The longest name of a directory in a [`Grant`], in bytes.
pub const MAX_DIRECTORY_NAME: usize = 255;

/// What one peer may do in one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The directory's name, as peers ask for it; at most [`MAX_DIRECTORY_NAME`] bytes.
    pub directory: String,
    /// Who.
    pub peer: PeerId,
    /// What.
    pub rights: Rights,
}

/// Grants that make no [`AccessPolicy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// More than [`MAX_GRANTS`].
    #[error("more than {MAX_GRANTS} grants of rights")]
    TooMany,
    /// The name of a directory that is longer than [`MAX_DIRECTORY_NAME`].
    #[error("the name of a directory is longer than {MAX_DIRECTORY_NAME} bytes")]
    Name,
}

type Table = HashMap<String, HashMap<PeerId, Rights>>;

/// Who may do what in which directory. Clones share one policy, which can be replaced while
/// services work: what it says at the moment of a call decides that call. The empty one allows
/// nobody anything.
#[derive(Clone, Debug, Default)]
pub struct AccessPolicy(Arc<RwLock<Table>>);

impl AccessPolicy {
    /// The policy of `grants`. Several for one peer and directory add up.
    ///
    /// # Errors
    /// [`InvalidPolicy`].
    pub fn new(grants: impl IntoIterator<Item = Grant>) -> Result<Self, InvalidPolicy> {
        Ok(Self(Arc::new(RwLock::new(table(grants)?))))
    }

    /// Puts `grants` in the place of all that held, for every clone. A call that is under way goes
    /// on.
    ///
    /// # Errors
    /// [`InvalidPolicy`]; what held goes on to hold then.
    pub fn replace(&self, grants: impl IntoIterator<Item = Grant>) -> Result<(), InvalidPolicy> {
        let table = table(grants)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = table;
        Ok(())
    }

    /// What `peer` may do in `directory` now.
    pub fn rights(&self, peer: &PeerId, directory: &str) -> Rights {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let granted = table.get(directory).and_then(|peers| peers.get(peer));
        granted.copied().unwrap_or_default()
    }
}

fn table(grants: impl IntoIterator<Item = Grant>) -> Result<Table, InvalidPolicy> {
    let mut table = Table::new();
    for (count, grant) in grants.into_iter().enumerate() {
        if count >= MAX_GRANTS {
            return Err(InvalidPolicy::TooMany);
        }
        if grant.directory.len() > MAX_DIRECTORY_NAME {
            return Err(InvalidPolicy::Name);
        }
        let peers = table.entry(grant.directory).or_default();
        let rights = peers.entry(grant.peer).or_default();
        *rights = rights.union(grant.rights);
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Right;

    fn peer(number: usize) -> PeerId {
        PeerId::new(format!("test:{number}")).unwrap()
    }

    fn grant(directory: &str, number: usize, rights: impl Into<Rights>) -> Grant {
        Grant {
            directory: directory.to_owned(),
            peer: peer(number),
            rights: rights.into(),
        }
    }

    #[test]
    fn rights_are_one_peers_in_one_directory() {
        let policy = AccessPolicy::new([
            grant("inbox", 1, Right::Write),
            grant("inbox", 1, Right::Replace),
            grant("outbox", 2, Right::List),
        ])
        .unwrap();
        let write = Rights::from([Right::Write, Right::Replace]);
        assert_eq!(policy.rights(&peer(1), "inbox"), write);
        assert_eq!(policy.rights(&peer(2), "outbox"), Right::List.into());
        for (number, directory) in [(1, "outbox"), (2, "inbox"), (3, "inbox"), (1, "INBOX")] {
            assert!(policy.rights(&peer(number), directory).is_empty());
        }
        assert!(AccessPolicy::default().rights(&peer(1), "inbox").is_empty());
    }

    #[test]
    fn a_policy_is_replaced_whole_for_every_clone() {
        let policy = AccessPolicy::new([grant("a", 1, Rights::ALL)]).unwrap();
        let clone = policy.clone();
        policy.replace([grant("b", 1, Right::Read)]).unwrap();
        assert!(clone.rights(&peer(1), "a").is_empty());
        assert_eq!(clone.rights(&peer(1), "b"), Right::Read.into());
    }

    #[test]
    fn a_policy_is_bounded_and_what_is_too_large_changes_nothing() {
        let policy = AccessPolicy::new([grant("a", 1, Right::Read)]).unwrap();
        let many = |count| (0..count).map(|number| grant("a", number, Rights::ALL));
        let long = [grant(&"n".repeat(MAX_DIRECTORY_NAME + 1), 1, Rights::ALL)];
        assert_eq!(
            policy.replace(many(MAX_GRANTS + 1)),
            Err(InvalidPolicy::TooMany)
        );
        assert_eq!(policy.replace(long), Err(InvalidPolicy::Name));
        assert_eq!(policy.rights(&peer(1), "a"), Right::Read.into());
        assert_eq!(policy.replace(many(MAX_GRANTS)), Ok(()));
    }
}
