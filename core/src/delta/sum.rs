//! The two hashes of a block.

use twox_hash::XxHash3_128;

use super::rolling::Rolling;

/// The length of a block's hash in bytes: two blocks that nobody made for it are taken for each other
/// once in 2^96, which costs a file that is mended, as its own hash tells.
pub const STRONG_LEN: usize = 12;

/// How blocks are hashed, beside the rolling checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockHash {
    /// The first [`STRONG_LEN`] bytes of XXH3 with 128 bits, least significant byte first, as the
    /// xxHash specification has it, without a seed. It is as fast as memory, but whoever writes the
    /// files can make two blocks that are taken for each other.
    Quick,
    /// The first [`STRONG_LEN`] bytes of BLAKE3: nobody can.
    Exact,
}

impl BlockHash {
    /// The hash of a block.
    pub(super) fn of(self, block: &[u8]) -> [u8; STRONG_LEN] {
        let mut hash = [0; STRONG_LEN];
        match self {
            Self::Quick => begin(&mut hash, &XxHash3_128::oneshot(block).to_le_bytes()),
            Self::Exact => begin(&mut hash, blake3::hash(block).as_bytes()),
        }
        hash
    }
}

fn begin(hash: &mut [u8], whole: &[u8]) {
    hash.iter_mut()
        .zip(whole)
        .for_each(|(to, from)| *to = *from);
}

/// The hashes of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSum {
    /// The rolling checksum.
    pub weak: u32,
    /// The beginning of the block's [`BlockHash`].
    pub strong: [u8; STRONG_LEN],
}

impl BlockSum {
    pub(super) fn of(hash: BlockHash, block: &[u8]) -> Self {
        Self {
            weak: Rolling::of(block).sum(),
            strong: hash.of(block),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_the_hashes_that_others_give_them() {
        // XXH128 of nothing is 99aa06d3014798d86001c324468d497f, as xxhsum -H2 prints it.
        let quick = [
            0x7f, 0x49, 0x8d, 0x46, 0x24, 0xc3, 0x01, 0x60, 0xd8, 0x98, 0x47, 0x01,
        ];
        assert_eq!(BlockHash::Quick.of(b""), quick);
        let exact = [
            0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea,
        ];
        assert_eq!(BlockHash::Exact.of(b""), exact);
    }
}
