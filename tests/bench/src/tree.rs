//! Trees of files: copied, counted, compared.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How much of two files is compared at a time, in bytes.
const PIECE: usize = 256 << 10;

/// How much a tree holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// How much the file system stores, in bytes.
    pub(crate) stored: u64,
}

/// Calls `each` for every file below `directory`. What vanishes meanwhile is left out: programs that
/// are looked at while they run rename files.
fn walk(
    directory: &Path,
    each: &mut dyn FnMut(PathBuf, fs::Metadata) -> io::Result<()>,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => walk(&path, each)?,
            Ok(metadata) => each(path, metadata)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How much is below `directory`.
pub(crate) fn count(directory: &Path) -> io::Result<Count> {
    let mut count = Count::default();
    walk(directory, &mut |_, metadata| {
        count.files += 1;
        count.bytes += metadata.len();
        count.stored += metadata.blocks() * 512;
        Ok(())
    })?;
    Ok(count)
}

/// Copies all below `from` into `to`, with the times of files.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy(&source, &target)?;
        } else {
            fs::copy(&source, &target)?;
            let modified = entry.metadata()?.modified()?;
            File::options()
                .write(true)
                .open(&target)?
                .set_modified(modified)?;
        }
    }
    Ok(())
}

/// What is not in `found` as it is in `expected`, in words; `None` if all is.
pub(crate) fn difference(expected: &Path, found: &Path) -> io::Result<Option<String>> {
    let (wanted, there) = (count(expected)?, count(found)?);
    if wanted.files != there.files {
        let what = format!("{} of {} files arrived", there.files, wanted.files);
        return Ok(Some(what));
    }
    let mut differs = None;
    walk(expected, &mut |path, _| {
        let Ok(name) = path.strip_prefix(expected) else {
            return Ok(());
        };
        if differs.is_none() && !same(&path, &found.join(name))? {
            differs = Some(format!("{} has other content", name.display()));
        }
        Ok(())
    })?;
    Ok(differs)
}

/// Whether two files have the same content. One that does not exist has another.
fn same(one: &Path, other: &Path) -> io::Result<bool> {
    let mut one = File::open(one)?;
    let mut other = match File::open(other) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let len = one.read(&mut a)?;
        let (Some(a), Some(b)) = (a.get(..len), b.get_mut(..len)) else {
            return Ok(false);
        };
        if len == 0 {
            return Ok(true);
        }
        other.read_exact(b)?;
        if a != b {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_no_difference_and_anything_else_has() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(one.path().join("a/b")).unwrap();
        fs::write(one.path().join("a/b/c"), "hello").unwrap();
        fs::write(one.path().join("empty"), "").unwrap();
        copy(one.path(), other.path()).unwrap();
        let found = || difference(one.path(), other.path()).unwrap();
        assert_eq!(found(), None);
        fs::write(other.path().join("a/b/c"), "hullo").unwrap();
        assert_eq!(found().unwrap(), "a/b/c has other content");
        fs::rename(other.path().join("empty"), other.path().join("else")).unwrap();
        assert!(found().is_some());
        fs::remove_file(other.path().join("else")).unwrap();
        assert_eq!(found().unwrap(), "1 of 2 files arrived");
    }
}
