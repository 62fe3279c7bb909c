//! The content of files, on its way from the source to a partial.

use bytes::Bytes;

use crate::delta::{Delta, Signature};
use crate::entry::Version;
use crate::hash::{HashState, RangeHash};
use crate::path::RelPath;
use crate::range::ByteRange;

/// Reads a block.
#[derive(Clone, Debug)]
pub struct Read {
    /// Which file.
    pub path: RelPath,
    /// The version that it must be.
    pub version: Version,
    /// Which bytes.
    pub range: ByteRange,
}

/// Reads a whole file.
#[derive(Clone, Debug)]
pub struct ReadWhole {
    /// Which file.
    pub path: RelPath,
    /// The version that it must be.
    pub version: Version,
    /// The size that it must have.
    pub size: u64,
}

/// A block of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// Its bytes.
    Data(Bytes),
    /// So many zeros, which the file system does not store.
    Hole(u64),
}

impl Block {
    /// How many bytes of content it stands for.
    pub fn len(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::Hole(len) => *len,
        }
    }

    /// Whether it stands for none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The file that a partial is to become.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its final name.
    pub path: RelPath,
    /// The source's version.
    pub source: Version,
    /// Its size in bytes.
    pub size: u64,
    /// Whether blocks of zeros are to be left as holes.
    pub sparse: bool,
}

/// Writes a block of a partial.
#[derive(Clone, Debug)]
pub struct SendBlock {
    /// Which partial.
    pub target: Target,
    /// Where the block begins.
    pub offset: u64,
    /// The block, at most [`MAX_BLOCK`](super::MAX_BLOCK) bytes.
    pub block: Block,
    /// The hash of the source's content up to some place, to be kept with the partial.
    pub hash: Option<HashState>,
}

/// Asks for the hash of a range.
#[derive(Clone, Debug)]
pub struct Hash {
    /// Which file.
    pub path: RelPath,
    /// The version that it must be.
    pub version: Version,
    /// The size that it must have.
    pub size: u64,
    /// Which bytes; its ends are multiples of [`CHUNK`](crate::hash::CHUNK), or the file's end.
    pub range: ByteRange,
}

/// What a file is patched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The older file under the final name, in this version.
    Final(Version),
    /// The partial itself: what does not belong there is overwritten in place.
    Partial,
}

/// Asks for block hashes.
#[derive(Clone, Debug)]
pub struct SignatureRequest {
    /// The file to be.
    pub target: Target,
    /// Of what.
    pub basis: Basis,
    /// Which bytes of the basis; what lies beyond its end is left out.
    pub range: ByteRange,
    /// The size of a block in bytes, within [`BLOCK_SIZES`](crate::delta::BLOCK_SIZES).
    pub block: u32,
}

/// Compares a range of the source with a signature.
#[derive(Clone, Debug)]
pub struct DiffRequest {
    /// Which file.
    pub path: RelPath,
    /// The version that it must be.
    pub version: Version,
    /// The size that it must have.
    pub size: u64,
    /// Which bytes, at most [`MAX_DIFF_RANGE`](super::MAX_DIFF_RANGE); its ends as those of [`Hash::range`].
    pub range: ByteRange,
    /// What the other side has.
    pub signature: Signature,
    /// Where in the basis the range is expected to begin.
    pub expected: u64,
    /// Whether blocks that are not where they are expected are looked for everywhere; not for a
    /// partial, which is patched in place.
    pub search: bool,
}

/// A delta and the hash of what it yields.
#[derive(Clone, Debug)]
pub struct Difference {
    /// How to make the range from the basis.
    pub delta: Delta,
    /// The hash of the range.
    pub hash: RangeHash,
}

/// Writes a range of a partial from its basis.
#[derive(Clone, Debug)]
pub struct Patch {
    /// Which partial.
    pub target: Target,
    /// From what.
    pub basis: Basis,
    /// Which bytes of the partial.
    pub range: ByteRange,
    /// How.
    pub delta: Delta,
    /// As [`SendBlock::hash`].
    pub hash: Option<HashState>,
}
