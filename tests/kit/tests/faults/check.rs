//! What must hold after every fault, and after the run that follows.

use realize_core::local::fs::Kind;
use realize_test_kit::sim::SimFileSystem;
use realize_test_kit::sim::tree::NodeContent;

use crate::scenario::{Planted, is_own, leaves, run};

/// The first invariant that `fs` breaks, if one is broken.
pub(crate) fn broken(planted: &Planted, fs: &SimFileSystem) -> Option<String> {
    let source = leaves_with_aside(fs);
    let destination = leaves(fs, "/dst");
    for (path, content) in &planted.new {
        let name = path.escape_ascii();
        if source.get(path) != Some(content) && destination.get(path) != Some(content) {
            return Some(format!("I1: {name} is whole at neither side"));
        }
    }
    for (path, content) in &destination {
        let name = path.escape_ascii();
        let (new, old) = (planted.new.get(path), planted.old.get(path));
        if Some(content) != new && Some(content) != old {
            return Some(format!("I2: {name} holds something unfinished"));
        }
    }
    for path in planted.old.keys() {
        if !destination.contains_key(path) {
            return Some(format!("I5: {} is gone", path.escape_ascii()));
        }
    }
    let outside = fs.tree("/outside");
    let secret = outside.get(&b"secret"[..]).map(|node| &node.content);
    let untouched = secret == Some(&NodeContent::Bytes(b"not to be touched".to_vec()));
    (!untouched || outside.len() != 1).then(|| "I4: what lies outside was touched".to_owned())
}

/// The source's files, and those that a deletion has set aside: they are put back by the next run.
fn leaves_with_aside(fs: &SimFileSystem) -> std::collections::BTreeMap<Vec<u8>, NodeContent> {
    let mut found = leaves(fs, "/src");
    for (path, node) in fs.tree("/src") {
        for aside in [b".realize-deleting/", b".realize-deleting-"] {
            let at = path.windows(aside.len()).position(|part| part == aside);
            if let Some(at) = at
                && node.kind != Kind::Directory
            {
                let back = [&path[..at], &path[at + aside.len()..]].concat();
                found.entry(back).or_insert(node.content.clone());
            }
        }
    }
    found
}

/// Runs without faults until nothing is left to do, and says what is wrong then.
pub(crate) fn unconverged(planted: &Planted, fs: &SimFileSystem) -> Option<String> {
    fs.script().clear();
    // A file that was deferred, as it seemed to change, is moved by the next run.
    for _ in 0..2 {
        match run(fs) {
            Ok(report) if report.is_clean() => break,
            Ok(_) => {}
            Err(error) => return Some(format!("I3: the run after failed: {}", error.chain())),
        }
    }
    if let Some(what) = broken(planted, fs) {
        return Some(format!("after the run that followed: {what}"));
    }
    let left: Vec<_> = fs
        .tree("/src")
        .into_keys()
        .map(|p| p.escape_ascii().to_string())
        .collect();
    if !left.is_empty() {
        return Some(format!("I3: left at the source: {left:?}"));
    }
    let own: Vec<_> = fs
        .tree("/dst")
        .into_keys()
        .filter(|path| is_own(path))
        .collect();
    if !own.is_empty() {
        let own: Vec<_> = own.iter().map(|p| p.escape_ascii().to_string()).collect();
        return Some(format!("I3: left at the destination: {own:?}"));
    }
    let moved = leaves(fs, "/dst");
    let missing = planted
        .new
        .iter()
        .find(|(path, content)| moved.get(*path) != Some(content));
    missing.map(|(path, _)| format!("I3: {} was not moved", path.escape_ascii()))
}

/// Asserts all of it.
pub(crate) fn assert_safe(planted: &Planted, fs: &SimFileSystem, what: &str) {
    if let Some(broken) = broken(planted, fs).or_else(|| unconverged(planted, fs)) {
        let log: Vec<_> = fs.script().log().iter().map(ToString::to_string).collect();
        panic!("{what}: {broken}\nlast calls:\n{}", log.join("\n"));
    }
}
