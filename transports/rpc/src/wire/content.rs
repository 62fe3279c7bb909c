//! The content of files, on its way from the source to a partial.

use realize_core::delta::{BLOCK_SIZES, InvalidDelta};
use realize_core::range::ByteRange;
use realize_core::service::{self, MAX_BLOCK, MAX_DIFF_RANGE};
use serde::{Deserialize, Serialize};

use super::batch::Item;
use super::delta::{Delta, Signature};
use super::hash::{HashState, RangeHash};
use super::parts::{Path, Range, Version, size};
use super::payload::{Payload, Payloads};
use super::{Violation, at_most};

/// Reads a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Read {
    pub(crate) path: Path,
    pub(crate) version: Version,
    pub(crate) range: Range,
}

/// Reads a whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReadWhole {
    pub(crate) path: Path,
    pub(crate) version: Version,
    pub(crate) size: u64,
}

/// A block of content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Block {
    Data(Payload),
    Hole(u64),
}

/// The file that a partial is to become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) path: Path,
    pub(crate) source: Version,
    pub(crate) size: u64,
    pub(crate) sparse: bool,
}

/// Writes a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SendBlock {
    pub(crate) target: Target,
    pub(crate) offset: u64,
    pub(crate) block: Block,
    pub(crate) hash: Option<HashState>,
}

/// Asks for the hash of a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hash {
    pub(crate) path: Path,
    pub(crate) version: Version,
    pub(crate) size: u64,
    pub(crate) range: Range,
}

/// What a file is patched from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Basis {
    Final(Version),
    Partial,
}

/// Asks for block hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SignatureRequest {
    pub(crate) target: Target,
    pub(crate) basis: Basis,
    pub(crate) range: Range,
    pub(crate) block: u32,
}

/// Compares a range with a signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DiffRequest {
    pub(crate) path: Path,
    pub(crate) version: Version,
    pub(crate) size: u64,
    pub(crate) range: Range,
    pub(crate) signature: Signature,
    pub(crate) expected: u64,
    pub(crate) search: bool,
}

/// A delta and the hash of what it yields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Difference {
    pub(crate) delta: Delta,
    pub(crate) hash: RangeHash,
}

/// Writes a range from a basis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Patch {
    pub(crate) target: Target,
    pub(crate) basis: Basis,
    pub(crate) range: Range,
    pub(crate) delta: Delta,
    pub(crate) hash: Option<HashState>,
}

impl From<service::Read> for Read {
    fn from(read: service::Read) -> Self {
        Self {
            path: read.path.into(),
            version: read.version.into(),
            range: read.range.into(),
        }
    }
}

impl TryFrom<Read> for service::Read {
    type Error = Violation;

    fn try_from(read: Read) -> Result<Self, Violation> {
        Ok(Self {
            path: read.path.try_into()?,
            version: read.version.try_into()?,
            range: read.range.at_most(MAX_BLOCK)?,
        })
    }
}

impl From<service::ReadWhole> for ReadWhole {
    fn from(read: service::ReadWhole) -> Self {
        Self {
            path: read.path.into(),
            version: read.version.into(),
            size: read.size,
        }
    }
}

impl TryFrom<ReadWhole> for service::ReadWhole {
    type Error = Violation;

    fn try_from(read: ReadWhole) -> Result<Self, Violation> {
        Ok(Self {
            path: read.path.try_into()?,
            version: read.version.try_into()?,
            size: size(read.size)?,
        })
    }
}

impl Item for ReadWhole {
    fn content(&self) -> u64 {
        self.size
    }
}

impl From<service::Block> for Block {
    fn from(block: service::Block) -> Self {
        match block {
            service::Block::Data(data) => Self::Data(data.into()),
            service::Block::Hole(len) => Self::Hole(len),
        }
    }
}

impl TryFrom<Block> for service::Block {
    type Error = Violation;

    fn try_from(block: Block) -> Result<Self, Violation> {
        let block = match block {
            Block::Data(data) => Self::Data(data.try_into()?),
            Block::Hole(len) => Self::Hole(len),
        };
        at_most(block.len(), MAX_BLOCK, "bytes in a block")?;
        Ok(block)
    }
}

impl From<service::Target> for Target {
    fn from(target: service::Target) -> Self {
        Self {
            path: target.path.into(),
            source: target.source.into(),
            size: target.size,
            sparse: target.sparse,
        }
    }
}

impl TryFrom<Target> for service::Target {
    type Error = Violation;

    fn try_from(target: Target) -> Result<Self, Violation> {
        Ok(Self {
            path: target.path.try_into()?,
            source: target.source.try_into()?,
            size: size(target.size)?,
            sparse: target.sparse,
        })
    }
}

impl From<service::SendBlock> for SendBlock {
    fn from(send: service::SendBlock) -> Self {
        Self {
            target: send.target.into(),
            offset: send.offset,
            block: send.block.into(),
            hash: send.hash.map(HashState::from),
        }
    }
}

impl TryFrom<SendBlock> for service::SendBlock {
    type Error = Violation;

    fn try_from(send: SendBlock) -> Result<Self, Violation> {
        let block = service::Block::try_from(send.block)?;
        let place = ByteRange::at(send.offset, block.len())?;
        Ok(Self {
            target: send.target.try_into()?,
            offset: place.start(),
            block,
            hash: send.hash.map(HashState::try_into).transpose()?,
        })
    }
}

impl From<service::Hash> for Hash {
    fn from(hash: service::Hash) -> Self {
        Self {
            path: hash.path.into(),
            version: hash.version.into(),
            size: hash.size,
            range: hash.range.into(),
        }
    }
}

impl TryFrom<Hash> for service::Hash {
    type Error = Violation;

    fn try_from(hash: Hash) -> Result<Self, Violation> {
        Ok(Self {
            path: hash.path.try_into()?,
            version: hash.version.try_into()?,
            size: size(hash.size)?,
            range: hash.range.try_into()?,
        })
    }
}

impl From<service::Basis> for Basis {
    fn from(basis: service::Basis) -> Self {
        match basis {
            service::Basis::Final(version) => Self::Final(version.into()),
            service::Basis::Partial => Self::Partial,
        }
    }
}

impl TryFrom<Basis> for service::Basis {
    type Error = Violation;

    fn try_from(basis: Basis) -> Result<Self, Violation> {
        Ok(match basis {
            Basis::Final(version) => Self::Final(version.try_into()?),
            Basis::Partial => Self::Partial,
        })
    }
}

impl From<service::SignatureRequest> for SignatureRequest {
    fn from(request: service::SignatureRequest) -> Self {
        Self {
            target: request.target.into(),
            basis: request.basis.into(),
            range: request.range.into(),
            block: request.block,
        }
    }
}

impl TryFrom<SignatureRequest> for service::SignatureRequest {
    type Error = Violation;

    fn try_from(request: SignatureRequest) -> Result<Self, Violation> {
        if !BLOCK_SIZES.contains(&request.block) {
            return Err(InvalidDelta::BlockSize.into());
        }
        Ok(Self {
            target: request.target.try_into()?,
            basis: request.basis.try_into()?,
            range: request.range.try_into()?,
            block: request.block,
        })
    }
}

impl From<service::DiffRequest> for DiffRequest {
    fn from(request: service::DiffRequest) -> Self {
        Self {
            path: request.path.into(),
            version: request.version.into(),
            size: request.size,
            range: request.range.into(),
            signature: request.signature.into(),
            expected: request.expected,
            search: request.search,
        }
    }
}

impl TryFrom<DiffRequest> for service::DiffRequest {
    type Error = Violation;

    fn try_from(request: DiffRequest) -> Result<Self, Violation> {
        Ok(Self {
            path: request.path.try_into()?,
            version: request.version.try_into()?,
            size: size(request.size)?,
            range: request.range.at_most(MAX_DIFF_RANGE)?,
            signature: request.signature.try_into()?,
            expected: size(request.expected)?,
            search: request.search,
        })
    }
}

impl From<service::Difference> for Difference {
    fn from(difference: service::Difference) -> Self {
        Self {
            delta: difference.delta.into(),
            hash: difference.hash.into(),
        }
    }
}

impl TryFrom<Difference> for service::Difference {
    type Error = Violation;

    fn try_from(difference: Difference) -> Result<Self, Violation> {
        Ok(Self {
            delta: difference.delta.try_into()?,
            hash: difference.hash.try_into()?,
        })
    }
}

impl From<service::Patch> for Patch {
    fn from(patch: service::Patch) -> Self {
        Self {
            target: patch.target.into(),
            basis: patch.basis.into(),
            range: patch.range.into(),
            delta: patch.delta.into(),
            hash: patch.hash.map(HashState::from),
        }
    }
}

impl TryFrom<Patch> for service::Patch {
    type Error = Violation;

    fn try_from(patch: Patch) -> Result<Self, Violation> {
        Ok(Self {
            target: patch.target.try_into()?,
            basis: patch.basis.try_into()?,
            range: patch.range.at_most(MAX_DIFF_RANGE)?,
            delta: patch.delta.try_into()?,
            hash: patch.hash.map(HashState::try_into).transpose()?,
        })
    }
}

impl Payloads for Block {
    fn payloads(&mut self, visit: &mut dyn FnMut(&mut Payload)) {
        match self {
            Self::Data(data) => data.payloads(visit),
            Self::Hole(_) => {}
        }
    }
}

impl Payloads for SendBlock {
    fn payloads(&mut self, visit: &mut dyn FnMut(&mut Payload)) {
        self.block.payloads(visit);
    }
}

impl Payloads for Difference {
    fn payloads(&mut self, visit: &mut dyn FnMut(&mut Payload)) {
        self.delta.payloads(visit);
    }
}

impl Payloads for Patch {
    fn payloads(&mut self, visit: &mut dyn FnMut(&mut Payload)) {
        self.delta.payloads(visit);
    }
}
