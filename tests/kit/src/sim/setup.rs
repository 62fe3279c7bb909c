//! What a test does itself, as another program would: prepare files, change them during a move,
//! look at them afterwards.
//!
//! None of it is counted, fails by the script, or minds that the power is off. It is volatile like
//! everything else until [`SimFileSystem::sync_everything`]. Paths are absolute. What cannot be
//! done panics: the test is wrong.

use std::io;
use std::path::Path;
use std::sync::Arc;

use realize_core::entry::Timestamp;
use realize_core::local::fs::{Kind, Rename, Stat};

use super::content::Content;
use super::disk::Disk;
use super::inode::{Body, Ino};
use super::{Shared, SimFileSystem};

impl SimFileSystem {
    /// Writes a whole file, in place if it exists. Otherwise it is new, mode 0644, and so are the
    /// directories to it.
    pub fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        self.set_up(path.as_ref(), |disk, path| {
            let ino = file(disk, path)?;
            disk.set_size(ino, 0)?;
            write_all(disk, ino, bytes.as_ref(), 0)
        });
    }

    /// Writes into a file, which need not exist, and leaves the rest of it.
    pub fn write_at(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>, offset: u64) {
        self.set_up(path.as_ref(), |disk, path| {
            let ino = file(disk, path)?;
            write_all(disk, ino, bytes.as_ref(), offset)
        });
    }

    /// Sets a file's size, which need not exist; what is added is a hole.
    pub fn set_size(&self, path: impl AsRef<Path>, size: u64) {
        self.set_up(path.as_ref(), |disk, path| {
            let ino = file(disk, path)?;
            disk.set_size(ino, size)
        });
    }

    /// What a file holds; `None` if there is none. A big sparse one takes as much memory.
    #[must_use]
    pub fn read(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let disk = self.disk();
        let ino = disk.walk(path.as_ref(), true).ok()?;
        let Body::File(content) = &disk.inode(ino).body else {
            return None;
        };
        let mut bytes = vec![0; usize::try_from(content.live.size).ok()?];
        content.live.read(&mut bytes, 0);
        Some(bytes)
    }

    /// What a name stands for; links are not followed.
    #[must_use]
    pub fn stat(&self, path: impl AsRef<Path>) -> Option<Stat> {
        let disk = self.disk();
        let ino = disk.walk(path.as_ref(), false).ok()?;
        Some(disk.inode(ino).stat(ino))
    }

    /// Makes a directory and those to it, mode 0755, as far as they are not there.
    pub fn mkdir_all(&self, path: impl AsRef<Path>) {
        self.set_up(path.as_ref(), |disk, path| {
            make_directories(disk, path).map(drop)
        });
    }

    /// Makes a symbolic link.
    pub fn symlink(&self, target: impl AsRef<[u8]>, path: impl AsRef<Path>) {
        self.set_up(path.as_ref(), |disk, path| {
            let (parent, name) = disk.walk_to_parent(path)?;
            disk.make_link(parent, name, target.as_ref()).map(drop)
        });
    }

    /// Makes a named pipe, a socket or a device.
    pub fn special(&self, path: impl AsRef<Path>, kind: Kind) {
        assert!(
            !matches!(kind, Kind::File | Kind::Directory | Kind::Link),
            "{kind:?}"
        );
        self.set_up(path.as_ref(), |disk, path| {
            let (parent, name) = disk.walk_to_parent(path)?;
            disk.make(parent, name, 0o644, Body::Special(kind))
                .map(drop)
        });
    }

    /// Gives a file another name.
    pub fn hard_link(&self, existing: impl AsRef<Path>, path: impl AsRef<Path>) {
        self.set_up(path.as_ref(), |disk, path| {
            let ino = disk.walk(existing.as_ref(), false)?;
            let (parent, name) = disk.walk_to_parent(path)?;
            disk.hard_link(ino, parent, name)
        });
    }

    /// Removes a file, a link or an empty directory.
    pub fn unlink(&self, path: impl AsRef<Path>) {
        self.set_up(path.as_ref(), |disk, path| {
            let (parent, name) = disk.walk_to_parent(path)?;
            let ino = disk.find(parent, name)?;
            if disk.inode(ino).is_directory() {
                disk.remove_directory(parent, name)
            } else {
                disk.unlink(parent, name)
            }
        });
    }

    /// Renames, and replaces what has the new name.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        self.set_up(from.as_ref(), |disk, from| {
            let (from_parent, from) = disk.walk_to_parent(from)?;
            let (to_parent, to) = disk.walk_to_parent(to.as_ref())?;
            disk.rename(from_parent, from, to_parent, to, Rename::Replace)
        });
    }

    /// Sets permissions.
    pub fn chmod(&self, path: impl AsRef<Path>, mode: u32) {
        self.set_up(path.as_ref(), |disk, path| {
            let ino = disk.walk(path, true)?;
            disk.set_mode(ino, mode);
            Ok(())
        });
    }

    /// Sets the time that a file's content, or a link, last changed.
    pub fn set_mtime(&self, path: impl AsRef<Path>, modified: Timestamp) {
        self.set_up(path.as_ref(), |disk, path| {
            let ino = disk.walk(path, false)?;
            disk.set_modified(ino, modified)
        });
    }

    /// Makes durable whatever there is.
    pub fn sync_everything(&self) {
        self.disk().sync_everything();
    }

    /// Has another program hold a file open for writing, until the answer is dropped.
    #[must_use]
    pub fn add_writer(&self, path: impl AsRef<Path>) -> Writer {
        let mut disk = self.disk();
        let ino = disk.walk(path.as_ref(), true).expect("a file that exists");
        let handle = disk.open(ino, true);
        Writer {
            shared: Arc::clone(&self.shared),
            ino,
            handle,
        }
    }

    fn set_up(&self, path: &Path, action: impl FnOnce(&mut Disk, &Path) -> io::Result<()>) {
        let done = action(&mut self.disk(), path);
        done.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Another program that has a file open for writing.
pub struct Writer {
    shared: Arc<Shared>,
    ino: Ino,
    handle: u64,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().close(self.ino, self.handle, true);
    }
}

/// The file at `path`, made if there is none.
fn file(disk: &mut Disk, path: &Path) -> io::Result<Ino> {
    if let Ok(ino) = disk.walk(path, true) {
        return Ok(ino);
    }
    if let Some(parent) = path.parent() {
        make_directories(disk, parent)?;
    }
    let (parent, name) = disk.walk_to_parent(path)?;
    disk.make(parent, name, 0o644, Body::File(Content::default()))
}

fn write_all(disk: &mut Disk, ino: Ino, bytes: &[u8], offset: u64) -> io::Result<()> {
    let count = disk.write(ino, bytes, offset)?;
    if count == bytes.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::StorageFull.into())
    }
}

fn make_directories(disk: &mut Disk, path: &Path) -> io::Result<Ino> {
    match disk.walk(path, true) {
        Ok(ino) => disk.names(ino).map(|_| ino),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            if let Some(parent) = path.parent() {
                make_directories(disk, parent)?;
            }
            let (parent, name) = disk.walk_to_parent(path)?;
            disk.make_directory(parent, name, 0o755)
        }
        Err(error) => Err(error),
    }
}
