//! From what has arrived to the final file, and from its receipt to the source's deletion.
//!
//! Receipts and deletions come from the other end: here they are handed on, nobody decides one.

use bytes::Bytes;
use realize_core::hash::Digest;
use realize_core::service;
use serde::{Deserialize, Serialize};

use super::Violation;
use super::batch::Item;
use super::parts::{Path, Timestamp, Version, link_target, mode, size};
use super::payload::{Payload, Payloads};

/// A whole small file or a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Put {
    pub(crate) path: Path,
    pub(crate) content: Content,
    pub(crate) mode: u32,
    pub(crate) modified: Timestamp,
    pub(crate) expect: Expect,
}

/// What a [`Put`] holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Content {
    File(Payload, [u8; 32]),
    Link(Bytes),
}

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MakeDirectory {
    pub(crate) path: Path,
    pub(crate) mode: u32,
    pub(crate) making: Making,
}

/// What becomes of a directory that exists, and of one that does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Making {
    Change,
    Either,
    New,
    Unset,
}

/// What is expected under a final name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Expect {
    Absent,
    Version(Version),
}

/// Makes the final file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finish {
    pub(crate) path: Path,
    pub(crate) from: FinishFrom,
    pub(crate) size: u64,
    pub(crate) hash: [u8; 32],
    pub(crate) mode: u32,
    pub(crate) modified: Timestamp,
}

/// What [`Finish`] starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FinishFrom {
    Partial(Version, Expect),
    Existing(Version),
}

/// That a file stands under its final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) hash: [u8; 32],
    pub(crate) outcome: Outcome,
}

/// How it came there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Finished,
    Identical,
}

/// Something to delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Delete {
    File {
        path: Path,
        version: Version,
        receipt: Receipt,
    },
    Directory {
        path: Path,
    },
}

impl From<service::Put> for Put {
    fn from(put: service::Put) -> Self {
        Self {
            path: put.path.into(),
            content: put.content.into(),
            mode: put.mode,
            modified: put.modified.into(),
            expect: put.expect.into(),
        }
    }
}

impl TryFrom<Put> for service::Put {
    type Error = Violation;

    fn try_from(put: Put) -> Result<Self, Violation> {
        Ok(Self {
            path: put.path.try_into()?,
            content: put.content.try_into()?,
            mode: mode(put.mode)?,
            modified: put.modified.try_into()?,
            expect: put.expect.try_into()?,
        })
    }
}

impl Item for Put {
    fn content(&self) -> u64 {
        match &self.content {
            Content::File(data, _) => data.len(),
            Content::Link(target) => target.len() as u64,
        }
    }
}

impl Payloads for Put {
    fn payloads(&mut self, visit: &mut dyn FnMut(&mut Payload)) {
        match &mut self.content {
            Content::File(data, _) => data.payloads(visit),
            Content::Link(_) => {}
        }
    }
}

impl From<service::Content> for Content {
    fn from(content: service::Content) -> Self {
        match content {
            service::Content::File(data, hash) => Self::File(data.into(), *hash.as_bytes()),
            service::Content::Link(target) => Self::Link(target.into()),
        }
    }
}

impl TryFrom<Content> for service::Content {
    type Error = Violation;

    fn try_from(content: Content) -> Result<Self, Violation> {
        Ok(match content {
            Content::File(data, hash) => Self::File(data.try_into()?, Digest::from_bytes(hash)),
            Content::Link(target) => Self::Link(link_target(target)?),
        })
    }
}

impl From<service::MakeDirectory> for MakeDirectory {
    fn from(make: service::MakeDirectory) -> Self {
        Self {
            path: make.path.into(),
            mode: make.mode,
            making: match make.making {
                service::Making::Change => Making::Change,
                service::Making::Either => Making::Either,
                service::Making::New => Making::New,
                service::Making::Unset => Making::Unset,
            },
        }
    }
}

impl TryFrom<MakeDirectory> for service::MakeDirectory {
    type Error = Violation;

    fn try_from(make: MakeDirectory) -> Result<Self, Violation> {
        Ok(Self {
            path: make.path.try_into()?,
            mode: mode(make.mode)?,
            making: match make.making {
                Making::Change => service::Making::Change,
                Making::Either => service::Making::Either,
                Making::New => service::Making::New,
                Making::Unset => service::Making::Unset,
            },
        })
    }
}

impl Item for MakeDirectory {}

impl From<service::Expect> for Expect {
    fn from(expect: service::Expect) -> Self {
        match expect {
            service::Expect::Absent => Self::Absent,
            service::Expect::Version(version) => Self::Version(version.into()),
        }
    }
}

impl TryFrom<Expect> for service::Expect {
    type Error = Violation;

    fn try_from(expect: Expect) -> Result<Self, Violation> {
        Ok(match expect {
            Expect::Absent => Self::Absent,
            Expect::Version(version) => Self::Version(version.try_into()?),
        })
    }
}

impl From<service::Finish> for Finish {
    fn from(finish: service::Finish) -> Self {
        Self {
            path: finish.path.into(),
            from: finish.from.into(),
            size: finish.size,
            hash: *finish.hash.as_bytes(),
            mode: finish.mode,
            modified: finish.modified.into(),
        }
    }
}

impl TryFrom<Finish> for service::Finish {
    type Error = Violation;

    fn try_from(finish: Finish) -> Result<Self, Violation> {
        Ok(Self {
            path: finish.path.try_into()?,
            from: finish.from.try_into()?,
            size: size(finish.size)?,
            hash: Digest::from_bytes(finish.hash),
            mode: mode(finish.mode)?,
            modified: finish.modified.try_into()?,
        })
    }
}

impl Item for Finish {}

impl From<service::FinishFrom> for FinishFrom {
    fn from(from: service::FinishFrom) -> Self {
        match from {
            service::FinishFrom::Partial(source, expect) => {
                Self::Partial(source.into(), expect.into())
            }
            service::FinishFrom::Existing(version) => Self::Existing(version.into()),
        }
    }
}

impl TryFrom<FinishFrom> for service::FinishFrom {
    type Error = Violation;

    fn try_from(from: FinishFrom) -> Result<Self, Violation> {
        Ok(match from {
            FinishFrom::Partial(source, expect) => {
                Self::Partial(source.try_into()?, expect.try_into()?)
            }
            FinishFrom::Existing(version) => Self::Existing(version.try_into()?),
        })
    }
}

impl From<service::Receipt> for Receipt {
    fn from(receipt: service::Receipt) -> Self {
        Self {
            hash: *receipt.hash().as_bytes(),
            outcome: match receipt.outcome() {
                service::Outcome::Finished => Outcome::Finished,
                service::Outcome::Identical => Outcome::Identical,
            },
        }
    }
}

impl TryFrom<Receipt> for service::Receipt {
    type Error = Violation;

    /// At the mover's end the receipt is the answer to what it had finished; at the source's end it
    /// is what the mover was given. In both it was issued elsewhere.
    fn try_from(receipt: Receipt) -> Result<Self, Violation> {
        let outcome = match receipt.outcome {
            Outcome::Finished => service::Outcome::Finished,
            Outcome::Identical => service::Outcome::Identical,
        };
        let hash = Digest::from_bytes(receipt.hash);
        Ok(service::Receipt::relay(hash, outcome))
    }
}

impl Item for Receipt {}

impl From<service::Delete> for Delete {
    fn from(delete: service::Delete) -> Self {
        match delete {
            service::Delete::File {
                path,
                version,
                receipt,
            } => Self::File {
                path: path.into(),
                version: version.into(),
                receipt: receipt.into(),
            },
            service::Delete::Directory { path } => Self::Directory { path: path.into() },
        }
    }
}

impl TryFrom<Delete> for service::Delete {
    type Error = Violation;

    /// What the mover decided, at the end that keeps the source.
    fn try_from(delete: Delete) -> Result<Self, Violation> {
        match delete {
            Delete::File {
                path,
                version,
                receipt,
            } => Ok(service::Delete::File {
                path: path.try_into()?,
                version: version.try_into()?,
                receipt: receipt.try_into()?,
            }),
            Delete::Directory { path } => Ok(Self::Directory {
                path: path.try_into()?,
            }),
        }
    }
}

impl Item for Delete {}
