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

#[cfg(test)]
mod tests {
    #![allow(
        clippy::disallowed_methods,
        reason = "the test looks at what storage left"
    )]

    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::clock::Clock;
    use crate::local::LocalOptions;

    #[derive(Debug)]
    struct Later(Duration);

    impl Clock for Later {
        fn now(&self) -> SystemTime {
            SystemTime::now() + self.0
        }
    }

    #[tokio::test]
    async fn old_partials_go_and_other_files_stay() {
        const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("d")).unwrap();
        let digits = "0123456789abcdef0123456789abcdef";
        for name in [
            &format!("d/.realize-{digits}.part"),
            &format!("d/.realize-{digits}.state"),
        ] {
            std::fs::write(root.path().join(name), b"x").unwrap();
        }
        std::fs::write(root.path().join("d/.x.part"), b"a user's own").unwrap();
        let swept = |later| {
            let clock = Arc::new(Later(later));
            let options = LocalOptions {
                clock,
                ..LocalOptions::default()
            };
            LocalService::open(root.path(), options).unwrap()
        };
        assert_eq!(swept(WEEK / 2).sweep(WEEK).await.unwrap(), 0);
        assert_eq!(std::fs::read_dir(root.path().join("d")).unwrap().count(), 3);
        assert_eq!(swept(WEEK * 2).sweep(WEEK).await.unwrap(), 1);
        let left: Vec<_> = std::fs::read_dir(root.path().join("d"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, [".x.part"]);
    }
}
