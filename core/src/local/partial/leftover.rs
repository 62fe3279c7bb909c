//! What earlier runs left beside a file: partials, and files that a crash displaced.

use std::io;

use super::locked::remove;
use crate::entry::Version;
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::hash::HashState;
use crate::local::fs::{Access, Directory, Kind, Rename, Stat};
use crate::local::names::PartialNames;
use crate::local::state::{PartialState, StateWriter};
use crate::local::version::LocalVersion;
use crate::path::RelPath;
use crate::range::RangeSet;

/// What an earlier run left of `path`: the partial's size, and what is known about it. With `mend`,
/// which takes a claim, what a crash displaced is put right first.
pub(crate) fn find(
    directory: &dyn Directory,
    names: &PartialNames,
    path: &RelPath,
    mend: bool,
) -> Result<Option<(u64, Option<PartialState>)>> {
    if mend {
        recover(directory, names, path)?;
    }
    let stat = match directory.stat(&names.content(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.doing("looking for a partial")?,
    };
    if stat.kind != Kind::File {
        return Ok(None);
    }
    let state = load_state(directory, names, path)?;
    let own = (stat.device, stat.inode);
    Ok(Some((
        stat.size,
        state.filter(|state| state.is_of(own) && state.size == stat.size),
    )))
}

/// Notes that what bears the partial's name, `own`, is about to change places with the final file
/// of version `expected`.
pub(crate) fn note_exchange(
    directory: &dyn Directory,
    names: &PartialNames,
    path: &RelPath,
    own: (u64, u64),
    expected: &Version,
) -> Result<()> {
    let name = names.state(path);
    let file = match directory.open(&name, Access::ReadWrite) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => directory.create(&name),
        other => other,
    }
    .doing("opening a partial's state")?;
    let (mut writer, before) = StateWriter::load(&*file)?;
    let state = PartialState {
        source: expected.clone(),
        size: 0,
        ranges: RangeSet::new(),
        hash: HashState::default(),
        own,
        displaces: Some(expected.clone()),
        origin: before.and_then(|before| before.origin),
    };
    writer.write(&*file, &state)
}

/// Removes a partial and what is known about it; answers whether there was one.
pub(crate) fn discard(
    directory: &dyn Directory,
    names: &PartialNames,
    path: &RelPath,
) -> Result<bool> {
    let content = remove(directory, &names.content(path))?;
    let state = remove(directory, &names.state(path))?;
    Ok(content || state)
}

/// Removes what is known about a partial that has become the final file.
pub(crate) fn forget(
    directory: &dyn Directory,
    names: &PartialNames,
    path: &RelPath,
) -> Result<()> {
    remove(directory, &names.state(path)).map(drop)
}

/// Puts right what a crash left between the exchange of a partial and an older final file, and the
/// look at what was displaced: if it was what was expected it goes, otherwise it goes back.
pub(super) fn recover(
    directory: &dyn Directory,
    names: &PartialNames,
    path: &RelPath,
) -> Result<()> {
    let Some(state) = load_state(directory, names, path)? else {
        return Ok(());
    };
    let Some(expected) = &state.displaces else {
        return Ok(());
    };
    let content = names.content(path);
    let stat = match directory.stat(&content) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return forget(directory, names, path);
        }
        other => other.doing("looking at a displaced file")?,
    };
    let own = |stat: &Stat| state.is_of((stat.device, stat.inode));
    if own(&stat) {
        return Ok(());
    }
    let expected = LocalVersion::parse(expected)?.on_device(stat.device);
    if expected.same_but_changed(&LocalVersion::of(&stat)) {
        return discard(directory, names, path).map(drop);
    }
    let name = path.file_name();
    let doing = "putting back a file that a crash displaced";
    match directory.stat(name) {
        Ok(stat) if own(&stat) => {}
        Ok(_) => return Err(stranded(&content)),
        // Somebody has removed what we had put there: the other file goes back all the same.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let back = directory.rename(&content, directory, name, Rename::NoReplace);
            back.doing(doing)?;
            return forget(directory, names, path);
        }
        Err(error) => return Err(Error::io(doing, error)),
    }
    let exchange = || directory.rename(&content, directory, name, Rename::Exchange);
    exchange().doing(doing)?;
    let back = directory.stat(&content).doing(doing)?;
    if own(&back) {
        return discard(directory, names, path).map(drop);
    }
    // It was replaced since the look at it.
    exchange().doing(doing)?;
    Err(stranded(&content))
}

/// Of two files that are not ours one has the final name, and the other none: neither is removed,
/// and nothing is written to either.
fn stranded(content: &[u8]) -> Error {
    let content = String::from_utf8_lossy(content);
    let what = format!(
        "an older file that a crash displaced is kept as {content}, as another stands in its place: \
         see which of them is wanted, and remove or rename the former"
    );
    Error::new(ErrorKind::Conflict, what)
}

fn load_state(
    directory: &dyn Directory,
    names: &PartialNames,
    path: &RelPath,
) -> Result<Option<PartialState>> {
    match directory.open(&names.state(path), Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => Ok(StateWriter::load(&*other.doing("opening a partial's state")?)?.1),
    }
}
