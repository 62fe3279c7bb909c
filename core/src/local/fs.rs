//! The file system as local storage sees it: handles on directories and files, and single names.
//!
//! Storage names things only relative to a directory that it holds open, one component at a time,
//! so a path cannot be led elsewhere between two calls. `os` is the machine's own file
//! system; tests put in one that fails, forgets what was not synced, or ends the world at a step.

use std::any::Any;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::entry::Timestamp;

/// Opens the directories that services serve.
pub trait FileSystem: Debug + Send + Sync {
    /// Opens the directory at `path`, which comes from this machine's user, never from a peer.
    fn open_root(&self, path: &Path) -> io::Result<Arc<dyn Directory>>;
}

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A Unix domain socket.
    Socket,
    /// A block or character device.
    Device,
}

/// What the file system says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The file system's number.
    pub device: u64,
    /// The file's number on it.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// Its permission bits, set-id bits included.
    pub mode: u32,
    /// How many names it has.
    pub links: u64,
    /// Its size in bytes.
    pub size: u64,
    /// How many bytes are stored for it.
    pub stored: u64,
    /// When its content last changed.
    pub modified: Timestamp,
    /// When its content or its attributes last changed; nobody can set it.
    pub changed: Timestamp,
}

/// How [`Directory::open`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading only.
    Read,
    /// For reading and writing.
    ReadWrite,
}

/// What [`Directory::rename`] does where the new name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rename {
    /// Fails with `EEXIST` (`RENAME_NOREPLACE`).
    NoReplace,
    /// The same, into a directory that nobody else writes to: there a look before does where the
    /// file system has nothing better. What is moved is what bears the name in that moment.
    Aside,
    /// Both names change places (`RENAME_EXCHANGE`); fails with `ENOENT` where it does not exist,
    /// and with `EINVAL` where the file system cannot do it.
    Exchange,
    /// What stood there is gone.
    Replace,
}

/// A name that [`Directory::entries`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The name's bytes; never `.` or `..`.
    pub name: Vec<u8>,
}

/// The names in a directory, read as they are asked for.
pub type Entries = Box<dyn Iterator<Item = io::Result<DirectoryEntry>> + Send>;

/// An open directory. Names are single components without NUL; links are never followed.
pub trait Directory: Debug + Send + Sync {
    /// Opens a directory in it; a link fails with `ELOOP` or `ENOTDIR`.
    fn open_directory(&self, name: &[u8]) -> io::Result<Arc<dyn Directory>>;
    /// Opens a file in it, which is not a directory; a FIFO does not block.
    fn open(&self, name: &[u8], access: Access) -> io::Result<Arc<dyn File>>;
    /// Creates a file, mode 0600, for reading and writing; fails with `EEXIST`.
    fn create(&self, name: &[u8]) -> io::Result<Arc<dyn File>>;
    /// Creates a directory with this mode; fails with `EEXIST`.
    fn create_directory(&self, name: &[u8], mode: u32) -> io::Result<()>;
    /// Creates a symbolic link; fails with `EEXIST`.
    fn create_link(&self, name: &[u8], target: &[u8]) -> io::Result<()>;
    /// What `name` stands for.
    fn stat(&self, name: &[u8]) -> io::Result<Stat>;
    /// Where the link `name` points.
    fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>>;
    /// Sets the time of the link `name`.
    fn set_link_modified(&self, name: &[u8], modified: Timestamp) -> io::Result<()>;
    /// Renames `from` to `to` in `directory`, which is of the same implementation.
    fn rename(
        &self,
        from: &[u8],
        directory: &dyn Directory,
        to: &[u8],
        how: Rename,
    ) -> io::Result<()>;
    /// Gives an open file, which is of the same implementation, another name; fails with `EEXIST`
    /// where there is one, and with `EPERM` or `EOPNOTSUPP` where the file system cannot do it.
    fn link(&self, file: &dyn File, name: &[u8]) -> io::Result<()>;
    /// Removes a name that is not a directory.
    fn unlink(&self, name: &[u8]) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_directory(&self, name: &[u8]) -> io::Result<()>;
    /// The names in it, from the beginning, each present throughout exactly once.
    fn entries(&self) -> io::Result<Entries>;
    /// What it is itself.
    fn own_stat(&self) -> io::Result<Stat>;
    /// Sets its permissions.
    fn set_mode(&self, mode: u32) -> io::Result<()>;
    /// Makes the names in it durable.
    fn sync(&self) -> io::Result<()>;
    /// Whether [`sync_file_system`](Self::sync_file_system) is known to reach the disk here.
    fn can_sync_file_system(&self) -> bool {
        true
    }
    /// Makes everything on its file system durable.
    fn sync_file_system(&self) -> io::Result<()>;
    /// How many bytes this user may still write on its file system.
    fn free_space(&self) -> io::Result<u64>;
    /// Itself, for [`rename`](Self::rename) between two of one implementation.
    fn as_any(&self) -> &dyn Any;
}

/// An open file.
pub trait File: Debug + Send + Sync {
    /// What it is.
    fn stat(&self) -> io::Result<Stat>;
    /// Reads at `offset`; 0 bytes at the end, perhaps fewer than asked for elsewhere.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at `offset`, perhaps fewer bytes than asked for.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes `len` bytes at `to` those of `source` at `from`, perhaps fewer; 0 where `source` ends.
    /// The file system shares them where it can. Fails where it cannot copy at all, `source` being of
    /// another implementation or on another file system, for instance.
    fn copy_from(&self, source: &dyn File, from: u64, to: u64, len: usize) -> io::Result<usize>;
    /// Sets its size; what is added is zeros that are not stored.
    fn set_size(&self, size: u64) -> io::Result<()>;
    /// Makes its content that of `source`, which is of the same implementation, in blocks that both
    /// share until one of them is written to. Fails where the file system cannot, and may have
    /// changed some of the content then.
    fn share(&self, source: &dyn File) -> io::Result<()>;
    /// Makes a range zeros, if it can without storing them.
    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()>;
    /// The first stored byte at or after `offset`; `None` where only a hole follows.
    fn next_data(&self, offset: u64) -> io::Result<Option<u64>>;
    /// Sets its permissions.
    fn set_mode(&self, mode: u32) -> io::Result<()>;
    /// Sets the time its content last changed.
    fn set_modified(&self, modified: Timestamp) -> io::Result<()>;
    /// Makes content and attributes durable.
    fn sync(&self) -> io::Result<()>;
    /// Locks it against every other holder of a lock, until it is dropped, whoever has inherited it;
    /// `false` if one exists.
    fn try_lock(&self) -> io::Result<bool>;
    /// Whether a process has it open for writing; `false` where that cannot be known. It must have
    /// been opened with [`Access::Read`].
    fn has_writer(&self) -> bool;
    /// Itself, for [`Directory::link`] and [`share`](Self::share) of one implementation.
    fn as_any(&self) -> &dyn Any;
}

/// Fills `buffer` from `offset` as far as the file goes; answers how much that was.
pub(crate) fn read_full(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(count) => done += count.min(rest.len()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes all of `data` at `offset`.
pub(crate) fn write_full(file: &dyn File, data: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = data.get(done..).filter(|rest| !rest.is_empty()) {
        match file.write_at(rest, offset.saturating_add(done as u64)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => done += count.min(rest.len()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
