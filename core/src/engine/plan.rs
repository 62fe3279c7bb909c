//! What is to be done about a file: decided here, without touching anything.

use std::sync::atomic::AtomicBool;

use super::options::{MoveOptions, OnConflict};
use crate::entry::{Entry, EntryKind};
use crate::error::{Error, ErrorKind};
use crate::hash::{CHUNK, Digest, HashState};
use crate::path::{Escaped, MAX_NAME_LEN, RelPath};
use crate::range::{ByteRange, RangeSet};
use crate::service::{Answer, Arrived, Basis, Expect, Present, PresentKind};

/// Files up to this size, in bytes, travel whole, in batches.
pub const SMALL: u64 = 256 << 10;
/// What has arrived counts in pieces of this size: odd ends of ranges are sent again.
const ALIGNMENT: u64 = 16 * CHUNK;

/// A file on its way.
#[derive(Debug)]
pub(super) struct Item {
    /// What it is at the source.
    pub entry: Entry,
    /// Its final name at the destination.
    pub target: RelPath,
    /// Whether it was counted as started.
    pub started: AtomicBool,
}

impl Item {
    /// A file that keeps its name.
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            target: entry.path.clone(),
            entry,
            started: AtomicBool::new(false),
        }
    }

    /// The target of the link that it is.
    pub(super) fn link(&self) -> Option<&[u8]> {
        match &self.entry.kind {
            EntryKind::Link { target } => Some(target),
            _ => None,
        }
    }

    /// Whether the source's file system stores less than its size.
    pub(super) fn is_sparse(&self) -> bool {
        matches!(self.entry.kind, EntryKind::File { sparse: true })
    }
}

/// Whether an entry is offered to the destination.
#[derive(Debug)]
pub(super) enum Choice {
    /// It is.
    Offer,
    /// It is none of the files meant.
    Skip,
    /// It is left for the next run.
    Defer(&'static str),
    /// It cannot be moved.
    Fail(Error),
}

/// What to do about a listed entry.
pub(super) fn choose(entry: &Entry, options: &MoveOptions) -> Choice {
    if !options.filter.matches(&entry.path) {
        return Choice::Skip;
    }
    match &entry.kind {
        EntryKind::Directory { .. } => Choice::Skip,
        EntryKind::Special(special) => {
            let what = format!("it is a {special}, which is not moved");
            Choice::Fail(Error::new(ErrorKind::Unsupported, what).at(&entry.path))
        }
        EntryKind::File { .. } | EntryKind::Link { .. } => {
            let age = entry.modified.age(options.clock.now());
            if age < options.min_age {
                Choice::Defer("it is too young")
            } else {
                Choice::Offer
            }
        }
    }
}

/// What to do about a file that was offered.
#[derive(Debug)]
pub(super) enum Step {
    /// Send it whole.
    Put(Expect),
    /// Send it in blocks.
    Transfer(Transfer),
    /// Compare it with what is there, in this version.
    Verify(crate::entry::Version),
    /// Give it a name of its own.
    Rename,
    /// It cannot be moved.
    Fail(Error),
    /// It cannot be moved, and nothing else shall be.
    Stop(Error),
}

impl Step {
    /// Whether a shortcut could give the file its final name: it is no link, and nothing stands
    /// there.
    pub(super) fn can_link(&self, item: &Item) -> bool {
        let absent = match self {
            Self::Put(expect) => *expect == Expect::Absent,
            Self::Transfer(transfer) => transfer.expect == Expect::Absent,
            _ => false,
        };
        absent && item.link().is_none()
    }
}

/// How a file is sent in blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    /// What has arrived.
    pub have: RangeSet,
    /// The hash of the source's content up to some place.
    pub hashed: HashState,
    /// What it is patched from.
    pub basis: Option<Basis>,
    /// What is expected under the final name.
    pub expect: Expect,
}

impl Transfer {
    /// The same file once more, after what arrived turned out not to be what was sent: what is
    /// there is compared block by block and mended in place.
    pub(super) fn mend(&self) -> Self {
        let expect = self.expect.clone();
        Self {
            expect,
            basis: Some(Basis::Partial),
            ..Self::whole()
        }
    }

    /// The same file once more, from the beginning, after what arrived was lost.
    pub(super) fn again(&self) -> Self {
        Self {
            expect: self.expect.clone(),
            ..Self::whole()
        }
    }

    /// The same file, once all of its `size` bytes have arrived.
    pub(super) fn arrived(&self, size: u64) -> Self {
        let mut have = RangeSet::new();
        // Of one that is too large nothing has, which is true as well.
        if let Ok(all) = ByteRange::new(0, size) {
            have.insert(all);
        }
        Self {
            have,
            ..self.again()
        }
    }

    fn whole() -> Self {
        Self {
            have: RangeSet::new(),
            hashed: HashState::default(),
            basis: None,
            expect: Expect::Absent,
        }
    }
}

/// What to do about `item`, which was answered with `answer`.
pub(super) fn plan(item: &Item, answer: Answer, on_conflict: OnConflict) -> Step {
    let partial = answer.partial;
    match answer.present {
        Present::Absent => send(item, partial, None, Expect::Absent),
        Present::Perhaps(version) => Step::Verify(version),
        Present::Collides(stored) => {
            let stored = Escaped(&stored).to_string();
            let what = format!("the destination takes its name for that of another file, {stored}");
            Step::Fail(Error::new(ErrorKind::Collision, what).at(&item.target))
        }
        Present::Differs {
            kind: PresentKind::Other,
            ..
        } => {
            let what = "the destination has something that is no file under its name";
            Step::Fail(Error::new(ErrorKind::Conflict, what).at(&item.target))
        }
        Present::Differs {
            version,
            kind,
            size,
        } => {
            let file = kind == PresentKind::File;
            // The same content under another time is no conflict, and need not be sent.
            let alike = file != item.link().is_some() && size == item.entry.size;
            if alike {
                return Step::Verify(version);
            }
            let basis = (file && size > 0).then(|| Basis::Final(version.clone()));
            conflict(item, partial, basis, version, on_conflict)
        }
    }
}

/// What to do about `item` once its content is known to differ from what is there, in `version`.
pub(super) fn plan_different(
    item: &Item,
    partial: Option<Arrived>,
    version: crate::entry::Version,
    on_conflict: OnConflict,
) -> Step {
    let basis = item.link().is_none().then(|| Basis::Final(version.clone()));
    conflict(item, partial, basis, version, on_conflict)
}

/// How `item` is sent in place of the same content, which is there in `version`, and not durably: it is
/// replaced by itself, which is no conflict. Nothing of it is a basis: it was never read from the disk.
pub(super) fn send_whole(item: &Item, version: crate::entry::Version) -> Step {
    send(item, None, None, Expect::Version(version))
}

fn conflict(
    item: &Item,
    partial: Option<Arrived>,
    basis: Option<Basis>,
    version: crate::entry::Version,
    on_conflict: OnConflict,
) -> Step {
    let error = || {
        let what = "the destination has other content under its name";
        Error::new(ErrorKind::Conflict, what).at(&item.target)
    };
    match on_conflict {
        OnConflict::Replace => send(item, partial, basis, Expect::Version(version)),
        OnConflict::Keep => Step::Fail(error()),
        OnConflict::Fail => Step::Stop(error()),
        // With a name that holds the hash already, another content is a collision of hashes.
        OnConflict::Rename if item.target != item.entry.path => Step::Fail(error()),
        OnConflict::Rename => Step::Rename,
    }
}

fn send(item: &Item, partial: Option<Arrived>, basis: Option<Basis>, expect: Expect) -> Step {
    if item.link().is_some() || item.entry.size <= SMALL {
        return Step::Put(expect);
    }
    let whole = Transfer {
        expect,
        ..Transfer::whole()
    };
    Step::Transfer(match partial {
        // What remains is patched from the older version, if there is one.
        Some(arrived) if !arrived.ranges.is_empty() => Transfer {
            have: arrived.ranges,
            hashed: arrived.hash,
            basis,
            ..whole
        },
        // Of an unknown or another version, but perhaps much of the same content.
        Some(arrived) if arrived.size > 0 && basis.is_none() => whole.mend(),
        _ => Transfer { basis, ..whole },
    })
}

/// A stretch of a file that is treated in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Which bytes.
    pub range: ByteRange,
    /// Whether the destination needs them.
    pub send: bool,
    /// Whether their hash is still to be taken.
    pub hash: bool,
}

/// Cuts a file of `size` bytes by what has arrived and how far it has been hashed.
pub(super) fn segments(size: u64, have: &RangeSet, hashed: u64) -> Vec<Segment> {
    let inward = |range: ByteRange| {
        let end = if range.end() >= size {
            size
        } else {
            range.end() - range.end() % ALIGNMENT
        };
        let start = range.start().checked_next_multiple_of(ALIGNMENT)?;
        (start < end).then_some((start, end))
    };
    let have: Vec<_> = have.iter().filter_map(inward).collect();
    let mut cuts: Vec<u64> = have.iter().flat_map(|&(start, end)| [start, end]).collect();
    cuts.extend([0, size, hashed.min(size)]);
    cuts.sort_unstable();
    cuts.dedup();
    let segment = |pair: &[u64]| {
        let [start, end] = pair else { return None };
        let range = ByteRange::new(*start, *end).ok()?;
        let arrived = have.iter().any(|&(from, to)| from <= *start && *end <= to);
        Some(Segment {
            range,
            send: !arrived,
            hash: *start >= hashed,
        })
    };
    cuts.windows(2).filter_map(segment).collect()
}

/// The name of a file that gives way to another: eight digits of its hash stand between its stem
/// and its extension, as in `photo~1a2b3c4d.jpg`. The stem is cut where the name would be too long.
pub(super) fn renamed(path: &RelPath, hash: &Digest) -> Result<RelPath, crate::path::InvalidPath> {
    let name = path.file_name();
    let dot = name.iter().rposition(|&b| b == b'.').filter(|&at| at > 0);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let suffix: String = hash.to_string().chars().take(8).collect();
    let room = MAX_NAME_LEN.saturating_sub(1 + suffix.len());
    let extension = extension
        .get(..extension.len().min(room))
        .unwrap_or_default();
    let stem = stem
        .get(..stem.len().min(room - extension.len()))
        .unwrap_or(stem);
    let name = [stem, b"~", suffix.as_bytes(), extension].concat();
    RelPath::join(path.parent().as_ref(), &name)
}

#[cfg(test)]
mod tests;
