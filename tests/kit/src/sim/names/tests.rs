//! Names behave as the kernel's do.

use std::path::Path;
use std::sync::Arc;

use realize_core::local::fs::{Access, Directory, FileSystem, Rename};

use super::*;
use crate::sim::SimFileSystem;

fn root(fs: &SimFileSystem) -> Arc<dyn Directory> {
    fs.open_root(Path::new("/")).unwrap()
}

fn code<T>(result: io::Result<T>) -> i32 {
    result.err().expect("an error").raw_os_error().unwrap()
}

fn sample() -> SimFileSystem {
    let fs = SimFileSystem::new();
    fs.write("/d/f", "f");
    fs.write("/g", "g");
    fs.symlink("g", "/l");
    fs
}

#[test]
fn errors_are_the_kernels() {
    let fs = sample();
    let root = root(&fs);
    assert_eq!(code(root.open(b"none", Access::Read)), libc::ENOENT);
    assert_eq!(code(root.open(b"d", Access::Read)), libc::EISDIR);
    assert_eq!(code(root.open(b"l", Access::Read)), libc::ELOOP);
    assert_eq!(code(root.open_directory(b"l")), libc::ELOOP);
    assert_eq!(code(root.open_directory(b"g")), libc::ENOTDIR);
    assert_eq!(code(root.create(b"g")), libc::EEXIST);
    assert_eq!(code(root.create_directory(b"l", 0o755)), libc::EEXIST);
    assert_eq!(code(root.create_link(b"d", b"t")), libc::EEXIST);
    assert_eq!(code(root.read_link(b"g")), libc::EINVAL);
    assert_eq!(code(root.unlink(b"d")), libc::EISDIR);
    assert_eq!(code(root.remove_directory(b"d")), libc::ENOTEMPTY);
    assert_eq!(code(root.remove_directory(b"g")), libc::ENOTDIR);
    assert_eq!(code(root.create(b"..")), libc::EINVAL);
    assert_eq!(code(root.stat(b"d/f")), libc::EINVAL);
    assert_eq!(code(root.create(&[b'x'; 256])), libc::ENAMETOOLONG);
    assert_eq!(root.read_link(b"l").unwrap(), b"g");
}

#[test]
fn renames_refuse_or_exchange() {
    let fs = sample();
    let (root, d) = (root(&fs), fs.open_root(Path::new("/d")).unwrap());
    assert_eq!(
        code(root.rename(b"g", &*d, b"f", Rename::NoReplace)),
        libc::EEXIST
    );
    assert_eq!(
        code(root.rename(b"g", &*d, b"h", Rename::Exchange)),
        libc::ENOENT
    );
    assert_eq!(
        code(root.rename(b"h", &*d, b"h", Rename::NoReplace)),
        libc::ENOENT
    );
    assert_eq!(
        code(root.rename(b"d", &*d, b"x", Rename::NoReplace)),
        libc::EINVAL
    );
    assert_eq!(
        code(d.rename(b"f", &*root, b"d", Rename::Exchange)),
        libc::EINVAL
    );
    root.rename(b"g", &*d, b"f", Rename::Exchange).unwrap();
    assert_eq!(fs.read("/g").unwrap(), b"f");
    assert_eq!(fs.read("/d/f").unwrap(), b"g");
    root.rename(b"g", &*d, b"h", Rename::NoReplace).unwrap();
    assert!(fs.read("/g").is_none());
    d.rename(b"h", &*d, b"f", Rename::Replace).unwrap();
    assert_eq!(fs.read("/d/f").unwrap(), b"f");
    assert_eq!(
        code(root.rename(b"l", &*root, b"d", Rename::Replace)),
        libc::EISDIR
    );
    let fs = sample().without_exchange();
    let root = self::root(&fs);
    assert_eq!(
        code(root.rename(b"g", &*root, b"l", Rename::Exchange)),
        libc::EINVAL
    );
}

#[test]
fn handles_outlive_names() {
    let fs = sample();
    let root = root(&fs);
    let file = root.open(b"g", Access::ReadWrite).unwrap();
    let d = root.open_directory(b"d").unwrap();
    root.rename(b"d", &*root, b"e", Rename::NoReplace).unwrap();
    root.unlink(b"g").unwrap();
    assert_eq!(file.stat().unwrap().links, 0);
    assert_eq!(file.write_at(b"more", 1).unwrap(), 4);
    let mut buffer = [0; 9];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 5);
    assert_eq!(&buffer[..5], b"gmore");
    d.unlink(b"f").unwrap();
    root.remove_directory(b"e").unwrap();
    assert_eq!(code(d.create(b"x")), libc::ENOENT);
    assert_eq!(d.entries().unwrap().count(), 0);
}

#[test]
fn hard_links_are_one_file() {
    let fs = sample();
    fs.hard_link("/g", "/d/h");
    let root = root(&fs);
    let before = root.stat(b"g").unwrap();
    assert_eq!(before.links, 2);
    root.open(b"g", Access::ReadWrite)
        .unwrap()
        .write_at(b"G", 0)
        .unwrap();
    assert_eq!(fs.read("/d/h").unwrap(), b"G");
    root.unlink(b"g").unwrap();
    let after = fs.stat("/d/h").unwrap();
    assert_eq!((after.links, after.inode), (1, before.inode));
    assert!(after.changed > before.changed);
}

#[test]
fn another_case_finds_the_stored_name() {
    let fs = SimFileSystem::new().case_insensitive();
    fs.write("/Stra\u{df}e", "x");
    let root = root(&fs);
    let upper = "STRA\u{df}E".as_bytes();
    assert!(root.stat(upper).is_ok());
    assert_eq!(code(root.create(upper)), libc::EEXIST);
    fs.write("/b", "b");
    assert_eq!(
        code(root.rename(b"b", &*root, upper, Rename::NoReplace)),
        libc::EEXIST
    );
    root.rename(b"B", &*root, upper, Rename::Exchange).unwrap();
    let names: Vec<_> = fs.tree("/").into_keys().collect();
    assert_eq!(names, ["Stra\u{df}e".into(), b"b".to_vec()]);
    root.unlink(upper).unwrap();
    assert_eq!(fs.read("/b").unwrap(), b"x");
}

#[test]
fn a_listing_has_each_name_once() {
    let fs = SimFileSystem::new();
    for number in 0..100 {
        fs.write(format!("/d/{number}"), "");
    }
    let d = fs.open_root(Path::new("/d")).unwrap();
    let mut entries = d.entries().unwrap();
    let mut names = vec![entries.next().unwrap().unwrap().name];
    for number in 0..100 {
        if names[0] != format!("{number}").as_bytes() && number % 2 == 0 {
            fs.unlink(format!("/d/{number}"));
        }
    }
    names.extend(entries.map(|entry| entry.unwrap().name));
    assert!(!names.is_sorted());
    names.sort();
    let listed = names.len();
    names.dedup();
    assert_eq!(names.len(), listed);
    assert!(fs.tree("/d").keys().all(|name| names.contains(name)));
}
