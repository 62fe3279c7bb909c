//! Listings in pages: a walk that waits, between two pages, for the cursor to come back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::fs::{Directory, Kind, Stat};
use super::names::before_aside;
use super::place::check_overlap;
use super::put_back::{put_back, put_back_one, stays_aside};
use super::version::version_of;
use super::walk::{Found, OnOpen, Walk};
use crate::entry::{Entry, EntryKind, MODE_BITS, Special};
use crate::error::{Error, ErrorKind, Result};
use crate::path::RelPath;
use crate::service::{Cursor, List, ListFailure, MAX_BATCH, Page};

/// How many listings may be under way at once; one more ends the oldest.
const MAX_LISTINGS: usize = 8;

/// The listings under way.
#[derive(Debug, Default)]
pub(crate) struct Listings(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    listings: BTreeMap<u64, Arc<Mutex<Listing>>>,
}

#[derive(Debug)]
struct Listing {
    walk: Walk,
    files: bool,
    directories: bool,
    /// The number of the last page, and the page, for whoever did not get it.
    last: (u64, Page),
    /// Held while what an interrupted deletion left is put back, if it is.
    put_back: Option<Arc<Mutex<()>>>,
}

/// What a listing does in every directory that it enters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Duties {
    /// Fails in the directory that holds this probe.
    pub(crate) forbidden: Option<Vec<u8>>,
    /// Puts back what an interrupted deletion left, while it holds this lock; whatever it is, where
    /// the run before did not come to its end.
    pub(crate) put_back: Option<(Arc<Mutex<()>>, bool)>,
}

impl Listings {
    /// The first page of a new listing, or the page at a cursor.
    pub(crate) fn page(
        &self,
        root: &Arc<dyn Directory>,
        list: &List,
        duties: &Duties,
    ) -> Result<Page> {
        let (id, listing) = match list.cursor {
            None => {
                let duties = duties.clone();
                let put_back = duties.put_back.clone().map(|(deleting, _)| deleting);
                let walk = Walk::new(root, list.within.as_ref(), duties.on_open())?;
                let (files, directories) = (list.files, list.directories);
                let last = (0, Page::default());
                self.add(Listing {
                    walk,
                    files,
                    directories,
                    last,
                    put_back,
                })
            }
            Some(cursor) => (cursor.listing, self.find(cursor.listing)?),
        };
        let mut listing = listing.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = list.cursor.map_or(1, |cursor| cursor.page);
        let page = listing.page(wanted, id)?;
        if page.next.is_none() && wanted == 1 {
            // It ended with its first page: nobody has a cursor to ask for it again.
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .listings
                .remove(&id);
        }
        Ok(page)
    }

    fn add(&self, listing: Listing) -> (u64, Arc<Mutex<Listing>>) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while table.listings.len() >= MAX_LISTINGS {
            table.listings.pop_first();
        }
        let id = table.next;
        table.next = table.next.wrapping_add(1);
        let listing = Arc::new(Mutex::new(listing));
        table.listings.insert(id, Arc::clone(&listing));
        (id, listing)
    }

    fn find(&self, id: u64) -> Result<Arc<Mutex<Listing>>> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let listing = table.listings.get(&id).map(Arc::clone);
        listing.ok_or_else(|| Error::new(ErrorKind::Invalid, "the listing has ended"))
    }
}

impl Duties {
    fn on_open(self) -> OnOpen {
        Box::new(move |directory| {
            if let Some(probe) = &self.forbidden {
                check_overlap(&**directory, probe)?;
            }
            let Some((deleting, all)) = &self.put_back else {
                return Ok(());
            };
            let _alone = deleting.lock().unwrap_or_else(PoisonError::into_inner);
            put_back(directory, *all)
        })
    }
}

impl Listing {
    fn page(&mut self, wanted: u64, id: u64) -> Result<Page> {
        if wanted == self.last.0 {
            return Ok(self.last.1.clone());
        }
        if wanted != self.last.0.wrapping_add(1) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "the page is not the next one",
            ));
        }
        let mut page = Page::default();
        let mut more = true;
        while page.entries.len() + page.failures.len() < MAX_BATCH {
            let Some(found) = self.walk.step() else {
                more = false;
                break;
            };
            self.add(found, &mut page);
        }
        page.next = more.then(|| Cursor {
            listing: id,
            page: wanted.wrapping_add(1),
        });
        self.last = (wanted, page.clone());
        Ok(page)
    }

    /// Puts back a file that was set aside under a reserved name; it is listed by the next listing. As a
    /// rule that was done when the directory was opened: but of how the run before ended nothing may
    /// be known.
    fn put_back(&self, directory: &Arc<dyn Directory>, aside: &[u8]) {
        let (Some(deleting), Some(name)) = (&self.put_back, before_aside(aside)) else {
            return;
        };
        let _alone = deleting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = put_back_one(&**directory, aside, &**directory, name) {
            stays_aside(name, aside, &error);
        }
    }

    fn add(&self, found: Found, page: &mut Page) {
        let entry = match found {
            Found::File {
                directory,
                path,
                stat,
            } if self.files => match describe(&*directory, &path, &stat) {
                Err(error) if error.kind() == ErrorKind::NotFound => return,
                described => described.map_err(|e| (path.as_bytes().to_vec(), e.at(&path))),
            },
            Found::Leaving { path, stat, empty } if self.directories => {
                let kind = EntryKind::Directory { empty };
                entry(&path, kind, &stat).map_err(|error| (path.as_bytes().to_vec(), error))
            }
            Found::Failed { path, error } => Err((path, error)),
            Found::Reserved {
                directory, name, ..
            } => return self.put_back(&directory, &name),
            Found::File { .. } | Found::Leaving { .. } => return,
        };
        match entry {
            Ok(entry) => page.entries.push(entry),
            Err((path, error)) => page.failures.push(ListFailure { path, error }),
        }
    }
}

fn describe(directory: &dyn Directory, path: &RelPath, stat: &Stat) -> Result<Entry> {
    let kind = match stat.kind {
        Kind::File => EntryKind::File {
            sparse: stat.stored < stat.size,
        },
        Kind::Link => {
            let target = directory.read_link(path.file_name());
            EntryKind::Link {
                target: target.map_err(|e| Error::io("reading the link", e))?,
            }
        }
        Kind::Fifo => EntryKind::Special(Special::Fifo),
        Kind::Socket => EntryKind::Special(Special::Socket),
        // A directory that took a file's place after it was looked at is no file to move either.
        Kind::Device | Kind::Directory => EntryKind::Special(Special::Device),
    };
    entry(path, kind, stat)
}

fn entry(path: &RelPath, kind: EntryKind, stat: &Stat) -> Result<Entry> {
    let bits = if matches!(kind, EntryKind::Directory { .. }) {
        MODE_BITS
    } else {
        0o777
    };
    Ok(Entry {
        path: path.clone(),
        kind,
        version: version_of(stat)?,
        size: stat.size,
        modified: stat.modified,
        mode: stat.mode & bits,
    })
}
