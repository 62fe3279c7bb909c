//! The version of a local file: device, inode, size, and the two times; and which changes are ours.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::fs::{Kind, Stat};
use crate::entry::{Timestamp, Version};
use crate::error::{Error, ErrorKind, Result};

/// How many files with several names a run follows at most; the names of others are left for the
/// next run once one of them was deleted.
const MAX_LINKED: usize = 1 << 16;

/// A [`Version`] as this service issues it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalVersion {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    modified: Timestamp,
    changed: Timestamp,
}

impl LocalVersion {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.device,
            inode: stat.inode,
            size: stat.size,
            modified: stat.modified,
            changed: stat.changed,
        }
    }

    pub(crate) fn parse(version: &Version) -> Result<Self> {
        let parse = || {
            let mut rest = version.as_bytes();
            let mut next = || {
                let (number, after) = rest.split_first_chunk::<8>()?;
                rest = after;
                Some(u64::from_le_bytes(*number))
            };
            let (device, inode, size) = (next()?, next()?, next()?);
            let mut time = || {
                let (seconds, nanos) = (next()?.cast_signed(), u32::try_from(next()?).ok()?);
                Some(Timestamp { seconds, nanos })
            };
            let (modified, changed) = (time()?, time()?);
            rest.is_empty().then_some(Self {
                device,
                inode,
                size,
                modified,
                changed,
            })
        };
        parse()
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "the version is not one of this service"))
    }

    pub(crate) fn to_version(self) -> Result<Version> {
        let time = |t: Timestamp| [t.seconds.cast_unsigned(), u64::from(t.nanos)];
        let numbers = [self.device, self.inode, self.size].into_iter();
        let numbers = numbers.chain(time(self.modified)).chain(time(self.changed));
        Version::new(numbers.flat_map(u64::to_le_bytes).collect::<Vec<_>>())
            .map_err(|error| Error::new(ErrorKind::Invalid, "making a version").because(error))
    }

    /// Whether `other` is a version of the same file.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// The same where its device has another number by now.
    pub(crate) fn on_device(self, device: u64) -> Self {
        Self { device, ..self }
    }

    /// Whether `other` is the same but for the time of its last change of attributes, which a
    /// rename sets too.
    pub(crate) fn same_but_changed(&self, other: &Self) -> bool {
        Self {
            changed: other.changed,
            ..*self
        } == *other
    }
}

impl fmt::Display for LocalVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Timestamp { seconds, nanos } = self.modified;
        write!(
            f,
            "inode {} with {} bytes of {seconds}.{nanos:09}",
            self.inode, self.size
        )
    }
}

/// What a file was, and what it is instead.
#[derive(Debug, thiserror::Error)]
#[error("it was {before}, it is {after}")]
pub(crate) struct Became {
    pub(crate) before: LocalVersion,
    pub(crate) after: LocalVersion,
}

/// How large the file was in a version that a [`LocalService`](super::LocalService) issued, in bytes;
/// `None` for any other version.
pub fn version_size(version: &Version) -> Option<u64> {
    LocalVersion::parse(version)
        .ok()
        .map(|version| version.size)
}

/// The version of what `stat` describes.
pub(crate) fn version_of(stat: &Stat) -> Result<Version> {
    LocalVersion::of(stat).to_version()
}

/// Files with several names of which this run has deleted some: that changed the times of the
/// others, and is no change of theirs.
#[derive(Debug, Default)]
pub(crate) struct Linked(Mutex<HashMap<(u64, u64), Span>>);

/// From the first version of a file that was found unchanged to the time our last change gave it.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: Timestamp,
    last: Timestamp,
}

impl Linked {
    /// Whether a file is still the version `expected`. `stat` looks at it, and is asked again
    /// while no deletion of one of its names is under way.
    pub(crate) fn is_still(
        &self,
        expected: &LocalVersion,
        stat: impl Fn() -> std::io::Result<Stat>,
    ) -> std::io::Result<bool> {
        let now = LocalVersion::of(&stat()?);
        if now == *expected {
            return Ok(true);
        }
        if !now.same_but_changed(expected) {
            return Ok(false);
        }
        let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = LocalVersion::of(&stat()?);
        Ok(now == *expected || (now.same_but_changed(expected) && covers(&spans, expected, &now)))
    }

    /// Runs `delete`, which removes one of several names of the file that was `expected` to be
    /// `found`, and answers what it looks like afterwards. Other names are looked at after it.
    pub(crate) fn while_deleting<T>(
        &self,
        expected: &LocalVersion,
        delete: impl FnOnce() -> Result<(T, Option<Stat>)>,
    ) -> Result<T> {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, after) = delete()?;
        let key = (expected.device, expected.inode);
        match after {
            Some(stat) if stat.kind == Kind::File && stat.links > 0 => {
                if spans.len() < MAX_LINKED || spans.contains_key(&key) {
                    let first = spans.get(&key).map_or(expected.changed, |span| span.first);
                    let first = first.min(expected.changed);
                    spans.insert(
                        key,
                        Span {
                            first,
                            last: stat.changed,
                        },
                    );
                }
            }
            _ => {
                spans.remove(&key);
            }
        }
        Ok(answer)
    }

    /// Forgets a file whose last name is gone.
    pub(crate) fn forget(&self, version: &LocalVersion) {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.remove(&(version.device, version.inode));
    }
}

fn covers(spans: &HashMap<(u64, u64), Span>, expected: &LocalVersion, now: &LocalVersion) -> bool {
    spans.get(&(now.device, now.inode)).is_some_and(|span| {
        span.last == now.changed && span.first <= expected.changed && expected.changed <= span.last
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(changed: i64, links: u64) -> Stat {
        let at = |seconds| Timestamp { seconds, nanos: 5 };
        Stat {
            device: 1,
            inode: 2,
            kind: Kind::File,
            mode: 0o644,
            links,
            size: 3,
            stored: 4096,
            modified: at(-4),
            changed: at(changed),
        }
    }

    #[test]
    fn a_version_survives_its_bytes() {
        let version = version_of(&stat(10, 1)).unwrap();
        assert_eq!(
            LocalVersion::parse(&version).unwrap(),
            LocalVersion::of(&stat(10, 1))
        );
        assert!(LocalVersion::parse(&Version::new(vec![0; 55]).unwrap()).is_err());
        assert!(LocalVersion::parse(&Version::new(vec![0xff; 56]).unwrap()).is_err());
    }

    #[test]
    fn our_own_deletions_are_no_change_and_others_are() {
        let linked = Linked::default();
        let listed = LocalVersion::of(&stat(10, 3));
        assert!(!linked.is_still(&listed, || Ok(stat(11, 2))).unwrap());
        linked
            .while_deleting(&listed, || Ok(((), Some(stat(11, 2)))))
            .unwrap();
        assert!(linked.is_still(&listed, || Ok(stat(11, 2))).unwrap());
        linked
            .while_deleting(&listed, || Ok(((), Some(stat(12, 1)))))
            .unwrap();
        assert!(linked.is_still(&listed, || Ok(stat(12, 1))).unwrap());
        // A version listed between the two deletions counts too; a later change does not.
        assert!(
            linked
                .is_still(&LocalVersion::of(&stat(11, 2)), || Ok(stat(12, 1)))
                .unwrap()
        );
        assert!(!linked.is_still(&listed, || Ok(stat(13, 1))).unwrap());
        let rewritten = Stat {
            size: 4,
            ..stat(12, 1)
        };
        assert!(!linked.is_still(&listed, || Ok(rewritten)).unwrap());
    }
}
