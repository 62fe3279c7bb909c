//! What a move counts and records, to the last figure.
#![allow(
    clippy::disallowed_methods,
    reason = "the tests look at what storage left"
)]

mod counted;
mod directories;
mod recorded;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::service::Service;
use crate::{LocalOptions, LocalService};

const MIB: usize = 1 << 20;

/// Two directories, and services of them.
struct Ends {
    from: TempDir,
    to: TempDir,
    outside: TempDir,
}

impl Ends {
    fn new() -> Self {
        Self {
            from: tempfile::tempdir().unwrap(),
            to: tempfile::tempdir().unwrap(),
            outside: tempfile::tempdir().unwrap(),
        }
    }

    fn at_source(&self, name: &str, content: &[u8]) {
        fs::write(self.from.path().join(name), content).unwrap();
    }

    fn at_destination(&self, name: &str, content: &[u8]) {
        fs::write(self.to.path().join(name), content).unwrap();
    }

    /// Gives a source file another name: what has several is carried instead of linked.
    fn name_outside(&self, name: &str) {
        let from = self.from.path().join(name);
        fs::hard_link(from, self.outside.path().join(name)).unwrap();
    }

    fn source(&self) -> Arc<dyn Service> {
        open(self.from.path())
    }

    fn destination(&self) -> Arc<dyn Service> {
        open(self.to.path())
    }
}

fn open(path: &Path) -> Arc<dyn Service> {
    Arc::new(LocalService::open(path, LocalOptions::default()).unwrap())
}

/// Bytes that do not repeat.
fn content(size: usize, seed: u32) -> Vec<u8> {
    (0u32..)
        .map(|n| n.wrapping_mul(2_654_435_761).wrapping_add(seed))
        .flat_map(u32::to_le_bytes)
        .take(size)
        .collect()
}
