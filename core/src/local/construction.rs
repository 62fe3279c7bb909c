//! Which final names are under construction: two files on their way to one name must not meet, nor two
//! that have one partial by the digits of their names.
//!
//! A name is written to by any number of calls, or taken by one that turns what was written into the
//! final file. Who comes second waits: it may well be the same call, repeated because its answer was
//! lost, and finds its work done then.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::names::PartialNames;
use crate::error::{Error, ErrorKind, Result};
use crate::path::RelPath;

/// How long a call waits for another one about the same name.
const PATIENCE: Duration = Duration::from_secs(600);

/// The final names that calls are under way for.
#[derive(Clone, Debug)]
pub(crate) struct Construction {
    partials: PartialNames,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    names: Mutex<Names>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Names {
    uses: HashMap<Key, Use>,
    /// How many calls wait for a change: where there are none, as a rule, there is nobody to wake.
    waiting: usize,
}

/// A directory, and the name of a partial in it.
type Key = (Option<RelPath>, Vec<u8>);

/// What a name is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// So many calls write what is to stand there.
    Written(usize),
    /// A call puts the final file there.
    Taken,
}

/// A name that is written to, or taken, until this is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    key: Key,
    names: Construction,
}

type Uses = HashMap<Key, Use>;

impl Construction {
    /// None yet, of those whose partials have these names.
    pub(crate) fn new(partials: PartialNames) -> Self {
        Self {
            partials,
            shared: Arc::default(),
        }
    }

    fn key(&self, path: &RelPath) -> Key {
        (path.parent(), self.partials.content(path))
    }

    /// Lets a call write what is to stand under a name; none takes the name meanwhile. Errors:
    /// `Busy` if it stays taken.
    pub(crate) fn write(&self, path: &RelPath) -> Result<Taken> {
        let key = self.key(path);
        let free = |uses: &Uses| uses.get(&key) != Some(&Use::Taken);
        let mut names = self.wait(free)?;
        let writers = match names.uses.get(&key) {
            Some(Use::Written(writers)) => writers.saturating_add(1),
            _ => 1,
        };
        names.uses.insert(key.clone(), Use::Written(writers));
        Ok(self.taken(key))
    }

    /// Takes a name. Errors: `Busy` if it stays in use.
    pub(crate) fn take(&self, path: &RelPath) -> Result<Taken> {
        let key = self.key(path);
        let free = |uses: &Uses| !uses.contains_key(&key);
        self.wait(free)?.uses.insert(key.clone(), Use::Taken);
        Ok(self.taken(key))
    }

    /// Takes a name, if nobody uses it now.
    pub(crate) fn try_take(&self, path: &RelPath) -> Option<Taken> {
        let key = self.key(path);
        let mut names = self.names();
        if names.uses.contains_key(&key) {
            return None;
        }
        names.uses.insert(key.clone(), Use::Taken);
        Some(self.taken(key))
    }

    /// Takes all of some names at once, so that no two calls wait for each other. Of two equal ones
    /// the second is `Busy`; so are all, if they stay in use.
    pub(crate) fn take_all<'a>(
        &self,
        paths: impl Iterator<Item = &'a RelPath>,
    ) -> Vec<Result<Taken>> {
        let keys: Vec<Key> = paths.map(|path| self.key(path)).collect();
        let free = |uses: &Uses| !keys.iter().any(|key| uses.contains_key(key));
        let mut names = match self.wait(free) {
            Ok(names) => names,
            Err(error) => return keys.iter().map(|_| Err(error.clone())).collect(),
        };
        keys.into_iter()
            .map(|key| match names.uses.insert(key.clone(), Use::Taken) {
                None => Ok(self.taken(key)),
                Some(_) => Err(busy()),
            })
            .collect()
    }

    fn taken(&self, key: Key) -> Taken {
        Taken {
            key,
            names: self.clone(),
        }
    }

    /// Waits until the names are `free`.
    fn wait(&self, free: impl Fn(&Uses) -> bool) -> Result<MutexGuard<'_, Names>> {
        let mut names = self.names();
        if free(&names.uses) {
            return Ok(names);
        }
        names.waiting += 1;
        let waited = self
            .shared
            .changed
            .wait_timeout_while(names, PATIENCE, |names| !free(&names.uses));
        let (mut names, _) = waited.unwrap_or_else(PoisonError::into_inner);
        names.waiting -= 1;
        match free(&names.uses) {
            true => Ok(names),
            false => Err(busy()),
        }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn busy() -> Error {
    Error::new(
        ErrorKind::Busy,
        "another file is on its way to the same name",
    )
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut names = self.names.names();
        match names.uses.get_mut(&self.key) {
            Some(Use::Written(writers)) if *writers > 1 => *writers -= 1,
            _ => {
                names.uses.remove(&self.key);
            }
        }
        let wake = names.waiting > 0;
        drop(names);
        if wake {
            self.names.shared.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn path(name: &str) -> RelPath {
        RelPath::new(name).unwrap()
    }

    impl Construction {
        fn is_unused(&self) -> bool {
            let names = self.names();
            names.uses.is_empty() && names.waiting == 0
        }
    }

    /// What a thread does while something is held, and after: it must not be done before that.
    fn waits(held: Taken, then: impl FnOnce() + Send + 'static) {
        let (done, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            then();
            done.send(()).unwrap();
        });
        assert!(ended.recv_timeout(Duration::from_millis(50)).is_err());
        drop(held);
        ended.recv_timeout(Duration::from_secs(10)).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn a_name_is_taken_once_at_a_time() {
        let names = Construction::new(PartialNames::of("test:"));
        let other = names.clone();
        let taken = names.take(&path("a")).unwrap();
        drop(names.take(&path("b")).unwrap());
        waits(taken, move || drop(other.take(&path("a")).unwrap()));
        assert!(names.is_unused());
    }

    #[test]
    fn a_name_that_is_written_is_not_taken_and_the_other_way_round() {
        let names = Construction::new(PartialNames::of("test:"));
        let (first, second) = (names.write(&path("a")), names.write(&path("a")));
        drop(first);
        let other = names.clone();
        waits(second.unwrap(), move || {
            drop(other.take(&path("a")).unwrap())
        });
        let taken = names.take(&path("a")).unwrap();
        let other = names.clone();
        waits(taken, move || drop(other.write(&path("a")).unwrap()));
        assert!(names.is_unused());
    }

    #[test]
    fn names_are_taken_all_at_once_and_of_equal_ones_the_second_is_refused() {
        let names = Construction::new(PartialNames::of("test:"));
        let held = names.take(&path("b")).unwrap();
        let other = names.clone();
        waits(held, move || {
            let paths = [path("a"), path("b"), path("a")];
            let taken = other.take_all(paths.iter());
            let kinds: Vec<_> = taken
                .iter()
                .map(|taken| taken.as_ref().err().map(Error::kind))
                .collect();
            assert_eq!(kinds, [None, None, Some(ErrorKind::Busy)]);
        });
        assert!(names.is_unused());
    }

    #[test]
    fn what_is_in_use_is_not_tried() {
        let names = Construction::new(PartialNames::of("test:"));
        let written = names.write(&path("a")).unwrap();
        assert!(names.try_take(&path("a")).is_none());
        let other = names.try_take(&path("d/a")).unwrap();
        drop((written, other));
        assert!(names.try_take(&path("a")).is_some());
        assert!(names.is_unused());
    }
}
