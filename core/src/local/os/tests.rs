#![allow(clippy::disallowed_methods)]

use super::*;

#[test]
fn without_the_flag_what_is_set_aside_is_moved_to_a_name_that_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str| std::fs::write(directory.path().join(name), name).unwrap();
    let read = |name: &str| std::fs::read(directory.path().join(name)).ok();
    write("one");
    write("taken");
    let root = OsFileSystem.open_root(directory.path()).unwrap();
    let root: &OsDirectory = root.as_any().downcast_ref().unwrap();
    let error = root.move_to_vacant(b"one", root, b"taken").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(read("taken").unwrap(), b"taken");
    root.move_to_vacant(b"one", root, b"free").unwrap();
    assert_eq!((read("free"), read("one")), (Some(b"one".to_vec()), None));
}

#[test]
fn a_lock_ends_with_its_file_though_another_process_has_inherited_it() {
    let directory = tempfile::tempdir().unwrap();
    let root = OsFileSystem.open_root(directory.path()).unwrap();
    drop(root.create(b"f").unwrap());
    let open = || {
        let opened = std::fs::File::options()
            .write(true)
            .open(directory.path().join("f"));
        OsFile::new(opened.unwrap().into())
    };
    let (one, other) = (open(), open());
    assert!(one.try_lock().unwrap());
    assert!(!other.try_lock().unwrap());
    // What a process has that was started in the meantime.
    let inherited = one.file.try_clone().unwrap();
    // One that never had the lock does not take it from whoever has it.
    drop(other);
    assert!(!open().try_lock().unwrap());
    drop(one);
    assert!(open().try_lock().unwrap());
    drop(inherited);
}

/// Whatever a name comes from, it leads nowhere else.
#[test]
fn a_name_is_one_component() {
    let above = tempfile::tempdir().unwrap();
    std::fs::create_dir(above.path().join("root")).unwrap();
    std::fs::write(above.path().join("secret"), "secret").unwrap();
    let root = OsFileSystem.open_root(&above.path().join("root")).unwrap();
    root.create(b"own").unwrap();
    for name in [&b"../secret"[..], b"..", b".", b"", b"/etc", b"a/b"] {
        let invalid = Some(Errno::INVAL.raw_os_error());
        let code = |error: io::Error| error.raw_os_error();
        assert_eq!(root.stat(name).map_err(code).err(), Some(invalid));
        assert_eq!(root.unlink(name).map_err(code).err(), Some(invalid));
        assert_eq!(
            root.remove_directory(name).map_err(code).err(),
            Some(invalid)
        );
        assert_eq!(
            root.create_directory(name, 0o700).map_err(code).err(),
            Some(invalid)
        );
        assert_eq!(
            root.create_link(name, b"x").map_err(code).err(),
            Some(invalid)
        );
        assert_eq!(root.read_link(name).map_err(code).err(), Some(invalid));
        let there = root.rename(b"own", &*root, name, Rename::Replace);
        assert_eq!(there.map_err(code).err(), Some(invalid));
        let back = root.rename(name, &*root, b"new", Rename::NoReplace);
        assert_eq!(back.map_err(code).err(), Some(invalid));
        let opened = root.open(name, Access::Read);
        assert_eq!(opened.map_err(code).err(), Some(invalid));
        assert_eq!(root.create(name).map_err(code).err(), Some(invalid));
        assert_eq!(root.open_directory(name).map_err(code).err(), Some(invalid));
    }
    assert_eq!(
        std::fs::read(above.path().join("secret")).unwrap(),
        b"secret"
    );
}
