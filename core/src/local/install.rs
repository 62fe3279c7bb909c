//! From a partial to the final file: verify, make durable, rename, make the name durable.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::Storage;
use super::fs::{Access, Directory, File, Kind, Rename, Stat};
use super::partial::{self, Partial, Stale};
use super::place::{Missing, Place, Places, sync_upward};
use super::read_back::OpenPartial;
use super::stored::{collision, stored_name};
use super::version::LocalVersion;
use crate::entry::{Timestamp, Version};
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::hash::Digest;
use crate::path::RelPath;
use crate::service::{Expect, Finish, FinishFrom, Outcome, Receipt, Target};

mod put;

pub(super) use put::GROUP;

/// Older versions of files, still open.
type Replaced = Vec<Arc<dyn File>>;

/// What a final file is to be.
struct Wanted<'a> {
    path: &'a RelPath,
    size: u64,
    hash: Digest,
    mode: u32,
    modified: Timestamp,
}

/// A verified, durable file under its partial's name.
struct Ready<'a> {
    wanted: Wanted<'a>,
    place: Arc<Place>,
    expect: &'a Expect,
    /// Device and inode of what was verified.
    own: (u64, u64),
    /// Locked until it is renamed; `None` for what was written at once, of which no state is kept.
    partial: Option<Partial>,
}

/// A file under its final name, whose name is not durable yet.
struct Named {
    place: Arc<Place>,
    receipt: Receipt,
}

impl Storage {
    /// Finishes files; what they replace stays open for whoever gets it, and takes its space up for
    /// as long: freeing a large file takes as long as copying some of it.
    pub(crate) fn finish(&self, finishes: &[Finish]) -> (Vec<Result<Receipt>>, Replaced) {
        let mut places = self.places();
        let mut replaced = Vec::new();
        let named = finishes
            .iter()
            .map(|finish| {
                replaced.extend(self.opened.take(&finish.path));
                self.finish_one(&mut places, finish)
                    .map_err(|error| error.at(&finish.path))
            })
            .collect();
        (make_names_durable(named), replaced)
    }

    fn finish_one(&self, places: &mut Places, finish: &Finish) -> Result<Named> {
        let wanted = Wanted {
            path: &finish.path,
            size: finish.size,
            hash: finish.hash,
            mode: finish.mode,
            modified: finish.modified,
        };
        let _taken = self.construction.take(&finish.path)?;
        let place = places.parent(&finish.path, Missing::Fail)?;
        match &finish.from {
            FinishFrom::Existing(version) => {
                self.adopt(&place, &wanted, Some(&LocalVersion::parse(version)?))
            }
            FinishFrom::Partial(source, expect) => {
                let directory = &*place.directory;
                let target = Target {
                    path: finish.path.clone(),
                    source: source.clone(),
                    size: finish.size,
                    sparse: true,
                };
                let Some(opened) = self.take_partial(directory, &target)? else {
                    // An answer was lost: the partial has become the final file already.
                    return self.adopt(&place, &wanted, None);
                };
                let (mut partial, found) = opened.into_read(self);
                if is_shorter(&found) {
                    partial.distrust()?;
                    return Err(shorter());
                }
                let found = found?;
                if found != finish.hash {
                    partial.distrust()?;
                    return Err(mismatch(found));
                }
                // Setting them changes no size.
                let held = partial.file().stat().doing("looking at the partial")?;
                if held.size != finish.size {
                    partial.distrust()?;
                    return Err(longer());
                }
                set_attributes(&**partial.file(), &wanted)?;
                if let Err(error) = partial.file().sync() {
                    // What a failed sync left in memory cannot be trusted, nor can another sync.
                    drop(partial);
                    partial::discard(directory, &self.names, &finish.path)?;
                    return Err(sync_failed(&finish.path, error));
                }
                self.install(Ready {
                    wanted,
                    place,
                    expect,
                    own: (held.device, held.inode),
                    partial: Some(partial),
                })
            }
        }
    }

    /// The partial of `target` and how far it was read back, if there is one; nothing else has it
    /// open any more.
    fn take_partial(
        &self,
        directory: &dyn Directory,
        target: &Target,
    ) -> Result<Option<OpenPartial>> {
        let opened = self.partials.take(&target.path).and_then(Arc::into_inner);
        if let Some(opened) = opened.filter(|opened| opened.is_for(target)) {
            return Ok(Some(opened));
        }
        if partial::find(directory, &self.names, &target.path, true)?.is_none() {
            return Ok(None);
        }
        let partial = Partial::open(directory, &self.names, target, self.origin(), Stale::Keep)?;
        Ok(Some(OpenPartial::new(partial)))
    }

    /// Whether what bears the partial's name is the file that was written: after an exchange that
    /// was not brought to its end it is another one, which `recover` puts right.
    fn is_own(&self, directory: &dyn Directory, path: &RelPath, own: (u64, u64)) -> bool {
        let stat = directory.stat(&self.names.content(path));
        stat.is_ok_and(|stat| (stat.device, stat.inode) == own)
    }

    /// Gives a partial its final name.
    fn install(&self, ready: Ready<'_>) -> Result<Named> {
        let Ready {
            wanted,
            place,
            expect,
            own,
            partial,
        } = &ready;
        let (directory, name) = (&*place.directory, wanted.path.file_name());
        let content = self.names.content(wanted.path);
        if !self.is_own(directory, wanted.path, *own) {
            let what = "the verified partial was replaced by something else";
            return Err(Error::new(ErrorKind::Mismatch, what));
        }
        let installed = match expect {
            Expect::Absent => {
                match directory.rename(&content, directory, name, Rename::NoReplace) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                    other => other.doing("renaming to the final name").map(|()| true),
                }
            }
            Expect::Version(version) => self.replace(directory, wanted, (&content, *own), version),
        }?;
        if !installed {
            return self.adopt(place, wanted, None);
        }
        // What a crash left of an earlier exchange is gone since the file was offered.
        let is_noted = partial.is_some() || matches!(expect, Expect::Version(_));
        if is_noted {
            partial::forget(directory, &self.names, wanted.path)?;
        }
        let receipt = Receipt::issue(wanted.hash, Outcome::Finished);
        Ok(Named {
            place: Arc::clone(place),
            receipt,
        })
    }

    /// Puts a partial in the place of the final file, if that is still `version`.
    fn replace(
        &self,
        directory: &dyn Directory,
        wanted: &Wanted<'_>,
        (content, own): (&[u8], (u64, u64)),
        version: &Version,
    ) -> Result<bool> {
        let name = wanted.path.file_name();
        let expected = LocalVersion::parse(version)?;
        let found = directory
            .stat(name)
            .doing("looking at the file to be replaced")?;
        if LocalVersion::of(&found) != expected || found.kind == Kind::Directory {
            return Ok(false);
        }
        partial::note_exchange(directory, &self.names, wanted.path, own, version)?;
        match directory.rename(content, directory, name, Rename::Exchange) {
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                // The file system cannot exchange: the look a moment ago has to do.
                let renamed = directory.rename(content, directory, name, Rename::Replace);
                return renamed.doing("renaming to the final name").map(|()| true);
            }
            other => other.doing("exchanging with the older version")?,
        }
        let displaced = directory
            .stat(content)
            .doing("looking at the replaced file")?;
        if LocalVersion::of(&displaced).same_but_changed(&expected) {
            directory
                .unlink(content)
                .doing("removing the replaced file")?;
            return Ok(true);
        }
        directory
            .rename(content, directory, name, Rename::Exchange)
            .doing("putting back a file that changed while it was being replaced")?;
        Ok(false)
    }

    /// Takes what stands under the final name for the file, if it has the same content.
    fn adopt(
        &self,
        place: &Arc<Place>,
        wanted: &Wanted<'_>,
        version: Option<&LocalVersion>,
    ) -> Result<Named> {
        let (directory, name) = (&*place.directory, wanted.path.file_name());
        let stat = match directory.stat(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let what = "the file that was to be replaced or adopted is gone";
                return Err(Error::new(ErrorKind::Conflict, what));
            }
            other => other.doing("looking at the final file")?,
        };
        if version.is_some_and(|version| LocalVersion::of(&stat) != *version) {
            return Err(unexpected());
        }
        if let Some(stored) = stored_name(directory, name, || Ok(stat))? {
            return Err(collision(&stored));
        }
        match stat.kind {
            Kind::File if stat.size == wanted.size => {
                let file = directory
                    .open(name, Access::Read)
                    .doing("opening the final file")?;
                self.check_same(&*file, wanted, &stat)?;
                let sync = || file.sync().map_err(|e| sync_failed(wanted.path, e));
                // First: if its content cannot be made durable, it is still the version that the
                // mover knows, and may have replaced.
                sync()?;
                // Setting what is set already would change the time of the last change, which a
                // hard link at the source shares.
                if stat.mode != wanted.mode & 0o777 || stat.modified != wanted.modified {
                    set_attributes(&*file, wanted)?;
                    sync()?;
                }
            }
            Kind::Link => {
                let target = directory.read_link(name).doing("reading the link")?;
                if Digest::of_link(&target) != wanted.hash {
                    return Err(unexpected());
                }
                if stat.modified != wanted.modified {
                    directory
                        .set_link_modified(name, wanted.modified)
                        .doing("setting the link's time")?;
                }
            }
            _ => return Err(unexpected()),
        }
        partial::discard(directory, &self.names, wanted.path)?;
        let receipt = Receipt::issue(wanted.hash, Outcome::Identical);
        Ok(Named {
            place: Arc::clone(place),
            receipt,
        })
    }

    fn check_same(&self, file: &dyn File, wanted: &Wanted<'_>, named: &Stat) -> Result<()> {
        let same = self.hash_file(file, wanted.size)? == wanted.hash;
        let stat = file.stat().doing("looking at the final file")?;
        // Written to while it was being hashed, it is another file than the one that was hashed.
        if same && LocalVersion::of(&stat) == LocalVersion::of(named) && !file.has_writer() {
            return Ok(());
        }
        Err(unexpected())
    }
}

/// Syncs the directories of all that were renamed; without that, none of them has a receipt.
fn make_names_durable(named: Vec<Result<Named>>) -> Vec<Result<Receipt>> {
    let synced = sync_upward(named.iter().flatten().map(|named| &named.place));
    let receipt = |named: Named| match &synced {
        Ok(()) => Ok(named.receipt),
        Err(error) => Err(error.clone()),
    };
    named
        .into_iter()
        .map(|named| named.and_then(receipt))
        .collect()
}

/// Set-id bits are never set: they would make a file that a peer sent run as somebody else.
fn set_attributes(file: &dyn File, wanted: &Wanted<'_>) -> Result<()> {
    file.set_mode(wanted.mode & 0o777)
        .doing("setting the permissions")?;
    file.set_modified(wanted.modified).doing("setting the time")
}

/// That what was read back has another hash than what was read from the source.
#[derive(Debug, thiserror::Error)]
#[error("its hash is {0}")]
struct Found(Digest);

fn mismatch(found: Digest) -> Error {
    Error::new(
        ErrorKind::Mismatch,
        "what was read back is not what was read from the source",
    )
    .because(Found(found))
}

/// Whether less was read back than was written.
fn is_shorter(found: &Result<Digest>) -> bool {
    matches!(found, Err(error) if error.kind() == ErrorKind::Changed)
}

fn shorter() -> Error {
    Error::new(ErrorKind::Mismatch, "it is shorter than it should be")
}

fn longer() -> Error {
    Error::new(ErrorKind::Mismatch, "it is longer than it should be")
}

fn unexpected() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "the destination holds another file than was expected",
    )
}

fn sync_failed(path: &RelPath, error: io::Error) -> Error {
    tracing::error!(event = "sync.failed", path = %path, reason = %error);
    Error::io("making the file durable", error).with_kind(ErrorKind::SyncFailed)
}
