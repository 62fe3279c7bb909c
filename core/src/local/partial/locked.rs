//! Opening and locking the files of a partial: one session writes it at a time.

use std::io;
use std::sync::Arc;

use crate::error::{Doing, Error, ErrorKind, Result};
use crate::local::fs::{Access, Directory, File, Kind};

/// Opens and locks the regular file `name`, or makes it. Whatever else bears a reserved name is not
/// a peer's to write to: it is removed.
pub(super) fn open_or_create(
    directory: &dyn Directory,
    name: &[u8],
) -> Result<(Arc<dyn File>, bool)> {
    let file = match directory.stat(name) {
        Ok(stat) if stat.kind == Kind::File && stat.links == 1 => {
            open_writable(directory, name).doing("opening a partial")?
        }
        Ok(_) => {
            remove(directory, name)?;
            return create(directory, name);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return create(directory, name),
        Err(error) => return Err(Error::io("looking for a partial", error)),
    };
    lock(&*file)?;
    // A sweep may have removed it between our opening and our locking it.
    let own = file.stat().doing("looking at the partial")?;
    match directory.stat(name) {
        Ok(named) if (named.device, named.inode) == (own.device, own.inode) => Ok((file, false)),
        Ok(_) => Err(busy()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(directory, name),
        Err(error) => Err(Error::io("looking for a partial", error)),
    }
}

/// Opens a partial, also one that a crash left with the permissions of the final file.
fn open_writable(directory: &dyn Directory, name: &[u8]) -> io::Result<Arc<dyn File>> {
    match directory.open(name, Access::ReadWrite) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            directory.open(name, Access::Read)?.set_mode(0o600)?;
            directory.open(name, Access::ReadWrite)
        }
        other => other,
    }
}

fn create(directory: &dyn Directory, name: &[u8]) -> Result<(Arc<dyn File>, bool)> {
    let file = directory.create(name).doing("creating a partial")?;
    lock(&*file)?;
    Ok((file, true))
}

fn lock(file: &dyn File) -> Result<()> {
    if file.try_lock().doing("locking a partial")? {
        Ok(())
    } else {
        Err(busy())
    }
}

fn busy() -> Error {
    Error::new(ErrorKind::Busy, "another session is writing this partial")
}

/// Removes a file; answers whether there was one.
pub(super) fn remove(directory: &dyn Directory, name: &[u8]) -> Result<bool> {
    match directory.unlink(name) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("removing a partial", error)),
    }
}
