//! From what has arrived to the final file, and from its receipt to the source's deletion.

use bytes::Bytes;

use crate::entry::{Timestamp, Version};
use crate::hash::Digest;
use crate::path::RelPath;

/// A whole small file or a link for the destination.
#[derive(Clone, Debug)]
pub struct Put {
    /// Its final name.
    pub path: RelPath,
    /// What it is and holds.
    pub content: Content,
    /// Its permissions, within [`MODE_BITS`](crate::entry::MODE_BITS).
    pub mode: u32,
    /// The time to set.
    pub modified: Timestamp,
    /// What the caller expects under the final name.
    pub expect: Expect,
}

/// What a [`Put`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file with its bytes and their hash, as read from the source.
    File(Bytes, Digest),
    /// A link's target.
    Link(Vec<u8>),
}

impl Content {
    /// How many bytes of content it holds.
    pub fn len(&self) -> u64 {
        match self {
            Self::File(data, _) => data.len() as u64,
            Self::Link(target) => target.len() as u64,
        }
    }

    /// The hash that it must have at the destination.
    pub fn hash(&self) -> Digest {
        match self {
            Self::File(_, hash) => *hash,
            Self::Link(target) => Digest::of_link(target),
        }
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A directory for the destination.
#[derive(Clone, Debug)]
pub struct MakeDirectory {
    /// Its path.
    pub path: RelPath,
    /// Its permissions, within [`MODE_BITS`](crate::entry::MODE_BITS).
    pub mode: u32,
    /// Whether it is made, or an existing one changed.
    pub making: Making,
}

/// What becomes of a directory that exists, and of one that does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// An existing one gets the mode; `NotFound` says that there is none.
    Change,
    /// It is made where it does not exist, and gets the mode either way.
    Either,
    /// It is made where it does not exist, with the mode; an existing one stays as it is, unless it has no
    /// mode yet.
    New,
    /// An existing one that has no mode yet, as an interrupted run leaves those that it made, gets the
    /// mode; `NotFound` says that there is none.
    Unset,
}

/// What a caller expects under a final name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Absent,
    /// The version that the offer was answered with: it is replaced.
    Version(Version),
}

/// Turns a partial, or what already stands there, into the final file.
#[derive(Clone, Debug)]
pub struct Finish {
    /// Its final name.
    pub path: RelPath,
    /// From what.
    pub from: FinishFrom,
    /// The size that it must have.
    pub size: u64,
    /// The hash of what was read from the source.
    pub hash: Digest,
    /// Its permissions, within [`MODE_BITS`](crate::entry::MODE_BITS).
    pub mode: u32,
    /// The time to set.
    pub modified: Timestamp,
}

/// What [`Finish`] starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishFrom {
    /// The partial of this version of the source, to go where this is expected.
    Partial(Version, Expect),
    /// What stands under the final name in this version, which has the content already. A link
    /// counts too: its target's hash is compared.
    Existing(Version),
}

/// That a file stands under its final name at the destination: verified, and durable.
///
/// A service issues it at the end of `finish` and `put`, and nobody else does: without one there is
/// no [`Delete`] of a file. (The two ends of a remote service hand it on: [`relay`](Self::relay).)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    hash: Digest,
    outcome: Outcome,
}

/// How a file came to stand under its final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was renamed there.
    Finished,
    /// It stood there already.
    Identical,
}

impl Receipt {
    /// For a service to issue, when what the type promises is true.
    pub fn issue(hash: Digest, outcome: Outcome) -> Self {
        Self { hash, outcome }
    }

    /// For a client or a server of a remote service to hand on the one that it was sent: who says
    /// what the type promises is the service at the other end.
    pub fn relay(hash: Digest, outcome: Outcome) -> Self {
        Self { hash, outcome }
    }

    /// The hash that was verified.
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// How it came there.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// Something to delete at the source.
#[derive(Clone, Debug)]
pub enum Delete {
    /// A file or a link that is safe at the destination.
    File {
        /// Its path.
        path: RelPath,
        /// The version that was read.
        version: Version,
        /// The destination's receipt.
        receipt: Receipt,
    },
    /// A directory, if it is empty.
    Directory {
        /// Its path.
        path: RelPath,
    },
}

impl Delete {
    /// What is to be deleted.
    pub fn path(&self) -> &RelPath {
        match self {
            Self::File { path, .. } | Self::Directory { path } => path,
        }
    }

    /// The same, to be given another path.
    pub(crate) fn path_mut(&mut self) -> &mut RelPath {
        match self {
            Self::File { path, .. } | Self::Directory { path } => path,
        }
    }
}
