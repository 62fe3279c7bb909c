//! Directories below the root, opened one name at a time for the length of one call.
//!
//! No handle outlives the call that opened it: a directory that was renamed away in the meantime
//! is found missing by the next one, not written to at its new place.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::fs::Directory;
use super::stored::{collision, stored_name};
use super::walk::MAX_DEPTH;
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::path::RelPath;

/// The mode of a directory until its own is set: nobody else looks in before that. The sticky bit means
/// nothing where nobody else may write, and tells it from one that is private.
pub(super) const NEW_DIRECTORY_MODE: u32 = 0o1700;

/// How many levels below the root a directory lies at most: each has a handle while those below it are
/// open. A walk goes no deeper from where it begins, which may be as deep.
const MAX_LEVELS: usize = 2 * MAX_DEPTH;
/// How many directories stay open that nothing is done in just now.
const MAX_OPENED: usize = 1024;

/// An open directory and the ones above it, up to the root.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: Arc<dyn Directory>,
    above: Option<Arc<Place>>,
}

impl Place {
    /// Itself and the ones above it, up to the root.
    pub(crate) fn upward(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(Some(self), |place| place.above.as_ref())
    }
}

/// What to do about directories that do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Fail,
    Create,
}

/// Opens the directories that one call needs, each once.
#[derive(Debug)]
pub(crate) struct Places {
    root: Arc<Place>,
    opened: HashMap<RelPath, Arc<Place>>,
    /// A name that must be in no directory on the way: the probe of the run's other end.
    forbidden: Option<Vec<u8>>,
    root_checked: bool,
}

impl Places {
    pub(crate) fn new(root: &Arc<dyn Directory>, forbidden: Option<Vec<u8>>) -> Self {
        let root = Arc::new(Place {
            directory: Arc::clone(root),
            above: None,
        });
        Self {
            root,
            opened: HashMap::new(),
            forbidden,
            root_checked: false,
        }
    }

    /// The directory that holds `path`.
    pub(crate) fn parent(&mut self, path: &RelPath, missing: Missing) -> Result<Arc<Place>> {
        let opened = match path.parent() {
            Some(parent) => self.open(&parent, missing),
            None => self.open_root(),
        };
        opened.map_err(|error| error.at(path))
    }

    /// The directory at `path`.
    pub(crate) fn open(&mut self, path: &RelPath, missing: Missing) -> Result<Arc<Place>> {
        if let Some(place) = self.opened.get(path) {
            return Ok(Arc::clone(place));
        }
        let depth = path.names().count();
        if depth > MAX_LEVELS {
            let what = format!("the directory would lie {depth} levels deep, below {MAX_LEVELS}");
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        if self.opened.len() >= MAX_OPENED {
            self.opened.clear();
        }
        let above = match path.parent() {
            Some(parent) => self.open(&parent, missing)?,
            None => self.open_root()?,
        };
        let directory = open_or_create(&*above.directory, path.file_name(), missing)
            .map_err(|error| not_a_directory(error, path))?;
        let stat = || directory.own_stat().doing("looking at the directory");
        let stored = stored_name(&*above.directory, path.file_name(), stat)?;
        if let Some(stored) = stored {
            return Err(collision(&stored));
        }
        self.check(&*directory)?;
        let place = Arc::new(Place {
            directory,
            above: Some(above),
        });
        self.opened.insert(path.clone(), Arc::clone(&place));
        Ok(place)
    }

    fn open_root(&mut self) -> Result<Arc<Place>> {
        if !self.root_checked {
            self.check(&*self.root.directory)?;
            self.root_checked = true;
        }
        Ok(Arc::clone(&self.root))
    }

    fn check(&self, directory: &dyn Directory) -> Result<()> {
        let Some(probe) = &self.forbidden else {
            return Ok(());
        };
        check_overlap(directory, probe)
    }
}

/// Fails if `directory` holds `probe`, the other end's.
pub(crate) fn check_overlap(directory: &dyn Directory, probe: &[u8]) -> Result<()> {
    match directory.stat(probe) {
        Ok(_) => Err(Error::new(
            ErrorKind::Overlap,
            "this directory belongs to the other side of the same move",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A look-up that fails is a refusal.
        Err(error) => Err(Error::io("looking for the other side's probe", error)),
    }
}

fn open_or_create(
    above: &dyn Directory,
    name: &[u8],
    missing: Missing,
) -> io::Result<Arc<dyn Directory>> {
    match above.open_directory(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && missing == Missing::Create => {}
        other => return other,
    }
    match above.create_directory(name, NEW_DIRECTORY_MODE) {
        // Somebody was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    above.open_directory(name)
}

fn not_a_directory(error: io::Error, path: &RelPath) -> Error {
    let blocked = [Errno::NOTDIR, Errno::LOOP].map(|errno| Some(errno.raw_os_error()));
    if blocked.contains(&error.raw_os_error()) {
        let what = format!("something that is no directory stands in the way at {path}");
        return Error::new(ErrorKind::Conflict, what);
    }
    Error::io(format!("opening the directory {path}"), error)
}

/// Makes the names in these directories, and in every directory above them, durable.
pub(crate) fn sync_upward<'a>(places: impl Iterator<Item = &'a Arc<Place>>) -> Result<()> {
    let mut synced: Vec<*const Place> = Vec::new();
    for place in places {
        for step in place.upward() {
            let this = Arc::as_ptr(step);
            if synced.contains(&this) {
                break;
            }
            step.directory
                .sync()
                .doing("syncing a directory")
                .map_err(|error| error.with_kind(ErrorKind::Io))?;
            synced.push(this);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fs::FileSystem as _;
    use super::super::os::OsFileSystem;
    use super::*;

    #[test]
    fn a_path_has_so_many_levels_and_nothing_is_made_of_a_longer_one() {
        let directory = tempfile::tempdir().unwrap();
        let root = OsFileSystem.open_root(directory.path()).unwrap();
        let path = |levels| RelPath::new(vec!["d"; levels].join("/")).unwrap();
        let mut places = Places::new(&root, None);
        let refused = places.open(&path(MAX_LEVELS + 1), Missing::Create);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(root.entries().unwrap().count(), 0);
        places.open(&path(MAX_LEVELS), Missing::Create).unwrap();
    }

    #[test]
    fn few_directories_stay_open() {
        let directory = tempfile::tempdir().unwrap();
        let root = OsFileSystem.open_root(directory.path()).unwrap();
        let mut places = Places::new(&root, None);
        for name in 0..MAX_OPENED + 10 {
            let path = RelPath::new(format!("d{name}")).unwrap();
            places.open(&path, Missing::Create).unwrap();
        }
        assert!(places.opened.len() <= MAX_OPENED);
    }
}
