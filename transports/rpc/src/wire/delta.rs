//! Signatures and deltas.

use realize_core::delta::{self, MAX_DELTA_OPS, MAX_SIGNATURE_BLOCKS, STRONG_LEN};
use realize_core::range::ByteRange;
use realize_core::service::MAX_DIFF_RANGE;
use serde::{Deserialize, Serialize};

use super::batch::Bounded;
use super::parts::Range;
use super::payload::{Payload, Payloads};
use super::{Violation, at_most};

/// The hashes of the blocks of a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Signature {
    pub(crate) range: Range,
    pub(crate) block: u32,
    pub(crate) hash: BlockHash,
    pub(crate) sums: Bounded<BlockSum, MAX_SIGNATURE_BLOCKS>,
}

/// How the blocks are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BlockHash {
    Quick,
    Exact,
}

/// The hashes of one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockSum {
    pub(crate) weak: u32,
    pub(crate) strong: [u8; STRONG_LEN],
}

/// How to make a range of the newer file; of at most
/// [`MAX_DIFF_RANGE`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delta(pub(crate) Bounded<DeltaOp, MAX_DELTA_OPS>);

/// One piece of a [`Delta`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DeltaOp {
    Copy(Range),
    Data(Payload),
}

impl From<delta::Signature> for Signature {
    fn from(signature: delta::Signature) -> Self {
        let sum = |sum: &delta::BlockSum| BlockSum {
            weak: sum.weak,
            strong: sum.strong,
        };
        Self {
            range: signature.range().into(),
            block: signature.block(),
            hash: signature.hash().into(),
            sums: Bounded(signature.sums().iter().map(sum).collect()),
        }
    }
}

impl TryFrom<Signature> for delta::Signature {
    type Error = Violation;

    fn try_from(signature: Signature) -> Result<Self, Violation> {
        let sums = signature.sums.checked("blocks in a signature")?.into_iter();
        let sums = sums.map(|sum| delta::BlockSum {
            weak: sum.weak,
            strong: sum.strong,
        });
        let range = signature.range.try_into()?;
        let hash = signature.hash.into();
        Ok(Self::new(range, signature.block, hash, sums.collect())?)
    }
}

impl From<delta::BlockHash> for BlockHash {
    fn from(hash: delta::BlockHash) -> Self {
        match hash {
            delta::BlockHash::Quick => Self::Quick,
            delta::BlockHash::Exact => Self::Exact,
        }
    }
}

impl From<BlockHash> for delta::BlockHash {
    fn from(hash: BlockHash) -> Self {
        match hash {
            BlockHash::Quick => Self::Quick,
            BlockHash::Exact => Self::Exact,
        }
    }
}

impl From<delta::Delta> for Delta {
    fn from(delta: delta::Delta) -> Self {
        let op = |op: &delta::DeltaOp| match op {
            delta::DeltaOp::Copy(range) => DeltaOp::Copy((*range).into()),
            // Shares the bytes, copies none.
            delta::DeltaOp::Data(data) => DeltaOp::Data(data.clone().into()),
        };
        Self(Bounded(delta.ops().iter().map(op).collect()))
    }
}

impl TryFrom<Delta> for delta::Delta {
    type Error = Violation;

    fn try_from(delta: Delta) -> Result<Self, Violation> {
        let ops = delta.0.checked("operations in a delta")?.into_iter();
        let ops: Vec<_> = ops.map(DeltaOp::try_into).collect::<Result<_, _>>()?;
        let yields = ops
            .iter()
            .map(delta::DeltaOp::len)
            .fold(0, u64::saturating_add);
        at_most(yields, MAX_DIFF_RANGE, "bytes of a delta")?;
        Ok(Self::new(ops)?)
    }
}

impl TryFrom<DeltaOp> for delta::DeltaOp {
    type Error = Violation;

    fn try_from(op: DeltaOp) -> Result<Self, Violation> {
        Ok(match op {
            DeltaOp::Copy(range) => Self::Copy(ByteRange::try_from(range)?),
            DeltaOp::Data(data) => Self::Data(data.try_into()?),
        })
    }
}

impl Payloads for Delta {
    fn payloads(&mut self, visit: &mut dyn FnMut(&mut Payload)) {
        self.0.payloads(visit);
    }
}

impl Payloads for DeltaOp {
    fn payloads(&mut self, visit: &mut dyn FnMut(&mut Payload)) {
        match self {
            Self::Copy(_) => {}
            Self::Data(data) => data.payloads(visit),
        }
    }
}
