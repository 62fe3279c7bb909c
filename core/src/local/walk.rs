//! A walk through a tree on directory handles, depth first, one name at a time.
//!
//! It holds one open directory per level and no list of names, so its memory depends on the depth
//! alone, which [`MAX_DEPTH`] bounds.

use std::io;
use std::sync::Arc;

use super::fs::{Directory, Entries, Kind, Stat};
use crate::error::{Error, ErrorKind, Result};
use crate::path::{RelPath, is_reserved};

/// How many levels of directories a walk descends: each holds a file descriptor.
pub const MAX_DEPTH: usize = 200;

/// Called with every directory that the walk opens, before anything of it is read.
pub(crate) type OnOpen = Box<dyn Fn(&Arc<dyn Directory>) -> Result<()> + Send>;

/// A walk under way.
pub(crate) struct Walk {
    levels: Vec<Level>,
    on_open: OnOpen,
    /// What to answer before anything else.
    pending: Option<Found>,
}

struct Level {
    directory: Arc<dyn Directory>,
    path: Option<RelPath>,
    stat: Stat,
    entries: Entries,
    empty: bool,
}

/// What a walk comes upon.
pub(crate) enum Found {
    /// Anything but a directory.
    File {
        directory: Arc<dyn Directory>,
        path: RelPath,
        stat: Stat,
    },
    /// A reserved name, which is no part of the tree.
    Reserved {
        directory: Arc<dyn Directory>,
        /// The path of that directory; `None` for the root.
        parent: Option<RelPath>,
        name: Vec<u8>,
    },
    /// A directory, after everything in it; never the root.
    Leaving {
        path: RelPath,
        stat: Stat,
        empty: bool,
    },
    /// Something that could not be looked at.
    Failed { path: Vec<u8>, error: Error },
}

impl Walk {
    /// A walk through `root`, or through what is at `within` in it.
    pub(crate) fn new(
        root: &Arc<dyn Directory>,
        within: Option<&RelPath>,
        on_open: OnOpen,
    ) -> Result<Self> {
        let mut walk = Self {
            levels: Vec::new(),
            on_open,
            pending: None,
        };
        let Some(within) = within else {
            let stat = root
                .own_stat()
                .map_err(|error| Error::io("looking at the root", error))?;
            walk.enter(Arc::clone(root), None, stat)?;
            return Ok(walk);
        };
        let mut directory = Arc::clone(root);
        (walk.on_open)(&directory)?;
        let parents = within.names().count().saturating_sub(1);
        for name in within.names().take(parents) {
            directory = directory
                .open_directory(name)
                .map_err(|error| Error::io("opening a directory", error).at(within))?;
            (walk.on_open)(&directory)?;
        }
        let stat = directory
            .stat(within.file_name())
            .map_err(|error| Error::io("looking at it", error).at(within))?;
        if stat.kind == Kind::Directory {
            let inner = directory
                .open_directory(within.file_name())
                .map_err(|error| Error::io("opening the directory", error).at(within))?;
            walk.enter(inner, Some(within.clone()), stat)
                .map_err(|error| error.at(within))?;
        } else {
            walk.pending = Some(Found::File {
                directory,
                path: within.clone(),
                stat,
            });
        }
        Ok(walk)
    }

    fn enter(
        &mut self,
        directory: Arc<dyn Directory>,
        path: Option<RelPath>,
        stat: Stat,
    ) -> Result<()> {
        if self.levels.len() >= MAX_DEPTH {
            let what = format!("the directory lies more than {MAX_DEPTH} levels deep");
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        (self.on_open)(&directory)?;
        let entries = directory
            .entries()
            .map_err(|error| Error::io("reading the directory", error))?;
        self.levels.push(Level {
            directory,
            path,
            stat,
            entries,
            empty: true,
        });
        Ok(())
    }

    /// Goes on to what comes next; `None` at the end.
    pub(crate) fn step(&mut self) -> Option<Found> {
        if let Some(found) = self.pending.take() {
            return Some(found);
        }
        loop {
            let level = self.levels.last_mut()?;
            let name = match level.entries.next() {
                Some(Ok(entry)) => entry.name,
                Some(Err(error)) => {
                    let path = level.path.as_ref().map(|p| p.as_bytes().to_vec());
                    // What of it was not read is not known to be empty, nor left for good.
                    self.levels.pop();
                    let error = Error::io("reading the directory", error);
                    return Some(Found::Failed {
                        path: path.unwrap_or_default(),
                        error,
                    });
                }
                None => match self.leave() {
                    Some(found) => return Some(found),
                    None => continue,
                },
            };
            level.empty = false;
            if let Some(found) = self.look_at(&name) {
                return Some(found);
            }
        }
    }

    fn leave(&mut self) -> Option<Found> {
        let level = self.levels.pop()?;
        let path = level.path?;
        Some(Found::Leaving {
            path,
            stat: level.stat,
            empty: level.empty,
        })
    }

    /// What `name` in the innermost directory is; `None` if it vanished, or is a directory.
    fn look_at(&mut self, name: &[u8]) -> Option<Found> {
        let level = self.levels.last()?;
        let directory = Arc::clone(&level.directory);
        if is_reserved(name) {
            return Some(Found::Reserved {
                directory,
                parent: level.path.clone(),
                name: name.to_vec(),
            });
        }
        let path = match RelPath::join(level.path.as_ref(), name) {
            Ok(path) => path,
            Err(error) => {
                let parent = level.path.as_ref().map_or(&[][..], RelPath::as_bytes);
                let path = [parent, b"/", name].concat();
                let error = Error::new(ErrorKind::Invalid, error.to_string());
                return Some(Found::Failed { path, error });
            }
        };
        let entered = match directory.stat(name) {
            Ok(stat) if stat.kind != Kind::Directory => {
                return Some(Found::File {
                    directory,
                    path,
                    stat,
                });
            }
            Ok(stat) => directory.open_directory(name).map(|inner| (inner, stat)),
            Err(error) => Err(error),
        };
        let entered = match entered {
            // What was found a moment ago is not there any more, which is no failure.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Err(Error::io("opening it", error)),
            Ok((inner, stat)) => self.enter(inner, Some(path.clone()), stat),
        };
        match entered {
            Err(error) => Some(Found::Failed {
                path: path.as_bytes().to_vec(),
                error: error.at(&path),
            }),
            Ok(()) => None,
        }
    }
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk")
            .field("depth", &self.levels.len())
            .finish_non_exhaustive()
    }
}
