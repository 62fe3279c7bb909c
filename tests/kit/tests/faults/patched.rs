//! How an older version is patched: what is read of it, and who copies what stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use realize_core::delta::{BlockHash, Signer};
use realize_core::range::ByteRange;
use realize_test_kit::sim::{Call, Effect, SimFileSystem};
use rustix::io::Errno;

use crate::scenario::run;

const SIZE: usize = 24 << 20;
/// The size of the blocks in which an older version of that size is compared.
const BLOCK: usize = 8 << 10;
/// How many reads of the older version hash all of it, at 256 KiB each.
const WHOLE: u64 = (SIZE >> 18) as u64;

/// A file of which the destination has an older version of the same size, that differs at `at`.
fn planted(at: usize) -> (SimFileSystem, Vec<u8>) {
    let newer: Vec<u8> = (0u32..).flat_map(u32::to_le_bytes).take(SIZE).collect();
    let mut older = newer.clone();
    older[at] ^= 1;
    (stored(&newer, &older), newer)
}

/// A source with the newer version and a destination with the older one.
fn stored(newer: &[u8], older: &[u8]) -> SimFileSystem {
    let fs = SimFileSystem::new().with_links(false);
    fs.mkdir_all("/src");
    fs.mkdir_all("/dst");
    fs.write("/src/f", newer);
    fs.write("/dst/f", older);
    fs.advance(std::time::Duration::from_secs(60));
    fs
}

/// Counts the calls that match.
fn count(fs: &SimFileSystem, matches: fn(&Call) -> bool) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&count);
    fs.script().at(
        move |call: &Call| {
            seen.fetch_add(u64::from(matches(call)), Ordering::Relaxed);
            false
        },
        1,
        Effect::Short,
    );
    count
}

/// The older version is read once, for its signature, and the file system copies it; the source is
/// read once, to be compared with that. Of a difference that shows early, neither end is hashed to its
/// end before.
#[test]
fn an_early_difference_is_found_early() {
    for (at, wholes) in [(1000, 2), (SIZE - 1000, 4)] {
        let (fs, newer) = planted(at);
        let reads = count(&fs, |call| call.name == "file.read" && call.subject == b"f");
        let report = run(&fs).unwrap();
        assert!(report.is_clean() && report.sent < 1 << 17, "{report:?}");
        assert!(fs.read("/dst/f").unwrap() == newer);
        let reads = reads.load(Ordering::Relaxed);
        assert!(
            (wholes * WHOLE..(wholes + 1) * WHOLE).contains(&reads),
            "{at}: {reads}"
        );
    }
}

/// What the file system does not copy, or copies wrong, arrives all the same.
#[test]
fn a_copy_that_fails_is_made_otherwise() {
    let refuses = Effect::FailFromHere(Errno::XDEV.raw_os_error());
    for effects in [
        &[][..],
        &[refuses],
        &[Effect::Fail(Errno::IO.raw_os_error())],
        &[Effect::Short, refuses],
        &[Effect::FlipBit(12345)],
    ] {
        let (fs, newer) = planted(1000);
        let is_copy = |call: &Call| call.name == "file.copy";
        let copies = count(&fs, is_copy);
        for (effect, nth) in effects.iter().zip(1..) {
            fs.script().at(is_copy, nth, *effect);
        }
        let report = run(&fs).unwrap();
        assert!(report.is_clean(), "{effects:?}: {report:?}");
        assert!(fs.read("/dst/f").unwrap() == newer, "{effects:?}");
        assert!(fs.read("/src/f").is_none(), "{effects:?}");
        assert!(copies.load(Ordering::Relaxed) > 1, "{effects:?}");
        // Only what was stored wrong is mended, from the source: one block of 64 KiB more.
        let mended = effects.contains(&Effect::FlipBit(12345));
        let most = if mended { 128 << 10 } else { 64 << 10 };
        assert!(report.sent <= most, "{effects:?}: {} sent", report.sent);
    }
}

/// An older version that somebody has open to write is no basis, and is replaced like any other.
#[test]
fn an_older_version_that_is_being_written_is_replaced() {
    for cut in [0, 1000] {
        let newer: Vec<u8> = (0u32..).flat_map(u32::to_le_bytes).take(SIZE).collect();
        let mut older = newer[cut..].to_vec();
        older[SIZE / 2] ^= 1;
        let fs = stored(&newer, &older);
        let _writer = fs.add_writer("/dst/f");
        let report = run(&fs).unwrap();
        assert!(report.is_clean(), "{cut}: {report:?}");
        assert!(fs.read("/dst/f").unwrap() == newer, "{cut}");
        assert!(fs.read("/src/f").is_none(), "{cut}");
    }
}

/// Two blocks with the same quick hash: what it multiplies in two places of a block is zero in both,
/// and what it adds there has the same sum. The keys are the first words of the secret of XXH3.
fn look_alikes() -> [Vec<u8>; 2] {
    const KEYS: [u64; 2] = [0xbe4b_a423_396c_feb8, 0x1cad_21f7_2c81_017c];
    [[5, 6], [6, 5]].map(|words: [u64; 2]| {
        let mut block = vec![7; BLOCK];
        for (place, (key, word)) in [0, 64].into_iter().zip(KEYS.into_iter().zip(words)) {
            let word = (key & !0xffff_ffff) | word;
            block[place..place + 8].copy_from_slice(&word.to_le_bytes());
        }
        block
    })
}

/// A block that was made to be taken for another one is noticed by the file's own hash, and mended.
#[test]
fn blocks_that_only_look_the_same_are_mended() {
    let blocks = look_alikes();
    let sums = |hash| {
        blocks.each_ref().map(|block| {
            let whole = ByteRange::new(0, BLOCK as u64).unwrap();
            let mut signer = Signer::new(whole, BLOCK as u32, hash).unwrap();
            signer.update(block);
            signer.finish().unwrap().sums()[0].strong
        })
    };
    let [newer, older] = sums(BlockHash::Quick);
    assert_eq!(newer, older);
    let [newer, older] = sums(BlockHash::Exact);
    assert_ne!(newer, older);

    let mut newer: Vec<u8> = (0u32..).flat_map(u32::to_le_bytes).take(SIZE).collect();
    let mut older = newer.clone();
    older[1000] ^= 1;
    let place = SIZE / 2..SIZE / 2 + BLOCK;
    newer[place.clone()].copy_from_slice(&blocks[0]);
    older[place].copy_from_slice(&blocks[1]);
    let fs = stored(&newer, &older);
    let report = run(&fs).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert!(fs.read("/dst/f").unwrap() == newer);
    assert!(fs.read("/src/f").is_none());
    // The block that differs openly, and one of 64 KiB to mend the other.
    let mended = (64 << 10)..(64 << 10) + 2 * BLOCK as u64;
    assert!(mended.contains(&report.sent), "{} sent", report.sent);
}
