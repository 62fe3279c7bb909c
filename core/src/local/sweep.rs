//! Removing partials that nobody will ask for again.
//!
//! A partial is a pair: its content, and what is known about it. Both go, or none. What a session
//! has locked stays, and so does an older file that a crash left under a partial's name.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::fs::{Access, Directory, File, Kind, Stat};
use super::names::Pair;
use super::state::{PartialState, StateWriter};
use super::walk::{Found, Walk};
use super::{LocalService, Storage};
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::path::{Escaped, RelPath};
use crate::service::Origin;

impl LocalService {
    /// Removes partials, of whatever peer, of which nothing has been touched for `age`; answers how
    /// many. It may run beside a run: what that has locked stays. Small files on their way are not
    /// locked, so `age` should be longer than a `put` takes; one that loses its partial fails and is
    /// sent again. What cannot be removed is logged.
    ///
    /// # Errors
    /// The root cannot be read.
    pub async fn sweep(&self, age: Duration) -> Result<u64> {
        self.blocking(move |storage| {
            let swept = storage.sweep(|_| true, &Meant { of: None, age })?;
            if let Some(error) = swept.failed {
                tracing::warn!(event = "sweep.failed", reason = %error.chain());
            }
            Ok(swept.removed)
        })
        .await
    }
}

/// What became of a sweep.
#[derive(Debug, Default)]
struct Swept {
    removed: u64,
    /// Whether there are partials that were not meant.
    others: bool,
    /// The first error; the sweep went on after it.
    failed: Option<Error>,
}

impl Storage {
    /// Removes every partial of this peer's source `origin` that is not in use; answers whether there
    /// are some of other peers and sources.
    pub(super) fn sweep_own(&self, origin: Origin) -> Result<bool> {
        let meant = Meant {
            of: Some(origin),
            age: Duration::ZERO,
        };
        let swept = self.sweep(|name| self.names.is_own(name), &meant)?;
        swept.failed.map_or(Ok(swept.others), Err)
    }

    fn sweep(&self, named: impl Fn(&[u8]) -> bool, meant: &Meant) -> Result<Swept> {
        let mut walk = Walk::new(&self.root, None, Box::new(|_| Ok(())))?;
        let mut swept = Swept::default();
        let now = self.clock.now();
        while let Some(found) = walk.step() {
            let Found::Reserved {
                directory,
                parent,
                name,
            } = found
            else {
                continue;
            };
            let Some(pair) = Pair::of(&name) else {
                continue;
            };
            if !named(&name) {
                swept.others = true;
                continue;
            }
            match sweep_pair(&*directory, &pair, now, meant) {
                Ok(Fate::Gone(gone)) => {
                    let parent = parent.as_ref().map_or(&[][..], RelPath::as_bytes);
                    let path = [parent, b"/", &*pair.content].concat();
                    let path = path.strip_prefix(b"/").unwrap_or(&path);
                    tracing::info!(
                        event = "partial.expired",
                        path = %Escaped(path),
                        age = gone.changed.age(now).as_secs(),
                        bytes = gone.stored
                    );
                    swept.removed += 1;
                }
                Ok(Fate::Stays) => {}
                Ok(Fate::Another) => swept.others = true,
                Err(error) => {
                    swept.failed.get_or_insert(error);
                }
            }
        }
        Ok(swept)
    }
}

/// Which partials are to go.
struct Meant {
    /// Those of this source; of any where it is `None`.
    of: Option<Origin>,
    /// Those of which nothing has been touched for so long.
    age: Duration,
}

/// What became of a pair.
enum Fate {
    /// Its content was that, if there was any.
    Gone(Stat),
    /// It is in use, too young, or there was no content.
    Stays,
    /// It is another source's.
    Another,
}

/// One of a pair.
struct Half {
    stat: Stat,
    /// Held open, and locked; none for a link.
    file: Option<Arc<dyn File>>,
}

/// Removes a pair, if it is meant and nobody is using either of the two.
fn sweep_pair(
    directory: &dyn Directory,
    pair: &Pair,
    now: SystemTime,
    meant: &Meant,
) -> Result<Fate> {
    // A time that nobody can set: a file about to be finished has its source's other one already.
    let old = |stat: &Option<Stat>| stat.is_none_or(|stat| stat.changed.age(now) >= meant.age);
    let look = |name| look(directory, name);
    // Looked at before they are locked, for a session that comes meanwhile would find them taken.
    if !old(&look(&pair.content)?) || !old(&look(&pair.state)?) {
        return Ok(Fate::Stays);
    }
    // In the order in which a session locks them.
    let Some(content) = take(directory, &pair.content)? else {
        return Ok(Fate::Stays);
    };
    let Some(state) = take(directory, &pair.state)? else {
        return Ok(Fate::Stays);
    };
    let stat = |half: &Option<Half>| half.as_ref().map(|half| half.stat);
    if !old(&stat(&content)) || !old(&stat(&state)) {
        return Ok(Fate::Stays);
    }
    let known = match state.as_ref().and_then(|state| state.file.as_ref()) {
        Some(file) => StateWriter::load(&**file)?.1,
        None => None,
    };
    if known
        .as_ref()
        .is_some_and(|known| displaced(known, content.as_ref()))
    {
        tracing::warn!(
            event = "file.stranded",
            path = %Escaped(&pair.content),
            "a file that a crash displaced is left until its name is moved to again"
        );
        return Ok(Fate::Stays);
    }
    let from = known.and_then(|known| known.origin).map(Origin::from_bytes);
    if let (Some(meant), Some(from)) = (meant.of, from)
        && meant != from
    {
        return Ok(Fate::Another);
    }
    if content.is_some() {
        unlink(directory, &pair.content)?;
    }
    if state.is_some() {
        unlink(directory, &pair.state)?;
    }
    Ok(stat(&content).map_or(Fate::Stays, Fate::Gone))
}

fn look(directory: &dyn Directory, name: &[u8]) -> Result<Option<Stat>> {
    match directory.stat(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.doing("looking at a partial").map(Some),
    }
}

/// Takes one of a pair from whoever may come; `None` if somebody has it already.
fn take(directory: &dyn Directory, name: &[u8]) -> Result<Option<Option<Half>>> {
    let Some(stat) = look(directory, name)? else {
        return Ok(Some(None));
    };
    if stat.kind == Kind::Link {
        return Ok(Some(Some(Half { stat, file: None })));
    }
    if stat.kind != Kind::File {
        return Ok(None);
    }
    let opened = match directory.open(name, Access::ReadWrite) {
        // It has its final mode already, or is another user's.
        Err(error) if ErrorKind::of_io(&error) == ErrorKind::Denied => {
            directory.open(name, Access::Read)
        }
        other => other,
    };
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.doing("opening a partial")?,
    };
    if !file.try_lock().doing("locking a partial")? {
        return Ok(None);
    }
    let stat = file.stat().doing("looking at a partial")?;
    let named = look(directory, name)?;
    let same = |named: Stat| (named.device, named.inode) == (stat.device, stat.inode);
    Ok(named.is_some_and(same).then_some(Some(Half {
        stat,
        file: Some(file),
    })))
}

/// Whether the content is an older final file: a crash came between the exchange of the two and
/// the look at what was displaced.
fn displaced(known: &PartialState, content: Option<&Half>) -> bool {
    let own = content.map(|content| (content.stat.device, content.stat.inode));
    known.displaces.is_some() && own.is_some_and(|own| !known.is_of(own))
}

fn unlink(directory: &dyn Directory, name: &[u8]) -> Result<()> {
    match directory.unlink(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.doing("removing a partial"),
    }
}

#[cfg(test)]
mod tests;
