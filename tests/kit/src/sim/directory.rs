//! Open directories.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, MutexGuard};

use realize_core::entry::Timestamp;
use realize_core::local::fs::{
    Access, Directory, DirectoryEntry, Entries, File, Kind, Rename, Stat,
};

use super::Shared;
use super::content::{Content, PAGE_LEN};
use super::disk::{Disk, errno};
use super::file::SimFile;
use super::inode::{Body, Ino, Name};
use super::script::Lie;

/// How many names one read of a directory finds.
const LISTED_AT_ONCE: usize = 16;

/// A handle on a directory. It stays with the directory, whatever becomes of its name.
pub(super) struct SimDirectory {
    shared: Arc<Shared>,
    ino: Ino,
}

impl SimDirectory {
    pub(super) fn new(shared: Arc<Shared>, ino: Ino) -> Self {
        Self { shared, ino }
    }

    fn call(&self, call: &'static str, subject: &[u8]) -> io::Result<MutexGuard<'_, Disk>> {
        self.shared.call(call, subject).map(|(disk, _)| disk)
    }

    fn file(&self, disk: &mut Disk, ino: Ino, name: &[u8], access: Access) -> Arc<dyn File> {
        let handle = disk.open(ino, access == Access::ReadWrite);
        Arc::new(SimFile::new(
            Arc::clone(&self.shared),
            ino,
            handle,
            name,
            access,
        ))
    }
}

impl Directory for SimDirectory {
    fn open_directory(&self, name: &[u8]) -> io::Result<Arc<dyn Directory>> {
        let disk = self.call("open_directory", name)?;
        let ino = disk.find(self.ino, name)?;
        match disk.inode(ino).kind() {
            Kind::Directory => Ok(Arc::new(Self::new(Arc::clone(&self.shared), ino))),
            Kind::Link => Err(errno(libc::ELOOP)),
            _ => Err(errno(libc::ENOTDIR)),
        }
    }

    fn open(&self, name: &[u8], access: Access) -> io::Result<Arc<dyn File>> {
        let mut disk = self.call("open", name)?;
        let ino = disk.find(self.ino, name)?;
        match disk.inode(ino).kind() {
            Kind::Directory => Err(errno(libc::EISDIR)),
            Kind::Link => Err(errno(libc::ELOOP)),
            Kind::Socket => Err(errno(libc::ENXIO)),
            Kind::File | Kind::Fifo | Kind::Device => Ok(self.file(&mut disk, ino, name, access)),
        }
    }

    fn create(&self, name: &[u8]) -> io::Result<Arc<dyn File>> {
        let mut disk = self.call("create", name)?;
        let ino = disk.make(self.ino, name, 0o600, Body::File(Content::default()))?;
        Ok(self.file(&mut disk, ino, name, Access::ReadWrite))
    }

    fn create_directory(&self, name: &[u8], mode: u32) -> io::Result<()> {
        let mut disk = self.call("create_directory", name)?;
        disk.make_directory(self.ino, name, mode).map(drop)
    }

    fn create_link(&self, name: &[u8], target: &[u8]) -> io::Result<()> {
        let mut disk = self.call("create_link", name)?;
        disk.make_link(self.ino, name, target).map(drop)
    }

    fn stat(&self, name: &[u8]) -> io::Result<Stat> {
        let disk = self.call("stat", name)?;
        let ino = disk.find(self.ino, name)?;
        Ok(disk.inode(ino).stat(ino))
    }

    fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        let disk = self.call("read_link", name)?;
        let ino = disk.find(self.ino, name)?;
        disk.target(ino).cloned()
    }

    fn set_link_modified(&self, name: &[u8], modified: Timestamp) -> io::Result<()> {
        let mut disk = self.call("set_link_modified", name)?;
        let ino = disk.find(self.ino, name)?;
        disk.set_modified(ino, modified)
    }

    fn rename(
        &self,
        from: &[u8],
        directory: &dyn Directory,
        to: &[u8],
        how: Rename,
    ) -> io::Result<()> {
        let mut disk = self.call("rename", &[from, b" -> ", to].concat())?;
        let other = directory.as_any().downcast_ref::<Self>();
        let Some(other) = other.filter(|other| Arc::ptr_eq(&self.shared, &other.shared)) else {
            return Err(errno(libc::EXDEV));
        };
        disk.rename(self.ino, from, other.ino, to, how)
    }

    fn link(&self, file: &dyn File, name: &[u8]) -> io::Result<()> {
        let mut disk = self.call("link", name)?;
        let file = file.as_any().downcast_ref::<SimFile>();
        let Some(ino) = file.and_then(|file| file.inode_of(&self.shared)) else {
            return Err(errno(libc::EXDEV));
        };
        if !disk.links {
            return Err(errno(libc::EPERM));
        }
        if disk.inode(ino).links == 0 {
            return Err(errno(libc::ENOENT));
        }
        disk.hard_link(ino, self.ino, name)
    }

    fn unlink(&self, name: &[u8]) -> io::Result<()> {
        let mut disk = self.call("unlink", name)?;
        disk.unlink(self.ino, name)
    }

    fn remove_directory(&self, name: &[u8]) -> io::Result<()> {
        let mut disk = self.call("remove_directory", name)?;
        disk.remove_directory(self.ino, name)
    }

    fn entries(&self) -> io::Result<Entries> {
        let disk = self.call("directory.entries", b"")?;
        let mut names: Vec<Name> = disk.names(self.ino)?.live.keys().cloned().collect();
        // Real file systems list in no useful order; a sorted one would hide reliance on it.
        names.sort_by_cached_key(|name| (hash(name), name.clone()));
        Ok(Box::new(Listing {
            shared: Arc::clone(&self.shared),
            ino: self.ino,
            rest: names.into(),
            read: VecDeque::new(),
        }))
    }

    fn own_stat(&self) -> io::Result<Stat> {
        let disk = self.call("directory.stat", b"")?;
        Ok(disk.inode(self.ino).stat(self.ino))
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.call("directory.set_mode", b"")?
            .set_mode(self.ino, mode);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.call("directory.sync", b"")?;
        if !self.shared.script.lies(Lie::DirectorySync) {
            disk.sync_directory(self.ino);
        }
        Ok(())
    }

    fn sync_file_system(&self) -> io::Result<()> {
        let called = self.call("sync_file_system", b"");
        let mut disk = match called {
            Ok(disk) => disk,
            Err(error) => {
                let mut disk = self.shared.lock();
                if !disk.off {
                    let device = disk.inode(self.ino).device;
                    disk.fail_sync_device(device);
                }
                return Err(error);
            }
        };
        if !self.shared.script.lies(Lie::FileSystemSync) {
            let device = disk.inode(self.ino).device;
            disk.sync_device(device);
        }
        Ok(())
    }

    fn free_space(&self) -> io::Result<u64> {
        let disk = self.call("free_space", b"")?;
        Ok(disk.space(self.ino).free() * PAGE_LEN)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl fmt::Debug for SimDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDirectory")
            .field("ino", &self.ino)
            .finish_non_exhaustive()
    }
}

/// An order that looks like none (FNV-1a).
fn hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A listing that reads some names at a time, and skips those that are gone by then.
struct Listing {
    shared: Arc<Shared>,
    ino: Ino,
    rest: VecDeque<Name>,
    read: VecDeque<Name>,
}

impl Listing {
    fn read_more(&mut self) -> io::Result<()> {
        let (disk, _) = self.shared.call("directory.next", b"")?;
        let present = &disk.names(self.ino)?.live;
        while self.read.len() < LISTED_AT_ONCE
            && let Some(name) = self.rest.pop_front()
        {
            if present.contains_key(&name) {
                self.read.push_back(name);
            }
        }
        Ok(())
    }
}

impl Iterator for Listing {
    type Item = io::Result<DirectoryEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.read.is_empty()
            && !self.rest.is_empty()
            && let Err(error) = self.read_more()
        {
            self.rest.clear();
            return Some(Err(error));
        }
        self.read
            .pop_front()
            .map(|name| Ok(DirectoryEntry { name }))
    }
}
