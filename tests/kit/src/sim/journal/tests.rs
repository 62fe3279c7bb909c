//! What of unsynced changes a crash leaves.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use realize_core::local::fs::{Access, Directory, FileSystem, Rename};

use super::*;
use crate::sim::SimFileSystem;

const SEEDS: u64 = 200;

fn open(fs: &SimFileSystem, path: impl AsRef<Path>) -> Arc<dyn Directory> {
    fs.open_root(path.as_ref()).unwrap()
}

/// `/a` and `/b`, durable.
fn two_directories() -> (SimFileSystem, Arc<dyn Directory>, Arc<dyn Directory>) {
    let fs = SimFileSystem::new();
    fs.write("/a/f", "content of f");
    fs.mkdir_all("/b");
    fs.sync_everything();
    let (a, b) = (open(&fs, "/a"), open(&fs, "/b"));
    (fs, a, b)
}

fn outcomes<T: Ord>(fs: &SimFileSystem, look: impl Fn(&SimFileSystem) -> T) -> BTreeSet<T> {
    (0..SEEDS)
        .map(|seed| look(&fs.survivor(Crash::Journal, seed)))
        .collect()
}

#[test]
fn unsynced_content_may_vanish() {
    let (fs, a, _) = two_directories();
    a.open(b"f", Access::ReadWrite)
        .unwrap()
        .write_at(b"CONTENT", 0)
        .unwrap();
    let synced = fs.survivor(Crash::OnlySynced, 0);
    assert_eq!(synced.read("/a/f").unwrap(), b"content of f");
    assert_eq!(
        fs.survivor(Crash::All, 0).read("/a/f").unwrap(),
        b"CONTENT of f"
    );
    let seen = outcomes(&fs, |fs| fs.read("/a/f").unwrap());
    assert_eq!(
        seen,
        [b"CONTENT of f".to_vec(), b"content of f".to_vec()].into()
    );
}

#[test]
fn a_synced_file_without_a_synced_name_vanishes() {
    let (fs, a, _) = two_directories();
    let file = a.create(b"g").unwrap();
    file.write_at(b"g", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(fs.survivor(Crash::OnlySynced, 0).read("/a/g"), None);
    assert_eq!(
        outcomes(&fs, |fs| fs.read("/a/g")),
        [None, Some(b"g".to_vec())].into()
    );
    a.sync().unwrap();
    assert_eq!(
        fs.survivor(Crash::OnlySynced, 0).read("/a/g").unwrap(),
        b"g"
    );
}

#[test]
fn a_new_directory_needs_its_parents_sync() {
    let (fs, a, _) = two_directories();
    a.create_directory(b"new", 0o755).unwrap();
    let new = a.open_directory(b"new").unwrap();
    new.create(b"g").unwrap();
    new.sync().unwrap();
    assert!(fs.survivor(Crash::OnlySynced, 0).stat("/a/new").is_none());
    a.sync().unwrap();
    assert!(fs.survivor(Crash::OnlySynced, 0).stat("/a/new/g").is_some());
}

#[test]
fn a_name_without_its_content_reads_zeros() {
    let (fs, a, b) = two_directories();
    let file = a.create(b"part").unwrap();
    file.write_at(&[7; 6000], 0).unwrap();
    a.rename(b"part", &*b, b"final", Rename::NoReplace).unwrap();
    b.sync().unwrap();
    assert_eq!(
        fs.survivor(Crash::OnlySynced, 0).read("/b/final").unwrap(),
        b""
    );
    let seen = outcomes(&fs, |fs| fs.read("/b/final").unwrap());
    assert!(seen.contains(&vec![0; 6000]));
    assert!(seen.contains(&[vec![7; 4096], vec![0; 1904]].concat()));
    assert!(seen.contains(&[vec![0; 4096], vec![7; 1904]].concat()));
    assert!(seen.contains(&vec![7; 6000]));
    assert!(
        seen.iter()
            .any(|bytes| bytes.len() < 6000 && !bytes.is_empty())
    );
    file.sync().unwrap();
    assert_eq!(
        outcomes(&fs, |fs| fs.read("/b/final").unwrap()),
        [vec![7; 6000]].into()
    );
}

#[test]
fn a_rename_is_old_or_new() {
    for to_sync in [None, Some("/a"), Some("/b")] {
        let (fs, a, b) = two_directories();
        a.rename(b"f", &*b, b"g", Rename::NoReplace).unwrap();
        if let Some(path) = to_sync {
            open(&fs, path).sync().unwrap();
        }
        let seen = outcomes(&fs, |fs| {
            (fs.read("/a/f").is_some(), fs.read("/b/g").is_some())
        });
        match to_sync {
            None => assert_eq!(seen, [(true, false), (false, true)].into()),
            Some(_) => assert_eq!(seen, [(false, true)].into()),
        }
    }
}

#[test]
fn an_exchange_is_old_or_new() {
    let (fs, a, b) = two_directories();
    fs.write("/b/g", "content of g");
    fs.sync_everything();
    a.rename(b"f", &*b, b"g", Rename::Exchange).unwrap();
    let look = |fs: &SimFileSystem| (fs.read("/a/f").unwrap(), fs.read("/b/g").unwrap());
    let (f, g) = (b"content of f".to_vec(), b"content of g".to_vec());
    let expected = [(f.clone(), g.clone()), (g.clone(), f.clone())];
    assert_eq!(outcomes(&fs, look), expected.into());
    a.sync().unwrap();
    assert_eq!(look(&fs.survivor(Crash::OnlySynced, 0)), (g, f));
}

#[test]
fn a_replaced_file_stays_until_its_name_is_durable() {
    let (fs, a, b) = two_directories();
    fs.write("/b/g", "content of g");
    fs.sync_everything();
    b.rename(b"g", &*a, b"f", Rename::Replace).unwrap();
    let seen = outcomes(&fs, |fs| (fs.read("/a/f").unwrap(), fs.read("/b/g")));
    let (f, g) = (b"content of f".to_vec(), b"content of g".to_vec());
    assert_eq!(seen, [(f, Some(g.clone())), (g.clone(), None)].into());
    a.sync().unwrap();
    let synced = fs.survivor(Crash::OnlySynced, 0);
    assert_eq!((synced.read("/a/f"), synced.read("/b/g")), (Some(g), None));
}

#[test]
fn names_change_in_order() {
    let (fs, a, b) = two_directories();
    a.create(b"1").unwrap();
    b.create(b"2").unwrap();
    a.unlink(b"1").unwrap();
    let seen = outcomes(&fs, |fs| {
        (fs.stat("/a/1").is_some(), fs.stat("/b/2").is_some())
    });
    assert_eq!(
        seen,
        [(false, false), (true, false), (true, true), (false, true)].into()
    );
    b.sync().unwrap();
    let synced = fs.survivor(Crash::OnlySynced, 0);
    assert!(synced.stat("/b/2").is_some());
    assert!(synced.stat("/a/1").is_none());
}

#[test]
fn an_unsynced_unlink_may_be_undone() {
    let (fs, a, _) = two_directories();
    a.unlink(b"f").unwrap();
    let seen = outcomes(&fs, |fs| fs.read("/a/f"));
    assert_eq!(seen, [None, Some(b"content of f".to_vec())].into());
    a.sync().unwrap();
    assert_eq!(outcomes(&fs, |fs| fs.read("/a/f")), [None].into());
}

#[test]
fn a_kill_leaves_what_is_unsynced_unsynced() {
    let (fs, a, _) = two_directories();
    a.create(b"g").unwrap();
    let killed = fs.power_loss(Crash::All, 0);
    assert!(killed.stat("/a/g").is_some());
    assert!(killed.survivor(Crash::OnlySynced, 0).stat("/a/g").is_none());
}

#[test]
fn attributes_are_durable_with_their_own_sync() {
    let (fs, a, _) = two_directories();
    let file = a.open(b"f", Access::ReadWrite).unwrap();
    file.set_mode(0o640).unwrap();
    a.set_mode(0o700).unwrap();
    a.create_link(b"l", b"f").unwrap();
    let modes = |fs: &SimFileSystem| ["/a/f", "/a"].map(|path| fs.stat(path).unwrap().mode);
    assert_eq!(modes(&fs.survivor(Crash::OnlySynced, 0)), [0o644, 0o755]);
    assert_eq!(outcomes(&fs, modes).len(), 4);
    file.sync().unwrap();
    a.sync().unwrap();
    assert_eq!(modes(&fs.survivor(Crash::OnlySynced, 0)), [0o640, 0o700]);
}

/// All paths below `/`, those of directories apart.
fn paths(fs: &SimFileSystem) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let paths = fs.tree("/").into_keys();
    let paths = paths.map(|path| Path::new("/").join(OsStr::from_bytes(&path)));
    paths.partition(|path| fs.read(path).is_none())
}

fn contents(fs: &SimFileSystem) -> Vec<Vec<u8>> {
    let mut contents: Vec<_> = paths(fs)
        .1
        .iter()
        .map(|path| fs.read(path).unwrap())
        .collect();
    contents.sort();
    contents
}

fn split(path: &Path) -> (&Path, &[u8]) {
    (path.parent().unwrap(), path.file_name().unwrap().as_bytes())
}

/// Moves files and directories about at random, syncing some: whatever is written of it, each
/// file has exactly one name.
#[test]
fn renames_lose_nothing() {
    for seed in 0..SEEDS / 2 {
        let mut random = Random::new(seed);
        let fs = SimFileSystem::new();
        for number in 0..6 {
            fs.write(
                format!("/{}/{number}", number % 3),
                format!("file {number}"),
            );
        }
        fs.sync_everything();
        let expected = contents(&fs);
        for step in 0..40 {
            let (mut directories, files) = paths(&fs);
            directories.push("/".into());
            let mut pick =
                |from: &[PathBuf]| from[random.below(from.len() as u64) as usize].clone();
            let (target, directory, file) = (pick(&directories), pick(&directories), pick(&files));
            let name = format!("new {step}");
            let at = open(&fs, &target);
            // What cannot be done, as to move a directory into itself, is left.
            let _ = match random.below(6) {
                0 => at.sync(),
                1 => at.create_directory(name.as_bytes(), 0o755),
                2 if directory != Path::new("/") => {
                    let (parent, name) = split(&directory);
                    open(&fs, parent).remove_directory(name)
                }
                3 if directory != Path::new("/") => {
                    let (parent, from) = split(&directory);
                    open(&fs, parent).rename(from, &*at, name.as_bytes(), Rename::NoReplace)
                }
                4 => {
                    let other = &files[random.below(files.len() as u64) as usize];
                    let ((parent, from), (other_parent, to)) = (split(&file), split(other));
                    let other_parent = open(&fs, other_parent);
                    open(&fs, parent).rename(from, &*other_parent, to, Rename::Exchange)
                }
                _ => {
                    let (parent, from) = split(&file);
                    open(&fs, parent).rename(from, &*at, name.as_bytes(), Rename::NoReplace)
                }
            };
            for crash in [
                Crash::OnlySynced,
                Crash::Journal,
                Crash::Journal,
                Crash::All,
            ] {
                let after = fs.survivor(crash, seed + step);
                assert_eq!(
                    contents(&after),
                    expected,
                    "seed {seed}, step {step}, {crash:?}"
                );
            }
        }
    }
}
