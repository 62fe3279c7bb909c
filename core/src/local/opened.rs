//! Files kept open between calls: those being read, and partials being written.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fs::File;
use super::partial::Partial;
use super::read_back::OpenPartial;
use crate::error::Result;
use crate::path::RelPath;

/// How many files being read are kept open.
const MAX_READ: usize = 16;
/// How many partials are kept open.
const MAX_PARTIALS: usize = 16;

/// Files that are being read in blocks, the one used last at the back.
#[derive(Debug, Default)]
pub(crate) struct OpenedFiles(Mutex<VecDeque<(RelPath, Arc<dyn File>)>>);

impl OpenedFiles {
    pub(crate) fn find(&self, path: &RelPath) -> Option<Arc<dyn File>> {
        let mut files = self.lock();
        let at = files.iter().position(|(opened, _)| opened == path)?;
        let found = files.remove(at)?;
        let file = Arc::clone(&found.1);
        files.push_back(found);
        Some(file)
    }

    pub(crate) fn keep(&self, path: &RelPath, file: &Arc<dyn File>) {
        let mut files = self.lock();
        files.retain(|(opened, _)| opened != path);
        if files.len() >= MAX_READ {
            files.pop_front();
        }
        files.push_back((path.clone(), Arc::clone(file)));
    }

    /// Closes the file: it is to be deleted or replaced.
    pub(crate) fn forget(&self, path: &RelPath) {
        drop(self.take(path));
    }

    /// Takes the file out, if it is open.
    pub(crate) fn take(&self, path: &RelPath) -> Option<Arc<dyn File>> {
        let mut files = self.lock();
        let at = files.iter().position(|(opened, _)| opened == path)?;
        files.remove(at).map(|(_, file)| file)
    }

    pub(crate) fn forget_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(RelPath, Arc<dyn File>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Partials that are being written, the one used last at the back.
#[derive(Debug, Default)]
pub(crate) struct OpenedPartials(Mutex<VecDeque<(RelPath, Arc<OpenPartial>)>>);

impl OpenedPartials {
    /// The open partial at `path` if `fits`, or the one that `open` opens. Opening happens under
    /// the table's lock: of two calls for one partial, the second finds what the first opened.
    pub(crate) fn find_or_open(
        &self,
        path: &RelPath,
        fits: impl Fn(&OpenPartial) -> bool,
        open: impl FnOnce() -> Result<Partial>,
    ) -> Result<Arc<OpenPartial>> {
        let mut partials = self.lock();
        if let Some(at) = partials.iter().position(|(opened, _)| opened == path)
            && let Some(found) = partials.remove(at)
            && fits(&found.1)
        {
            let partial = Arc::clone(&found.1);
            partials.push_back(found);
            return Ok(partial);
        }
        let partial = Arc::new(OpenPartial::new(open()?));
        if partials.len() >= MAX_PARTIALS {
            partials.pop_front();
        }
        partials.push_back((path.clone(), Arc::clone(&partial)));
        Ok(partial)
    }

    /// Takes the partial at `path` out, if it is open. Dropped, it is unlocked once no call is using
    /// it.
    pub(crate) fn take(&self, path: &RelPath) -> Option<Arc<OpenPartial>> {
        let mut partials = self.lock();
        let at = partials.iter().position(|(opened, _)| opened == path)?;
        partials.remove(at).map(|(_, partial)| partial)
    }

    pub(crate) fn close_all(&self) {
        self.lock().clear();
    }

    /// Whether the partial at `path` is open: a file is on its way there in blocks.
    pub(crate) fn is_open(&self, path: &RelPath) -> bool {
        self.lock().iter().any(|(opened, _)| opened == path)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(RelPath, Arc<OpenPartial>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
