//! Trying what a destination needs: to write, sync, rename and remove.

use super::fs::{Access, Rename};
use super::{LocalService, Storage, names};
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::service::{Role, RunId};

impl LocalService {
    /// Does in the root what a move does at a destination, with empty files of reserved names, and
    /// leaves nothing. Answers what its file system lacks, in words for people; nothing as a rule.
    ///
    /// # Errors
    /// What a move could not do either.
    pub async fn probe(&self) -> Result<String> {
        let run = RunId::random()?;
        self.blocking(move |storage| storage.probe(run)).await
    }
}

impl Storage {
    fn probe(&self, run: RunId) -> Result<String> {
        let root = &*self.root;
        let (first, second) = (
            names::probe(run, Role::Source),
            names::probe(run, Role::Destination),
        );
        let tried = self.try_renames(&first, &second);
        // Whatever came of it; what is not there need not go.
        let _ = root.unlink(&first);
        let _ = root.unlink(&second);
        tried
    }

    fn try_renames(&self, first: &[u8], second: &[u8]) -> Result<String> {
        let root = &*self.root;
        root.create(first).doing("creating a file")?;
        let file = root
            .open(first, Access::ReadWrite)
            .doing("opening a file")?;
        file.sync().doing("making a file durable")?;
        let mut lacks = Vec::new();
        for (rename, what) in [
            (Rename::NoReplace, "cannot rename without replacing"),
            (Rename::Exchange, "cannot exchange two names"),
        ] {
            if rename == Rename::Exchange {
                root.create(first).doing("creating a file")?;
            }
            match root.rename(first, root, second, rename) {
                Ok(()) => {}
                Err(error)
                    if matches!(
                        ErrorKind::of_io(&error),
                        ErrorKind::Unsupported | ErrorKind::Io
                    ) =>
                {
                    lacks.push(what);
                    let _ = root.unlink(first);
                }
                Err(error) => return Err(Error::io("renaming a file", error)),
            }
        }
        root.sync().doing("making a name durable")?;
        Ok(lacks.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::disallowed_methods,
        reason = "the test looks at what storage left"
    )]

    use super::*;
    use crate::local::LocalOptions;

    #[tokio::test]
    async fn a_directory_is_tried_and_left_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let service = LocalService::open(root.path(), LocalOptions::default()).unwrap();
        assert_eq!(service.probe().await.unwrap(), "");
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
