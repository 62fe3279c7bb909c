//! How an older version is patched: what is read of it, and who copies what stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use realize_test_kit::sim::{Call, Effect, SimFileSystem};
use rustix::io::Errno;

use crate::scenario::run;

const SIZE: usize = 24 << 20;
/// How many reads of the older version hash all of it, at 256 KiB each.
const WHOLE: u64 = (SIZE >> 18) as u64;

/// A file of which the destination has an older version of the same size, that differs at `at`.
fn planted(at: usize) -> (SimFileSystem, Vec<u8>) {
    let newer: Vec<u8> = (0u32..).flat_map(u32::to_le_bytes).take(SIZE).collect();
    let mut older = newer.clone();
    older[at] ^= 1;
    let fs = SimFileSystem::new().with_links(false);
    fs.mkdir_all("/src");
    fs.mkdir_all("/dst");
    fs.write("/src/f", &newer);
    fs.write("/dst/f", older);
    fs.advance(std::time::Duration::from_secs(60));
    (fs, newer)
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

/// The older version is read once, for its signature, and the file system copies it: of a difference
/// that shows early, neither end is hashed to its end before. (The source is read in larger steps for
/// the comparison, which do not count here.)
#[test]
fn an_early_difference_is_found_early() {
    for (at, wholes) in [(1000, 1), (SIZE - 1000, 3)] {
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
