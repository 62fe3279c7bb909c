//! The machine's own file system behind the seam: one system call per method.

use std::any::Any;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use realize_writers::{Writers, writers_of};
use rustix::fs::{
    AtFlags, CWD, Dir, FallocateFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags,
    ResolveFlags, SeekFrom, Timespec, Timestamps, UTIME_OMIT,
};
use rustix::io::{Errno, retry_on_intr};

use super::fs::{Access, Directory, DirectoryEntry, Entries, File, FileSystem, Kind, Rename, Stat};
use crate::entry::Timestamp;

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFileSystem;

impl FileSystem for OsFileSystem {
    fn open_root(&self, path: &Path) -> io::Result<Arc<dyn Directory>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))?;
        Ok(Arc::new(OsDirectory::new(fd)))
    }
}

#[derive(Debug)]
struct OsDirectory {
    fd: OwnedFd,
    /// Whether its whole file system can be synced, once somebody has asked.
    syncable: OnceLock<bool>,
}

impl OsDirectory {
    fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            syncable: OnceLock::new(),
        }
    }

    /// Opens `name` beneath this directory and nowhere else. A name is one component, and a link
    /// is not followed, so plain `openat` confines just as well where the kernel, or a sandbox,
    /// has no `openat2`.
    fn open_beneath(&self, name: &[u8], flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let name = component(name)?;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
        match retry_on_intr(|| rustix::fs::openat2(&self.fd, name, flags, mode, resolve)) {
            Err(Errno::NOSYS | Errno::PERM) => Ok(retry_on_intr(|| {
                rustix::fs::openat(&self.fd, name, flags, mode)
            })?),
            other => Ok(other?),
        }
    }

    /// Moves what is called `from` to the name `to`, which is found to be free before.
    fn move_to_vacant(&self, from: &[u8], other: &Self, to: &[u8]) -> io::Result<()> {
        match rustix::fs::statat(&other.fd, to, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(rustix::fs::renameat(&self.fd, from, &other.fd, to)?),
            Err(error) => Err(error.into()),
            Ok(_) => Err(Errno::EXIST.into()),
        }
    }
}

impl Directory for OsDirectory {
    fn open_directory(&self, name: &[u8]) -> io::Result<Arc<dyn Directory>> {
        let fd = self.open_beneath(name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        Ok(Arc::new(Self::new(fd)))
    }

    fn open(&self, name: &[u8], access: Access) -> io::Result<Arc<dyn File>> {
        let access = match access {
            Access::Read => OFlags::RDONLY,
            Access::ReadWrite => OFlags::RDWR,
        };
        let fd = self.open_beneath(name, access | OFlags::NONBLOCK, Mode::empty())?;
        Ok(Arc::new(OsFile::new(fd)))
    }

    fn create(&self, name: &[u8]) -> io::Result<Arc<dyn File>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let fd = self.open_beneath(name, flags, Mode::from_raw_mode(0o600))?;
        Ok(Arc::new(OsFile::new(fd)))
    }

    fn create_directory(&self, name: &[u8], mode: u32) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(
            &self.fd,
            component(name)?,
            Mode::from_raw_mode(mode),
        )?)
    }

    fn create_link(&self, name: &[u8], target: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &self.fd, component(name)?)?)
    }

    fn stat(&self, name: &[u8]) -> io::Result<Stat> {
        to_stat(&rustix::fs::statat(
            &self.fd,
            component(name)?,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.fd, component(name)?, Vec::new())?.into_bytes())
    }

    fn set_link_modified(&self, name: &[u8], modified: Timestamp) -> io::Result<()> {
        let times = to_times(modified);
        Ok(rustix::fs::utimensat(
            &self.fd,
            component(name)?,
            &times,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    fn rename(
        &self,
        from: &[u8],
        directory: &dyn Directory,
        to: &[u8],
        how: Rename,
    ) -> io::Result<()> {
        let Some(other) = directory.as_any().downcast_ref::<Self>() else {
            return Err(Errno::XDEV.into());
        };
        let (from, to) = (component(from)?, component(to)?);
        let flags = match how {
            Rename::Replace => return Ok(rustix::fs::renameat(&self.fd, from, &other.fd, to)?),
            Rename::NoReplace | Rename::Aside => RenameFlags::NOREPLACE,
            Rename::Exchange => RenameFlags::EXCHANGE,
        };
        match rustix::fs::renameat_with(&self.fd, from, &other.fd, to, flags) {
            // File systems without the flag (NFS, some FUSE): a second name, which fails where
            // the name exists, and then the first one goes. By then that may be another file's, so
            // it is for names of our own alone.
            Err(Errno::INVAL | Errno::NOSYS) if how == Rename::NoReplace => {
                rustix::fs::linkat(&self.fd, from, &other.fd, to, AtFlags::empty())?;
                Ok(rustix::fs::unlinkat(&self.fd, from, AtFlags::empty())?)
            }
            Err(Errno::INVAL | Errno::NOSYS) if how == Rename::Aside => {
                self.move_to_vacant(from, other, to)
            }
            Err(Errno::NOSYS) => Err(Errno::INVAL.into()),
            other => Ok(other?),
        }
    }

    fn link(&self, file: &dyn File, name: &[u8]) -> io::Result<()> {
        let Some(OsFile { file, .. }) = file.as_any().downcast_ref() else {
            return Err(Errno::XDEV.into());
        };
        let name = component(name)?;
        match rustix::fs::linkat(file, c"", &self.fd, name, AtFlags::EMPTY_PATH) {
            // Before Linux 6.10 that is root's alone. The way by the kernel's own directory of open
            // files is everybody's; whoever links looks at what was linked.
            Err(Errno::NOENT | Errno::PERM | Errno::INVAL) => {
                let open = format!("/proc/self/fd/{}", file.as_raw_fd());
                let flags = AtFlags::SYMLINK_FOLLOW;
                Ok(rustix::fs::linkat(CWD, open, &self.fd, name, flags)?)
            }
            other => Ok(other?),
        }
    }

    fn unlink(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(
            &self.fd,
            component(name)?,
            AtFlags::empty(),
        )?)
    }

    fn remove_directory(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(
            &self.fd,
            component(name)?,
            AtFlags::REMOVEDIR,
        )?)
    }

    fn entries(&self) -> io::Result<Entries> {
        // A descriptor of its own: two listings of one directory must not share a position.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| rustix::fs::openat(&self.fd, c".", flags, Mode::empty()))?;
        let names = Dir::new(fd)?.filter_map(|entry| match entry {
            Ok(entry) => {
                let name = entry.file_name().to_bytes();
                let own = matches!(name, b"." | b"..");
                (!own).then(|| {
                    Ok(DirectoryEntry {
                        name: name.to_vec(),
                    })
                })
            }
            Err(error) => Some(Err(error.into())),
        });
        Ok(Box::new(names))
    }

    fn own_stat(&self) -> io::Result<Stat> {
        to_stat(&rustix::fs::fstat(&self.fd)?)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(mode))?)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// On FUSE the kernel keeps the request to itself and answers that all is well, and network
    /// file systems differ: only those are trusted that are known to honour it.
    fn can_sync_file_system(&self) -> bool {
        const KNOWN: [u32; 5] = [
            0xef53,      // ext4
            0x5846_5342, // xfs
            0x9123_683e, // btrfs
            0xf2f5_2010, // f2fs
            0x0102_1994, // tmpfs
        ];
        let known = || {
            let fs = rustix::fs::fstatfs(&self.fd);
            fs.is_ok_and(|fs| KNOWN.contains(&(fs.f_type as u32)))
        };
        *self.syncable.get_or_init(known)
    }

    fn sync_file_system(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.fd)?)
    }

    fn free_space(&self) -> io::Result<u64> {
        let space = rustix::fs::fstatvfs(&self.fd)?;
        // One that keeps no account of its space is not full for that.
        if space.f_blocks == 0 {
            return Ok(u64::MAX);
        }
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Refuses what is no single component: with it the kernel would look elsewhere.
fn component(name: &[u8]) -> io::Result<&[u8]> {
    match name {
        b"" | b"." | b".." => Err(Errno::INVAL.into()),
        name if name.contains(&b'/') => Err(Errno::INVAL.into()),
        name => Ok(name),
    }
}

#[derive(Debug)]
struct OsFile {
    file: std::fs::File,
    /// Whether it has been locked.
    locked: AtomicBool,
}

impl OsFile {
    fn new(fd: OwnedFd) -> Self {
        Self {
            file: fd.into(),
            locked: AtomicBool::new(false),
        }
    }
}

/// A process that this one is starting at the moment has inherited every open file, until it runs
/// its own program: what is closed here alone stays locked until then.
impl Drop for OsFile {
    fn drop(&mut self) {
        if *self.locked.get_mut() {
            // Closing unlocks too, if no such process is there.
            let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
        }
    }
}

impl File for OsFile {
    fn stat(&self) -> io::Result<Stat> {
        to_stat(&rustix::fs::fstat(&self.file)?)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(data, offset)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::ftruncate(&self.file, size))?)
    }

    fn copy_from(&self, source: &dyn File, from: u64, to: u64, len: usize) -> io::Result<usize> {
        let Some(source) = source.as_any().downcast_ref::<Self>() else {
            return Err(Errno::XDEV.into());
        };
        let (mut from, mut to) = (from, to);
        Ok(retry_on_intr(|| {
            rustix::fs::copy_file_range(
                &source.file,
                Some(&mut from),
                &self.file,
                Some(&mut to),
                len,
            )
        })?)
    }

    fn share(&self, source: &dyn File) -> io::Result<()> {
        let Some(source) = source.as_any().downcast_ref::<Self>() else {
            return Err(Errno::XDEV.into());
        };
        Ok(rustix::fs::ioctl_ficlone(&self.file, &source.file)?)
    }

    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(retry_on_intr(|| {
            rustix::fs::fallocate(&self.file, flags, offset, len)
        })?)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(&self.file, SeekFrom::Data(offset)) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NXIO) => Ok(None),
            // No notion of holes: everything is data.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(offset)),
            Err(error) => Err(error.into()),
        }
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode))?)
    }

    fn set_modified(&self, modified: Timestamp) -> io::Result<()> {
        Ok(rustix::fs::futimens(&self.file, &to_times(modified))?)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.file)?)
    }

    fn try_lock(&self) -> io::Result<bool> {
        match rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                self.locked.store(true, Ordering::Relaxed);
                Ok(true)
            }
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn has_writer(&self) -> bool {
        writers_of(self.file.as_fd()) == Writers::Some
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn to_times(modified: Timestamp) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: modified.seconds,
            tv_nsec: i64::from(modified.nanos.min(999_999_999)),
        },
    }
}

fn to_stat(stat: &rustix::fs::Stat) -> io::Result<Stat> {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        _ => Kind::Device,
    };
    let size = |value: i64| u64::try_from(value).map_err(|_| io::Error::from(Errno::OVERFLOW));
    let time = |seconds, nanos| Timestamp {
        seconds,
        nanos: u32::try_from(nanos).unwrap_or(0),
    };
    Ok(Stat {
        device: stat.st_dev,
        inode: stat.st_ino,
        kind,
        mode: stat.st_mode & 0o7777,
        links: stat.st_nlink,
        size: size(stat.st_size)?,
        stored: size(stat.st_blocks)?.saturating_mul(512),
        modified: time(stat.st_mtime, stat.st_mtime_nsec),
        changed: time(stat.st_ctime, stat.st_ctime_nsec),
    })
}

#[cfg(test)]
mod tests;
