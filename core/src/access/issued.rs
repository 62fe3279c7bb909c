//! Which versions of which files a service has read out.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use crate::entry::Version;
use crate::path::RelPath;

/// How many versions are remembered; the one that was read out longest ago is forgotten first.
pub const MAX_ISSUED: usize = 64 * 1024;

/// Stands for a path and a version: 128 bits of a hash of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 16]);

impl Key {
    pub(super) fn of(path: &RelPath, version: &Version) -> Self {
        let mut hasher = blake3::Hasher::new();
        let path = path.as_bytes();
        // The length says where the path ends and the version begins.
        hasher.update(&(path.len() as u64).to_le_bytes());
        hasher.update(path).update(version.as_bytes());
        let mut key = [0; 16];
        hasher.finalize_xof().fill(&mut key);
        Self(key)
    }
}

/// What was read out, of a bounded number of files.
#[derive(Debug, Default)]
pub(super) struct Issued(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// When each was read out last: the number of that reading.
    last: HashMap<Key, u64>,
    /// The same the other way round, the oldest first.
    order: BTreeMap<u64, Key>,
    next: u64,
}

impl Issued {
    pub(super) fn add(&self, key: Key) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = table.next;
        table.next = number.wrapping_add(1);
        if let Some(before) = table.last.insert(key, number) {
            table.order.remove(&before);
        }
        table.order.insert(number, key);
        if table.order.len() > MAX_ISSUED
            && let Some((_, oldest)) = table.order.pop_first()
        {
            table.last.remove(&oldest);
        }
    }

    pub(super) fn holds(&self, key: Key) -> bool {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.last.contains_key(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        let path = RelPath::new(format!("f{number}")).unwrap();
        Key::of(&path, &Version::new(vec![1]).unwrap())
    }

    #[test]
    fn the_oldest_is_forgotten_first_and_reading_again_makes_it_the_newest() {
        let issued = Issued::default();
        for number in 0..MAX_ISSUED {
            issued.add(key(number));
        }
        assert!(issued.holds(key(0)));
        issued.add(key(0));
        assert!(issued.holds(key(1)), "the same key again takes no room");
        issued.add(key(MAX_ISSUED));
        assert!(issued.holds(key(0)) && !issued.holds(key(1)) && issued.holds(key(2)));
        let table = issued.0.lock().unwrap();
        assert_eq!(table.last.len(), MAX_ISSUED);
        assert_eq!(table.order.len(), MAX_ISSUED);
    }

    #[test]
    fn path_and_version_do_not_run_into_each_other() {
        let of = |path: &str, version: &[u8]| {
            Key::of(
                &RelPath::new(path).unwrap(),
                &Version::new(version).unwrap(),
            )
        };
        assert_ne!(of("ab", b"c"), of("a", b"bc"));
        assert_ne!(of("a", b"b"), of("a", b"c"));
        assert_eq!(of("a", b"b"), of("a", b"b"));
    }
}
