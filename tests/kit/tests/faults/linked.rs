//! What the shortcut between two directories of one file system does: which files take it, and that
//! they keep what they are.

use std::sync::{Arc, Mutex};

use realize_core::engine::{Mode, MoveOptions, Report};
use realize_core::local::fs::Stat;
use realize_test_kit::sim::{Call, Crash, Effect, SimFileSystem};
use rustix::io::Errno;

use crate::check::assert_safe;
use crate::scenario::{Planted, Scenario, content, leaves, run, run_with, services};

/// Runs a move without faults, which all goes well.
fn moved(planted: &Planted) -> (SimFileSystem, Report) {
    let fs = planted.fs.survivor(Crash::All, 0);
    let report = run(&fs).unwrap();
    assert!(report.is_clean(), "{report:?}");
    (fs, report)
}

fn stat(fs: &SimFileSystem, path: &str) -> Stat {
    fs.stat(path).unwrap_or_else(|| panic!("no {path}"))
}

fn calls(fs: &SimFileSystem, name: &str) -> usize {
    let named = |call: &Call| call.name == name;
    fs.script().log().into_iter().filter(named).count()
}

#[test]
fn a_file_keeps_its_inode_and_nothing_is_carried() {
    for (scenario, paths) in [
        (Scenario::Linked, &["d/e/file", "d/empty", "other"][..]),
        (Scenario::LinkedBatch, &["d1/large", "d0/e/f0"]),
        (Scenario::LinkedResume, &["d/large"]),
    ] {
        let planted = scenario.plant();
        let (fs, report) = moved(&planted);
        assert_eq!(report.sent, 0, "{scenario:?}");
        assert_eq!(report.done as usize, planted.new.len(), "{scenario:?}");
        assert_eq!(report.identical, 0, "{scenario:?}");
        for path in paths {
            let before = stat(&planted.fs, &format!("/src/{path}"));
            let after = stat(&fs, &format!("/dst/{path}"));
            let changed = after.changed;
            assert_eq!(after, Stat { changed, ..before }, "{scenario:?}, {path}");
        }
        assert_safe(&planted, &fs, "without faults");
    }
}

/// What a failed sync left in memory is written to another file, and that is synced.
#[test]
fn what_cannot_be_made_durable_is_copied() {
    let sizes = |scenario: Scenario, call: &'static str| {
        let planted = scenario.plant();
        let fs = planted.fs.survivor(Crash::All, 0);
        let effect = Effect::Fail(Errno::IO.raw_os_error());
        fs.script().at(move |found| found.name == call, 1, effect);
        let report = run(&fs).unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_safe(&planted, &fs, &format!("{scenario:?}: {call} failed"));
        (report.sent, report.bytes)
    };
    let (sent, bytes) = sizes(Scenario::LinkedBatch, "sync_file_system");
    assert_eq!(sent, bytes, "the whole batch");
    let (sent, bytes) = sizes(Scenario::Linked, "file.sync");
    assert!(
        [70, 3000].contains(&sent) && bytes == 3070,
        "{sent}: the one file"
    );
    let (sent, _) = sizes(Scenario::LinkedBatch, "file.sync");
    assert_eq!(sent, 0, "none is synced by itself");
}

#[test]
fn a_directory_of_another_file_system_gets_copies() {
    let planted = Scenario::LinkedPartly.plant();
    let (fs, report) = moved(&planted);
    let kept = |path: &str| {
        stat(&planted.fs, &format!("/src/{path}")).inode == stat(&fs, &format!("/dst/{path}")).inode
    };
    assert!(kept("near/file"));
    assert!(!kept("far/file") && !kept("far/large"));
    assert!(report.sent > 3000, "{report:?}");
    assert_eq!(calls(&fs, "link"), 1, "it is not tried in vain");
}

/// Each is refused for a reason of its own, and goes the ordinary way in the same run.
#[test]
fn what_cannot_be_linked_is_copied() {
    let refused = |plant: &dyn Fn(&SimFileSystem)| {
        let fs = SimFileSystem::new();
        fs.mkdir_all("/dst");
        fs.write("/outside/secret", b"not to be touched");
        fs.write("/src/f", content(5000, 1));
        plant(&fs);
        fs.sync_everything();
        let (new, old) = (leaves(&fs, "/src"), leaves(&fs, "/dst"));
        let planted = Planted { fs, new, old };
        let (fs, _) = moved(&planted);
        assert_eq!(fs.read("/dst/f").unwrap(), content(5000, 1));
        let (before, after) = (stat(&planted.fs, "/src/f"), stat(&fs, "/dst/f"));
        assert_ne!(before.inode, after.inode);
        assert_eq!(after.mode & !0o777, 0);
        assert_safe(&planted, &fs, "refused");
    };
    // Its names arrive as files of their own.
    refused(&|fs| fs.hard_link("/src/f", "/src/g"));
    refused(&|fs| fs.hard_link("/src/f", "/outside_too"));
    refused(&|fs| fs.chmod("/src/f", 0o4755));
    refused(&|fs| fs.chmod("/src/f", 0o2755));
    refused(&|fs| fs.write("/dst/f", b"an older version"));
}

#[test]
fn what_the_kernel_refuses_to_link_is_copied() {
    let planted = Scenario::Linked.plant();
    for errno in [Errno::XDEV, Errno::PERM, Errno::MLINK, Errno::OPNOTSUPP] {
        let fs = planted.fs.survivor(Crash::All, 0);
        let effect = Effect::FailFromHere(errno.raw_os_error());
        fs.script().at(|call| call.name == "link", 1, effect);
        let report = run(&fs).unwrap();
        assert!(
            report.is_clean() && report.sent == 3070,
            "{errno}: {report:?}"
        );
        assert_eq!(calls(&fs, "link"), 3);
        assert_safe(&planted, &fs, &errno.to_string());
    }
}

/// Blocks that are shared are not carried, and are read back like any others.
#[test]
fn what_cannot_be_linked_may_share_its_blocks() {
    let planted = Scenario::Shared.plant();
    let (fs, report) = moved(&planted);
    assert_eq!((report.done, report.sent), (2, 0));
    assert_safe(&planted, &fs, "without faults");
    let fs = planted.fs.survivor(Crash::All, 0);
    let report = run_with(services(&fs).unwrap(), MoveOptions::new(Mode::Copy)).unwrap();
    assert_eq!((report.done, report.sent), (2, 0));
    assert_ne!(
        stat(&fs, "/src/replaced").inode,
        stat(&fs, "/dst/replaced").inode
    );
    // What refuses once is not asked again.
    let fs = planted.fs.survivor(Crash::All, 0);
    let refusal = Effect::Fail(Errno::OPNOTSUPP.raw_os_error());
    fs.script().at(|call| call.name == "file.share", 1, refusal);
    let report = run(&fs).unwrap();
    assert!(report.is_clean() && report.sent > 1 << 20, "{report:?}");
    assert_safe(&planted, &fs, "refused");
}

#[test]
fn a_copy_is_a_file_of_its_own() {
    let planted = Scenario::Linked.plant();
    let fs = planted.fs.survivor(Crash::All, 0);
    let report = run_with(services(&fs).unwrap(), MoveOptions::new(Mode::Copy)).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(calls(&fs, "link"), 0);
    assert_ne!(stat(&fs, "/src/other").inode, stat(&fs, "/dst/other").inode);
    assert_eq!(leaves(&fs, "/src"), leaves(&fs, "/dst"));
}

/// A source whose names cannot be deleted is not to stay there under a second name.
#[test]
fn what_could_not_be_deleted_is_not_linked() {
    let planted = Scenario::Linked.plant();
    let fs = planted.fs.survivor(Crash::All, 0);
    let denied =
        |call: &Call| call.name == "create_directory" && call.subject == b".realize-deleting";
    let effect = Effect::FailFromHere(Errno::ACCESS.raw_os_error());
    fs.script().at(denied, 1, effect);
    let report = run(&fs).unwrap();
    assert_eq!((report.done, report.failed), (0, 3));
    assert!(report.failures.iter().all(|failure| failure.copied));
    assert_eq!(calls(&fs, "link"), 0);
    assert_eq!(stat(&fs, "/dst/other").links, 1);
    assert_safe(&planted, &fs, "nothing could be deleted");
}

/// When a source's name is set aside to be deleted, a power loss keeps the file under its final one,
/// though it had never been synced.
#[test]
fn a_final_name_is_durable_before_the_other_one_goes() {
    for scenario in [Scenario::Linked, Scenario::LinkedBatch] {
        let mut planted = scenario.plant();
        for (i, path) in planted.new.keys().enumerate() {
            let path = format!("/src/{}", path.escape_ascii());
            planted.fs.write(path, content(5000 + i, i as u64));
        }
        planted.new = leaves(&planted.fs, "/src");
        for nth in 1..=planted.new.len() {
            let fs = planted.fs.survivor(Crash::All, 0);
            let (now, kept) = (fs.clone(), Arc::new(Mutex::new(None)));
            let keep = Arc::clone(&kept);
            let aside = |call: &Call| call.name == "rename";
            fs.script().on_call(aside, nth as u64, move || {
                let after = leaves(&now.survivor(Crash::OnlySynced, 0), "/dst");
                *keep.lock().unwrap() = Some((after, leaves(&now, "/dst")));
            });
            assert!(run(&fs).unwrap().is_clean());
            let (durable, seen) = kept.lock().unwrap().take().unwrap();
            assert!(!seen.is_empty());
            assert_eq!(durable, seen, "{scenario:?}, deletion {nth}");
        }
    }
}

/// It changes after the last look at it, just before it gets its final name: that is taken back.
#[test]
fn what_changes_while_it_is_linked_loses_its_final_name_again() {
    let planted = Scenario::Linked.plant();
    let fs = planted.fs.survivor(Crash::All, 0);
    let theirs = fs.clone();
    let linking = |call: &Call| call.name == "link" && call.subject == b"other";
    fs.script().on_call(linking, 1, move || {
        theirs.write("/src/other", b"longer than 70 bytes".repeat(9))
    });
    let report = run(&fs).unwrap();
    assert_eq!((report.done, report.deferred, report.failed), (2, 1, 0));
    assert!(
        fs.stat("/dst/other").is_none(),
        "it holds what is being written"
    );
    assert_eq!(stat(&fs, "/src/other").links, 1);
    assert!(run(&fs).unwrap().is_clean());
    assert_eq!(
        fs.read("/dst/other").unwrap(),
        b"longer than 70 bytes".repeat(9)
    );
}

/// The name at the destination goes between the link and the deletion: the other one stays.
#[test]
fn the_last_name_is_never_deleted() {
    let planted = Scenario::Linked.plant();
    for name in ["rename", "create_directory"] {
        for n in 1..=4 {
            let fs = planted.fs.survivor(Crash::All, 0);
            let theirs = fs.clone();
            let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            let seen = std::sync::Arc::clone(&done);
            fs.script().on_call(
                move |call| call.name == name,
                n,
                move || {
                    if theirs.stat("/dst/other").is_some() && theirs.stat("/src/other").is_some() {
                        theirs.unlink("/dst/other");
                        seen.store(true, std::sync::atomic::Ordering::Relaxed);
                    }
                },
            );
            let _ = run(&fs);
            fs.script().clear();
            if done.load(std::sync::atomic::Ordering::Relaxed) {
                let what = format!("{name} {n}");
                assert!(
                    fs.stat("/src/other").is_some(),
                    "{what}: the last name is gone"
                );
                assert_safe(&planted, &fs, &what);
            }
        }
    }
}
