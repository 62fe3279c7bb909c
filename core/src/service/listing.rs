//! Listings, page by page.

use crate::entry::Entry;
use crate::error::Error;
use crate::path::RelPath;

/// Asks for a page of a listing.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Only this file, or only what is in this directory; everything where it is `None`.
    pub within: Option<RelPath>,
    /// Whether files, links and special files are wanted.
    pub files: bool,
    /// Whether directories are wanted.
    pub directories: bool,
    /// Where the last page ended; `None` begins a listing.
    pub cursor: Option<Cursor>,
}

/// A place in a listing: opaque to all but the service that issued it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Which listing.
    pub listing: u64,
    /// Which page of it.
    pub page: u64,
}

/// A part of a listing; at most [`MAX_BATCH`](super::MAX_BATCH) entries and failures together.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// What was found.
    pub entries: Vec<Entry>,
    /// What could not be looked at: unreadable directories, names that no path can hold.
    pub failures: Vec<ListFailure>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

/// Something in a listing that could not be looked at.
#[derive(Clone, Debug)]
pub struct ListFailure {
    /// Its path, as bytes: it may be none that a [`RelPath`] can hold.
    pub path: Vec<u8>,
    /// Why.
    pub error: Error,
}
