//! Finding the blocks of a basis in the newer content.

use bytes::Bytes;

use super::rolling::Rolling;
use super::{Delta, DeltaOp, MAX_DELTA_OPS, Signature};
use crate::range::ByteRange;

/// How often, per block of the newer content, a block may be hashed for nothing because its rolling
/// checksum is listed. After that the rest is taken as new: a signature made for it could otherwise
/// have every byte hashed a million times.
const MAX_MISSES_PER_BLOCK: usize = 8;
/// How many blocks with the same checksum are compared at one offset, at most: it bounds the work
/// that a basis made of look-alike blocks can cause.
const MAX_CANDIDATES: usize = 8;
/// How many bits the filter before the index has, as a power of two: it fits the fastest cache.
const FILTER_BITS: u32 = 16;

/// Compares `data` with a basis, in which it is `expected` to begin at that offset. As long as what
/// follows on what was found is found too, nothing else is looked at. With `search`, what is not
/// where it is expected is then looked for everywhere; without, only what lies as far from its block
/// as before: all copies are then from the same distance.
pub fn diff(data: &Bytes, signature: &Signature, mut expected: u64, search: bool) -> Delta {
    let mut delta = Making::new(data);
    let mut index = None;
    while let Some(rest) = delta.rest() {
        if let Some(place) = signature.found_at(expected, rest) {
            delta.copy(place);
            expected = place.end();
        } else if search {
            let index = index.get_or_insert_with(|| Index::new(signature, data.len()));
            match index.find(rest) {
                Some((skipped, place)) => {
                    delta.skip(skipped);
                    delta.copy(place);
                    expected = place.end();
                }
                None => delta.skip(rest.len()),
            }
        } else {
            let step = signature.to_next_block(expected);
            delta.skip(usize::try_from(step).unwrap_or(usize::MAX));
            expected = expected.saturating_add(step);
        }
    }
    delta.finish()
}

impl Signature {
    /// The block that begins at `offset` of the basis, if one does and `data` begins with it.
    fn found_at(&self, offset: u64, data: &[u8]) -> Option<ByteRange> {
        let (sum, place) = self.block_at(offset)?;
        let block = data.get(..usize::try_from(place.len()).ok()?)?;
        (self.hash.of(block) == sum.strong).then_some(place)
    }

    /// How far it is from `offset` of the basis to where the next block begins.
    fn to_next_block(&self, offset: u64) -> u64 {
        match offset.checked_sub(self.range.start()) {
            Some(within) => u64::from(self.block) - within % u64::from(self.block),
            None => self.range.start() - offset,
        }
    }

    /// The last block, if it is shorter than the others, and `data` ends with it.
    fn ends(&self, data: &[u8]) -> Option<ByteRange> {
        let short = self.range.len() % u64::from(self.block);
        let (sum, place) = self.block_at(self.range.end().checked_sub(short)?)?;
        let start = data.len().checked_sub(usize::try_from(place.len()).ok()?)?;
        (self.hash.of(data.get(start..)?) == sum.strong).then_some(place)
    }
}

/// The blocks of full size of a signature, by their checksum.
struct Index<'a> {
    signature: &'a Signature,
    /// A bit for the checksums that may be listed: almost every offset has one that is not.
    filter: Vec<u64>,
    /// Checksum and number of each block, in order.
    blocks: Vec<(u32, u32)>,
    /// How many blocks may still be hashed for nothing.
    misses: usize,
}

impl<'a> Index<'a> {
    /// An index to look for blocks in `len` bytes with.
    fn new(signature: &'a Signature, len: usize) -> Self {
        let block = u64::from(signature.block);
        let whole = usize::try_from(signature.range.len() / block).unwrap_or(usize::MAX);
        let mut filter = vec![0; 1 << (FILTER_BITS - 6)];
        let mut blocks = Vec::with_capacity(signature.sums.len());
        for (sum, number) in signature.sums.iter().take(whole).zip(0..) {
            let (word, bit) = filter_bit(sum.weak);
            if let Some(word) = filter.get_mut(word) {
                *word |= bit;
            }
            blocks.push((sum.weak, number));
        }
        blocks.sort_unstable();
        Self {
            signature,
            filter,
            blocks,
            misses: MAX_MISSES_PER_BLOCK.saturating_mul(1 + len / signature.block as usize),
        }
    }

    /// The first place of `data` where a block begins, and which block.
    fn find(&mut self, data: &[u8]) -> Option<(usize, ByteRange)> {
        self.find_whole(data).or_else(|| {
            let place = self.signature.ends(data)?;
            let len = usize::try_from(place.len()).ok()?;
            Some((data.len().checked_sub(len)?, place))
        })
    }

    fn find_whole(&mut self, data: &[u8]) -> Option<(usize, ByteRange)> {
        let block = self.signature.block as usize;
        let mut rolling = Rolling::of(data.get(..block)?);
        let mut moves = data.iter().zip(data.get(block..)?).enumerate();
        let mut at = 0;
        loop {
            let sum = rolling.sum();
            let (word, bit) = filter_bit(sum);
            if self.filter.get(word).is_some_and(|word| word & bit != 0)
                && let Some(place) = self.look_up(sum, data.get(at..)?.get(..block)?)
            {
                return Some((at, place));
            }
            let (moved, (&out, &into)) = moves.next()?;
            rolling.roll(out, into, self.signature.block);
            at = moved + 1;
        }
    }

    fn look_up(&mut self, sum: u32, window: &[u8]) -> Option<ByteRange> {
        let first = self.blocks.partition_point(|&(weak, _)| weak < sum);
        let candidates = self.blocks.get(first..)?.iter();
        let mut candidates = candidates
            .take_while(|&&(weak, _)| weak == sum)
            .take(MAX_CANDIDATES)
            .peekable();
        candidates.peek()?;
        self.misses = self.misses.checked_sub(1)?;
        let strong = self.signature.hash.of(window);
        let found = candidates.find_map(|&(_, number)| {
            let number = usize::try_from(number).ok()?;
            let sum = self.signature.sums.get(number)?;
            (sum.strong == strong).then(|| self.signature.place(number))?
        });
        self.misses += usize::from(found.is_some());
        found
    }
}

/// Which bit of which word of the filter stands for a checksum.
fn filter_bit(sum: u32) -> (usize, u64) {
    // Of the checksum itself the bits are far from random.
    let mixed = sum.wrapping_mul(0x9e37_79b1) >> (32 - FILTER_BITS);
    ((mixed >> 6) as usize, 1 << (mixed & 63))
}

/// The delta under construction.
struct Making<'a> {
    data: &'a Bytes,
    position: usize,
    /// Where the bytes begin that no block was found for.
    pending: usize,
    ops: Vec<DeltaOp>,
}

impl<'a> Making<'a> {
    fn new(data: &'a Bytes) -> Self {
        Self {
            data,
            position: 0,
            pending: 0,
            ops: Vec::new(),
        }
    }

    /// What is left to be compared, if anything is.
    fn rest(&self) -> Option<&'a [u8]> {
        self.data
            .get(self.position..)
            .filter(|rest| !rest.is_empty())
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
        self.skip(usize::try_from(place.len()).unwrap_or(usize::MAX));
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
