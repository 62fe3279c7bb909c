//! The things that names stand for.

use std::collections::BTreeMap;

use realize_core::entry::Timestamp;
use realize_core::local::fs::{Kind, Stat};

use super::content::{Content, PAGE_LEN};
use super::random::Random;

/// A number of an inode.
pub(super) type Ino = u64;

/// A name in a directory.
pub(super) type Name = Vec<u8>;

/// A file, directory, link or special file.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    pub(super) device: u64,
    /// How many names it has, as the process sees them.
    pub(super) links: u64,
    pub(super) live: Attributes,
    pub(super) durable: Attributes,
    pub(super) body: Body,
    /// How many handles are open on it, and how many of those, or of a test's, can write.
    pub(super) handles: u64,
    pub(super) writers: u64,
    /// The handle that holds its lock.
    pub(super) lock: Option<u64>,
}

/// What is stored with an inode, but for its size, which is its content's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) modified: Timestamp,
    pub(super) changed: Timestamp,
}

/// What kind it is, with what that kind holds.
#[derive(Clone, Debug)]
pub(super) enum Body {
    File(Content),
    Directory(Names),
    Link(Vec<u8>),
    Special(Kind),
}

/// A directory's names.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) live: BTreeMap<Name, Ino>,
    pub(super) durable: BTreeMap<Name, Ino>,
    pub(super) parent: Ino,
    /// The directory that durably names it, once one does.
    pub(super) durable_parent: Option<Ino>,
}

impl Names {
    pub(super) fn new(parent: Ino) -> Self {
        Self {
            live: BTreeMap::new(),
            durable: BTreeMap::new(),
            parent,
            durable_parent: None,
        }
    }
}

impl Inode {
    /// A new one. What is journaled with its name is durable when that is, its attributes too.
    pub(super) fn new(device: u64, mode: u32, now: Timestamp, body: Body) -> Self {
        let attributes = Attributes {
            mode,
            modified: now,
            changed: now,
        };
        Self {
            device,
            links: 1,
            live: attributes,
            durable: attributes,
            body,
            handles: 0,
            writers: 0,
            lock: None,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match &self.body {
            Body::File(_) => Kind::File,
            Body::Directory(_) => Kind::Directory,
            Body::Link(_) => Kind::Link,
            Body::Special(kind) => *kind,
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self.body, Body::Directory(_))
    }

    pub(super) fn stat(&self, inode: Ino) -> Stat {
        let (size, stored) = match &self.body {
            Body::File(content) => (content.live.size, content.live.count() * PAGE_LEN),
            Body::Directory(_) => (PAGE_LEN, PAGE_LEN),
            Body::Link(target) => (target.len() as u64, 0),
            Body::Special(_) => (0, 0),
        };
        Stat {
            device: self.device,
            inode,
            kind: self.kind(),
            mode: self.live.mode,
            links: self.links,
            size,
            stored,
            modified: self.live.modified,
            changed: self.live.changed,
        }
    }

    /// Its content has changed.
    pub(super) fn modify(&mut self, now: Timestamp) {
        self.live.modified = now;
        self.live.changed = now;
    }

    /// What its own sync does.
    pub(super) fn sync(&mut self) {
        self.durable = self.live;
        if let Body::File(content) = &mut self.body {
            content.sync();
        }
    }

    /// What a power cut leaves of it, names apart: what was synced, and with chance some of what
    /// was not.
    pub(super) fn lose_power(&mut self, mut chance: Option<&mut Random>) {
        if let Some(random) = chance.as_mut() {
            if random.coin(2) {
                self.durable.mode = self.live.mode;
            }
            if random.coin(2) {
                self.durable.modified = self.live.modified;
                self.durable.changed = self.live.changed;
            }
        }
        self.live = self.durable;
        if let Body::File(content) = &mut self.body {
            content.lose_power(chance);
        }
    }
}
