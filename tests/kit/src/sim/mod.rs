//! A file system in memory that fails as real ones do.
//!
//! Local storage runs on it through the traits of [`realize_core::local::fs`], and a test holds
//! the same [`SimFileSystem`]: it prepares files ([`setup`]), tells the [`Script`] what is to go
//! wrong at which call, and after a [`Crash`] looks at what a real disk could hold by then
//! ([`tree`]). It keeps what the process sees apart from what is durable, so that a sync that is
//! missing, or comes too late, loses data here as it would there.
//!
//! It is deterministic: the same calls with the same script and seed end in the same state. It
//! knows no users, so permissions are stored and not enforced.

mod content;
mod directory;
mod disk;
mod file;
mod inode;
mod journal;
mod names;
mod paths;
mod random;
pub mod script;
pub mod setup;
pub mod tree;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use realize_core::entry::Timestamp;
use realize_core::local::fs::{Directory, FileSystem};

use self::content::PAGE_LEN;
use self::directory::SimDirectory;
use self::disk::{Disk, ROOT_DEVICE, errno};
pub use self::journal::Crash;
use self::names::Alike;
use self::script::Verdict;
pub use self::script::{Call, Effect, Lie, Script};

/// The number of the device of `/` once it has got another one; no inode has that.
const RENUMBERED: u64 = u64::MAX;

/// A simulated file system. Clones are the same one.
#[derive(Clone)]
pub struct SimFileSystem {
    shared: Arc<Shared>,
}

/// What a file system has in common with the handles on it.
struct Shared {
    disk: Mutex<Disk>,
    script: Script,
}

impl SimFileSystem {
    /// An empty one: `/`, and space without end.
    #[must_use]
    pub fn new() -> Self {
        Self::with_disk(Disk::new())
    }

    /// Makes all its directories find names in another case. A name is stored as it was made.
    #[must_use]
    pub fn case_insensitive(self) -> Self {
        self.disk().alike = Alike::Cases;
        self
    }

    /// Makes all its directories find names in another normal form of Unicode. A name is stored as it
    /// was made.
    #[must_use]
    pub fn form_insensitive(self) -> Self {
        self.disk().alike = Alike::Forms;
        self
    }

    /// Makes it fail to exchange two names, with `EINVAL`.
    #[must_use]
    pub fn without_exchange(self) -> Self {
        self.disk().exchanges = false;
        self
    }

    /// Whether it gives a file another name, or refuses with `EPERM`; a test always can.
    #[must_use]
    pub fn with_links(self, links: bool) -> Self {
        self.disk().links = links;
        self
    }

    /// Whether files on it can share blocks, which they cannot unless this is said.
    #[must_use]
    pub fn with_shares(self, shares: bool) -> Self {
        self.disk().shares = shares;
        self
    }

    /// Makes `path` the root of another device, and all there is durable.
    ///
    /// # Panics
    /// If it holds anything.
    #[must_use]
    pub fn with_device(self, path: impl AsRef<Path>) -> Self {
        self.mkdir_all(&path);
        let mut disk = self.disk();
        let ino = disk
            .walk(path.as_ref(), true)
            .expect("a directory that was just made");
        assert!(
            disk.names(ino).is_ok_and(|names| names.live.is_empty()),
            "a mount hides no names"
        );
        disk.inode_mut(ino).device = ino;
        disk.devices.insert(ino, content::Space::default());
        disk.sync_everything();
        drop(disk);
        self
    }

    /// Gives the device that holds `path` this many bytes in all, in whole pages of 4 KiB.
    pub fn set_capacity(&self, path: impl AsRef<Path>, bytes: u64) {
        let mut disk = self.disk();
        let ino = disk.walk(path.as_ref(), true).expect("a path that exists");
        let device = disk.inode(ino).device;
        if let Some(space) = disk.devices.get_mut(&device) {
            space.capacity = Some(bytes / PAGE_LEN);
        }
    }

    /// What goes wrong with it, and what was called.
    #[must_use]
    pub fn script(&self) -> &Script {
        &self.shared.script
    }

    /// The time that the next changes come after.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.disk().now
    }

    /// Gives the device of `/` another number, as a restart may. Nothing may be on its way to it.
    pub fn renumber(&self) {
        let mut disk = self.disk();
        let Some(space) = disk.devices.remove(&ROOT_DEVICE) else {
            return;
        };
        disk.devices.insert(RENUMBERED, space);
        let inodes = disk.inodes.values_mut();
        inodes
            .filter(|inode| inode.device == ROOT_DEVICE)
            .for_each(|inode| inode.device = RENUMBERED);
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut disk = self.disk();
        let nanos = u64::from(disk.now.nanos) + u64::from(by.subsec_nanos());
        let seconds = by.as_secs() + nanos / 1_000_000_000;
        disk.now.seconds = disk.now.seconds.saturating_add_unsigned(seconds);
        disk.now.nanos = (nanos % 1_000_000_000) as u32;
    }

    /// Sets the clock, for code that compares with the machine's.
    pub fn set_now(&self, now: Timestamp) {
        self.disk().now = now;
    }

    /// Cuts the power: every call from now on fails with `EIO`, on every handle.
    pub fn power_off(&self) {
        self.disk().off = true;
    }

    /// Whether the power is gone.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.disk().off
    }

    /// Cuts the power, if it is not gone yet; answers the file system after the reboot, with a
    /// script of its own. Called again, with another seed, it answers another outcome.
    #[must_use]
    pub fn power_loss(&self, crash: Crash, seed: u64) -> Self {
        self.power_off();
        // A rule may own this file system, which would keep itself alive.
        self.script().clear();
        self.survivor(crash, seed)
    }

    /// What a power loss would leave now; this one goes on. With [`Crash::All`] it is a copy.
    #[must_use]
    pub fn survivor(&self, crash: Crash, seed: u64) -> Self {
        let disk = self.disk().survive(crash, seed);
        Self::with_disk(disk)
    }

    fn with_disk(disk: Disk) -> Self {
        Self {
            shared: Arc::new(Shared {
                disk: Mutex::new(disk),
                script: Script::default(),
            }),
        }
    }

    /// The disk, for what is not a call.
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.shared.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call: what its script decides happens first.
    fn call(
        &self,
        name: &'static str,
        subject: &[u8],
    ) -> io::Result<(MutexGuard<'_, Disk>, Verdict)> {
        let verdict = self.script.step(name, subject);
        let mut disk = self.lock();
        disk.off |= verdict.power_off;
        if disk.off {
            return Err(errno(libc::EIO));
        }
        match verdict.errno {
            Some(code) => Err(errno(code)),
            None => Ok((disk, verdict)),
        }
    }
}

impl FileSystem for SimFileSystem {
    fn open_root(&self, path: &Path) -> io::Result<Arc<dyn Directory>> {
        let subject = path.as_os_str().as_encoded_bytes();
        let (disk, _) = self.shared.call("open_root", subject)?;
        let ino = disk.walk(path, true)?;
        disk.names(ino)?;
        drop(disk);
        Ok(Arc::new(SimDirectory::new(Arc::clone(&self.shared), ino)))
    }
}

impl Default for SimFileSystem {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimFileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFileSystem")
            .field("script", self.script())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use realize_core::local::fs::{Access, Rename};

    use super::*;

    #[test]
    fn handles_from_before_a_crash_fail() {
        let fs = SimFileSystem::new();
        fs.write("/d/f", "old");
        fs.sync_everything();
        let directory = fs.open_root(Path::new("/d")).unwrap();
        let file = directory.open(b"f", Access::ReadWrite).unwrap();
        assert!(file.try_lock().unwrap());
        let after = fs.power_loss(Crash::All, 0);
        let late = file.write_at(b"late", 0).unwrap_err();
        assert_eq!(late.raw_os_error(), Some(libc::EIO));
        assert!(
            directory
                .rename(b"f", &*directory, b"g", Rename::NoReplace)
                .is_err()
        );
        assert!(fs.open_root(Path::new("/")).is_err());
        assert_eq!(after.read("/d/f").unwrap(), b"old");
        let directory = after.open_root(Path::new("/d")).unwrap();
        assert!(
            directory
                .open(b"f", Access::Read)
                .unwrap()
                .try_lock()
                .unwrap()
        );
    }

    #[test]
    fn a_survivor_is_apart() {
        let fs = SimFileSystem::new();
        fs.write("/f", "one");
        let copy = fs.survivor(Crash::All, 0);
        fs.write("/f", "two");
        assert!(!fs.is_off());
        assert_eq!(copy.read("/f").unwrap(), b"one");
        assert_eq!(fs.read("/f").unwrap(), b"two");
    }

    #[test]
    fn a_device_is_a_border() {
        let fs = SimFileSystem::new().with_device("/mnt");
        fs.write("/a/f", "x");
        let root = fs.open_root(Path::new("/")).unwrap();
        let a = fs.open_root(Path::new("/a")).unwrap();
        let mount = fs.open_root(Path::new("/mnt")).unwrap();
        let code = |result: io::Result<()>| result.unwrap_err().raw_os_error().unwrap();
        assert_eq!(
            code(a.rename(b"f", &*mount, b"f", Rename::NoReplace)),
            libc::EXDEV
        );
        assert_eq!(
            code(root.rename(b"mnt", &*root, b"m", Rename::NoReplace)),
            libc::EBUSY
        );
        assert_eq!(code(root.remove_directory(b"mnt")), libc::EBUSY);
        assert_ne!(
            a.own_stat().unwrap().device,
            mount.own_stat().unwrap().device
        );
        let other = SimFileSystem::new().open_root(Path::new("/")).unwrap();
        assert_eq!(
            code(a.rename(b"f", &*other, b"f", Rename::NoReplace)),
            libc::EXDEV
        );
        let file = a.open(b"f", Access::Read).unwrap();
        assert_eq!(code(mount.link(&*file, b"f")), libc::EXDEV);
        assert_eq!(code(other.link(&*file, b"f")), libc::EXDEV);

        mount.create(b"g").unwrap();
        mount.sync_file_system().unwrap();
        let after = fs.power_loss(Crash::OnlySynced, 0);
        assert!(after.read("/mnt/g").is_some());
        assert!(after.read("/a/f").is_none());
    }

    #[test]
    fn a_file_gets_another_name_once() {
        let fs = SimFileSystem::new();
        fs.write("/f", "x");
        fs.sync_everything();
        let root = fs.open_root(Path::new("/")).unwrap();
        let file = root.open(b"f", Access::Read).unwrap();
        let code = |result: io::Result<()>| result.unwrap_err().raw_os_error().unwrap();
        root.link(&*file, b"g").unwrap();
        assert_eq!(code(root.link(&*file, b"g")), libc::EEXIST);
        let (f, g) = (fs.stat("/f").unwrap(), fs.stat("/g").unwrap());
        assert_eq!((f, g.links), (g, 2));
        assert!(fs.survivor(Crash::OnlySynced, 0).stat("/g").is_none());
        root.sync().unwrap();
        root.unlink(b"f").unwrap();
        assert_eq!(
            fs.survivor(Crash::OnlySynced, 0).stat("/f").unwrap().links,
            2
        );
        root.unlink(b"g").unwrap();
        assert_eq!(code(root.link(&*file, b"h")), libc::ENOENT);

        let fs = SimFileSystem::new().with_links(false);
        fs.write("/f", "x");
        let root = fs.open_root(Path::new("/")).unwrap();
        let file = root.open(b"f", Access::Read).unwrap();
        assert_eq!(code(root.link(&*file, b"g")), libc::EPERM);
    }

    #[test]
    fn a_full_device_refuses_writes_and_names() {
        let fs = SimFileSystem::new();
        fs.write("/old", [1; 4096]);
        fs.set_capacity("/", 3 * 4096 + 100);
        let root = fs.open_root(Path::new("/")).unwrap();
        assert_eq!(root.free_space().unwrap(), 8192);
        let file = root.create(b"f").unwrap();
        assert_eq!(file.write_at(&[0; 10_000], 0).unwrap(), 8192);
        let full = |error: io::Error| assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
        full(file.write_at(&[0; 10], 8192).unwrap_err());
        full(root.create(b"g").unwrap_err());
        root.unlink(b"f").unwrap();
        assert_eq!(root.free_space().unwrap(), 0, "the handle holds it");
        drop(file);
        assert_eq!(root.free_space().unwrap(), 8192);
        assert_eq!(fs.survivor(Crash::OnlySynced, 0).disk().space(1).used, 0);
    }

    #[test]
    fn the_clock_moves_with_each_change() {
        let fs = SimFileSystem::new();
        fs.write("/f", "x");
        let first = fs.stat("/f").unwrap();
        fs.set_mtime(
            "/f",
            Timestamp {
                seconds: 5,
                nanos: 6,
            },
        );
        fs.chmod("/f", 0o4711);
        let second = fs.stat("/f").unwrap();
        assert_eq!(
            second.modified,
            Timestamp {
                seconds: 5,
                nanos: 6
            }
        );
        assert_eq!(second.mode, 0o4711);
        assert!(second.changed > first.changed);
        fs.advance(Duration::new(3, 999_999_999));
        assert!(fs.now().seconds >= second.changed.seconds + 3);
        fs.rename("/f", "/g");
        assert!(fs.stat("/g").unwrap().changed > second.changed);
        assert_eq!(fs.stat("/").unwrap().modified, fs.now());
    }

    #[test]
    fn a_root_is_found_through_links() {
        let fs = SimFileSystem::new();
        fs.write("/a/b/f", "x");
        fs.symlink("../a/b", "/a/l");
        fs.symlink("loop", "/loop");
        assert!(
            fs.open_root(Path::new("/a/./l/../b"))
                .unwrap()
                .stat(b"f")
                .is_ok()
        );
        let code = |path| {
            fs.open_root(Path::new(path))
                .unwrap_err()
                .raw_os_error()
                .unwrap()
        };
        assert_eq!(code("/loop"), libc::ELOOP);
        assert_eq!(code("/a/b/f"), libc::ENOTDIR);
        assert_eq!(code("/none"), libc::ENOENT);
    }
}
