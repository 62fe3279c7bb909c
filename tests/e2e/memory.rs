//! Memory does not grow with the size of a file, nor with the number of files.
//!
//! `REALIZE_TEST_LARGE_MIB` and `REALIZE_TEST_SMALL` make the tests as large as the promise is made
//! for: 4096 MiB and 200,000 files.

use std::fs::{self, File};
use std::io::Write;

use realize_test_kit::odd_tree::bytes;

use crate::ends::Ends;
use crate::program::{Outcome, setting};

/// The promise, in KiB.
const LIMIT_KIB: u64 = 40 << 10;

/// Runs the move and gives its peak of resident memory, in KiB.
fn peak(ends: &Ends) -> (u64, Outcome) {
    let mut running = ends.mover().spawn();
    let status = format!("/proc/{}/status", running.pid());
    let mut peak = 0;
    // The kernel keeps the peak, so that the last look before the end has it.
    running.reaches("the end", || {
        if let Some(kib) = fs::read_to_string(&status)
            .ok()
            .and_then(|text| high_water(&text))
        {
            peak = peak.max(kib);
        }
        false
    });
    (peak, running.wait().expect(0))
}

pub(crate) fn high_water(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[test]
fn one_large_file() {
    let mib = setting("REALIZE_TEST_LARGE_MIB", 300);
    let ends = Ends::new();
    let mut file = File::create(ends.source.join("large")).unwrap();
    let mut block = bytes(1, 1 << 20);
    for i in 0..mib {
        block[..8].copy_from_slice(&i.to_le_bytes());
        file.write_all(&block).unwrap();
    }
    drop(file);

    let (peak, outcome) = peak(&ends);

    ends.assert_source_empty(&outcome);
    let size = fs::metadata(ends.destination.join("large")).unwrap().len();
    assert_eq!(size, mib << 20, "{outcome}");
    assert!(peak > 0, "nothing was measured: {outcome}");
    assert!(
        peak < LIMIT_KIB,
        "{peak} KiB for one file of {mib} MiB: {outcome}"
    );
}

#[test]
fn many_small_files_in_one_directory() {
    let count = setting("REALIZE_TEST_SMALL", 20_000);
    let ends = Ends::new();
    fs::create_dir(ends.source.join("many")).unwrap();
    for i in 0..count {
        fs::write(
            ends.source.join(format!("many/file number {i:08}")),
            i.to_le_bytes(),
        )
        .unwrap();
    }

    let (peak, outcome) = peak(&ends);

    ends.assert_source_empty(&outcome);
    let arrived = fs::read_dir(ends.destination.join("many")).unwrap().count();
    assert_eq!(arrived as u64, count, "{outcome}");
    for i in [0, count / 2, count - 1] {
        let content = ends
            .at_destination(&format!("many/file number {i:08}"))
            .unwrap();
        assert_eq!(content, i.to_le_bytes(), "{outcome}");
    }
    assert!(peak > 0, "nothing was measured: {outcome}");
    assert!(peak < LIMIT_KIB, "{peak} KiB for {count} files: {outcome}");
}
