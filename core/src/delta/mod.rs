//! Deltas: what a newer file has that an older one has not.
//!
//! The side that has the older content (the *basis*) hashes it in blocks ([`Signature`]); the side
//! that has the newer one looks for those blocks in it ([`diff`]), first where the last match makes
//! the next one likely, then, if it is to search, with a rolling checksum at every offset; what it
//! does not find travels as bytes ([`Delta`]). The rolling checksum is the one of the rsync
//! algorithm (Tridgell and Mackerras, 1996, section 3), the block hash 96 bits of a [`BlockHash`].
//! Neither is trusted: the hash of the whole file says whether the pieces fit.

use bytes::Bytes;

use crate::range::ByteRange;

mod rolling;
mod search;
mod sum;

pub use search::diff;
pub use sum::{BlockHash, BlockSum, STRONG_LEN};

/// The block sizes that a signature may have, in bytes.
pub const BLOCK_SIZES: std::ops::RangeInclusive<u32> = 512..=(1 << 20);
/// The most blocks of one signature.
pub const MAX_SIGNATURE_BLOCKS: usize = 1 << 16;
/// New bytes are copied where they are at most one in so many.
const DETACHED: u64 = 4;
/// The most operations of one delta.
pub const MAX_DELTA_OPS: usize = 1 << 16;

/// The hashes of the blocks of a range of a basis; the last block may be shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    range: ByteRange,
    block: u32,
    hash: BlockHash,
    sums: Vec<BlockSum>,
}

/// A signature or delta whose numbers do not fit together or exceed a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDelta {
    /// The block size is not within [`BLOCK_SIZES`].
    #[error("the block size is not between 512 bytes and 1 MiB")]
    BlockSize,
    /// More blocks than [`MAX_SIGNATURE_BLOCKS`], or not as many as the range needs.
    #[error("the signature does not have as many blocks as its range needs, or too many")]
    Blocks,
    /// More operations than [`MAX_DELTA_OPS`], or they do not yield as much as they should.
    #[error("the delta does not yield the range that it is for, or has too many operations")]
    Ops,
    /// A copy from outside the basis, or, in place, from elsewhere than its own place.
    #[error("the delta copies from a place that it may not use")]
    Copy,
}

impl Signature {
    /// A signature from its parts, as they came off a wire.
    ///
    /// # Errors
    /// [`InvalidDelta`] if they do not fit together or exceed a bound.
    pub fn new(
        range: ByteRange,
        block: u32,
        hash: BlockHash,
        sums: Vec<BlockSum>,
    ) -> Result<Self, InvalidDelta> {
        if !BLOCK_SIZES.contains(&block) {
            return Err(InvalidDelta::BlockSize);
        }
        let needed = range.len().div_ceil(u64::from(block));
        if sums.len() > MAX_SIGNATURE_BLOCKS || needed != sums.len() as u64 {
            return Err(InvalidDelta::Blocks);
        }
        Ok(Self {
            range,
            block,
            hash,
            sums,
        })
    }

    /// The range of the basis that it describes.
    pub fn range(&self) -> ByteRange {
        self.range
    }

    /// The size of a block in bytes.
    pub fn block(&self) -> u32 {
        self.block
    }

    /// How the blocks are hashed.
    pub fn hash(&self) -> BlockHash {
        self.hash
    }

    /// The hashes, in order.
    pub fn sums(&self) -> &[BlockSum] {
        &self.sums
    }

    /// Where block `index` lies in the basis.
    fn place(&self, index: usize) -> Option<ByteRange> {
        let start = self.range.start() + (index as u64).checked_mul(u64::from(self.block))?;
        let end = start
            .checked_add(u64::from(self.block))?
            .min(self.range.end());
        ByteRange::new(start, end).ok()
    }

    /// The block that begins at `offset` of the basis, if one does.
    fn block_at(&self, offset: u64) -> Option<(&BlockSum, ByteRange)> {
        let within = offset.checked_sub(self.range.start())?;
        if !within.is_multiple_of(u64::from(self.block)) {
            return None;
        }
        let index = usize::try_from(within / u64::from(self.block)).ok()?;
        Some((self.sums.get(index)?, self.place(index)?))
    }
}

/// Makes a signature from the basis in pieces.
#[derive(Debug)]
pub struct Signer {
    range: ByteRange,
    block: u32,
    hash: BlockHash,
    sums: Vec<BlockSum>,
}

impl Signer {
    /// A signer for `range` of a basis.
    ///
    /// # Errors
    /// [`InvalidDelta`] if the block size, or the number of blocks, exceeds its bounds.
    pub fn new(range: ByteRange, block: u32, hash: BlockHash) -> Result<Self, InvalidDelta> {
        if !BLOCK_SIZES.contains(&block) {
            return Err(InvalidDelta::BlockSize);
        }
        if range.len().div_ceil(u64::from(block)) > MAX_SIGNATURE_BLOCKS as u64 {
            return Err(InvalidDelta::Blocks);
        }
        Ok(Self {
            range,
            block,
            hash,
            sums: Vec::new(),
        })
    }

    /// Takes in the next bytes: a whole number of blocks, except at the end of the range.
    pub fn update(&mut self, data: &[u8]) {
        let blocks = data.chunks(self.block as usize);
        self.sums
            .extend(blocks.map(|block| BlockSum::of(self.hash, block)));
    }

    /// The signature.
    ///
    /// # Errors
    /// [`InvalidDelta::Blocks`] if it was not given the range.
    pub fn finish(self) -> Result<Signature, InvalidDelta> {
        Signature::new(self.range, self.block, self.hash, self.sums)
    }
}

/// How to make a range of the newer file: pieces of the basis and new bytes, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    ops: Vec<DeltaOp>,
}

/// One piece of a [`Delta`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeltaOp {
    /// This range of the basis.
    Copy(ByteRange),
    /// These bytes.
    Data(Bytes),
}

impl DeltaOp {
    /// How many bytes it yields.
    pub fn len(&self) -> u64 {
        match self {
            Self::Copy(range) => range.len(),
            Self::Data(data) => data.len() as u64,
        }
    }

    /// Whether it yields none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Delta {
    /// A delta from its pieces, as they came off a wire.
    ///
    /// # Errors
    /// [`InvalidDelta::Ops`] if there are too many.
    pub fn new(ops: Vec<DeltaOp>) -> Result<Self, InvalidDelta> {
        if ops.len() > MAX_DELTA_OPS {
            Err(InvalidDelta::Ops)
        } else {
            Ok(Self { ops })
        }
    }

    /// The same with new bytes of its own, where they are few of the `len` that were compared: what
    /// was compared does not stay in memory for them.
    pub(crate) fn detached(mut self, len: usize) -> Self {
        if self.data_len() <= len as u64 / DETACHED {
            for op in &mut self.ops {
                if let DeltaOp::Data(data) = op {
                    *data = Bytes::copy_from_slice(data);
                }
            }
        }
        self
    }

    /// The pieces, in order.
    pub fn ops(&self) -> &[DeltaOp] {
        &self.ops
    }

    /// How many bytes of content travel with it.
    pub fn data_len(&self) -> u64 {
        self.ops
            .iter()
            .map(|op| {
                if let DeltaOp::Data(data) = op {
                    data.len() as u64
                } else {
                    0
                }
            })
            .fold(0, u64::saturating_add)
    }

    /// Whether its end was found in the basis: what follows is likely to be found there too.
    pub fn ends_found(&self) -> bool {
        matches!(self.ops.last(), Some(DeltaOp::Copy(_)))
    }

    /// Where its last copy lies relative to what it makes, if it has one: where the basis is likely
    /// to continue. `start` is where the delta's range begins in the newer file.
    pub fn drift(&self, start: u64) -> Option<i64> {
        let mut position = start;
        let mut drift = None;
        for op in &self.ops {
            if let DeltaOp::Copy(from) = op {
                drift = from.start().checked_signed_diff(position);
            }
            position = position.saturating_add(op.len());
        }
        drift
    }

    /// Checks that it yields exactly `range`, copies from `basis` bytes only, and, if it is applied
    /// `in_place`, copies nothing from elsewhere than its own place.
    ///
    /// # Errors
    /// [`InvalidDelta`] says what does not fit.
    pub fn check(&self, range: ByteRange, basis: u64, in_place: bool) -> Result<(), InvalidDelta> {
        let mut position = range.start();
        for op in &self.ops {
            if let DeltaOp::Copy(from) = op
                && (from.end() > basis || (in_place && from.start() != position))
            {
                return Err(InvalidDelta::Copy);
            }
            position = position.checked_add(op.len()).ok_or(InvalidDelta::Ops)?;
        }
        if position == range.end() {
            Ok(())
        } else {
            Err(InvalidDelta::Ops)
        }
    }
}

#[cfg(test)]
mod tests;
