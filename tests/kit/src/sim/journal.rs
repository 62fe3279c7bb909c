//! What reaches the disk, and what a power cut leaves.
//!
//! A change of names is journaled as one transaction, a rename with both its ends. A directory's
//! sync makes the changes of its own names durable, not those of others, and not its own name in
//! its parent: that is what POSIX promises, less than most file systems do. It brings along only
//! what a transaction cannot be without: earlier changes of the same names, what a removed
//! directory held before, and that a directory exists into which a rename has moved something.

use std::collections::{BTreeMap, BTreeSet};

use super::disk::{Disk, ROOT};
use super::inode::{Body, Ino, Inode, Name};
use super::random::Random;

/// How the system goes down, and so what is left of what was not synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crash {
    /// The power goes. Of the names' changes a random prefix was written, for each device, in the
    /// order in which they were made; of the content of files any pages, whether the names and
    /// sizes were or not.
    #[default]
    Journal,
    /// The power goes, and nothing that was not synced was written.
    OnlySynced,
    /// The process is killed: everything stays, and what was not synced still is not.
    All,
}

/// A name that stands for something else, or for nothing, from now on.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) directory: Ino,
    pub(super) name: Name,
    pub(super) inode: Option<Ino>,
}

impl Change {
    pub(super) fn set(directory: Ino, name: &[u8], inode: Ino) -> Self {
        Self {
            directory,
            name: name.to_vec(),
            inode: Some(inode),
        }
    }

    pub(super) fn remove(directory: Ino, name: Name) -> Self {
        Self {
            directory,
            name,
            inode: None,
        }
    }
}

/// Changes that are durable together or not at all.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) device: u64,
    pub(super) changes: Vec<Change>,
    /// A directory that is no more after it.
    pub(super) removed: Option<Ino>,
}

impl Transaction {
    /// Whether it moves something from one directory to another.
    fn crosses(&self) -> bool {
        self.changes
            .iter()
            .any(|change| change.directory != self.changes[0].directory)
    }
}

/// Finds which of the journal's transactions have to be durable for a directory's names to be. It
/// goes from the last to the first, since each needs only earlier ones.
struct Needs<'a> {
    disk: &'a Disk,
    /// Those found, by their place in the journal.
    found: Vec<bool>,
    /// All changes of the names in these are needed.
    whole: BTreeSet<Ino>,
    /// The changes of these names are.
    names: BTreeSet<(Ino, &'a Name)>,
    /// These are where they were when something was moved into them.
    reached: BTreeSet<Ino>,
}

impl<'a> Needs<'a> {
    fn of(disk: &'a Disk, directory: Ino) -> Vec<bool> {
        let mut needs = Self {
            disk,
            found: vec![false; disk.journal.len()],
            whole: BTreeSet::from([directory]),
            names: BTreeSet::new(),
            reached: BTreeSet::new(),
        };
        for (at, transaction) in disk.journal.iter().enumerate().rev() {
            let named = transaction.changes.iter().any(|change| {
                let name = (change.directory, &change.name);
                needs.whole.contains(&change.directory) || needs.names.contains(&name)
            });
            if named || needs.found[at] {
                needs.take(at, transaction);
            }
        }
        needs.found
    }

    fn take(&mut self, at: usize, transaction: &'a Transaction) {
        self.found[at] = true;
        self.names
            .extend(transaction.changes.iter().map(|c| (c.directory, &c.name)));
        self.whole.extend(transaction.removed);
        if transaction.crosses() {
            let gaining = transaction.changes.iter().filter(|c| c.inode.is_some());
            gaining.for_each(|change| self.reach(at, change.directory));
        }
    }

    /// Needs what led to a directory, and to those above it, when the journal was this long.
    fn reach(&mut self, len: usize, directory: Ino) {
        let mut above = Some(directory);
        while let Some(ino) = above.filter(|ino| self.reached.insert(*ino)) {
            let mut earlier = self.disk.journal[..len].iter().enumerate().rev();
            let led = earlier.find_map(|(at, transaction)| {
                let change = transaction.changes.iter().find(|c| c.inode == Some(ino))?;
                Some((at, change.directory))
            });
            above = match led {
                Some((at, parent)) => {
                    self.found[at] = true;
                    Some(parent)
                }
                None => self
                    .disk
                    .names(ino)
                    .ok()
                    .and_then(|names| names.durable_parent),
            };
        }
    }
}

impl Disk {
    /// Makes a directory's names and attributes durable.
    pub(super) fn sync_directory(&mut self, directory: Ino) {
        let mut needed = Needs::of(self, directory).into_iter();
        self.commit(|_| needed.next().unwrap_or_default());
        let inode = self.inode_mut(directory);
        inode.durable = inode.live;
    }

    /// Makes everything on a device durable, as far as earlier failures let it.
    pub(super) fn sync_device(&mut self, device: u64) {
        self.commit(|transaction| transaction.device == device);
        self.on_device(device, Inode::sync);
    }

    /// What a failed sync of a whole device does.
    pub(super) fn fail_sync_device(&mut self, device: u64) {
        self.on_device(device, |inode| {
            if let Body::File(content) = &mut inode.body {
                content.fail_sync();
            }
        });
    }

    /// Makes everything durable, whatever has failed before.
    pub(super) fn sync_everything(&mut self) {
        self.commit(|_| true);
        for inode in self.inodes.values_mut() {
            inode.durable = inode.live;
            if let Body::File(content) = &mut inode.body {
                content.sync_wholly();
            }
        }
    }

    /// The disks as the next boot, or the next process, finds them.
    pub(super) fn survive(&self, crash: Crash, seed: u64) -> Self {
        let mut disk = self.clone();
        disk.off = false;
        disk.now.seconds += 1;
        match crash {
            Crash::All => disk.lose_process(),
            Crash::OnlySynced => disk.lose_power(None),
            Crash::Journal => disk.lose_power(Some(&mut Random::new(seed))),
        }
        disk
    }

    fn on_device(&mut self, device: u64, action: impl Fn(&mut Inode)) {
        self.inodes
            .values_mut()
            .filter(|inode| inode.device == device)
            .for_each(action);
    }

    /// Makes those of the journal's transactions durable that are `chosen`, asked in order.
    fn commit(&mut self, mut chosen: impl FnMut(&Transaction) -> bool) {
        for transaction in std::mem::take(&mut self.journal) {
            if !chosen(&transaction) {
                self.journal.push(transaction);
                continue;
            }
            for Change {
                directory,
                name,
                inode,
            } in transaction.changes
            {
                let names = &mut self.names_mut(directory).durable;
                let Some(ino) = inode else {
                    names.remove(&name);
                    continue;
                };
                names.insert(name, ino);
                let inode = self.inode_mut(ino);
                match &mut inode.body {
                    Body::Directory(names) => names.durable_parent = Some(directory),
                    // A link has no sync of its own.
                    Body::Link(_) => inode.durable = inode.live,
                    Body::File(_) | Body::Special(_) => {}
                }
            }
        }
    }

    fn lose_process(&mut self) {
        let inos: Vec<Ino> = self.inodes.keys().copied().collect();
        for ino in inos {
            let inode = self.inode_mut(ino);
            // What had no handle was released when its last name went.
            let open = std::mem::take(&mut inode.handles) > 0;
            inode.writers = 0;
            inode.lock = None;
            if open {
                self.release(ino);
            }
        }
    }

    fn lose_power(&mut self, mut chance: Option<&mut Random>) {
        for device in self.devices.keys().copied().collect::<Vec<_>>() {
            let pending = self
                .journal
                .iter()
                .filter(|change| change.device == device)
                .count();
            let mut written = chance.as_mut().map_or(0, |random| random.prefix(pending));
            self.commit(|transaction| {
                let commits = transaction.device == device && written > 0;
                written -= usize::from(commits);
                commits
            });
        }
        self.journal.clear();
        self.drop_unreachable();
        for space in self.devices.values_mut() {
            space.used = 0;
        }
        for inode in self.inodes.values_mut() {
            inode.lose_power(chance.as_deref_mut());
            inode.handles = 0;
            inode.writers = 0;
            inode.lock = None;
            if let Body::File(content) = &inode.body
                && let Some(space) = self.devices.get_mut(&inode.device)
            {
                space.used += content.live.count();
            }
        }
    }

    /// Keeps what the durable names lead to from `/`, under those names.
    fn drop_unreachable(&mut self) {
        let mut links = BTreeMap::from([(ROOT, 1)]);
        let mut directories = vec![ROOT];
        while let Some(directory) = directories.pop() {
            let names = self.names_mut(directory);
            names.live = names.durable.clone();
            for ino in names.live.values().copied().collect::<Vec<_>>() {
                let count = links.entry(ino).or_insert(0);
                *count += 1;
                if let Body::Directory(names) = &mut self.inode_mut(ino).body {
                    assert_eq!(*count, 1, "directory {ino} has one durable name");
                    names.parent = directory;
                    directories.push(ino);
                }
            }
        }
        self.inodes.retain(|ino, inode| {
            inode.links = links.get(ino).copied().unwrap_or(0);
            inode.links > 0
        });
    }
}

#[cfg(test)]
mod tests;
