//! Listings, page by page.

use bytes::Bytes;
use realize_core::path::{MAX_NAME_LEN, MAX_PATH_LEN};
use realize_core::service::{self, MAX_BATCH};
use serde::{Deserialize, Serialize};

use super::batch::Bounded;
use super::entry::Entry;
use super::error::Error;
use super::parts::{Path, cut_bytes};
use super::{Violation, at_most};

/// The longest path of a [`ListFailure`], in bytes: a path, and a name below it that may be longer
/// than one that a path can hold. What is longer is cut.
pub(super) const MAX_FAILURE_PATH: usize = MAX_PATH_LEN + 1 + 4 * MAX_NAME_LEN;

/// Asks for a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct List {
    pub(crate) within: Option<Path>,
    pub(crate) files: bool,
    pub(crate) directories: bool,
    pub(crate) cursor: Option<Cursor>,
}

/// A place in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    pub(crate) listing: u64,
    pub(crate) page: u64,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) entries: Bounded<Entry, MAX_BATCH>,
    pub(crate) failures: Bounded<ListFailure, MAX_BATCH>,
    pub(crate) next: Option<Cursor>,
}

/// What could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListFailure {
    pub(crate) path: Bytes,
    pub(crate) error: Error,
}

impl From<service::List> for List {
    fn from(list: service::List) -> Self {
        Self {
            within: list.within.map(Path::from),
            files: list.files,
            directories: list.directories,
            cursor: list.cursor.map(Cursor::from),
        }
    }
}

impl TryFrom<List> for service::List {
    type Error = Violation;

    fn try_from(list: List) -> Result<Self, Violation> {
        Ok(Self {
            within: list.within.map(Path::try_into).transpose()?,
            files: list.files,
            directories: list.directories,
            cursor: list.cursor.map(Cursor::into),
        })
    }
}

impl From<service::Cursor> for Cursor {
    fn from(cursor: service::Cursor) -> Self {
        Self {
            listing: cursor.listing,
            page: cursor.page,
        }
    }
}

impl From<Cursor> for service::Cursor {
    fn from(cursor: Cursor) -> Self {
        Self {
            listing: cursor.listing,
            page: cursor.page,
        }
    }
}

impl From<service::Page> for Page {
    fn from(page: service::Page) -> Self {
        Self {
            entries: page.entries.into(),
            failures: page.failures.into(),
            next: page.next.map(Cursor::from),
        }
    }
}

impl TryFrom<Page> for service::Page {
    type Error = Violation;

    fn try_from(page: Page) -> Result<Self, Violation> {
        let items = page.entries.0.len().saturating_add(page.failures.0.len());
        at_most(items as u64, MAX_BATCH as u64, "items")?;
        let entries = page.entries.0.into_iter();
        let failures = page.failures.0.into_iter();
        Ok(Self {
            entries: entries.map(Entry::try_into).collect::<Result<_, _>>()?,
            failures: failures
                .map(ListFailure::try_into)
                .collect::<Result<_, _>>()?,
            next: page.next.map(Cursor::into),
        })
    }
}

impl From<service::ListFailure> for ListFailure {
    fn from(failure: service::ListFailure) -> Self {
        Self {
            path: cut_bytes(failure.path, MAX_FAILURE_PATH),
            error: failure.error.into(),
        }
    }
}

impl TryFrom<ListFailure> for service::ListFailure {
    type Error = Violation;

    fn try_from(failure: ListFailure) -> Result<Self, Violation> {
        let max = MAX_FAILURE_PATH as u64;
        at_most(
            failure.path.len() as u64,
            max,
            "bytes in the path of a failure",
        )?;
        Ok(Self {
            path: failure.path.into(),
            error: failure.error.try_into()?,
        })
    }
}
