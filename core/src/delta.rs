//! Deltas: what a newer file has that an older one has not.
//!
//! The side that has the older content (the *basis*) hashes it in blocks ([`Signature`]); the side
//! that has the newer one looks for those blocks in it ([`diff`]), first where the last match makes
//! the next one likely, then, with a rolling checksum, at every offset; what it does not find
//! travels as bytes ([`Delta`]). The rolling checksum is the one of the rsync algorithm (Tridgell
//! and Mackerras, 1996, section 3), the block hash 128 bits of BLAKE3. Neither is trusted: the hash
//! of the whole file says whether the pieces fit.

use std::collections::HashMap;

use bytes::Bytes;

use crate::range::ByteRange;

/// The block sizes that a signature may have, in bytes.
pub const BLOCK_SIZES: std::ops::RangeInclusive<u32> = 512..=(1 << 20);
/// The most blocks of one signature.
pub const MAX_SIGNATURE_BLOCKS: usize = 1 << 16;
/// The most operations of one delta.
pub const MAX_DELTA_OPS: usize = 1 << 16;
/// How often, per block of the newer content, a block may be hashed for nothing because its rolling
/// checksum is listed. After that the rest is taken as new: a signature made for it could otherwise
/// have every byte hashed a million times.
const MAX_MISSES_PER_BLOCK: usize = 8;
/// How many blocks with the same checksum are compared at one offset, at most: it bounds the work
/// that a basis made of look-alike blocks can cause.
const MAX_CANDIDATES: usize = 8;

/// The hashes of the blocks of a range of a basis; the last block may be shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    range: ByteRange,
    block: u32,
    sums: Vec<BlockSum>,
}

/// The hashes of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSum {
    /// The rolling checksum.
    pub weak: u32,
    /// The first 128 bits of the block's BLAKE3 hash.
    pub strong: [u8; 16],
}

impl BlockSum {
    fn of(data: &[u8]) -> Self {
        Self {
            weak: Rolling::of(data).sum(),
            strong: strong(data),
        }
    }
}

fn strong(data: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut()
        .zip(blake3::hash(data).as_bytes())
        .for_each(|(to, from)| *to = *from);
    half
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
    pub fn new(range: ByteRange, block: u32, sums: Vec<BlockSum>) -> Result<Self, InvalidDelta> {
        if !BLOCK_SIZES.contains(&block) {
            return Err(InvalidDelta::BlockSize);
        }
        let needed = range.len().div_ceil(u64::from(block));
        if sums.len() > MAX_SIGNATURE_BLOCKS || needed != sums.len() as u64 {
            return Err(InvalidDelta::Blocks);
        }
        Ok(Self { range, block, sums })
    }

    /// The range of the basis that it describes.
    pub fn range(&self) -> ByteRange {
        self.range
    }

    /// The size of a block in bytes.
    pub fn block(&self) -> u32 {
        self.block
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
    sums: Vec<BlockSum>,
}

impl Signer {
    /// A signer for `range` of a basis.
    ///
    /// # Errors
    /// [`InvalidDelta`] if the block size, or the number of blocks, exceeds its bounds.
    pub fn new(range: ByteRange, block: u32) -> Result<Self, InvalidDelta> {
        if !BLOCK_SIZES.contains(&block) {
            return Err(InvalidDelta::BlockSize);
        }
        if range.len().div_ceil(u64::from(block)) > MAX_SIGNATURE_BLOCKS as u64 {
            return Err(InvalidDelta::Blocks);
        }
        Ok(Self {
            range,
            block,
            sums: Vec::new(),
        })
    }

    /// Takes in the next bytes: a whole number of blocks, except at the end of the range.
    pub fn update(&mut self, data: &[u8]) {
        self.sums
            .extend(data.chunks(self.block as usize).map(BlockSum::of));
    }

    /// The signature.
    ///
    /// # Errors
    /// [`InvalidDelta::Blocks`] if it was not given the range.
    pub fn finish(self) -> Result<Signature, InvalidDelta> {
        Signature::new(self.range, self.block, self.sums)
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

/// Compares `data`, which begins at `start` of the newer file, with a basis. With `in_place`,
/// blocks are looked for at their own place only.
pub fn diff(data: &Bytes, start: u64, signature: &Signature, in_place: bool) -> Delta {
    let mut search = Search::new(data);
    let block = signature.block as usize;
    let index = if in_place {
        HashMap::new()
    } else {
        index(signature)
    };
    // Where in the basis the next block is expected.
    let mut expected = if in_place {
        Some(start)
    } else {
        Some(start.max(signature.range.start()))
    };
    let mut rolling: Option<Rolling> = None;
    let mut misses = MAX_MISSES_PER_BLOCK.saturating_mul(1 + data.len() / block);
    while search.position < data.len() {
        let rest = data.get(search.position..).unwrap_or_default();
        let near = expected.and_then(|offset| signature.block_at(offset));
        let found = near
            .filter(|(sum, place)| starts_with(rest, sum, *place))
            .map(|(_, place)| place)
            .or_else(|| {
                let window = rest.get(..block).filter(|_| !in_place)?;
                let sum = rolling.get_or_insert_with(|| Rolling::of(window)).sum();
                let candidates = index.get(&sum).filter(|_| misses > 0)?;
                let found = lookup(candidates, signature, window);
                misses -= usize::from(found.is_none());
                found
            });
        if let Some(place) = found {
            search.copy(place);
            expected = Some(place.end());
            rolling = None;
        } else if in_place {
            // On to where the next block of the basis begins.
            let offset = start + search.position as u64;
            let within =
                offset.saturating_sub(signature.range.start()) % u64::from(signature.block);
            search.skip((u64::from(signature.block) - within) as usize);
            expected = Some(start + search.position as u64);
        } else {
            expected = None;
            rolling = match (rolling, rest.first(), rest.get(block)) {
                (Some(mut rolling), Some(&out), Some(&into)) => {
                    rolling.roll(out, into, block as u32);
                    Some(rolling)
                }
                _ => None,
            };
            if rest.len() <= block {
                // Too short for a whole block, and the last block is not what follows.
                search.skip(rest.len());
            } else {
                search.skip(1);
            }
        }
    }
    search.finish()
}

fn starts_with(data: &[u8], sum: &BlockSum, place: ByteRange) -> bool {
    data.get(..place.len() as usize)
        .is_some_and(|block| strong(block) == sum.strong)
}

/// The blocks of full size by their checksum.
fn index(signature: &Signature) -> HashMap<u32, Vec<u32>> {
    let mut index: HashMap<u32, Vec<u32>> = HashMap::with_capacity(signature.sums.len());
    let whole = usize::try_from(signature.range.len() / u64::from(signature.block)).unwrap_or(0);
    for (i, sum) in signature.sums.iter().take(whole).enumerate() {
        let blocks = index.entry(sum.weak).or_default();
        if blocks.len() < MAX_CANDIDATES {
            blocks.push(i as u32);
        }
    }
    index
}

fn lookup(candidates: &[u32], signature: &Signature, window: &[u8]) -> Option<ByteRange> {
    let strong = strong(window);
    let found = candidates.iter().map(|&i| i as usize).find(|&i| {
        signature
            .sums
            .get(i)
            .is_some_and(|sum| sum.strong == strong)
    })?;
    signature.place(found)
}

/// The delta under construction.
struct Search<'a> {
    data: &'a Bytes,
    position: usize,
    /// Where the bytes begin that no block was found for.
    pending: usize,
    ops: Vec<DeltaOp>,
}

impl<'a> Search<'a> {
    fn new(data: &'a Bytes) -> Self {
        Self {
            data,
            position: 0,
            pending: 0,
            ops: Vec::new(),
        }
    }

    fn skip(&mut self, len: usize) {
        self.position = self.position.saturating_add(len).min(self.data.len());
    }

    fn copy(&mut self, place: ByteRange) {
        // Room for these bytes, this copy, and the bytes that follow; what is beyond travels whole.
        if self.ops.len() + 3 > MAX_DELTA_OPS {
            self.position = self.data.len();
            return;
        }
        self.flush();
        self.skip(place.len() as usize);
        self.pending = self.position;
        if let Some(DeltaOp::Copy(last)) = self.ops.last_mut()
            && last.end() == place.start()
            && let Ok(joined) = ByteRange::new(last.start(), place.end())
        {
            *last = joined;
            return;
        }
        self.ops.push(DeltaOp::Copy(place));
    }

    fn flush(&mut self) {
        if self.pending < self.position {
            self.ops
                .push(DeltaOp::Data(self.data.slice(self.pending..self.position)));
            self.pending = self.position;
        }
    }

    fn finish(mut self) -> Delta {
        self.flush();
        Delta { ops: self.ops }
    }
}

/// The rolling checksum over a window.
#[derive(Clone, Copy, Debug)]
struct Rolling {
    a: u32,
    b: u32,
}

impl Rolling {
    fn of(window: &[u8]) -> Self {
        let (mut a, mut b) = (0u32, 0u32);
        for &byte in window {
            a = a.wrapping_add(u32::from(byte));
            b = b.wrapping_add(a);
        }
        Self { a, b }
    }

    fn roll(&mut self, out: u8, into: u8, len: u32) {
        let (out, into) = (u32::from(out), u32::from(into));
        self.a = self.a.wrapping_sub(out).wrapping_add(into);
        self.b = self
            .b
            .wrapping_sub(len.wrapping_mul(out))
            .wrapping_add(self.a);
    }

    fn sum(self) -> u32 {
        (self.a & 0xffff) | (self.b << 16)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn random(len: usize, mut seed: u64) -> Vec<u8> {
        let mut step = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as u8
        };
        (0..len).map(|_| step()).collect()
    }

    fn sign(basis: &[u8], block: u32) -> Signature {
        let mut signer =
            Signer::new(ByteRange::new(0, basis.len() as u64).unwrap(), block).unwrap();
        signer.update(basis);
        signer.finish().unwrap()
    }

    fn apply(basis: &[u8], delta: &Delta) -> Vec<u8> {
        let mut made = Vec::new();
        for op in delta.ops() {
            match op {
                DeltaOp::Copy(r) => {
                    made.extend_from_slice(&basis[r.start() as usize..r.end() as usize])
                }
                DeltaOp::Data(data) => made.extend_from_slice(data),
            }
        }
        made
    }

    proptest! {
        /// Whatever was cut out, put in or overwritten, basis and delta make the newer content.
        #[test]
        fn a_delta_makes_the_newer_content(
            len in 0usize..20_000,
            edits in proptest::collection::vec((0usize..20_000, 0usize..3000, 0usize..3000), 0..5),
            block in 512u32..2048,
        ) {
            let basis = random(len, 1);
            let mut newer = basis.clone();
            for (i, (at, cut, put)) in edits.into_iter().enumerate() {
                let at = at.min(newer.len());
                let end = (at + cut).min(newer.len());
                newer.splice(at..end, random(put, i as u64 + 7));
            }
            let newer = Bytes::from(newer);
            let delta = diff(&newer, 0, &sign(&basis, block), false);
            delta.check(ByteRange::new(0, newer.len() as u64).unwrap(), len as u64, false).unwrap();
            prop_assert_eq!(apply(&basis, &delta), newer.to_vec());
            let delta = diff(&newer, 0, &sign(&basis, block), true);
            delta.check(ByteRange::new(0, newer.len() as u64).unwrap(), len as u64, true).unwrap();
            prop_assert_eq!(apply(&basis, &delta), newer.to_vec());
        }
    }

    #[test]
    fn an_insertion_costs_itself_and_a_block() {
        let basis = random(1 << 20, 3);
        let mut newer = basis.clone();
        newer.splice(5000..5000, random(1000, 4));
        let delta = diff(&Bytes::from(newer), 0, &sign(&basis, 4096), false);
        assert!(delta.data_len() <= 1000 + 4096, "{}", delta.data_len());
        assert_eq!(delta.drift(0), Some(-1000));
    }

    #[test]
    fn the_same_content_costs_nothing() {
        let basis = Bytes::from(random(100_001, 5));
        for in_place in [false, true] {
            let delta = diff(&basis, 0, &sign(&basis, 4096), in_place);
            assert_eq!(
                delta.ops(),
                [DeltaOp::Copy(ByteRange::new(0, 100_001).unwrap())]
            );
        }
    }

    #[test]
    fn one_changed_byte_in_place_costs_a_block() {
        let basis = random(100_000, 6);
        let mut newer = basis.clone();
        newer[50_000] ^= 1;
        let delta = diff(&Bytes::from(newer), 0, &sign(&basis, 4096), true);
        assert_eq!(delta.data_len(), 4096);
    }

    #[test]
    fn a_hostile_signature_costs_a_bounded_number_of_hashes() {
        // The checksum of a block of zeros, with another hash, for content that is all zeros: every
        // offset matches the checksum. Unbounded, this takes hours.
        let block = 1 << 20;
        let range = ByteRange::new(0, 1 << 20).unwrap();
        let sums = vec![BlockSum {
            weak: 0,
            strong: [1; 16],
        }];
        let signature = Signature::new(range, block, sums).unwrap();
        let delta = diff(&Bytes::from(vec![0; 8 << 20]), 0, &signature, false);
        assert_eq!(delta.data_len(), 8 << 20);
    }

    #[test]
    fn numbers_from_elsewhere_are_checked() {
        let range = |start, end| ByteRange::new(start, end).unwrap();
        let sum = BlockSum {
            weak: 0,
            strong: [0; 16],
        };
        assert_eq!(
            Signature::new(range(0, 10), 0, vec![sum]),
            Err(InvalidDelta::BlockSize)
        );
        assert_eq!(
            Signature::new(range(0, 1025), 512, vec![sum; 2]),
            Err(InvalidDelta::Blocks)
        );
        assert!(Signer::new(range(0, 1 << 40), 512).is_err());
        let outside = Delta::new(vec![DeltaOp::Copy(range(5, 15))]).unwrap();
        assert_eq!(
            outside.check(range(0, 10), 10, false),
            Err(InvalidDelta::Copy)
        );
        assert_eq!(
            outside.check(range(0, 10), 15, true),
            Err(InvalidDelta::Copy)
        );
        assert_eq!(
            outside.check(range(0, 11), 15, false),
            Err(InvalidDelta::Ops)
        );
        assert_eq!(outside.check(range(0, 10), 15, false), Ok(()));
    }
}
