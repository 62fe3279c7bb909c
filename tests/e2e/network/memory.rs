//! Memory does not grow with the size of a file, nor with the number of files, on either machine.
//!
//! `REALIZE_TEST_LARGE_MIB` and `REALIZE_TEST_SMALL` make the tests as large as the promise is made
//! for: 4096 MiB and 200,000 files.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use realize_test_kit::odd_tree::{bytes, remains};
use rstest::rstest;

use super::machines::{EVERYTHING, Machines, assert_no_partials, write};
use crate::memory::high_water;
use crate::program::{Outcome, setting};

/// The promise for each of the two programs, in KiB.
const LIMIT_KIB: u64 = 64 << 10;

/// Moves all from one machine to the other, and holds both programs to the limit.
fn assert_bounded(machines: &Machines, there: bool) -> Outcome {
    assert_bounded_with(machines, there, &[])
}

fn assert_bounded_with(machines: &Machines, there: bool, flags: &[&str]) -> Outcome {
    let daemon = machines.start(EVERYTHING);
    let line = if there {
        ["move", "../source", "nas:inbox"]
    } else {
        ["move", "nas:inbox", "../source"]
    };
    let moving = machines.cam(line).with(flags);
    let mut running = moving.in_directory(&machines.path("cam")).spawn();
    let status = |pid: u32| format!("/proc/{pid}/status");
    let mut peaks = [status(running.pid()), status(daemon.running.pid())].map(|file| (file, 0));
    // The kernel keeps the peak, so that the last look before the end has it.
    running.reaches("the end", || {
        for (file, peak) in &mut peaks {
            let text = fs::read_to_string(file).unwrap_or_default();
            *peak = high_water(&text).unwrap_or_default().max(*peak);
        }
        false
    });
    let outcome = running.wait().expect(0);
    for ((_, peak), program) in peaks.into_iter().zip(["realize", "realized"]) {
        assert!(peak > 0, "nothing was measured: {outcome}");
        assert!(peak < LIMIT_KIB, "{program}: {peak} KiB: {outcome}");
    }
    daemon.stop().expect(0);
    outcome
}

/// Where files come from, and where they go.
fn ends(machines: &Machines, there: bool) -> [std::path::PathBuf; 2] {
    let (here, inbox) = (machines.source(), machines.inbox());
    if there { [here, inbox] } else { [inbox, here] }
}

#[rstest]
#[case::there(true)]
#[case::back(false)]
fn one_large_file(#[case] there: bool) {
    let mib = setting("REALIZE_TEST_LARGE_MIB", 300);
    let machines = Machines::new();
    let [from, to] = ends(&machines, there);
    plant_large(&from.join("large"), mib, bytes(1, 1 << 20));

    let outcome = assert_bounded(&machines, there);

    assert_eq!(remains(&from).unwrap(), [""; 0], "{outcome}");
    let size = fs::metadata(to.join("large")).unwrap().len();
    assert_eq!(size, mib << 20, "{outcome}");
    assert_no_partials(&[&from, &to], &outcome);
}

/// Compressed blocks, of which each half is noise.
#[rstest]
#[case::there(true)]
#[case::back(false)]
fn one_large_file_that_is_compressed(#[case] there: bool) {
    let mib = setting("REALIZE_TEST_LARGE_MIB", 300);
    let machines = Machines::new();
    let [from, to] = ends(&machines, there);
    let mut block = bytes(1, 1 << 20);
    block[1 << 19..].fill(7);
    plant_large(&from.join("large"), mib, block);

    let outcome = assert_bounded_with(&machines, there, &["--compress", "zstd"]);

    assert_eq!(remains(&from).unwrap(), [""; 0], "{outcome}");
    let size = fs::metadata(to.join("large")).unwrap().len();
    assert_eq!(size, mib << 20, "{outcome}");
}

#[rstest]
#[case::there(true)]
#[case::back(false)]
fn many_small_files(#[case] there: bool) {
    let count = setting("REALIZE_TEST_SMALL", 5000);
    let machines = Machines::new();
    let [from, to] = ends(&machines, there);
    fs::create_dir(from.join("many")).unwrap();
    for i in 0..count {
        write(&from, &format!("many/file number {i:08}"), &i.to_le_bytes());
    }

    let outcome = assert_bounded(&machines, there);

    assert_eq!(remains(&from).unwrap(), [""; 0], "{outcome}");
    let arrived = fs::read_dir(to.join("many")).unwrap().count();
    assert_eq!(arrived as u64, count, "{outcome}");
    let last = fs::read(to.join(format!("many/file number {:08}", count - 1))).unwrap();
    assert_eq!(last, (count - 1).to_le_bytes(), "{outcome}");
}

fn plant_large(path: &Path, mib: u64, mut block: Vec<u8>) {
    let mut file = File::create(path).unwrap();
    for i in 0..mib {
        block[..8].copy_from_slice(&i.to_le_bytes());
        file.write_all(&block).unwrap();
    }
}
