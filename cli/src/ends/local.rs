//! A directory of this machine as one end.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use realize_core::local::{Relation, SystemFileSystem, relation};
use realize_core::{Error, LocalOptions, LocalService, RelPath};

use super::Source;
use crate::exit::{Exit, shown};
use crate::location::parent;
use crate::mounts::Mounts;

/// A source of this machine: a directory, and perhaps one file in it.
#[derive(Debug)]
pub(crate) struct LocalSource {
    root: PathBuf,
    pub(super) within: Option<RelPath>,
}

impl LocalSource {
    pub(super) fn find(path: PathBuf, what: &str) -> Result<Self, Exit> {
        // A link to a directory is the directory; any other link is itself what is meant.
        let directory = fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        if directory {
            return Ok(Self {
                root: path,
                within: None,
            });
        }
        if let Err(error) = fs::symlink_metadata(&path) {
            let path = shown(path.as_os_str());
            return Err(Exit::usage(format!(
                "{what} {path}: {error}; nothing was changed"
            )));
        }
        let name = path.file_name().unwrap_or_default();
        let within = RelPath::new(name.as_bytes())
            .map_err(|error| Exit::usage(format!("{what} {}: {error}", shown(path.as_os_str()))))?;
        Ok(Self {
            root: parent(&path),
            within: Some(within),
        })
    }

    pub(super) fn open(&self) -> Result<LocalService, Error> {
        LocalService::open(&self.root, LocalOptions::default())
    }

    /// Where its directory is.
    pub(super) fn path(&self) -> &Path {
        &self.root
    }

    /// Its directory's path from the root.
    pub(super) fn name(&self) -> String {
        name(&self.root)
    }
}

/// A destination of this machine: a directory that exists, or will.
#[derive(Debug)]
pub(crate) struct LocalDestination {
    path: PathBuf,
    pub(super) exists: bool,
}

impl LocalDestination {
    pub(super) fn find(path: PathBuf, source: &Source) -> Result<Self, Exit> {
        let named = || format!("destination {}", shown(path.as_os_str()));
        let exists = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => true,
            Ok(_) => {
                let what = "is a file, and a destination is a directory; nothing was changed";
                return Err(Exit::usage(format!("{} {what}", named())));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(Exit::usage(format!("{}: {error}", named()))),
        };
        if !exists && !parent(&path).is_dir() {
            let what = "cannot be made: the directory that is to hold it does not exist";
            return Err(Exit::usage(format!(
                "{} {what}; nothing was changed",
                named()
            )));
        }
        let destination = Self { path, exists };
        if let Source::Here(source, _) = source {
            destination.check_apart(source)?;
        }
        Ok(destination)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its path from the root.
    pub(super) fn name(&self) -> String {
        name(&self.path)
    }

    fn check_apart(&self, source: &LocalSource) -> Result<(), Exit> {
        let existing = if self.exists {
            self.path.clone()
        } else {
            parent(&self.path)
        };
        let relation = relation(&SystemFileSystem, &existing, &source.root)?;
        let wrong = match (relation, &source.within) {
            (Relation::Same, _) if self.exists => "is the source itself",
            (Relation::Same | Relation::Inside, None) => "lies inside the source",
            (Relation::Around, None) if self.exists => "contains the source",
            _ if source.within.is_none() && shares_mounts(&self.path, &source.root) => {
                "shares files with the source, by a mount"
            }
            _ => return Ok(()),
        };
        let path = shown(self.path.as_os_str());
        Err(Exit::usage(format!(
            "destination {path} {wrong}; nothing was changed"
        )))
    }

    /// Opens it; makes it first, durably, where it does not exist.
    pub(super) fn open(&self) -> Result<LocalService, Error> {
        if !self.exists {
            let created = match fs::create_dir(&self.path) {
                // Another move was faster; which of the two works here, the lease says.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            };
            let made = created
                .and_then(|()| File::open(parent(&self.path)))
                .and_then(|directory| directory.sync_all());
            made.map_err(|error| {
                let path = shown(self.path.as_os_str());
                Error::io(format!("making the destination {path}"), error)
            })?;
        }
        LocalService::open(&self.path, LocalOptions::default())
    }
}

/// The path from the root, without links, of a directory that exists or will.
fn absolute(path: &Path) -> Option<PathBuf> {
    match fs::canonicalize(path) {
        Err(_) => {
            let above = fs::canonicalize(parent(path)).ok()?;
            Some(above.join(path.file_name()?))
        }
        found => found.ok(),
    }
}

/// What a directory is called by whoever looks from anywhere.
fn name(path: &Path) -> String {
    let absolute = absolute(path);
    shown(absolute.as_deref().unwrap_or(path).as_os_str())
}

/// Whether mounts make files of one directory files of the other too. The first need not exist.
fn shares_mounts(one: &Path, other: &Path) -> bool {
    match (absolute(one), absolute(other)) {
        (Some(one), Some(other)) => Mounts::read().share(&one, &other),
        _ => false,
    }
}
