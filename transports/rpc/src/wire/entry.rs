//! What a directory holds.

use bytes::Bytes;
use realize_core::entry;
use serde::{Deserialize, Serialize};

use super::Violation;
use super::parts::{Path, Timestamp, Version, link_target, mode, size};

/// A name of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) path: Path,
    pub(crate) kind: EntryKind,
    pub(crate) version: Version,
    pub(crate) size: u64,
    pub(crate) modified: Timestamp,
    pub(crate) mode: u32,
}

/// What an [`Entry`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EntryKind {
    File { sparse: bool },
    Link { target: Bytes },
    Directory { empty: bool },
    Special(Special),
}

/// What is reported and left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Special {
    Fifo,
    Socket,
    Device,
}

impl From<entry::Entry> for Entry {
    fn from(entry: entry::Entry) -> Self {
        Self {
            path: entry.path.into(),
            kind: entry.kind.into(),
            version: entry.version.into(),
            size: entry.size,
            modified: entry.modified.into(),
            mode: entry.mode,
        }
    }
}

impl TryFrom<Entry> for entry::Entry {
    type Error = Violation;

    fn try_from(entry: Entry) -> Result<Self, Violation> {
        Ok(Self {
            path: entry.path.try_into()?,
            kind: entry.kind.try_into()?,
            version: entry.version.try_into()?,
            size: size(entry.size)?,
            modified: entry.modified.try_into()?,
            mode: mode(entry.mode)?,
        })
    }
}

impl From<entry::EntryKind> for EntryKind {
    fn from(kind: entry::EntryKind) -> Self {
        match kind {
            entry::EntryKind::File { sparse } => Self::File { sparse },
            entry::EntryKind::Link { target } => Self::Link {
                target: target.into(),
            },
            entry::EntryKind::Directory { empty } => Self::Directory { empty },
            entry::EntryKind::Special(special) => Self::Special(match special {
                entry::Special::Fifo => Special::Fifo,
                entry::Special::Socket => Special::Socket,
                entry::Special::Device => Special::Device,
            }),
        }
    }
}

impl TryFrom<EntryKind> for entry::EntryKind {
    type Error = Violation;

    fn try_from(kind: EntryKind) -> Result<Self, Violation> {
        Ok(match kind {
            EntryKind::File { sparse } => Self::File { sparse },
            EntryKind::Link { target } => Self::Link {
                target: link_target(target)?,
            },
            EntryKind::Directory { empty } => Self::Directory { empty },
            EntryKind::Special(special) => Self::Special(match special {
                Special::Fifo => entry::Special::Fifo,
                Special::Socket => entry::Special::Socket,
                Special::Device => entry::Special::Device,
            }),
        })
    }
}
