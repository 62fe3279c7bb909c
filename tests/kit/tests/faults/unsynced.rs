//! What stands at the destination already, the same as at the source, but is not durable: somebody
//! wrote it a moment ago. A sync of it that fails leaves nothing in memory that can be trusted.

use std::collections::BTreeMap;

use realize_core::engine::{Mode, MoveOptions, OnConflict};
use realize_core::entry::Timestamp;
use realize_test_kit::sim::{Crash, SimFileSystem};
use rstest::rstest;
use rustix::io::Errno;

use crate::check::assert_safe;
use crate::scenario::{Planted, content, leaves, run_with, services};

/// Two files whose content is the same at both sides, and of which the destination has nothing on
/// its disk but the names.
fn planted() -> Planted {
    let fs = SimFileSystem::new();
    fs.mkdir_all("/src");
    fs.write("/outside/secret", b"not to be touched");
    let files = [("small", 500), ("large", 400 << 10)];
    for (path, len) in files {
        fs.write(format!("/src/{path}"), content(len, 5));
        fs.write(format!("/dst/{path}"), b"");
    }
    fs.sync_everything();
    let old = leaves(&fs, "/dst");
    for (path, len) in files {
        fs.write(format!("/dst/{path}"), content(len, 5));
        let modified = Timestamp {
            seconds: 1_600_000_000,
            nanos: 7,
        };
        fs.set_mtime(format!("/dst/{path}"), modified);
    }
    let new = leaves(&fs, "/src");
    Planted { fs, new, old }
}

fn options(on_conflict: OnConflict) -> MoveOptions {
    MoveOptions {
        on_conflict,
        ..MoveOptions::new(Mode::Move)
    }
}

#[rstest]
fn a_copy_whose_sync_fails_is_not_relied_on(
    #[values(OnConflict::Replace, OnConflict::Keep)] on_conflict: OnConflict,
) {
    let Planted { fs, .. } = planted();
    let ends = services(&fs).unwrap();
    assert!(run_with(ends, options(on_conflict)).unwrap().is_clean());
    for n in 1..=fs.script().calls() {
        let planted = planted();
        let fs = &planted.fs;
        fs.script().fail(n, Errno::IO.raw_os_error());
        if let Ok(ends) = services(fs) {
            let _ = run_with(ends, options(on_conflict));
        }
        let after = fs.survivor(Crash::OnlySynced, n);
        let what = format!("{on_conflict:?}, call {n} failed, then a power loss");
        assert_safe(&planted, &after, &what);
    }
}

/// It is written again, and replaced by itself: that is no conflict, whatever is to be done about
/// those.
#[rstest]
fn a_copy_whose_sync_fails_is_written_again(
    #[values(
        OnConflict::Replace,
        OnConflict::Keep,
        OnConflict::Rename,
        OnConflict::Fail
    )]
    on_conflict: OnConflict,
) {
    let Planted { fs, new, .. } = planted();
    let is_sync = |call: &realize_test_kit::sim::Call| call.name == "file.sync";
    let fails = realize_test_kit::sim::Effect::Fail(Errno::IO.raw_os_error());
    fs.script().at(is_sync, 1, fails);
    let report = run_with(services(&fs).unwrap(), options(on_conflict)).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.done, report.identical), (2, 1));
    let durable = fs.survivor(Crash::OnlySynced, 0);
    assert_eq!(leaves(&durable, "/dst"), new);
    assert_eq!(leaves(&fs, "/src"), BTreeMap::new());
}
