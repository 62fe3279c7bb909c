//! Putting back what interrupted deletions left at the source, under reserved names.

use std::io;
use std::sync::Arc;

use super::fs::{Directory, Rename};
use super::names::{self, DELETING};
use crate::error::{Doing, Error, Result};
use crate::path::Escaped;

/// Puts back what an interrupted deletion left in `directory`; that under reserved names beside
/// others too, if `all` is to be looked at.
pub(crate) fn put_back(directory: &Arc<dyn Directory>, all: bool) -> Result<()> {
    const DOING: &str = "looking for interrupted deletions";
    if all {
        for entry in directory.entries().doing(DOING)? {
            let aside = entry.doing(DOING)?.name;
            let Some(name) = names::before_aside(&aside) else {
                continue;
            };
            // The others are to be moved all the same.
            if let Err(error) = put_back_one(&**directory, &aside, &**directory, name) {
                stays_aside(name, &aside, &error);
            }
        }
    }
    let place = match directory.open_directory(DELETING) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.doing(DOING)?,
    };
    for entry in place.entries().doing(DOING)? {
        let name = entry.doing(DOING)?.name;
        if let Err(error) = put_back_one(&*place, &name, &**directory, &name) {
            stays_aside(&name, &name, &error);
        }
    }
    match directory.remove_directory(DELETING) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Ok(())
        }
        other => other.doing("putting back an interrupted deletion"),
    }
}

/// Says that a file could not be put back.
pub(crate) fn stays_aside(name: &[u8], aside: &[u8], error: &Error) {
    tracing::warn!(
        event = "file.stranded",
        path = %Escaped(name),
        aside = %Escaped(aside),
        reason = %error.chain()
    );
}

/// Gives what is `aside` in `place` its `name` in `directory` back.
pub(crate) fn put_back_one(
    place: &dyn Directory,
    aside: &[u8],
    directory: &dyn Directory,
    name: &[u8],
) -> Result<()> {
    let own = |directory: &dyn Directory, name: &[u8]| {
        let stat = directory.stat(name).ok()?;
        Some((stat.device, stat.inode))
    };
    match place.rename(aside, directory, name, Rename::NoReplace) {
        // It was being deleted, and is.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // It was on its way back, and has both names.
        Err(error)
            if error.kind() == io::ErrorKind::AlreadyExists
                && own(place, aside).is_some_and(|found| own(directory, name) == Some(found)) =>
        {
            place
                .unlink(aside)
                .doing("putting back an interrupted deletion")
        }
        // The name is taken again: both files are kept, and a person has to look.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            tracing::warn!(
                event = "file.stranded",
                path = %Escaped(name),
                aside = %Escaped(aside),
                "an interrupted deletion cannot be put back: its name is taken"
            );
            Ok(())
        }
        other => other.doing("putting back an interrupted deletion"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]

    use std::fs;
    use std::path::Path;

    use super::super::fs::FileSystem as _;
    use super::super::os::OsFileSystem;
    use super::*;

    /// What a deletion leaves that was interrupted on its way back, by a second name and the removal of
    /// the first.
    #[test]
    fn what_has_both_names_loses_the_reserved_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let aside = path(str::from_utf8(DELETING).unwrap());
        fs::create_dir(&aside).unwrap();
        fs::write(path("f"), "content").unwrap();
        fs::hard_link(path("f"), aside.join("f")).unwrap();
        let root = |path: &Path| OsFileSystem.open_root(path).unwrap();
        put_back(&root(directory.path()), false).unwrap();
        assert!(!aside.exists());
        assert_eq!(fs::read(path("f")).unwrap(), b"content");
        // Another file of that name is another matter.
        fs::create_dir(&aside).unwrap();
        fs::write(aside.join("f"), "other").unwrap();
        put_back(&root(directory.path()), false).unwrap();
        assert_eq!(fs::read(aside.join("f")).unwrap(), b"other");
        assert_eq!(fs::read(path("f")).unwrap(), b"content");
    }
}
