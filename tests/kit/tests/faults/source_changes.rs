//! The source changes during the move, at every step: grows, shrinks, is rewritten with its time
//! put back, replaced, unlinked, held open by a writer.

use std::sync::Arc;

use realize_core::Service;
use realize_core::error::ErrorKind;
use realize_core::range::ByteRange;
use realize_core::service::{Block, List, Read};
use realize_test_kit::sim::script::Call;
use realize_test_kit::sim::tree::NodeContent;
use realize_test_kit::sim::{Crash, SimFileSystem};
use rstest::rstest;

use crate::failing::calls;
use crate::scenario::{Scenario, content, leaves, run, run_between, services};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Grow,
    Shrink,
    Rewrite,
    Replace,
    Unlink,
}

impl Change {
    /// Makes the change to the file at `path`.
    pub(crate) fn make(self, fs: &SimFileSystem, path: &str) {
        // A deletion may have set it aside or taken it already.
        let (Some(stat), Some(held)) = (fs.stat(path), fs.read(path)) else {
            return;
        };
        match self {
            Self::Grow => fs.write_at(path, b"more", held.len() as u64),
            Self::Shrink => fs.set_size(path, held.len() as u64 / 2),
            Self::Rewrite => {
                let mut new = held;
                new[0] ^= 0xff;
                fs.write_at(path, &new[..1], 0);
                fs.set_mtime(path, stat.modified);
            }
            Self::Replace => {
                fs.write("/src/.new", content(held.len(), 99));
                fs.set_mtime("/src/.new", stat.modified);
                fs.rename("/src/.new", path);
            }
            Self::Unlink => fs.unlink(path),
        }
    }
}

/// What is wrong after a move between `ends` during which `change` is made before call `n`.
pub(crate) fn wrong_after(
    planted: &SimFileSystem,
    change: Change,
    n: u64,
    ends: impl Fn(&SimFileSystem) -> (Arc<dyn Service>, Arc<dyn Service>),
) -> Option<String> {
    let fs = planted.survivor(Crash::All, 0);
    let before = leaves(&fs, "/src");
    let path = before.keys().next().unwrap().clone();
    let name = path.rsplit(|&b| b == b'/').next().unwrap();
    let aside = [name, b" -> ", name].concat();
    let full = format!("/src/{}", path.escape_ascii());
    let changed = Arc::new(std::sync::Mutex::new(None));
    let (fs2, seen) = (fs.clone(), Arc::clone(&changed));
    // A rename hides the time of the last change. What is rewritten between the last look and the
    // rename, within microseconds, and given its old time back in them, cannot be told apart.
    let hidden = move |call: &Call| {
        change == Change::Rewrite && call.name == "rename" && call.subject == aside
    };
    let numbered = move |call: &Call| call.number == n && !hidden(call);
    fs.script().on_call(numbered, 1, move || {
        let there = fs2.stat(&full).is_some();
        change.make(&fs2, &full);
        *seen.lock().unwrap() = there.then(|| fs2.content(&full));
    });
    let ended = run_between(ends(&fs));
    let changed = changed.lock().unwrap().take();
    let wanted: Option<NodeContent> = match changed {
        // The change was made to what was there: what it made must not be lost.
        Some(content) => content,
        // It came when the file was on its way out, or gone.
        None => before.get(&path).cloned(),
    };
    fs.script().clear();
    let found = |fs: &SimFileSystem| {
        [leaves(fs, "/src"), leaves(fs, "/dst")].map(|side| side.get(&path).cloned())
    };
    if let Some(wanted) = &wanted
        && !found(&fs).contains(&Some(wanted.clone()))
    {
        return Some(format!(
            "{change:?} before call {n}: content lost ({ended:?})"
        ));
    }
    // Nothing half-old, half-new under a final name: it is what the file was at some time.
    let at_destination = found(&fs)[1].clone();
    let older = leaves(planted, "/dst").get(&path).cloned();
    let known = [before.get(&path).cloned(), wanted.clone(), older];
    if at_destination.is_some() && !known.contains(&at_destination) {
        return Some(format!(
            "{change:?} before call {n}: a mixture was finished"
        ));
    }
    for _ in 0..2 {
        let _ = run(&fs);
    }
    let moved = found(&fs);
    if wanted.is_some() && moved != [None, wanted] {
        return Some(format!(
            "{change:?} before call {n}: the next runs did not move it"
        ));
    }
    None
}

#[rstest]
fn nothing_is_lost(
    #[values(
        Scenario::New,
        Scenario::Replace,
        Scenario::Linked,
        Scenario::LinkedTwice,
        Scenario::Shared
    )]
    scenario: Scenario,
    #[values(
        Change::Grow,
        Change::Shrink,
        Change::Rewrite,
        Change::Replace,
        Change::Unlink
    )]
    change: Change,
) {
    let planted = scenario.plant();
    for n in 1..=calls(scenario) {
        let wrong = wrong_after(&planted.fs, change, n, |fs| services(fs).unwrap());
        assert_eq!(wrong, None, "{scenario:?}");
    }
}

#[test]
fn a_file_held_by_a_writer_waits_for_the_next_run() {
    for scenario in [
        Scenario::New,
        Scenario::Replace,
        Scenario::Identical,
        Scenario::Linked,
        Scenario::LinkedTwice,
    ] {
        let planted = scenario.plant();
        let fs = planted.fs.survivor(Crash::All, 0);
        let path = planted.new.keys().next().unwrap();
        let writer = fs.add_writer(format!("/src/{}", path.escape_ascii()));
        let report = run(&fs).unwrap();
        assert_eq!(
            (report.deferred, report.failed),
            (1, 0),
            "{scenario:?}: {report:?}"
        );
        assert_eq!(leaves(&fs, "/src").len(), 1);
        drop(writer);
        assert!(run(&fs).unwrap().is_clean());
        assert!(leaves(&fs, "/src").is_empty());
    }
}

/// A hole, too, is of the version that was listed, or it is not answered.
#[tokio::test]
async fn a_hole_of_a_file_that_became_shorter_is_none() {
    let fs = SimFileSystem::new();
    fs.mkdir_all("/src");
    fs.mkdir_all("/dst");
    fs.set_size("/src/f", 3 << 20);
    fs.advance(std::time::Duration::from_secs(60));
    let (source, _) = services(&fs).unwrap();
    let files = List {
        files: true,
        ..List::default()
    };
    let entry = source.list(files).await.unwrap().entries.remove(0);
    let read = Read {
        path: entry.path,
        version: entry.version,
        range: ByteRange::new(0, 1 << 20).unwrap(),
    };
    let block = source.read(read.clone()).await.unwrap();
    assert!(matches!(block, Block::Hole(_)), "{block:?}");
    let shortened = fs.clone();
    fs.script().on_call(
        |call| call.name == "file.next_data",
        1,
        move || shortened.set_size("/src/f", 2 << 20),
    );
    let error = source.read(read).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
}
