//! Hashes of ranges, and of what has arrived so far.

use realize_core::hash::{self, Digest};
use serde::{Deserialize, Serialize};

use super::Violation;
use super::batch::Bounded;

/// The most subtrees of a hash: each side of a range's tallest subtree has one per height at most,
/// of which a file has 53.
pub(super) const MAX_SUBTREES: usize = 128;

/// A chaining value, and how many bytes of content it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subtree {
    pub(crate) size: u64,
    pub(crate) value: [u8; 32],
}

/// The hash of a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RangeHash {
    Whole([u8; 32]),
    Part(Bounded<Subtree, MAX_SUBTREES>),
}

/// How far a file has been hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HashState(pub(crate) Bounded<Subtree, MAX_SUBTREES>);

impl From<&hash::Subtree> for Subtree {
    fn from(subtree: &hash::Subtree) -> Self {
        Self {
            size: subtree.size(),
            value: *subtree.value(),
        }
    }
}

impl TryFrom<Subtree> for hash::Subtree {
    type Error = Violation;

    fn try_from(subtree: Subtree) -> Result<Self, Violation> {
        Ok(Self::new(subtree.size, subtree.value)?)
    }
}

fn put_down(subtrees: &[hash::Subtree]) -> Bounded<Subtree, MAX_SUBTREES> {
    Bounded(subtrees.iter().map(Subtree::from).collect())
}

fn take_up(subtrees: Bounded<Subtree, MAX_SUBTREES>) -> Result<Vec<hash::Subtree>, Violation> {
    let subtrees = subtrees.checked("chaining values")?.into_iter();
    subtrees.map(Subtree::try_into).collect()
}

impl From<hash::RangeHash> for RangeHash {
    fn from(hash: hash::RangeHash) -> Self {
        match hash {
            hash::RangeHash::Whole(digest) => Self::Whole(*digest.as_bytes()),
            hash::RangeHash::Part(subtrees) => Self::Part(put_down(&subtrees)),
        }
    }
}

impl TryFrom<RangeHash> for hash::RangeHash {
    type Error = Violation;

    fn try_from(hash: RangeHash) -> Result<Self, Violation> {
        Ok(match hash {
            RangeHash::Whole(digest) => Self::Whole(Digest::from_bytes(digest)),
            RangeHash::Part(subtrees) => Self::Part(take_up(subtrees)?),
        })
    }
}

impl From<hash::HashState> for HashState {
    fn from(state: hash::HashState) -> Self {
        Self(put_down(state.subtrees()))
    }
}

impl TryFrom<HashState> for hash::HashState {
    type Error = Violation;

    fn try_from(state: HashState) -> Result<Self, Violation> {
        Ok(Self::new(take_up(state.0)?)?)
    }
}
