//! Deleting at the source: rename to a reserved place, look again, unlink or rename back.
//!
//! The reserved place is a directory beside the file, in which the file keeps its own name, so that
//! whatever a crash leaves there can be put back without any record of it.

use std::io;
use std::sync::Arc;

use super::fs::{Access, Directory, File, Kind, Rename, Stat};
use super::names::DELETING;
use super::version::{Became, Linked, LocalVersion};
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::path::{Escaped, RelPath};

/// Deletes files of one directory.
#[derive(Debug)]
pub(crate) struct Deleter<'a> {
    directory: Arc<dyn Directory>,
    linked: &'a Linked,
    /// The reserved place, once it is needed.
    place: Option<Arc<dyn Directory>>,
}

impl<'a> Deleter<'a> {
    pub(crate) fn new(directory: Arc<dyn Directory>, linked: &'a Linked) -> Self {
        Self {
            directory,
            linked,
            place: None,
        }
    }

    /// Deletes the file or link at `path`, if it is still `version`.
    pub(crate) fn delete(&mut self, path: &RelPath, version: &LocalVersion) -> Result<()> {
        let name = path.file_name();
        if self.place.is_none() && self.is_gone(name)? {
            // An answer was lost: it is deleted already, and no place is made for it.
            return Ok(());
        }
        let place = self.place()?;
        // The last look before the rename, which hides the time of the last change: nothing comes
        // between the two.
        let found = match self.directory.stat(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.doing("looking at the source file")?,
        };
        let look = || self.directory.stat(name);
        if LocalVersion::of(&found) != *version
            && !self
                .linked
                .is_still(version, look)
                .doing("looking at the source file")?
        {
            return Err(changed(version, &found));
        }
        if found.links > 1 {
            return self.linked.while_deleting(version, || {
                let file = self.remove(&*place, name, found.kind, version)?;
                let after = file.map(|file| file.stat().doing("looking at other names"));
                Ok(((), after.transpose()?))
            });
        }
        self.remove(&*place, name, found.kind, version).map(drop)
    }

    fn is_gone(&self, name: &[u8]) -> Result<bool> {
        match self.directory.stat(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            other => other.doing("looking at the source file").map(|_| false),
        }
    }

    /// Moves `name`, which is of that kind, aside, checks that it is what it was before, and unlinks
    /// it. Answers the file without this name; a link is not opened.
    fn remove(
        &self,
        place: &dyn Directory,
        name: &[u8],
        kind: Kind,
        before: &LocalVersion,
    ) -> Result<Option<Arc<dyn File>>> {
        self.directory
            .rename(name, place, name, Rename::NoReplace)
            .doing("setting the source file aside")?;
        let checked = check(place, name, kind, before).and_then(|file| {
            place.unlink(name).doing("deleting the source file")?;
            Ok(file)
        });
        match checked {
            Ok(file) => Ok(file),
            Err(error) => match place.rename(name, &*self.directory, name, Rename::NoReplace) {
                Err(back) if back.kind() != io::ErrorKind::NotFound => Err(stranded(back)),
                _ => Err(error),
            },
        }
    }

    fn place(&mut self) -> Result<Arc<dyn Directory>> {
        if let Some(place) = &self.place {
            return Ok(Arc::clone(place));
        }
        match self.directory.create_directory(DELETING, 0o700) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.doing("making room for deletions")?,
        }
        let place = self
            .directory
            .open_directory(DELETING)
            .doing("making room for deletions")?;
        Ok(Arc::clone(self.place.insert(place)))
    }

    /// Removes the reserved place again.
    pub(crate) fn finish(self) {
        if self.place.is_some() {
            // What it still holds is put back by the next listing.
            let _ = self.directory.remove_directory(DELETING);
        }
    }
}

/// Opens `name` where it was set aside and checks it; a link is not opened.
fn check(
    place: &dyn Directory,
    name: &[u8],
    kind: Kind,
    before: &LocalVersion,
) -> Result<Option<Arc<dyn File>>> {
    let doing = "looking at the source file again";
    let check = |stat: Stat| {
        // From here on nobody can open it by name: what is in it now is what goes.
        if LocalVersion::of(&stat).same_but_changed(before) {
            Ok(())
        } else {
            Err(changed(before, &stat))
        }
    };
    if kind != Kind::File {
        return check(place.stat(name).doing(doing)?).map(|()| None);
    }
    let file = match place.open(name, Access::Read) {
        // It is something else by now.
        Err(error) if ErrorKind::of_io(&error) == ErrorKind::Conflict => {
            check(place.stat(name).doing(doing)?)?;
            return Err(Error::io(doing, error));
        }
        other => other.doing(doing)?,
    };
    if file.has_writer() {
        return Err(Error::new(
            ErrorKind::InUse,
            "a process has it open for writing",
        ));
    }
    check(file.stat().doing(doing)?)?;
    Ok(Some(file))
}

fn changed(before: &LocalVersion, after: &Stat) -> Error {
    let (before, after) = (*before, LocalVersion::of(after));
    Error::new(ErrorKind::Changed, "it changed while it was being moved")
        .because(Became { before, after })
}

fn stranded(error: io::Error) -> Error {
    let place = String::from_utf8_lossy(DELETING).into_owned();
    Error::io(
        format!("putting the file back from the directory {place} beside it"),
        error,
    )
}

/// Puts back what an interrupted deletion left in `directory`.
pub(crate) fn put_back(directory: &Arc<dyn Directory>) -> Result<()> {
    let place = match directory.open_directory(DELETING) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.doing("looking for interrupted deletions")?,
    };
    for entry in place.entries().doing("looking for interrupted deletions")? {
        let name = entry.doing("looking for interrupted deletions")?.name;
        match place.rename(&name, &**directory, &name, Rename::NoReplace) {
            // The name is taken again: both files are kept, and a person has to look.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => tracing::warn!(
                event = "file.stranded",
                path = %Escaped(&name),
                directory = %Escaped(DELETING),
                "an interrupted deletion cannot be put back: its name is taken"
            ),
            other => other.doing("putting back an interrupted deletion")?,
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
