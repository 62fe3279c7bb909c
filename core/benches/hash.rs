//! Hashing: a file's digest at once, in blocks as a transfer does it, and with the state kept after
//! each block, as a move does that can be interrupted.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::time::Duration;

use divan::counter::BytesCount;
use divan::{Bencher, Divan, black_box};
use realize_core::hash::{Digest, TreeHasher};

/// The size of the file that is hashed in blocks, in bytes.
const FILE: usize = 16 << 20;
/// The size of a block, in bytes.
const BLOCK: usize = 1 << 20;

fn main() {
    let benches = Divan::default().max_time(Duration::from_secs(2));
    benches.config_with_args().main();
}

#[divan::bench(args = [4 << 10, 64 << 10, 1 << 20])]
fn digest_of_content(bencher: Bencher<'_, '_>, len: usize) {
    let content = vec![0x5a; len];
    let bencher = bencher.counter(BytesCount::new(len));
    bencher.bench_local(|| Digest::of_content(black_box(&content)));
}

#[divan::bench]
fn tree_hasher_in_blocks(bencher: Bencher<'_, '_>) {
    let content = vec![0x5a; FILE];
    bencher.counter(BytesCount::new(FILE)).bench_local(|| {
        let mut hasher = TreeHasher::new(FILE as u64);
        for block in black_box(&content).chunks(BLOCK) {
            hasher.update(block).unwrap();
        }
        hasher.finish().unwrap()
    });
}

#[divan::bench]
fn tree_hasher_with_its_state_kept(bencher: Bencher<'_, '_>) {
    let content = vec![0x5a; FILE];
    bencher.counter(BytesCount::new(FILE)).bench_local(|| {
        let mut hasher = TreeHasher::new(FILE as u64);
        for block in black_box(&content).chunks(BLOCK) {
            hasher.update(block).unwrap();
            if let Some(state) = hasher.state() {
                hasher = TreeHasher::resume(FILE as u64, black_box(state)).unwrap();
            }
        }
        hasher.finish().unwrap()
    });
}
