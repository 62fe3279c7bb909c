//! Open files.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::{Arc, MutexGuard};

use realize_core::entry::Timestamp;
use realize_core::local::fs::{Access, File, Stat};

use super::Shared;
use super::disk::{Disk, errno};
use super::inode::{Body, Ino, Name};
use super::script::{Lie, Verdict};

/// A handle on a file. It stays with the file, whatever becomes of its name.
pub(super) struct SimFile {
    shared: Arc<Shared>,
    ino: Ino,
    handle: u64,
    /// The name that it was opened under, for the log.
    name: Name,
    access: Access,
}

impl SimFile {
    pub(super) fn new(
        shared: Arc<Shared>,
        ino: Ino,
        handle: u64,
        name: &[u8],
        access: Access,
    ) -> Self {
        Self {
            shared,
            ino,
            handle,
            name: name.to_vec(),
            access,
        }
    }

    /// Its inode, if it is on the file system that has `shared` in common.
    pub(super) fn inode_of(&self, shared: &Arc<Shared>) -> Option<Ino> {
        Arc::ptr_eq(&self.shared, shared).then_some(self.ino)
    }

    fn call(&self, call: &'static str) -> io::Result<(MutexGuard<'_, Disk>, Verdict)> {
        self.shared.call(call, &self.name)
    }

    fn disk(&self, call: &'static str) -> io::Result<MutexGuard<'_, Disk>> {
        self.call(call).map(|(disk, _)| disk)
    }

    fn check_writes(&self, code: i32) -> io::Result<()> {
        if self.access == Access::ReadWrite {
            Ok(())
        } else {
            Err(errno(code))
        }
    }
}

/// Half of a length, but something of anything.
fn half(len: usize) -> usize {
    len.div_ceil(2)
}

/// What of `data` is stored after all.
fn stored<'a>(data: &'a [u8], verdict: &Verdict) -> Cow<'a, [u8]> {
    let data = if verdict.short {
        &data[..half(data.len())]
    } else {
        data
    };
    match verdict.flip {
        Some(bit) if !data.is_empty() => {
            let bit = bit % (data.len() as u64 * 8);
            let mut flipped = data.to_vec();
            flipped[(bit / 8) as usize] ^= 1 << (bit % 8);
            flipped.into()
        }
        _ => data.into(),
    }
}

impl File for SimFile {
    fn stat(&self) -> io::Result<Stat> {
        let disk = self.disk("file.stat")?;
        Ok(disk.inode(self.ino).stat(self.ino))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (disk, verdict) = self.call("file.read")?;
        let len = if verdict.short {
            half(buffer.len())
        } else {
            buffer.len()
        };
        match &disk.inode(self.ino).body {
            Body::File(content) => Ok(content.live.read(&mut buffer[..len], offset)),
            _ => Ok(0),
        }
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        let (mut disk, verdict) = self.call("file.write")?;
        self.check_writes(libc::EBADF)?;
        disk.write(self.ino, &stored(data, &verdict), offset)
    }

    fn copy_from(&self, source: &dyn File, from: u64, to: u64, len: usize) -> io::Result<usize> {
        let (mut disk, verdict) = self.call("file.copy")?;
        self.check_writes(libc::EBADF)?;
        let source = source.as_any().downcast_ref::<Self>();
        let Some(source) = source.and_then(|file| file.inode_of(&self.shared)) else {
            return Err(errno(libc::EXDEV));
        };
        let mut data = vec![0; len];
        let len = disk.content(source)?.live.read(&mut data, from);
        disk.write(self.ino, &stored(&data[..len], &verdict), to)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut disk = self.disk("file.set_size")?;
        self.check_writes(libc::EINVAL)?;
        disk.set_size(self.ino, size)
    }

    fn share(&self, source: &dyn File) -> io::Result<()> {
        let mut disk = self.disk("file.share")?;
        self.check_writes(libc::EBADF)?;
        let source = source.as_any().downcast_ref::<Self>();
        let Some(source) = source.and_then(|file| file.inode_of(&self.shared)) else {
            return Err(errno(libc::EXDEV));
        };
        if !disk.shares {
            return Err(errno(libc::EOPNOTSUPP));
        }
        disk.share(source, self.ino)
    }

    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        let mut disk = self.disk("file.punch_hole")?;
        self.check_writes(libc::EBADF)?;
        disk.punch_hole(self.ino, offset, len)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        let disk = self.disk("file.next_data")?;
        Ok(disk.content(self.ino)?.live.next_data(offset))
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.disk("file.set_mode")?.set_mode(self.ino, mode);
        Ok(())
    }

    fn set_modified(&self, modified: Timestamp) -> io::Result<()> {
        self.disk("file.set_modified")?
            .set_modified(self.ino, modified)
    }

    fn sync(&self) -> io::Result<()> {
        let called = self.disk("file.sync");
        let mut disk = match called {
            Ok(disk) => disk,
            Err(error) => {
                let mut disk = self.shared.lock();
                if !disk.off
                    && let Ok((content, _)) = disk.content_mut(self.ino)
                {
                    content.fail_sync();
                }
                return Err(error);
            }
        };
        if !self.shared.script.lies(Lie::FileSync) {
            disk.inode_mut(self.ino).sync();
        }
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut disk = self.disk("file.try_lock")?;
        let lock = &mut disk.inode_mut(self.ino).lock;
        Ok(*lock.get_or_insert(self.handle) == self.handle)
    }

    fn has_writer(&self) -> bool {
        self.disk("file.has_writer")
            .is_ok_and(|disk| disk.inode(self.ino).writers > 0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let writes = self.access == Access::ReadWrite;
        self.shared.lock().close(self.ino, self.handle, writes);
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile")
            .field("name", &self.name.escape_ascii().to_string())
            .field("ino", &self.ino)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use realize_core::local::fs::{Directory, FileSystem};

    use super::super::SimFileSystem;
    use super::*;

    fn opened() -> (SimFileSystem, Arc<dyn Directory>) {
        let fs = SimFileSystem::new();
        fs.write("/f", "content");
        let root = fs.open_root(Path::new("/")).unwrap();
        (fs, root)
    }

    #[test]
    fn a_lock_is_the_handles() {
        let (_fs, root) = opened();
        let one = root.open(b"f", Access::Read).unwrap();
        let other = root.open(b"f", Access::ReadWrite).unwrap();
        assert!(one.try_lock().unwrap());
        assert!(one.try_lock().unwrap());
        assert!(!other.try_lock().unwrap());
        drop(one);
        assert!(other.try_lock().unwrap());
    }

    #[test]
    fn writers_are_seen_until_they_close() {
        let (fs, root) = opened();
        let reader = root.open(b"f", Access::Read).unwrap();
        assert!(!reader.has_writer());
        let writer = root.open(b"f", Access::ReadWrite).unwrap();
        assert!(reader.has_writer());
        drop(writer);
        assert!(!reader.has_writer());
        let writer = fs.add_writer("/f");
        assert!(reader.has_writer());
        drop(writer);
        assert!(!reader.has_writer());
        let created = root.create(b"g").unwrap();
        assert!(root.open(b"g", Access::Read).unwrap().has_writer());
        drop(created);
    }

    #[test]
    fn a_handle_for_reading_does_not_write() {
        let (fs, root) = opened();
        let file = root.open(b"f", Access::Read).unwrap();
        let code = |result: io::Result<()>| result.unwrap_err().raw_os_error().unwrap();
        assert_eq!(code(file.write_at(b"x", 0).map(drop)), libc::EBADF);
        assert_eq!(code(file.set_size(0)), libc::EINVAL);
        assert_eq!(code(file.punch_hole(0, 1)), libc::EBADF);
        file.set_mode(0o640).unwrap();
        file.set_modified(Timestamp {
            seconds: -1,
            nanos: 5,
        })
        .unwrap();
        let stat = fs.stat("/f").unwrap();
        assert_eq!((stat.mode, stat.modified.seconds), (0o640, -1));
    }

    #[test]
    fn a_big_sparse_file_is_cheap() {
        let (fs, root) = opened();
        let file = root.create(b"big").unwrap();
        let size = 8 << 30;
        file.set_size(size).unwrap();
        assert_eq!(file.next_data(0).unwrap(), None);
        file.write_at(b"end", size - 3).unwrap();
        file.sync().unwrap();
        let stat = file.stat().unwrap();
        assert_eq!((stat.size, stat.stored), (size, 4096));
        assert_eq!(file.next_data(7).unwrap(), Some(size - 4096));
        let digest = fs.content("/big").unwrap();
        file.write_at(&[0; 10_000], 1 << 20).unwrap();
        assert_eq!(fs.content("/big").unwrap(), digest);
        file.punch_hole(0, size).unwrap();
        assert_eq!(file.stat().unwrap().stored, 0);
        assert_ne!(fs.content("/big").unwrap(), digest);
        assert!(file.write_at(b"x", i64::MAX as u64).is_err());
    }
}
