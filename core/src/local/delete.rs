//! Deleting at the source: rename to a reserved place, look again, unlink or rename back.
//!
//! The reserved place is a directory beside the file, in which the file keeps its own name, so that
//! whatever a crash leaves there can be put back without any record of it.

use std::io;
use std::sync::Arc;

use super::fs::{Access, Directory, Kind, Rename, Stat};
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
        let links = match self.directory.stat(name) {
            // An answer was lost: it is deleted already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.doing("looking at the source file")?.links,
        };
        let place = self.place()?;
        // The last look before the rename, which hides the time of the last change: nothing comes
        // between the two.
        let still = self.linked.is_still(version, || self.directory.stat(name));
        if !still.doing("looking at the source file")? {
            let now = self.directory.stat(name);
            return Err(changed(version, &now.doing("looking at the source file")?));
        }
        if links > 1 {
            return self
                .linked
                .while_deleting(version, || self.remove(&*place, name, version));
        }
        self.remove(&*place, name, version).map(|((), _)| ())
    }

    /// Moves `name` aside, checks that it is what it was before, and unlinks it. Answers what the
    /// file looks like without this name.
    fn remove(
        &self,
        place: &dyn Directory,
        name: &[u8],
        before: &LocalVersion,
    ) -> Result<((), Option<Stat>)> {
        self.directory
            .rename(name, place, name, Rename::NoReplace)
            .doing("setting the source file aside")?;
        let checked = check(place, name, before).and_then(|file| {
            place.unlink(name).doing("deleting the source file")?;
            file.map(|file| file.stat().doing("looking at other names"))
                .transpose()
        });
        match checked {
            Ok(after) => Ok(((), after)),
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
    before: &LocalVersion,
) -> Result<Option<Arc<dyn super::fs::File>>> {
    let named = place.stat(name).doing("looking at the source file again")?;
    if !LocalVersion::of(&named).same_but_changed(before) {
        return Err(changed(before, &named));
    }
    if named.kind != Kind::File {
        return Ok(None);
    }
    let file = place
        .open(name, Access::Read)
        .doing("looking at the source file again")?;
    if file.has_writer() {
        return Err(Error::new(
            ErrorKind::InUse,
            "a process has it open for writing",
        ));
    }
    // From here on nobody can open it by name: what is in it now is what goes.
    let stat = file.stat().doing("looking at the source file again")?;
    if !LocalVersion::of(&stat).same_but_changed(before) {
        return Err(changed(before, &stat));
    }
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
