//! The files that keys are kept in.
//!
//! A private key is for its owner alone: a file that others can read is refused, and one that is
//! made here has the mode 0600 from its first moment, and never takes the place of another.
//! Whoever reads one bounds what is read: a path may lead to anything.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use zeroize::Zeroizing;

use realize_core::path::Escaped;

use crate::key::{KeyError, PrivateKey, PublicKey};

/// The largest file that is read as a key, in bytes: 64 KiB.
pub const MAX_FILE_LEN: u64 = 64 * 1024;

/// Why a key file cannot be read, or not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused.
    #[error("{}: cannot be {doing}", escaped(.path))]
    Io {
        /// Which file.
        path: PathBuf,
        /// What was to be done with it: `read`, `made`.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not a regular file.
    #[error("{}: expected a regular file", escaped(.path))]
    NotFile {
        /// Which.
        path: PathBuf,
    },
    /// Longer than [`MAX_FILE_LEN`].
    #[error("{}: longer than {MAX_FILE_LEN} bytes; expected a key", escaped(.path))]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// A private key that others than its owner can use.
    #[error(
        "{0}: others can use this private key (its mode is {mode:04o}); make it yours alone: \
         chmod 600 {0}",
        escaped(.path)
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is a file already, which is left as it is.
    #[error("{}: exists already, and is left as it is", escaped(.path))]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// The file holds no key that can be used.
    #[error("{}", escaped(.path))]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong with what it holds.
        #[source]
        source: KeyError,
    },
}

fn escaped(path: &Path) -> Escaped<'_> {
    Escaped(path.as_os_str().as_encoded_bytes())
}

fn io_error(path: &Path, doing: &'static str, source: impl Into<io::Error>) -> FileError {
    FileError::Io {
        path: path.to_owned(),
        doing,
        source: source.into(),
    }
}

fn key_error(path: &Path, source: KeyError) -> FileError {
    FileError::Key {
        path: path.to_owned(),
        source,
    }
}

/// The private key in the PEM file at `path`.
///
/// # Errors
/// [`FileError::Exposed`] if group or others have any right to the file; [`FileError`] if it is not
/// a regular file, too long, cannot be read or holds no ed25519 key.
pub fn load_private_key(path: &Path) -> Result<PrivateKey, FileError> {
    let pem = read(path, Exposure::OwnerOnly)?;
    PrivateKey::from_pem(&pem).map_err(|error| key_error(path, error))
}

/// The public key in the file at `path`: PEM, as `openssl pkey -pubout` writes it, or the text of
/// [`PublicKey`] on a line.
///
/// # Errors
/// [`FileError`] if it is not a regular file, too long, cannot be read or holds no ed25519 key.
pub fn load_public_key(path: &Path) -> Result<PublicKey, FileError> {
    let bytes = read(path, Exposure::Any)?;
    let text = str::from_utf8(&bytes).unwrap_or_default().trim_ascii();
    let key = if text.starts_with("ed25519:") {
        text.parse()
    } else {
        PublicKey::from_pem(&bytes)
    };
    key.map_err(|error| key_error(path, error))
}

/// Makes a file at `path` with the mode 0600, and `key` in it; it is durable when this returns, and
/// is gone again if this fails.
///
/// # Errors
/// [`FileError::Exists`] if there is anything at `path`, a dangling link included;
/// [`FileError::Io`] if the file cannot be made, written or synced.
pub fn save_private_key(path: &Path, key: &PrivateKey) -> Result<(), FileError> {
    make(path, |file, directory| write_durably(file, directory, key))
}

/// Makes a file at `path`, where there is none, for `write` to fill.
fn make(
    path: &Path,
    write: impl FnOnce(OwnedFd, &OwnedFd) -> io::Result<()>,
) -> Result<(), FileError> {
    let name = path.file_name().ok_or_else(|| FileError::NotFile {
        path: path.to_owned(),
    })?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let failed = |error| io_error(path, "made", error);
    let directory = rustix::fs::openat(
        CWD,
        parent,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| failed(error.into()))?;
    let mode = Mode::RUSR | Mode::WUSR;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(&directory, name, flags, mode) {
        Ok(file) => file,
        Err(rustix::io::Errno::EXIST) => {
            return Err(FileError::Exists {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(failed(error.into())),
    };
    write(file, &directory).map_err(|error| {
        // What is half there is no key, and would stand in the way of the next attempt.
        let _ = rustix::fs::unlinkat(&directory, name, AtFlags::empty());
        failed(error)
    })
}

fn write_durably(file: OwnedFd, directory: &OwnedFd, key: &PrivateKey) -> io::Result<()> {
    // A umask may have taken rights away, and the owner's are needed.
    rustix::fs::fchmod(file.as_fd(), Mode::RUSR | Mode::WUSR)?;
    let mut file = File::from(file);
    file.write_all(key.to_pem().as_bytes())?;
    file.sync_all()?;
    rustix::fs::fsync(directory)?;
    Ok(())
}

/// Who may have a right to a file that is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exposure {
    OwnerOnly,
    Any,
}

/// All of the file at `path`. What is checked is what was opened, whatever the path leads to by
/// then; and opening waits for nobody, should it be a named pipe.
fn read(path: &Path, exposure: Exposure) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let failed = |error| io_error(path, "read", error);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty())
        .map_err(|error| failed(error.into()))?;
    let stat = rustix::fs::fstat(&file).map_err(|error| failed(error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(FileError::NotFile {
            path: path.to_owned(),
        });
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if exposure == Exposure::OwnerOnly && mode.intersects(Mode::RWXG | Mode::RWXO) {
        return Err(FileError::Exposed {
            path: path.to_owned(),
            mode: mode.as_raw_mode() & 0o7777,
        });
    }
    // With room for all from the start, no copy of a part is left behind by growing.
    let room = usize::try_from(MAX_FILE_LEN).unwrap_or_default() + 64;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let mut file = File::from(file).take(MAX_FILE_LEN + 1);
    file.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_LEN {
        return Err(FileError::TooLong {
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
