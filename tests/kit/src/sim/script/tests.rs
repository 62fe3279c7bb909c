//! Faults happen where they are told to.

use std::io;
use std::path::Path;
use std::sync::Arc;

use realize_core::local::fs::{Directory, FileSystem, Rename};

use super::*;
use crate::sim::{Crash, SimFileSystem};

fn opened() -> (SimFileSystem, Arc<dyn Directory>) {
    let fs = SimFileSystem::new();
    fs.write("/f", "content");
    fs.sync_everything();
    let root = fs.open_root(Path::new("/")).unwrap();
    (fs, root)
}

fn code<T: fmt::Debug>(result: io::Result<T>) -> i32 {
    result.unwrap_err().raw_os_error().unwrap()
}

#[test]
fn calls_are_counted_and_logged() {
    let (fs, root) = opened();
    root.rename(b"f", &*root, b"g", Rename::NoReplace).unwrap();
    root.stat(b"f").unwrap_err();
    assert_eq!(fs.script().calls(), 3);
    let log: Vec<String> = fs.script().log().iter().map(Call::to_string).collect();
    assert_eq!(log, ["1 open_root /", "2 rename f -> g", "3 stat f"]);
}

#[test]
fn the_named_call_fails_and_has_no_effect() {
    let (fs, root) = opened();
    fs.script().fail(3, libc::EDQUOT);
    root.create(b"a").unwrap();
    assert_eq!(code(root.create(b"b")), libc::EDQUOT);
    assert_eq!(code(root.stat(b"b")), libc::ENOENT);
    root.create(b"b").unwrap();
}

#[test]
fn failures_may_stay() {
    let (fs, root) = opened();
    fs.script().fail_from(3, libc::EIO);
    root.create(b"a").unwrap();
    assert_eq!(code(root.create(b"b")), libc::EIO);
    assert_eq!(code(root.stat(b"a")), libc::EIO);
    fs.script().clear();
    fs.script().at(
        |call| call.name == "create",
        2,
        Effect::FailFromHere(libc::ENOSPC),
    );
    root.create(b"b").unwrap();
    assert_eq!(code(root.create(b"c")), libc::ENOSPC);
    root.stat(b"a").unwrap();
    assert_eq!(code(root.create(b"c")), libc::ENOSPC);
}

#[test]
fn reads_and_writes_come_short_and_bits_flip() {
    let (fs, root) = opened();
    fs.script().short_write(2);
    fs.script().flip_bit(3, 8 * 16 + 9);
    fs.script().short_read(1);
    let file = root.create(b"a").unwrap();
    assert_eq!(file.write_at(b"abcd", 0).unwrap(), 4);
    assert_eq!(file.write_at(b"efg", 4).unwrap(), 2);
    assert_eq!(file.write_at(b"gh", 6).unwrap(), 2);
    let mut buffer = [0; 8];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 4);
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 8);
    assert_eq!(&buffer, b"abcdefgj");
}

#[test]
fn the_power_goes_at_the_named_call() {
    let (fs, root) = opened();
    fs.script().power_off_at(3);
    root.create(b"a").unwrap();
    assert_eq!(code(root.create(b"b")), libc::EIO);
    assert_eq!(code(root.stat(b"a")), libc::EIO);
    assert!(fs.is_off());
    let after = fs.power_loss(Crash::All, 0);
    assert!(after.read("/a").is_some());
    assert!(after.read("/b").is_none());
    assert_eq!(after.script().calls(), 0);
}

#[test]
fn an_action_runs_before_its_call_and_may_use_the_file_system() {
    let (fs, root) = opened();
    let inside = fs.clone();
    fs.script().on_call(
        |call| call.name == "unlink" && call.subject == b"f",
        1,
        move || {
            inside.write("/f", "rewritten");
            inside.hard_link("/f", "/g");
            inside.open_root(Path::new("/")).unwrap();
        },
    );
    root.unlink(b"f").unwrap();
    assert!(fs.read("/f").is_none());
    assert_eq!(fs.read("/g").unwrap(), b"rewritten");
    assert_eq!(fs.script().calls(), 3);
}

#[test]
fn a_lying_sync_makes_nothing_durable() {
    for lie in [Lie::FileSync, Lie::DirectorySync, Lie::FileSystemSync] {
        let (fs, root) = opened();
        fs.script().lie(lie);
        let file = root.create(b"a").unwrap();
        file.write_at(b"new", 0).unwrap();
        file.sync().unwrap();
        root.sync().unwrap();
        let synced = fs.survivor(Crash::OnlySynced, 0).read("/a");
        match lie {
            Lie::FileSync => assert_eq!(synced.unwrap(), b""),
            Lie::DirectorySync => assert_eq!(synced, None),
            Lie::FileSystemSync => assert_eq!(synced.unwrap(), b"new"),
        }
        file.write_at(b"NEW", 0).unwrap();
        root.sync_file_system().unwrap();
        let synced = fs.survivor(Crash::OnlySynced, 0).read("/a").unwrap();
        assert_eq!(synced == b"NEW", lie != Lie::FileSystemSync);
    }
}

#[test]
fn a_failed_sync_is_not_healed_by_another() {
    let (fs, root) = opened();
    let file = root.create(b"a").unwrap();
    file.write_at(b"new", 0).unwrap();
    root.sync().unwrap();
    fs.script()
        .at(|call| call.name == "file.sync", 1, Effect::Fail(libc::EIO));
    file.sync().unwrap_err();
    file.sync().unwrap();
    root.sync_file_system().unwrap();
    assert_eq!(
        fs.survivor(Crash::OnlySynced, 0).read("/a").unwrap(),
        [0; 3]
    );
    file.write_at(b"new", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(
        fs.survivor(Crash::OnlySynced, 0).read("/a").unwrap(),
        b"new"
    );
}
