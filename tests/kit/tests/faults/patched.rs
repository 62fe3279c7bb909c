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

/// Counts calls of a name on files opened under `f`.
fn count(fs: &SimFileSystem, name: &'static str) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&count);
    fs.script().at(
        move |call: &Call| {
            let counts = call.name == name && call.subject.starts_with(b"f");
            seen.fetch_add(u64::from(counts), Ordering::Relaxed);
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
        let reads = count(&fs, "file.read");
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
    for effect in [
        Effect::FailFromHere(Errno::XDEV.raw_os_error()),
        Effect::Fail(Errno::IO.raw_os_error()),
        Effect::Short,
        Effect::FlipBit(12345),
    ] {
        let (fs, newer) = planted(1000);
        fs.script().at(|call| call.name == "file.copy", 1, effect);
        let report = run(&fs).unwrap();
        assert!(report.is_clean(), "{effect:?}: {report:?}");
        assert!(fs.read("/dst/f").unwrap() == newer, "{effect:?}");
        assert!(fs.read("/src/f").is_none(), "{effect:?}");
    }
}
