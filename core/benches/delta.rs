//! Deltas: the signature of a range of an older file, and what a newer one has that it has not, in
//! the cases that differ in the way they go through the code.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark fails by panicking"
)]

use std::time::Duration;

use bytes::Bytes;
use divan::counter::BytesCount;
use divan::{Bencher, Divan, black_box};
use realize_core::delta::{BlockHash, Signature, Signer, diff};
use realize_core::range::ByteRange;
use realize_core::service::MAX_DIFF_RANGE;

/// The size of what is compared, in bytes: as much as one request may ask for.
const RANGE: usize = MAX_DIFF_RANGE as usize;
/// The sizes of a block, in bytes, as a move chooses them for a file of this size and for a partial.
const SEARCHED: u32 = 4 << 10;
const IN_PLACE: u32 = 64 << 10;
/// The size of the blocks that change, in bytes, and how many lie between two that do.
const CHANGED: (usize, usize) = (64 << 10, 64);
/// What is inserted, in bytes, and where.
const INSERTED: (usize, usize) = (1000, 100_000);

/// What became of the older file.
#[derive(Clone, Copy, Debug)]
enum Newer {
    /// Nothing.
    Identical,
    /// Some blocks are others, at the same places.
    BlocksChanged,
    /// Bytes were inserted near the start: all that follows lies elsewhere.
    Insertion,
    /// All of it is other bytes.
    NothingInCommon,
}

fn main() {
    let benches = Divan::default().max_time(Duration::from_secs(2));
    benches.config_with_args().main();
}

/// Bytes without any pattern, the same ones for the same seed.
fn random(len: usize, mut seed: u64) -> Vec<u8> {
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()
    };
    (0..len.div_ceil(8))
        .flat_map(|_| next())
        .take(len)
        .collect()
}

impl Newer {
    fn content(self, older: &[u8]) -> Bytes {
        let mut content = older.to_vec();
        match self {
            Self::Identical => {}
            Self::BlocksChanged => {
                let (size, every) = CHANGED;
                let other = random(size, 7);
                for block in content.chunks_exact_mut(size).step_by(every) {
                    block.copy_from_slice(&other);
                }
            }
            Self::Insertion => {
                let (len, at) = INSERTED;
                content.splice(at..at, random(len, 7));
                content.truncate(RANGE);
            }
            Self::NothingInCommon => content = random(RANGE, 7),
        }
        content.into()
    }
}

fn signature(older: &[u8], block: u32) -> Signature {
    let range = ByteRange::new(0, older.len() as u64).unwrap();
    let mut signer = Signer::new(range, block, BlockHash::Quick).unwrap();
    signer.update(older);
    signer.finish().unwrap()
}

#[divan::bench]
fn sign(bencher: Bencher<'_, '_>) {
    let older = random(RANGE, 1);
    let bencher = bencher.counter(BytesCount::new(RANGE));
    bencher.bench_local(|| signature(black_box(&older), SEARCHED));
}

/// Blocks are looked for at every offset, as when a file is made from its older version.
#[divan::bench(args = [
    Newer::Identical,
    Newer::BlocksChanged,
    Newer::Insertion,
    Newer::NothingInCommon,
])]
fn search(bencher: Bencher<'_, '_>, newer: Newer) {
    compare(bencher, newer, true);
}

/// Blocks are looked for at their own place only, as when a partial is mended.
#[divan::bench(args = [Newer::Identical, Newer::BlocksChanged, Newer::NothingInCommon])]
fn in_place(bencher: Bencher<'_, '_>, newer: Newer) {
    compare(bencher, newer, false);
}

fn compare(bencher: Bencher<'_, '_>, newer: Newer, search: bool) {
    let older = random(RANGE, 1);
    let block = if search { SEARCHED } else { IN_PLACE };
    let (signature, content) = (signature(&older, block), newer.content(&older));
    let expected = match newer {
        Newer::Identical => 0..=0,
        Newer::BlocksChanged => 1..=RANGE as u64 / 16,
        Newer::Insertion => 1..=2 * u64::from(SEARCHED),
        Newer::NothingInCommon => RANGE as u64..=RANGE as u64,
    };
    // What is measured is what the name says.
    let found = diff(&content, &signature, 0, search).data_len();
    assert!(expected.contains(&found), "{newer:?}: {found} bytes");
    let bencher = bencher.counter(BytesCount::new(RANGE));
    bencher.bench_local(|| diff(black_box(&content), &signature, 0, search));
}
