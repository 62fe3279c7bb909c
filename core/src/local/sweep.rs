//! Removing partials that nobody will ask for again.

use std::time::Duration;

use super::fs::Directory;
use super::names::{self, PartialNames};
use super::walk::{Found, Walk};
use super::{LocalService, Storage};
use crate::error::Result;

impl LocalService {
    /// Removes partials, of whatever peer, that have not been touched for `age`; answers how many.
    ///
    /// # Errors
    /// The root cannot be read.
    pub async fn sweep(&self, age: Duration) -> Result<u64> {
        self.blocking(move |storage| {
            let now = storage.clock.now();
            storage.sweep(|_, directory, name| {
                directory
                    .stat(name)
                    .is_ok_and(|stat| stat.modified.age(now) >= age)
            })
        })
        .await
    }
}

impl Storage {
    /// Removes every partial of this peer.
    pub(super) fn sweep_own(&self) -> Result<()> {
        self.sweep(|names, _, name| names.is_own(name)).map(drop)
    }

    fn sweep(
        &self,
        unwanted: impl Fn(&PartialNames, &dyn Directory, &[u8]) -> bool,
    ) -> Result<u64> {
        let mut walk = Walk::new(&self.root, None, Box::new(|_| Ok(())))?;
        let mut removed = 0;
        while let Some(found) = walk.step() {
            let Found::Reserved { directory, name } = found else {
                continue;
            };
            if names::is_partial(&name) && unwanted(&self.names, &*directory, &name) {
                let gone = directory.unlink(&name).is_ok();
                removed += u64::from(gone && name.ends_with(b".part"));
            }
        }
        Ok(removed)
    }
}
