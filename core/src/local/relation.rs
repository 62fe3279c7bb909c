//! How two directories lie to each other: a move within itself is refused.

use std::path::{Path, PathBuf};

use super::fs::{FileSystem, Kind};
use crate::error::{Error, Result};

/// How two directories of this machine lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Neither is, or lies in, the other.
    Apart,
    /// They are the same.
    Same,
    /// The first lies in the second.
    Inside,
    /// The second lies in the first.
    Around,
}

/// How `one` lies to `other`, by device and inode of them and of every directory above them, so
/// that links and other spellings do not deceive. Mounts of one directory in two places may; the
/// probes of a run find those.
///
/// # Errors
/// A directory, or one above it, cannot be opened.
pub fn relation(file_system: &dyn FileSystem, one: &Path, other: &Path) -> Result<Relation> {
    let one = ancestry(file_system, one)?;
    let other = ancestry(file_system, other)?;
    let (Some(one_root), Some(other_root)) = (one.first(), other.first()) else {
        return Ok(Relation::Apart);
    };
    Ok(match (one.contains(other_root), other.contains(one_root)) {
        _ if one_root == other_root => Relation::Same,
        (true, _) => Relation::Inside,
        (_, true) => Relation::Around,
        _ => Relation::Apart,
    })
}

/// Device and inode of the directory at `path` and of those above it, innermost first.
fn ancestry(file_system: &dyn FileSystem, path: &Path) -> Result<Vec<(u64, u64)>> {
    let mut above: Vec<(u64, u64)> = Vec::new();
    let mut path = PathBuf::from(path);
    loop {
        let stat = file_system
            .open_root(&path)
            .and_then(|directory| directory.own_stat())
            .map_err(|error| Error::io(format!("opening {}", path.display()), error))?;
        let this = (stat.device, stat.inode);
        if stat.kind != Kind::Directory || above.last() == Some(&this) || above.len() > 4096 {
            return Ok(above);
        }
        above.push(this);
        path.push("..");
    }
}
