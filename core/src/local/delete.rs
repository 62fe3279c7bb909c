//! Deleting at the source: rename to a reserved place, look again, unlink or rename back.
//!
//! The reserved place is a directory beside the file, in which the file keeps its own name, so that
//! whatever a crash leaves there can be put back without any record of it. On a disk that is full
//! there is no room for a directory: there it is a reserved name beside the file's own.

use std::io;
use std::sync::{Arc, PoisonError};

use super::Storage;
use super::fs::{Access, Directory, File, Kind, Rename, Stat};
use super::names::{self, DELETING};
use super::place::{Missing, Place};
use super::version::{Became, Linked, LocalVersion};
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::path::{Escaped, RelPath};
use crate::service::{Delete, DeleteName};

/// What a name must still stand for, to be deleted.
#[derive(Clone, Copy, Debug)]
enum Still {
    /// The file or link in the version that was read: the destination has a copy of that.
    Version(LocalVersion),
    /// The file that this was a version of, whatever is in it by now: the destination has it under a
    /// name of its own. If this is its only one, that name is gone, or this is another file under
    /// the same number.
    File(LocalVersion),
}

impl Still {
    fn before(&self) -> &LocalVersion {
        match self {
            Self::Version(version) | Self::File(version) => version,
        }
    }

    /// Whether it stands for that, but for what a rename changes.
    fn holds(&self, stat: &Stat) -> bool {
        let found = LocalVersion::of(stat);
        match self {
            Self::Version(version) => found.same_but_changed(version),
            Self::File(version) => {
                stat.kind == Kind::File && stat.links > 1 && found.is_same_file(version)
            }
        }
    }
}

impl Storage {
    /// Deletes files and links that have a receipt, and empty directories.
    pub(super) fn delete(&self, deletes: &[Delete]) -> Vec<Result<()>> {
        self.delete_each(deletes.iter().map(|delete| match delete {
            Delete::File { path, version, .. } => {
                let still =
                    LocalVersion::parse(version).map(|version| Some(Still::Version(version)));
                (path, still)
            }
            Delete::Directory { path } => (path, Ok(None)),
        }))
    }

    /// Deletes names of files that have another one at the destination.
    pub(super) fn delete_names(&self, deletes: &[DeleteName]) -> Vec<Result<()>> {
        self.delete_each(deletes.iter().map(|delete| {
            let still = LocalVersion::parse(&delete.version).map(|v| Some(Still::File(v)));
            (&delete.path, still)
        }))
    }

    /// Deletes what stands for what it should; a directory where nothing is said of that.
    fn delete_each<'a>(
        &self,
        deletes: impl Iterator<Item = (&'a RelPath, Result<Option<Still>>)>,
    ) -> Vec<Result<()>> {
        let _alone = self.deleting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = self.places();
        let mut deleters: Vec<(Arc<Place>, Deleter<'_>)> = Vec::new();
        let mut delete_one = |path: &RelPath, still: Result<Option<Still>>| {
            let place = match places.parent(path, Missing::Fail) {
                // With the directory, what was in it is gone too.
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                other => other?,
            };
            let Some(still) = still? else {
                return remove_directory(&*place.directory, path.file_name());
            };
            self.opened.forget(path);
            let known = deleters
                .iter()
                .position(|(known, _)| Arc::ptr_eq(known, &place));
            let at = known.unwrap_or_else(|| {
                let deleter = Deleter::new(Arc::clone(&place.directory), &self.linked);
                deleters.push((place, deleter));
                deleters.len() - 1
            });
            deleters
                .get_mut(at)
                .map_or(Ok(()), |(_, deleter)| deleter.delete(path, &still))
        };
        let deleted = deletes
            .map(|(path, still)| delete_one(path, still).map_err(|e| e.at(path)))
            .collect();
        for (_, deleter) in deleters {
            deleter.finish();
        }
        deleted
    }

    /// Whether names of `directory` can be set aside and deleted, as far as one can know before.
    pub(super) fn can_delete_in(&self, directory: &Arc<dyn Directory>) -> bool {
        let _alone = self.deleting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut deleter = Deleter::new(Arc::clone(directory), &self.linked);
        let can = deleter.aside().is_ok();
        deleter.finish();
        can
    }
}

fn remove_directory(parent: &dyn Directory, name: &[u8]) -> Result<()> {
    match parent.remove_directory(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            Err(Error::new(ErrorKind::Conflict, "the directory is not empty").because(error))
        }
        other => other.doing("removing the directory"),
    }
}

/// Where a source file is between its rename and its end.
#[derive(Debug)]
enum Aside {
    /// In the reserved place, under its own name.
    In(Arc<dyn Directory>),
    /// In its own directory, under a reserved name.
    Beside,
}

/// Deletes files of one directory.
#[derive(Debug)]
struct Deleter<'a> {
    directory: Arc<dyn Directory>,
    linked: &'a Linked,
    /// The reserved place, once it is needed.
    place: Option<Arc<dyn Directory>>,
}

impl<'a> Deleter<'a> {
    fn new(directory: Arc<dyn Directory>, linked: &'a Linked) -> Self {
        Self {
            directory,
            linked,
            place: None,
        }
    }

    /// Deletes the file or link at `path`, if it is `still` what it should be.
    fn delete(&mut self, path: &RelPath, still: &Still) -> Result<()> {
        let name = path.file_name();
        if self.place.is_none() && self.is_gone(name)? {
            // An answer was lost: it is deleted already, and no place is made for it.
            return Ok(());
        }
        let aside = self.aside()?;
        // The last look before the rename, which hides the time of the last change: nothing comes
        // between the two.
        let found = match self.directory.stat(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.doing("looking at the source file")?,
        };
        let version = match still {
            Still::Version(version) => version,
            // Its other name is the destination's: no other one of the source changes with it.
            Still::File(_) if still.holds(&found) => {
                return self.remove(&aside, name, found.kind, still).map(drop);
            }
            Still::File(version) => return Err(changed(version, &found)),
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
                let file = self.remove(&aside, name, found.kind, still)?;
                let after = file.map(|file| file.stat().doing("looking at other names"));
                Ok(((), after.transpose()?))
            });
        }
        self.remove(&aside, name, found.kind, still)?;
        self.linked.forget(version);
        Ok(())
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
        aside: &Aside,
        name: &[u8],
        kind: Kind,
        still: &Still,
    ) -> Result<Option<Arc<dyn File>>> {
        let (place, reserved) = match aside {
            Aside::In(place) => (&**place, name.to_vec()),
            Aside::Beside => {
                let reserved = names::aside(name).ok_or_else(|| {
                    let what = "the source's disk is full, and the name too long for another way";
                    Error::new(ErrorKind::Io, what)
                })?;
                (&*self.directory, reserved)
            }
        };
        self.directory
            .rename(name, place, &reserved, Rename::Aside)
            .doing("setting the source file aside")
            // A disk that is full is the destination's, for whoever hears of it.
            .map_err(|error| match error.kind() {
                ErrorKind::Full => error.with_kind(ErrorKind::Io),
                _ => error,
            })?;
        let checked = check(place, &reserved, kind, still).and_then(|file| {
            let unlinked = place.unlink(&reserved);
            unlinked.doing("deleting the source file")?;
            Ok(file)
        });
        match checked {
            Ok(file) => Ok(file),
            Err(error) => {
                match place.rename(&reserved, &*self.directory, name, Rename::NoReplace) {
                    Err(back) if back.kind() != io::ErrorKind::NotFound => {
                        Err(stranded(aside, &reserved, back))
                    }
                    _ => Err(error),
                }
            }
        }
    }

    /// Where files are set aside.
    fn aside(&mut self) -> Result<Aside> {
        if let Some(place) = &self.place {
            return Ok(Aside::In(Arc::clone(place)));
        }
        match self.directory.create_directory(DELETING, 0o700) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // Each file that goes makes room: the next one asks again.
            Err(error) if ErrorKind::of_io(&error) == ErrorKind::Full => return Ok(Aside::Beside),
            other => other.doing("making room for deletions")?,
        }
        let place = self
            .directory
            .open_directory(DELETING)
            .doing("making room for deletions")?;
        Ok(Aside::In(Arc::clone(self.place.insert(place))))
    }

    /// Removes the reserved place again.
    fn finish(self) {
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
    still: &Still,
) -> Result<Option<Arc<dyn File>>> {
    let doing = "looking at the source file again";
    let check = |stat: Stat| {
        // From here on nobody can open it by name: what is in it now is what goes.
        if still.holds(&stat) {
            Ok(())
        } else {
            Err(changed(still.before(), &stat))
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

fn stranded(aside: &Aside, reserved: &[u8], error: io::Error) -> Error {
    let what = match aside {
        Aside::In(_) => format!(
            "putting the file back from the directory {} beside it",
            Escaped(DELETING)
        ),
        Aside::Beside => format!("putting the file back from {} beside it", Escaped(reserved)),
    };
    Error::io(what, error)
}
