//! Whether somebody has a file open for writing.
//!
//! Linux tells it to whoever asks for a read lease: the lease is refused while the file is open for
//! writing by any process. No safe wrapper of `F_SETLEASE` exists, so the three calls that it takes
//! are here, in a crate of their own, and nowhere else in the project is there unsafe code.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `F_SETSIG` of `fcntl(2)`, the same on every architecture; the libc crate has no name for it.
const F_SETSIG: libc::c_int = 10;

/// What the kernel says about writers of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// No process has the file open for writing.
    None,
    /// At least one process has the file open for writing.
    Some,
    /// The kernel would not say: the file system has no leases, or the file belongs to another user.
    Unknown,
}

/// Asks whether any process has the open file `file` open for writing.
///
/// `file` must be open for reading only: the kernel counts the caller's own writable descriptor.
/// The lease that answers the question is given back before this returns. Should a writer come in
/// that instant, it waits for the release, and the signal that the kernel then sends is `SIGURG`,
/// which every process ignores unless it asked for it.
pub fn writers_of(file: BorrowedFd<'_>) -> Writers {
    let fd = file.as_raw_fd();
    // SAFETY: `fd` is open for as long as `file` is borrowed, and F_SETSIG takes an int by value;
    // no memory is handed to the kernel.
    let signal_set = unsafe { libc::fcntl(fd, F_SETSIG, libc::SIGURG) } == 0;
    if !signal_set {
        // Without it a lease break would send SIGIO, whose default action ends the process.
        return Writers::Unknown;
    }
    // SAFETY: as above; F_SETLEASE takes an int by value.
    if unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK) } == -1 {
        return match io::Error::last_os_error().raw_os_error() {
            Some(libc::EAGAIN) => Writers::Some,
            _ => Writers::Unknown,
        };
    }
    // SAFETY: as above. The result is not needed: closing the descriptor releases the lease too.
    unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK) };
    Writers::None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "the ban is for storage")]

    use std::fs::{File, OpenOptions};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_writer_is_seen_and_its_end_too() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("file");
        let writer = File::create(&path)?;
        let reader = OpenOptions::new().read(true).open(&path)?;
        let while_open = writers_of(reader.as_fd());
        drop(writer);
        let after = writers_of(reader.as_fd());
        assert!(
            matches!((while_open, after), (Writers::Some, Writers::None))
                // A file system without leases answers Unknown to both.
                || (while_open, after) == (Writers::Unknown, Writers::Unknown),
            "{while_open:?}, {after:?}"
        );
        Ok(())
    }
}
