//! Directories, after the files: made at the destination with their modes, removed at the source.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::PoisonError;

use super::{Run, complete};
use crate::entry::{Entry, EntryKind};
use crate::error::{Error, ErrorKind, Result};
use crate::path::RelPath;
use crate::service::{Delete, List, MakeDirectory, Making};

/// How many directories are known to be touched, one by one; where there are more, all count as that.
const MAX_TOUCHED: usize = 1 << 16;

/// The directories that files of a run were in, and those above them, by a hash of their paths. That
/// two paths have the same one costs no more than what follows where there are too many.
#[derive(Debug, Default)]
pub(super) struct Touched {
    hasher: RandomState,
    hashes: HashSet<u64>,
    full: bool,
}

impl Touched {
    /// Adds the directory of `path`, and those above it.
    fn add(&mut self, path: &RelPath) {
        let mut directory = path.parent();
        while let Some(path) = directory {
            if self.hashes.len() >= MAX_TOUCHED {
                self.full = true;
                return;
            }
            // What is above one that is known is known too.
            if !self.hashes.insert(self.hasher.hash_one(&path)) {
                return;
            }
            directory = path.parent();
        }
    }

    fn has(&self, path: &RelPath) -> bool {
        self.full || self.hashes.contains(&self.hasher.hash_one(path))
    }
}

impl Run {
    /// Notes that a file of the source was moved or copied.
    pub(super) fn touch(&self, path: &RelPath) {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.add(path);
    }

    /// Whether a directory may be made and removed for its own sake: it is meant, and not so young
    /// that somebody may be about to fill it.
    fn is_meant(&self, entry: &Entry) -> bool {
        self.is_old(entry) && self.options.filter.matches(&entry.path)
    }

    fn is_old(&self, entry: &Entry) -> bool {
        entry.modified.age(self.options.clock.now()) >= self.options.min_age
    }

    /// Whether files of it, or of what is below it, were moved or copied.
    fn is_touched(&self, entry: &Entry) -> bool {
        let touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.has(&entry.path)
    }

    /// Goes through the source's directories, innermost first: those that are empty are made at the
    /// destination, they pass on their modes, and those that hold nothing any more are removed. One
    /// that is not meant, and from which nothing was moved, is left alone, but for what an earlier
    /// run left undone.
    pub(super) async fn directories(&self) -> Result<()> {
        let within = self.options.within.clone();
        let mut list = List {
            within,
            directories: true,
            ..List::default()
        };
        loop {
            let page = match self.source.list(list.clone()).await {
                // The one file that was to be moved is gone: there is nothing to go through.
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                other => other?,
            };
            list.cursor = page.next;
            let mut entries = page.entries;
            entries.retain(|entry| !self.options.filter.excludes(entry.path.as_bytes()));
            self.make_and_remove(entries).await?;
            if list.cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// What is to become of a directory at the destination, and whether it is the move's to remove.
    fn making(&self, entry: &Entry) -> (Making, bool) {
        let empty = matches!(entry.kind, EntryKind::Directory { empty: true });
        if self.is_meant(entry) && (empty || !self.is_move()) {
            return (Making::Either, true);
        }
        // One that is not meant itself may have been emptied all the same: then it exists at the
        // destination, for its files.
        if self.is_meant(entry) || self.is_touched(entry) {
            return (Making::Change, true);
        }
        // By an earlier run, it may be: one that was cut off has set no modes.
        (Making::Unset, empty && self.is_old(entry))
    }

    async fn make_and_remove(&self, entries: Vec<Entry>) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let wanted: Vec<_> = entries.iter().map(|entry| self.making(entry)).collect();
        let make = |(entry, (making, _)): (&Entry, &(Making, bool))| MakeDirectory {
            path: entry.path.clone(),
            mode: entry.mode,
            making: *making,
        };
        let makes = entries.iter().zip(&wanted).map(make).collect();
        let made = self.destination.make_directories(makes).await?;
        let made = complete(entries.len(), made, "make_directories")?;
        let mut deletes = Vec::new();
        for ((entry, (making, removable)), made) in entries.into_iter().zip(wanted).zip(made) {
            match made {
                Ok(()) if removable => deletes.push(Delete::Directory { path: entry.path }),
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => self.directory_failed(&entry, error, making)?,
            }
        }
        if self.options.keep_directories || !self.is_move() {
            return Ok(());
        }
        self.to_its_end(|run| async move { run.remove(deletes).await })
            .await
    }

    /// Removes directories, innermost first, as far as they are empty.
    async fn remove(&self, deletes: Vec<Delete>) -> Result<()> {
        if deletes.is_empty() {
            return Ok(());
        }
        let paths: Vec<_> = deletes.iter().map(|delete| delete.path().clone()).collect();
        let deleted = complete(paths.len(), self.source.delete(deletes).await?, "delete")?;
        for (path, deleted) in paths.into_iter().zip(deleted) {
            match deleted {
                Ok(()) => self.with_report(|r| r.directories = r.directories.saturating_add(1)),
                // It holds something that was not moved.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => self.of_directory(&path, error, true),
            }
        }
        Ok(())
    }

    fn directory_failed(&self, entry: &Entry, error: Error, making: Making) -> Result<()> {
        match error.kind() {
            ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Protocol => Err(error),
            // What keeps it from being there kept its files from it, and was said of them.
            ErrorKind::Conflict if making != Making::Either => Ok(()),
            // It is none of this run's.
            _ if making == Making::Unset => Ok(()),
            _ => {
                self.of_directory(&entry.path, error, false);
                Ok(())
            }
        }
    }
}
