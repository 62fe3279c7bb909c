//! The machine's disks and the kernel's view of them: inodes, devices, the clock.

use std::collections::BTreeMap;
use std::io;

use realize_core::entry::Timestamp;

use super::content::{Content, PAGE_LEN, Space};
use super::inode::{Body, Ino, Inode, Name, Names};
use super::journal::Transaction;
use super::names::Alike;

/// The inode of `/`.
pub(super) const ROOT: Ino = 1;

/// The device of `/`; others have the number of the inode that they are mounted at.
pub(super) const ROOT_DEVICE: u64 = 1;

/// How far the clock moves for each change.
const TICK_NANOS: u32 = 1_000_000;

/// All that a [`SimFileSystem`](super::SimFileSystem) holds, but for its script.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) inodes: BTreeMap<Ino, Inode>,
    pub(super) devices: BTreeMap<u64, Space>,
    /// The changes of names that are not durable yet, oldest first.
    pub(super) journal: Vec<Transaction>,
    pub(super) now: Timestamp,
    pub(super) alike: Alike,
    /// Whether two names can change places.
    pub(super) exchanges: bool,
    /// Whether a file can get another name, but by a test.
    pub(super) links: bool,
    /// Whether files can share blocks.
    pub(super) shares: bool,
    /// The power is gone: nothing works any more.
    pub(super) off: bool,
    next_ino: Ino,
    next_handle: u64,
}

/// An error as the kernel would answer it.
pub(super) fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

impl Disk {
    pub(super) fn new() -> Self {
        let now = Timestamp {
            seconds: 1_700_000_000,
            nanos: 0,
        };
        let root = Inode::new(ROOT_DEVICE, 0o755, now, Body::Directory(Names::new(ROOT)));
        Self {
            inodes: BTreeMap::from([(ROOT, root)]),
            devices: BTreeMap::from([(ROOT_DEVICE, Space::default())]),
            journal: Vec::new(),
            now,
            alike: Alike::Bytes,
            exchanges: true,
            links: true,
            shares: false,
            off: false,
            next_ino: ROOT + 1,
            next_handle: 1,
        }
    }

    /// The time of a new change.
    pub(super) fn tick(&mut self) -> Timestamp {
        self.now.nanos += TICK_NANOS;
        if self.now.nanos >= 1_000_000_000 {
            self.now.nanos -= 1_000_000_000;
            self.now.seconds += 1;
        }
        self.now
    }

    /// The inode of an open handle or a name, which exists as long as one does.
    pub(super) fn inode(&self, ino: Ino) -> &Inode {
        &self.inodes[&ino]
    }

    pub(super) fn inode_mut(&mut self, ino: Ino) -> &mut Inode {
        self.inodes
            .get_mut(&ino)
            .expect("an inode that something refers to")
    }

    pub(super) fn add_inode(&mut self, inode: Inode) -> Ino {
        let ino = self.next_ino;
        self.next_ino += 1;
        self.inodes.insert(ino, inode);
        ino
    }

    pub(super) fn names(&self, directory: Ino) -> io::Result<&Names> {
        match &self.inode(directory).body {
            Body::Directory(names) => Ok(names),
            _ => Err(errno(libc::ENOTDIR)),
        }
    }

    /// The names of a directory, which the caller knows to be one.
    pub(super) fn names_mut(&mut self, directory: Ino) -> &mut Names {
        match &mut self.inode_mut(directory).body {
            Body::Directory(names) => names,
            _ => panic!("inode {directory} is no directory"),
        }
    }

    /// The content of a file with the space of its device.
    pub(super) fn content_mut(&mut self, ino: Ino) -> io::Result<(&mut Content, &mut Space)> {
        let Self {
            inodes, devices, ..
        } = self;
        let inode = inodes
            .get_mut(&ino)
            .expect("an inode that something refers to");
        let space = devices
            .get_mut(&inode.device)
            .expect("a device that holds an inode");
        match &mut inode.body {
            Body::File(content) => Ok((content, space)),
            _ => Err(errno(libc::EINVAL)),
        }
    }

    pub(super) fn content(&self, ino: Ino) -> io::Result<&Content> {
        match &self.inode(ino).body {
            Body::File(content) => Ok(content),
            _ => Err(errno(libc::EINVAL)),
        }
    }

    pub(super) fn space(&self, ino: Ino) -> &Space {
        &self.devices[&self.inode(ino).device]
    }

    /// Writes what fits; only where nothing does is that an error.
    pub(super) fn write(&mut self, ino: Ino, data: &[u8], offset: u64) -> io::Result<usize> {
        let end = offset.checked_add(data.len() as u64);
        if end.is_none_or(|end| i64::try_from(end).is_err()) {
            return Err(errno(libc::EFBIG));
        }
        let (content, space) = self.content_mut(ino)?;
        let count = content.write(data, offset, space);
        if count == 0 && !data.is_empty() {
            return Err(errno(libc::ENOSPC));
        }
        let now = self.tick();
        self.inode_mut(ino).modify(now);
        Ok(count)
    }

    pub(super) fn set_size(&mut self, ino: Ino, size: u64) -> io::Result<()> {
        if i64::try_from(size).is_err() {
            return Err(errno(libc::EFBIG));
        }
        let (content, space) = self.content_mut(ino)?;
        content.set_size(size, space);
        let now = self.tick();
        self.inode_mut(ino).modify(now);
        Ok(())
    }

    /// Makes a file's content that of another one on its device. Pages count for each file that has
    /// them.
    pub(super) fn share(&mut self, source: Ino, ino: Ino) -> io::Result<()> {
        if self.inode(source).device != self.inode(ino).device {
            return Err(errno(libc::EXDEV));
        }
        let pages = self.content(source)?.live.clone();
        self.set_size(ino, 0)?;
        self.set_size(ino, pages.size)?;
        for (index, page) in pages.nonzero() {
            let offset = index * PAGE_LEN;
            let len = (pages.size - offset).min(PAGE_LEN) as usize;
            self.write(ino, &page[..len], offset)?;
        }
        Ok(())
    }

    pub(super) fn punch_hole(&mut self, ino: Ino, offset: u64, len: u64) -> io::Result<()> {
        let end = offset.checked_add(len);
        if len == 0 || end.is_none_or(|end| i64::try_from(end).is_err()) {
            return Err(errno(libc::EINVAL));
        }
        let (content, space) = self.content_mut(ino)?;
        content.punch_hole(offset, len, space);
        let now = self.tick();
        self.inode_mut(ino).modify(now);
        Ok(())
    }

    pub(super) fn set_mode(&mut self, ino: Ino, mode: u32) {
        let now = self.tick();
        let inode = self.inode_mut(ino);
        inode.live.mode = mode & 0o7777;
        inode.live.changed = now;
    }

    pub(super) fn set_modified(&mut self, ino: Ino, modified: Timestamp) -> io::Result<()> {
        if modified.nanos >= 1_000_000_000 {
            return Err(errno(libc::EINVAL));
        }
        let now = self.tick();
        let inode = self.inode_mut(ino);
        inode.live.modified = modified;
        inode.live.changed = now;
        Ok(())
    }

    /// Opens a handle; answers its number.
    pub(super) fn open(&mut self, ino: Ino, writes: bool) -> u64 {
        let inode = self.inode_mut(ino);
        inode.handles += 1;
        inode.writers += u64::from(writes);
        self.next_handle += 1;
        self.next_handle
    }

    pub(super) fn close(&mut self, ino: Ino, handle: u64, writes: bool) {
        let inode = self.inode_mut(ino);
        inode.handles -= 1;
        inode.writers -= u64::from(writes);
        if inode.lock == Some(handle) {
            inode.lock = None;
        }
        self.release(ino);
    }

    /// Gives back what the last name or handle of a file held.
    pub(super) fn release(&mut self, ino: Ino) {
        let inode = self.inode(ino);
        if inode.links == 0
            && inode.handles == 0
            && let Ok((content, space)) = self.content_mut(ino)
        {
            content.release(space);
        }
    }

    /// Where a link points.
    pub(super) fn target(&self, ino: Ino) -> io::Result<&Name> {
        match &self.inode(ino).body {
            Body::Link(target) => Ok(target),
            _ => Err(errno(libc::EINVAL)),
        }
    }
}
