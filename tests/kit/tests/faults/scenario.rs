//! The moves that faults are injected into.

use std::collections::BTreeMap;
use std::sync::Arc;

use realize_core::engine::{Mode, MoveOptions, Report, move_files};
use realize_core::entry::Timestamp;
use realize_core::local::fs::Kind;
use realize_core::{LocalOptions, LocalService, Result, Service};
use realize_test_kit::sim::tree::NodeContent;
use realize_test_kit::sim::{Crash, SimFileSystem};
use tokio_util::sync::CancellationToken;

/// A kind of move, by what stands at either side before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    New,
    Resume,
    Patch,
    Replace,
    Batch,
    /// A batch for two file systems.
    BatchPartly,
    Link,
    Empty,
    Sparse,
    Identical,
    HardLinks,
    /// A few files and an empty one, each made durable by itself, by the shortcut.
    Linked,
    /// A batch that is made durable as a whole, with a large file, by the shortcut.
    LinkedBatch,
    /// What an earlier run, without the shortcut, has sent of a file that takes it now.
    LinkedResume,
    /// What a crash between the two names and the deletion of one left.
    LinkedTwice,
    /// Of two file systems, one of which the shortcut leads to.
    LinkedPartly,
    /// Large files, a new one and one to replace, that cannot be linked, but share their blocks.
    Shared,
}

/// A file system on which a move is about to run, and what must become of it.
pub(crate) struct Planted {
    pub(crate) fs: SimFileSystem,
    /// What the source holds, by path: the new content.
    pub(crate) new: BTreeMap<Vec<u8>, NodeContent>,
    /// What the destination holds before.
    pub(crate) old: BTreeMap<Vec<u8>, NodeContent>,
}

/// Content that does not repeat.
pub(crate) fn content(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

const LARGE: usize = (1 << 20) + (300 << 10) + 77;

impl Scenario {
    pub(crate) const ALL: [Self; 17] = [
        Self::New,
        Self::Resume,
        Self::Patch,
        Self::Replace,
        Self::Batch,
        Self::BatchPartly,
        Self::Link,
        Self::Empty,
        Self::Sparse,
        Self::Identical,
        Self::HardLinks,
        Self::Linked,
        Self::LinkedBatch,
        Self::LinkedResume,
        Self::LinkedTwice,
        Self::LinkedPartly,
        Self::Shared,
    ];

    /// Those that go by the shortcut, or begin where it ended.
    fn links(self) -> bool {
        matches!(
            self,
            Self::Linked
                | Self::LinkedBatch
                | Self::LinkedResume
                | Self::LinkedTwice
                | Self::LinkedPartly
        )
    }

    /// Plants the scenario; everything planted is durable.
    pub(crate) fn plant(self) -> Planted {
        let mut fs = SimFileSystem::new()
            .with_links(self.links())
            .with_shares(self == Self::Shared);
        match self {
            Self::LinkedPartly => fs = fs.with_device("/dst/far"),
            // The batch begins and ends on the other one.
            Self::BatchPartly => fs = fs.with_device("/dst/d1"),
            _ => {}
        }
        fs.mkdir_all("/src");
        fs.mkdir_all("/dst");
        fs.write("/outside/secret", b"not to be touched");
        self.plant_files(&fs);
        fs.sync_everything();
        let new = leaves(&fs, "/src");
        let old = leaves(&fs, "/dst");
        let fs = if matches!(self, Self::Resume | Self::LinkedResume) {
            interrupted(&fs).with_links(self.links())
        } else {
            fs
        };
        Planted { fs, new, old }
    }

    fn plant_files(self, fs: &SimFileSystem) {
        match self {
            Self::New | Self::Resume | Self::LinkedResume => {
                fs.write("/src/d/large", content(LARGE, 1))
            }
            Self::Patch => {
                let old = content(LARGE, 2);
                let mut new = old.clone();
                new.splice(5000..5000, content(999, 3));
                new[700_000] ^= 1;
                fs.write("/dst/large", &old);
                fs.write("/src/large", &new);
            }
            Self::Replace => {
                fs.write("/dst/d/small", b"the older version");
                fs.write("/src/d/small", b"the newer version, which is longer");
            }
            Self::Batch | Self::BatchPartly => {
                for i in 0..11 {
                    let path = format!("/src/d{}/e/f{i}", i % 3);
                    fs.write(path, content(100 * i, i as u64));
                }
            }
            Self::Link => {
                fs.mkdir_all("/src/d");
                fs.symlink("../outside/secret", "/src/d/outward");
                fs.symlink("nowhere", "/src/dangling");
            }
            Self::Empty => {
                fs.write("/src/empty", b"");
                fs.mkdir_all("/src/a/b");
            }
            Self::Sparse => {
                fs.set_size("/src/sparse", 3 << 20);
                fs.write_at("/src/sparse", content(5000, 4), (1 << 20) + 4096);
            }
            Self::Identical => {
                for (path, len) in [("small", 500), ("large", LARGE)] {
                    fs.write(format!("/src/{path}"), content(len, 5));
                    fs.write(format!("/dst/{path}"), content(len, 5));
                    let modified = Timestamp {
                        seconds: 1_600_000_000,
                        nanos: 7,
                    };
                    fs.set_mtime(format!("/src/{path}"), modified);
                    fs.set_mtime(format!("/dst/{path}"), modified);
                }
            }
            Self::HardLinks => {
                fs.write("/src/one", b"one content");
                fs.mkdir_all("/src/d");
                fs.hard_link("/src/one", "/src/two");
                fs.hard_link("/src/one", "/src/d/three");
            }
            Self::Linked => {
                fs.write("/src/d/e/file", content(3000, 6));
                fs.write("/src/d/empty", b"");
                fs.write("/src/other", content(70, 7));
            }
            Self::LinkedBatch => {
                for i in 0..9 {
                    let path = format!("/src/d{}/e/f{i}", i % 3);
                    fs.write(path, content(100 * i, i as u64));
                }
                fs.write("/src/d1/large", content(LARGE, 8));
            }
            Self::LinkedTwice => {
                fs.write("/src/d/file", content(3000, 9));
                fs.write("/src/large", content(LARGE, 10));
                fs.mkdir_all("/dst/d");
                fs.hard_link("/src/d/file", "/dst/d/file");
                fs.hard_link("/src/large", "/dst/large");
            }
            Self::Shared => {
                fs.write("/src/d/large", content(LARGE, 14));
                fs.write("/src/replaced", content(LARGE, 15));
                fs.write("/dst/replaced", content(LARGE - 5000, 16));
            }
            Self::LinkedPartly => {
                fs.write("/src/near/file", content(3000, 11));
                fs.write("/src/far/file", content(3000, 12));
                fs.write("/src/far/large", content(LARGE, 13));
            }
        }
    }
}

/// A run that was killed in the middle of sending.
fn interrupted(fs: &SimFileSystem) -> SimFileSystem {
    let fork = fs.survivor(Crash::All, 0).with_links(false);
    let sent = |call: &realize_test_kit::sim::script::Call| {
        call.name == "file.write" && call.subject.ends_with(b".part")
    };
    fork.script()
        .at(sent, 2, realize_test_kit::sim::script::Effect::PowerOff);
    assert!(run(&fork).is_err(), "the run was to be interrupted");
    let resumed = fork.power_loss(Crash::All, 0);
    resumed.sync_everything();
    resumed
}

/// The content of everything below `path` that is not a directory and no file of realize's own.
pub(crate) fn leaves(fs: &SimFileSystem, path: &str) -> BTreeMap<Vec<u8>, NodeContent> {
    let tree = fs.tree(path).into_iter();
    let leaves = tree.filter(|(_, node)| node.kind != Kind::Directory);
    leaves
        .filter(|(path, _)| !is_own(path))
        .map(|(path, node)| (path, node.content))
        .collect()
}

/// Whether a component of `path` is reserved.
pub(crate) fn is_own(path: &[u8]) -> bool {
    path.split(|&b| b == b'/')
        .any(realize_core::path::is_reserved)
}

/// The two ends of a move on `fs`.
pub(crate) fn services(fs: &SimFileSystem) -> Result<(Arc<dyn Service>, Arc<dyn Service>)> {
    let options = || LocalOptions {
        file_system: Arc::new(fs.clone()),
        ..LocalOptions::default()
    };
    let source = LocalService::open("/src".as_ref(), options())?;
    let destination = LocalService::open("/dst".as_ref(), options())?;
    Ok((Arc::new(source), Arc::new(destination)))
}

/// Runs a move of everything.
pub(crate) fn run(fs: &SimFileSystem) -> Result<Report> {
    run_between(services(fs)?)
}

/// Runs a move between two services.
pub(crate) fn run_between(ends: (Arc<dyn Service>, Arc<dyn Service>)) -> Result<Report> {
    run_with(ends, MoveOptions::new(Mode::Move))
}

/// Runs a move or a copy between two services.
pub(crate) fn run_with(
    (source, destination): (Arc<dyn Service>, Arc<dyn Service>),
    options: MoveOptions,
) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let cancel = CancellationToken::new();
    let ended = runtime.block_on(move_files(
        source,
        destination,
        options,
        Arc::new(()),
        cancel,
    ));
    ended.map_err(|broken| broken.error)
}
