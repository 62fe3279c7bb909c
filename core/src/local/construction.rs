//! Which final names are under construction: two files on their way to one name must not meet.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::path::RelPath;

/// The final names for which a `put` or a `finish` is under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Construction(Arc<Mutex<HashSet<RelPath>>>);

/// A name that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    path: RelPath,
    names: Construction,
}

impl Construction {
    /// Takes a name. Errors: `Busy` if it is taken.
    pub(crate) fn take(&self, path: &RelPath) -> Result<Taken> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.insert(path.clone()) {
            return Ok(Taken {
                path: path.clone(),
                names: self.clone(),
            });
        }
        Err(busy())
    }

    /// Fails with `Busy` if the name is taken.
    pub(crate) fn check(&self, path: &RelPath) -> Result<()> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.contains(path) {
            Err(busy())
        } else {
            Ok(())
        }
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
        self.names
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_once_at_a_time() {
        let names = Construction::default();
        let path = RelPath::new("a").unwrap();
        let taken = names.take(&path).unwrap();
        assert_eq!(names.take(&path).unwrap_err().kind(), ErrorKind::Busy);
        assert!(names.check(&path).is_err());
        assert!(names.take(&RelPath::new("b").unwrap()).is_ok());
        drop(taken);
        assert!(names.check(&path).is_ok() && names.take(&path).is_ok());
    }
}
