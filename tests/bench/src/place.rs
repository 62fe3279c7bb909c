//! The temporary directory in which all is measured.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Failure;
use crate::workloads::Base;

/// How much is written at a time, in bytes.
const PIECE: usize = 1 << 20;

/// A directory of its own, which goes when this is dropped:
///
/// - `base`: what the workload at hand moves;
/// - `source`: a copy of it, which is moved;
/// - `there`: what the servers serve;
/// - `state`: configurations, keys and logs.
#[derive(Debug)]
pub(crate) struct Place {
    root: TempDir,
}

impl Place {
    /// A new one in `directory`, or where the system has its temporary files.
    pub(crate) fn new(directory: Option<&Path>) -> Result<Self, Failure> {
        let system = std::env::temp_dir();
        let within = directory.unwrap_or(&system);
        let make = || {
            let within = fs::canonicalize(within)?;
            let root = tempfile::Builder::new()
                .prefix("realize-bench-")
                .tempdir_in(within)?;
            for name in ["base", "source", "there", "state"] {
                fs::create_dir(root.path().join(name))?;
            }
            Ok::<_, io::Error>(root)
        };
        let root = make().map_err(|error| {
            let where_ = within.display();
            format!("no temporary directory in {where_}: {error}; choose another with --dir")
        })?;
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.root().join("base")
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.root().join("source")
    }

    /// What is served.
    pub(crate) fn there(&self) -> PathBuf {
        self.root().join("there")
    }

    /// A file for configurations, keys and logs.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.root().join("state").join(name)
    }

    /// Lays out the files of a run: the source, and a destination of that name, with the older
    /// version in it if there is one. On return nothing is left to be written to the medium.
    pub(crate) fn lay_out(&self, base: &Base, target: &str) -> io::Result<()> {
        self.clear()?;
        crate::tree::copy(&base.newer, &self.source())?;
        let target = self.there().join(target);
        fs::create_dir(&target)?;
        if let Some(older) = &base.older {
            crate::tree::copy(older, &target)?;
        }
        self.touch_memory(base.count.bytes)?;
        rustix::fs::syncfs(File::open(self.root())?)?;
        Ok(())
    }

    /// Has the machine find as much memory as the destination is going to need: under some
    /// hypervisors free pages are given back, and the first touch of one costs several copies.
    fn touch_memory(&self, bytes: u64) -> io::Result<()> {
        let path = self.there().join(".memory");
        let mut file = File::create(&path)?;
        let piece = vec![0; PIECE];
        for _ in 0..bytes.div_ceil(PIECE as u64) {
            file.write_all(&piece)?;
        }
        drop(file);
        fs::remove_file(path)
    }

    /// Removes the files of the run before.
    pub(crate) fn clear(&self) -> io::Result<()> {
        for directory in [self.source(), self.there()] {
            for entry in fs::read_dir(directory)? {
                let path = entry?.path();
                if path.is_dir() {
                    fs::remove_dir_all(path)?;
                } else {
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }

    /// Removes it.
    pub(crate) fn close(self) -> io::Result<()> {
        self.root.close()
    }
}
