//! What a tree holds, and how two of them differ.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// Everything below a directory, by path relative to it; the directory itself is not in it.
pub type Tree = BTreeMap<Vec<u8>, Node>;

/// What stands under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permission bits: with the sticky bit for a directory, 0 for a link.
    pub mode: u32,
    /// Seconds and nanoseconds of the last change; zeros for a directory, whose time is not carried.
    pub modified: (i64, i64),
    /// Bytes of content that a reader finds; 0 for anything but a file.
    pub size: u64,
    /// Bytes that the file system stores; 0 for anything but a file.
    pub stored: u64,
}

/// The kinds of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file and the [`content_hash`] of it.
    File(blake3::Hash),
    /// A directory.
    Directory,
    /// A symbolic link and its target.
    Link(Vec<u8>),
    /// A named pipe, socket or device.
    Special,
}

/// How much more than its original a copy of a sparse file may store.
const SPARSE_SLACK: u64 = 1 << 20;
/// Content is hashed in blocks of this size, and blocks of zeros are left out.
const BLOCK: usize = 4096;

/// Writes down everything below `dir`. Links are never followed.
///
/// # Errors
/// What the file system says; something that cannot be read is an error, never left out.
pub fn snapshot(dir: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new();
    walk(dir, dir, &mut tree)?;
    Ok(tree)
}

fn walk(root: &Path, dir: &Path, tree: &mut Tree) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let metadata = fs::symlink_metadata(&path).map_err(|e| at(&path, &e))?;
        let kind = metadata.file_type();
        let relative = path.strip_prefix(root).unwrap_or(&path);
        let node = if kind.is_dir() {
            walk(root, &path, tree)?;
            Node {
                kind: Kind::Directory,
                mode: metadata.mode() & 0o1777,
                modified: (0, 0),
                size: 0,
                stored: 0,
            }
        } else if kind.is_symlink() {
            Node {
                kind: Kind::Link(fs::read_link(&path)?.into_os_string().into_vec()),
                mode: 0,
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                size: 0,
                stored: 0,
            }
        } else if kind.is_file() {
            Node {
                kind: Kind::File(content_hash(&path).map_err(|e| at(&path, &e))?),
                mode: metadata.mode() & 0o777,
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                size: metadata.size(),
                stored: metadata.blocks() * 512,
            }
        } else {
            debug_assert!(
                kind.is_fifo()
                    || kind.is_socket()
                    || kind.is_block_device()
                    || kind.is_char_device()
            );
            Node {
                kind: Kind::Special,
                mode: metadata.mode() & 0o777,
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                size: 0,
                stored: 0,
            }
        };
        tree.insert(relative.as_os_str().as_bytes().to_vec(), node);
    }
    Ok(())
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{path:?}: {error}"))
}

/// A hash of what a reader of the file finds, at the cost of what the file stores: holes are passed
/// over, and a hole and a block of zeros count the same.
///
/// # Errors
/// What the file system says.
pub fn content_hash(path: &Path) -> io::Result<blake3::Hash> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&size.to_le_bytes());
    let mut buffer = vec![0; 64 * BLOCK];
    let mut position = 0;
    while position < size {
        let data = match seek(&file, SeekFrom::Data(position)) {
            Ok(data) => data,
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = seek(&file, SeekFrom::Hole(data))?.min(size);
        // Whole blocks, so that the result does not depend on where the holes begin.
        position = data / BLOCK as u64 * BLOCK as u64;
        while position < end {
            let read = fill(&file, &mut buffer, position)?;
            let Some(read) = buffer.get(..read).filter(|read| !read.is_empty()) else {
                return Ok(hasher.finalize());
            };
            for (block, at) in read.chunks(BLOCK).zip((position..).step_by(BLOCK)) {
                if block.iter().any(|byte| *byte != 0) {
                    hasher.update(&at.to_le_bytes());
                    hasher.update(block);
                }
            }
            position += read.len() as u64;
        }
    }
    Ok(hasher.finalize())
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, position + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// How `after` differs from `before`, one sentence for each difference; none if they hold the same.
///
/// A file that was sparse must be sparse; how exactly it is stored does not matter otherwise.
pub fn diff(before: &Tree, after: &Tree) -> Vec<String> {
    let mut differences = Vec::new();
    for (path, old) in before {
        let name = path.escape_ascii();
        let Some(new) = after.get(path) else {
            differences.push(format!("{name}: missing"));
            continue;
        };
        if old.kind != new.kind {
            differences.push(format!("{name}: was {:?}, is {:?}", old.kind, new.kind));
        }
        if old.mode != new.mode {
            differences.push(format!(
                "{name}: mode was {:04o}, is {:04o}",
                old.mode, new.mode
            ));
        }
        if old.modified != new.modified {
            differences.push(format!(
                "{name}: mtime was {:?}, is {:?}",
                old.modified, new.modified
            ));
        }
        if old.size != new.size {
            differences.push(format!("{name}: size was {}, is {}", old.size, new.size));
        }
        let sparse = old.stored < old.size / 2;
        if sparse && new.stored > old.stored + SPARSE_SLACK {
            differences.push(format!(
                "{name}: stored {} bytes, now {}",
                old.stored, new.stored
            ));
        }
    }
    for path in after.keys().filter(|path| !before.contains_key(*path)) {
        differences.push(format!("{}: unexpected", path.escape_ascii()));
    }
    differences
}

/// Everything that is in `dir`, reserved names included, as text that can be printed; none after a
/// move that moved everything.
///
/// # Errors
/// What the file system says.
pub fn remains(dir: &Path) -> io::Result<Vec<String>> {
    Ok(snapshot(dir)?
        .keys()
        .map(|path| path.escape_ascii().to_string())
        .collect())
}

/// The paths below `dir` whose last name is [reserved](is_reserved): none after a move that ended.
///
/// # Errors
/// What the file system says.
pub fn reserved_names(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            // Whoever looks on while a move runs sees directories go.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at(&dir, &error)),
        };
        for entry in entries {
            let entry = entry?;
            if is_reserved(&entry.file_name()) {
                found.push(entry.path());
            }
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// Whether realize keeps `name` for its own files. Written apart from realize's own code on purpose:
/// the tests hold it to the list that users were told.
pub fn is_reserved(name: &OsStr) -> bool {
    let name = name.as_bytes();
    if [
        b".realize-source.lease".as_slice(),
        b".realize-destination.lease",
        b".realize-deleting",
    ]
    .contains(&name)
    {
        return true;
    }
    let Some(rest) = name.strip_prefix(b".realize-") else {
        return false;
    };
    [b".part".as_slice(), b".state", b".source", b".destination"]
        .iter()
        .any(|ending| {
            rest.strip_suffix(*ending).is_some_and(|digits| {
                digits.len() == 32
                    && digits
                        .iter()
                        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            })
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::odd_tree::{SPARSE_FILE, plant};

    #[test]
    fn two_plantings_are_equal_but_for_the_present() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        plant(one.path(), 10).unwrap();
        plant(two.path(), 10).unwrap();
        let (mut one, mut two) = (snapshot(one.path()).unwrap(), snapshot(two.path()).unwrap());
        one.values_mut()
            .chain(two.values_mut())
            .for_each(|node| node.modified = (0, 0));
        assert_eq!(diff(&one, &two), Vec::<String>::new());
        let sparse = &one[SPARSE_FILE.as_bytes()];
        assert!(sparse.stored < 1 << 20, "{sparse:?}");
    }

    #[test]
    fn every_difference_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, b"0123456789").unwrap();
        fs::write(dir.path().join("goes"), b"").unwrap();
        let before = snapshot(dir.path()).unwrap();
        fs::write(&file, b"0123x56789").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
        fs::remove_file(dir.path().join("goes")).unwrap();
        fs::write(dir.path().join("comes"), b"").unwrap();
        let differences = diff(&before, &snapshot(dir.path()).unwrap()).join("\n");
        for part in [
            "file: was File",
            "file: mode was",
            "goes: missing",
            "comes: unexpected",
        ] {
            assert!(differences.contains(part), "{part} not in:\n{differences}");
        }
    }

    #[test]
    fn a_hole_and_zeros_hash_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (hole, zeros) = (dir.path().join("hole"), dir.path().join("zeros"));
        let mut content = vec![0; 300_000];
        content[123_456] = 7;
        fs::write(&zeros, &content).unwrap();
        let file = File::create(&hole).unwrap();
        file.set_len(300_000).unwrap();
        file.write_all_at(&[7], 123_456).unwrap();
        assert_eq!(content_hash(&hole).unwrap(), content_hash(&zeros).unwrap());
        file.write_all_at(&[7], 123_457).unwrap();
        assert_ne!(content_hash(&hole).unwrap(), content_hash(&zeros).unwrap());
    }
}
