//! Code that is broken on purpose, where a deletion is decided: these tests pass when the checks of
//! the other modules catch it.

use std::sync::Arc;

use realize_core::Service;
use realize_test_kit::sim::script::Lie;
use realize_test_kit::sim::{Crash, SimFileSystem};
use rstest::rstest;

use crate::altered::{Alteration, Altered};
use crate::check::broken;
use crate::scenario::{Planted, Scenario, content, leaves, run, run_between, services};
use crate::source_changes::{Change, wrong_after};

/// Deleting before the sync: a sync that is skipped is one that says that all is well and does
/// nothing.
#[rstest]
#[case::file(&[Lie::FileSync, Lie::FileSystemSync], Scenario::New)]
#[case::files_of_a_batch(&[Lie::FileSync, Lie::FileSystemSync], Scenario::Batch)]
#[case::directory(&[Lie::DirectorySync], Scenario::New)]
#[case::directories_of_a_batch(&[Lie::DirectorySync], Scenario::Batch)]
#[case::directories_of_linked_files(&[Lie::DirectorySync], Scenario::Linked)]
fn a_skipped_sync_is_caught(#[case] lies: &[Lie], #[case] scenario: Scenario) {
    assert_catches(&scenario.plant(), lies);
}

/// What is linked may never have been synced by whoever wrote it.
#[rstest]
#[case::file(Scenario::Linked, "/src/other")]
#[case::files_of_a_batch(Scenario::LinkedBatch, "/src/d1/large")]
fn a_skipped_sync_of_the_source_is_caught(#[case] scenario: Scenario, #[case] path: &str) {
    let mut planted = scenario.plant();
    planted.fs.write(path, content(9000, 77));
    planted.new = leaves(&planted.fs, "/src");
    assert_catches(&planted, &[Lie::FileSync, Lie::FileSystemSync]);
}

fn assert_catches(planted: &Planted, lies: &[Lie]) {
    let loses = |lies: &[Lie]| {
        let fs = planted.fs.survivor(Crash::All, 0);
        lies.iter().for_each(|lie| fs.script().lie(*lie));
        assert!(run(&fs).unwrap().is_clean());
        // The deletion reached the disk, as it may at any time; what was not synced need not have.
        fs.script().clear();
        sync_source(&fs);
        (0..40).any(|seed| broken(planted, &fs.survivor(Crash::Journal, seed)).is_some())
            || broken(planted, &fs.survivor(Crash::OnlySynced, 0)).is_some()
    };
    assert!(!loses(&[]), "the code as it is loses nothing");
    assert!(loses(lies), "{lies:?} was not caught");
}

/// Makes the names in the source durable.
fn sync_source(fs: &SimFileSystem) {
    use realize_core::local::fs::FileSystem;
    let root = fs.open_root("/src".as_ref()).unwrap();
    root.sync().unwrap();
    for name in ["d", "d0", "d1", "d2"] {
        if let Ok(directory) = root.open_directory(name.as_bytes()) {
            directory.sync().unwrap();
        }
    }
}

/// Finishing before the read-back: the hash that a file must have is taken from what arrived.
#[test]
fn a_skipped_read_back_is_caught() {
    let planted = Scenario::New.plant();
    let loses = |mutant: bool| {
        (1..=20).any(|n| {
            let fs = planted.fs.survivor(Crash::All, 0);
            fs.script().flip_bit(n, 12345);
            let (source, mut destination) = services(&fs).unwrap();
            if mutant {
                let fs = fs.clone();
                destination = Altered::new(destination, Alteration::NoReadBack(fs));
            }
            let _ = run_between((source, destination));
            broken(&planted, &fs).is_some()
        })
    };
    assert!(!loses(false), "the code as it is loses nothing");
    assert!(loses(true), "not caught");
}

/// Trusting what was listed: the file that is deleted is whatever bears the name by then.
#[rstest]
fn a_skipped_source_check_is_caught(
    #[values(Change::Grow, Change::Rewrite, Change::Replace)] change: Change,
) {
    let planted = Scenario::New.plant();
    let loses = |mutant: bool| {
        (1..=120).any(|n| {
            let ends = |fs: &SimFileSystem| {
                let (source, destination) = services(fs).unwrap();
                if !mutant {
                    return (source, destination);
                }
                (
                    Altered::new(source, Alteration::NoVersion) as Arc<dyn Service>,
                    destination,
                )
            };
            wrong_after(&planted.fs, change, n, ends).is_some()
        })
    };
    assert!(!loses(false), "the code as it is loses nothing");
    assert!(loses(true), "not caught");
}
