#![allow(
    clippy::disallowed_methods,
    reason = "the tests look at what storage leaves"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::*;
use crate::entry::Version;
use crate::local::fs::FileSystem;
use crate::local::os::OsFileSystem;
use crate::local::version::version_of;
use crate::path::RelPath;

const NEW: &[u8] = b"ours, verified";
const OLD: &[u8] = b"displaced";

fn name() -> RelPath {
    RelPath::new("file").unwrap()
}

fn names() -> PartialNames {
    PartialNames::of("local:")
}

/// What a crash leaves between the exchange with a file that was not expected, and its way back.
fn displace(root: &Path) -> Arc<dyn Directory> {
    let directory = OsFileSystem.open_root(root).unwrap();
    let content = names().content(&name());
    let content = root.join(std::str::from_utf8(&content).unwrap());
    fs::write(root.join("file"), b"what the offer was answered with").unwrap();
    let expected = version_of(&directory.stat(b"file").unwrap()).unwrap();
    fs::write(&content, NEW).unwrap();
    let own = fs::metadata(&content).unwrap();
    let own = (own.dev(), own.ino());
    note_exchange(&*directory, &names(), &name(), own, &expected).unwrap();
    fs::remove_file(root.join("file")).unwrap();
    fs::rename(&content, root.join("file")).unwrap();
    fs::write(&content, OLD).unwrap();
    directory
}

fn aside(root: &Path) -> Option<Vec<u8>> {
    let content = names().content(&name());
    fs::read(root.join(std::str::from_utf8(&content).unwrap())).ok()
}

#[test]
fn a_displaced_file_goes_back() {
    let root = tempfile::tempdir().unwrap();
    let directory = displace(root.path());
    recover(&*directory, &names(), &name()).unwrap();
    assert_eq!(fs::read(root.path().join("file")).unwrap(), OLD);
    assert_eq!(aside(root.path()), None);
}

#[test]
fn a_displaced_file_goes_back_where_ours_was_removed() {
    let root = tempfile::tempdir().unwrap();
    let directory = displace(root.path());
    fs::remove_file(root.path().join("file")).unwrap();
    recover(&*directory, &names(), &name()).unwrap();
    assert_eq!(fs::read(root.path().join("file")).unwrap(), OLD);
    assert_eq!(aside(root.path()), None);
}

/// It would say of the next partial of that name that it is a displaced file.
#[test]
fn what_is_noted_of_an_exchange_that_came_to_its_end_is_gone_before_the_next_partial() {
    let root = tempfile::tempdir().unwrap();
    let directory = displace(root.path());
    directory.unlink(&names().content(&name())).unwrap();
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    let found = find(&*directory, &names(), &name(), true).unwrap();
    assert!(found.is_none());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn of_two_files_that_are_not_ours_neither_is_touched() {
    let root = tempfile::tempdir().unwrap();
    let directory = displace(root.path());
    fs::write(root.path().join("newer"), b"somebody's newer one").unwrap();
    fs::rename(root.path().join("newer"), root.path().join("file")).unwrap();
    let target = Target {
        path: name(),
        source: Version::new([1]).unwrap(),
        size: 5,
        sparse: false,
    };
    // Again and again: nothing of it wears off.
    for _ in 0..3 {
        let found = find(&*directory, &names(), &name(), true).unwrap_err();
        assert_eq!(found.kind(), ErrorKind::Conflict);
        let opened = Partial::open(
            &*directory,
            &names(),
            &target,
            Origin::default(),
            Stale::Discard,
        )
        .unwrap_err();
        assert_eq!(opened.kind(), ErrorKind::Conflict);
        let newer = fs::read(root.path().join("file")).unwrap();
        assert_eq!(newer, b"somebody's newer one");
        assert_eq!(aside(root.path()).unwrap(), OLD);
    }
}

#[test]
fn a_partial_with_the_permissions_of_the_final_file_is_opened_again() {
    // Root may open it anyhow; what matters then is that it stays so.
    let root = tempfile::tempdir().unwrap();
    let directory = OsFileSystem.open_root(root.path()).unwrap();
    let content = root.path().join("content");
    fs::write(&content, NEW).unwrap();
    fs::set_permissions(&content, fs::Permissions::from_mode(0o444)).unwrap();
    let (file, created) = open_or_create(&*directory, b"content").unwrap();
    assert!(!created);
    assert_eq!(file.write_at(b"O", 0).unwrap(), 1);
}
