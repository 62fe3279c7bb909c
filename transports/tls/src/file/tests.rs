use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use rstest::rstest;

use super::*;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_saved_key_is_its_owners_alone_and_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nas.key");
    let key = PrivateKey::generate().unwrap();
    save_private_key(&path, &key).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), *key.to_pem());
    assert_eq!(
        load_private_key(&path).unwrap().public_key(),
        key.public_key()
    );
}

#[test]
fn a_saved_key_takes_the_place_of_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let key = PrivateKey::generate().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "mine").unwrap();
    let link = directory.path().join("link");
    symlink(directory.path().join("nowhere"), &link).unwrap();
    for path in [&file, &link, &directory.path().to_owned()] {
        let error = save_private_key(path, &key).unwrap_err();
        assert!(matches!(error, FileError::Exists { .. }), "{error}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn a_key_that_cannot_be_saved_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let key = PrivateKey::generate().unwrap();
    let path = directory.path().join("absent/nas.key");
    let error = save_private_key(&path, &key).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}: cannot be made", path.display())
    );
    assert!(matches!(
        save_private_key(Path::new("/"), &key),
        Err(FileError::NotFile { .. })
    ));
}

#[test]
fn a_key_that_is_half_written_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nas.key");
    let key = PrivateKey::generate().unwrap();
    let full = make(&path, |file, parent| {
        write_durably(file, parent, &key)?;
        Err(io::ErrorKind::StorageFull.into())
    });
    assert!(matches!(full, Err(FileError::Io { doing: "made", .. })));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    save_private_key(&path, &key).unwrap();
}

#[rstest]
#[case(0o640)]
#[case(0o604)]
#[case(0o610)]
#[case(0o620)]
#[case(0o644)]
#[case(0o777)]
fn a_private_key_that_others_can_use_is_refused(#[case] mode: u32) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nas.key");
    save_private_key(&path, &PrivateKey::generate().unwrap()).unwrap();
    set_mode(&path, mode);
    let error = load_private_key(&path).unwrap_err().to_string();
    let shown = path.display();
    assert!(error.contains(&format!("mode is 0{mode:o}")), "{error}");
    assert!(error.ends_with(&format!("chmod 600 {shown}")), "{error}");
    for mode in [0o600, 0o400] {
        set_mode(&path, mode);
        load_private_key(&path).unwrap();
    }
}

#[test]
fn what_is_no_file_or_none_of_ours_is_refused_and_waits_for_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let pipe = path("pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for place in [directory.path(), &pipe, Path::new("/dev/zero")] {
        let error = load_private_key(place).unwrap_err();
        assert!(matches!(error, FileError::NotFile { .. }), "{error}");
        let error = load_public_key(place).unwrap_err();
        assert!(matches!(error, FileError::NotFile { .. }), "{error}");
    }
    let error = load_private_key(&path("absent")).unwrap_err();
    assert!(
        matches!(error, FileError::Io { doing: "read", .. }),
        "{error}"
    );

    let mut long = b"-----BEGIN PRIVATE KEY-----\n".to_vec();
    long.resize(64 * 1024, b'A');
    let huge = path("huge");
    fs::write(&huge, &long).unwrap();
    set_mode(&huge, 0o600);
    assert!(matches!(
        load_private_key(&huge),
        Err(FileError::Key { .. })
    ));
    long.push(b'A');
    fs::write(&huge, &long).unwrap();
    assert!(matches!(
        load_private_key(&huge),
        Err(FileError::TooLong { .. })
    ));
    fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(
        load_public_key(&huge),
        Err(FileError::TooLong { .. })
    ));
}

#[test]
fn a_key_may_be_reached_by_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let (path, link) = (
        directory.path().join("nas.key"),
        directory.path().join("link"),
    );
    save_private_key(&path, &PrivateKey::generate().unwrap()).unwrap();
    symlink(&path, &link).unwrap();
    load_private_key(&link).unwrap();
}

#[test]
fn public_keys_are_read_as_pem_and_as_text_whoever_may_read_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cam.pub");
    let key = *PrivateKey::generate().unwrap().public_key();
    for content in [key.to_pem(), format!("{key}\n"), key.to_string()] {
        fs::write(&path, content).unwrap();
        set_mode(&path, 0o644);
        assert_eq!(load_public_key(&path).unwrap(), key);
    }
    for content in ["", "\u{0}", "ed25519:AAAA", &format!("{key}\n{key}\n")] {
        fs::write(&path, content).unwrap();
        let error = load_public_key(&path).unwrap_err();
        assert!(matches!(error, FileError::Key { .. }), "{error}");
    }
}
