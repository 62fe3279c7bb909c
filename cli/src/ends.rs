//! What SOURCE, DESTINATION and WHERE stand for.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use realize_config::{Config, listed};
use realize_core::local::{Relation, SystemFileSystem, relation};
use realize_core::{LocalOptions, LocalService, RelPath};

use crate::args::Ends;
use crate::exit::{Exit, shown};
use crate::mounts::Mounts;

/// A source, or a place to list: a directory, and perhaps one file in it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) root: PathBuf,
    pub(crate) within: Option<RelPath>,
}

impl Source {
    /// What `text` stands for; `what` is what the command calls it.
    pub(crate) fn find(text: &OsStr, what: &str, config: &Config) -> Result<Self, Exit> {
        let path = local_path(text, config)?;
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

    pub(crate) fn open(&self) -> Result<LocalService, Exit> {
        Ok(LocalService::open(&self.root, LocalOptions::default())?)
    }
}

/// A destination: a directory that exists, or will.
#[derive(Debug)]
pub(crate) struct Destination {
    path: PathBuf,
    exists: bool,
}

impl Destination {
    /// What `text` stands for, if files of `source` may go there.
    pub(crate) fn find(text: &OsStr, source: &Source, config: &Config) -> Result<Self, Exit> {
        let path = local_path(text, config)?;
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
        destination.check_apart(source)?;
        Ok(destination)
    }

    fn check_apart(&self, source: &Source) -> Result<(), Exit> {
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

    /// Whether it has to be made.
    pub(crate) fn exists(&self) -> bool {
        self.exists
    }

    /// Opens it; makes it first, durably, where it does not exist.
    pub(crate) fn open(&self) -> Result<LocalService, Exit> {
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
                Exit::other(format!("making the destination {path}: {error}"))
            })?;
        }
        Ok(LocalService::open(&self.path, LocalOptions::default())?)
    }
}

/// Whether mounts make files of one directory files of the other too. The first need not exist.
fn shares_mounts(one: &Path, other: &Path) -> bool {
    let absolute = |path: &Path| match fs::canonicalize(path) {
        Err(_) => {
            let above = fs::canonicalize(parent(path)).ok()?;
            Some(above.join(path.file_name()?))
        }
        found => found.ok(),
    };
    match (absolute(one), absolute(other)) {
        (Some(one), Some(other)) => Mounts::read().share(&one, &other),
        _ => false,
    }
}

/// The path that `text` stands for: `PEER:DIRECTORY` is none, a name without slash may be that of
/// a configured directory, and a slash at the end changes nothing.
fn local_path(text: &OsStr, config: &Config) -> Result<PathBuf, Exit> {
    let bytes = text.as_bytes();
    let head = bytes.split(|&b| b == b'/').next().unwrap_or_default();
    if let Some(colon) = head.iter().position(|&b| b == b':') {
        let peer = shown(OsStr::from_bytes(head.get(..colon).unwrap_or_default()));
        let path = shown(text);
        let what = format!("`{peer}` is no peer: none is configured; write ./{path} for a file");
        return Err(Exit::usage(what));
    }
    if bytes.is_empty() {
        let names = listed(config.directories.keys().map(String::as_str));
        let named = if names.is_empty() {
            names
        } else {
            format!(" (there are {names})")
        };
        return Err(Exit::usage(format!(
            "an empty path; give a path or a directory's name{named}"
        )));
    }
    if let Some(directory) = text.to_str().and_then(|name| config.directories.get(name)) {
        return Ok(directory.path.clone());
    }
    let end = bytes
        .iter()
        .rposition(|&b| b != b'/')
        .map_or(1, |at| at + 1);
    let path = bytes.get(..end).unwrap_or(bytes);
    Ok(PathBuf::from(OsString::from_vec(path.to_vec())))
}

/// The directory that holds `path`.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) => PathBuf::from("."),
        None => PathBuf::from("/"),
    }
}

/// The two ends that were typed, or else configured.
pub(crate) fn ends(typed: &Ends, config: &Config) -> Result<(Source, Destination), Exit> {
    let section = &config.r#move;
    let source = named(typed.source.as_ref(), section.source.as_ref(), "source")?;
    let destination = named(
        typed.destination.as_ref(),
        section.destination.as_ref(),
        "destination",
    )?;
    let source = Source::find(&source, "source", config)?;
    let destination = Destination::find(&destination, &source, config)?;
    Ok((source, destination))
}

/// An end that was typed or configured.
fn named(
    typed: Option<&OsString>,
    configured: Option<&OsString>,
    what: &str,
) -> Result<OsString, Exit> {
    typed.or(configured).cloned().ok_or_else(|| {
        Exit::usage(format!(
            "no {what}: give SOURCE and DESTINATION, or set {what} in [move] of the configuration"
        ))
    })
}
