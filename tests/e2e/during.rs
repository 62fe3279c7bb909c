//! A source that changes while it is moved: the program is stopped in the middle of a large file,
//! the file is changed, and the program goes on.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use realize_test_kit::odd_tree::{bytes, reserved_names, set_modified, snapshot};
use rstest::rstest;

use crate::ends::Ends;
use crate::program::Running;

/// Large enough that the program is caught in the middle of it.
pub(crate) const LARGE: usize = 96 << 20;

/// The file under construction at the destination, and how many bytes it stores.
pub(crate) fn partial(ends: &Ends) -> Option<(PathBuf, u64)> {
    let names = if ends.destination.is_dir() {
        reserved_names(&ends.destination).ok()?
    } else {
        vec![]
    };
    names
        .into_iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "part")
        })
        .filter_map(|path| fs::metadata(&path).ok().map(|found| (path, found)))
        // Its length may be set from the start; what it stores grows.
        .map(|(path, found)| (path, found.len().min(found.blocks() * 512)))
        .max_by_key(|(_, stored)| *stored)
}

/// Plants with `plant` and starts a move until one is caught with at least `stored` bytes of the file
/// `large` written and its source still there; it is stopped then.
pub(crate) fn caught_in_the_middle(plant: impl Fn(&Ends), stored: u64) -> (Ends, Running) {
    for _ in 0..20 {
        let ends = Ends::new();
        plant(&ends);
        ends.name_outside("large");
        let mut running = ends.mover().with(["--json"]).spawn();
        let there = |ends: &Ends| partial(ends).is_some_and(|(_, found)| found >= stored);
        if !running.reaches("a partial", || there(&ends)) {
            running.wait().expect(0);
            continue;
        }
        if running.pause() && there(&ends) && !ends.destination.join("large").exists() {
            return (ends, running);
        }
    }
    panic!("20 runs went by before one could be stopped in the middle of a file");
}

fn grow(path: &Path) {
    OpenOptions::new()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(b"and more")
        .unwrap();
}

fn shrink(path: &Path) {
    OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(LARGE as u64 / 4)
        .unwrap();
}

fn rewrite_a_part_that_was_read(path: &Path) {
    with_time_put_back(path, |file| file.write_all_at(b"changed", 10).unwrap());
}

fn rewrite_a_part_that_was_not_read(path: &Path) {
    with_time_put_back(path, |file| {
        file.write_all_at(b"changed", LARGE as u64 - 10).unwrap()
    });
}

fn with_time_put_back(path: &Path, change: impl FnOnce(&File)) {
    let before = fs::metadata(path).unwrap();
    change(&OpenOptions::new().write(true).open(path).unwrap());
    set_modified(
        path,
        before.mtime(),
        before.mtime_nsec().try_into().unwrap(),
    )
    .unwrap();
}

fn replace(path: &Path) {
    // Written where the mover does not look, as a program that replaces files safely does.
    let new = path.parent().unwrap().with_file_name("written elsewhere");
    fs::write(&new, bytes(77, LARGE)).unwrap();
    let before = fs::metadata(path).unwrap();
    set_modified(
        &new,
        before.mtime(),
        before.mtime_nsec().try_into().unwrap(),
    )
    .unwrap();
    fs::rename(new, path).unwrap();
}

#[rstest]
#[case::grows(grow)]
#[case::shrinks(shrink)]
#[case::rewritten_where_read(rewrite_a_part_that_was_read)]
#[case::rewritten_where_not_read(rewrite_a_part_that_was_not_read)]
#[case::replaced(replace)]
fn a_file_that_changes_stays_for_the_next_run(#[case] change: fn(&Path)) {
    let old = bytes(1, LARGE);
    let (ends, running) = caught_in_the_middle(
        |ends| {
            ends.write("large", &old);
            ends.write("d/other", b"other");
            ends.write("another", &bytes(2, 100_000));
        },
        1 << 20,
    );
    change(&ends.source.join("large"));
    let new = ends.at_source("large").unwrap();
    running.resume();

    let outcome = running.wait().expect(0);

    assert!(
        ends.at_source("large").as_ref() == Some(&new),
        "not the file that it was: {outcome}"
    );
    let there = ends.at_destination("large");
    assert!(
        there.is_none() || there.as_ref() == Some(&old),
        "a mixture arrived: {outcome}"
    );
    assert_eq!(
        ends.at_destination("d/other").unwrap(),
        b"other",
        "{outcome}"
    );
    assert_eq!(ends.at_source("d/other"), None, "{outcome}");
    assert_eq!(ends.at_source("another"), None, "{outcome}");
    assert_eq!(outcome.json_summary("deferred"), 1, "{outcome}");

    let before = snapshot(&ends.source).unwrap();
    let outcome = ends.mover().run().expect(0);
    ends.assert_source_empty(&outcome);
    ends.assert_no_partials(&outcome);
    assert!(
        ends.at_destination("large").as_ref() == Some(&new),
        "{outcome}"
    );
    let found = snapshot(&ends.destination).unwrap();
    assert_eq!(
        found[&b"large"[..]].modified,
        before[&b"large"[..]].modified,
        "{outcome}"
    );
}

#[test]
fn a_file_that_goes_away_is_no_loss() {
    let old = bytes(1, LARGE);
    let (ends, running) = caught_in_the_middle(
        |ends| {
            ends.write("large", &old);
            ends.write("other", b"other");
        },
        1 << 20,
    );
    fs::remove_file(ends.source.join("large")).unwrap();
    running.resume();

    let outcome = running.wait().expect_one_of(&[0, 6]);

    let there = ends.at_destination("large");
    assert!(
        there.is_none() || there == Some(old),
        "a part arrived: {outcome}"
    );
    assert_eq!(ends.at_destination("other").unwrap(), b"other", "{outcome}");
    let outcome = ends.mover().run().expect(0);
    ends.assert_source_empty(&outcome);
    ends.assert_no_partials(&outcome);
}

#[test]
fn files_that_come_during_the_move_are_not_deleted() {
    let (ends, running) = caught_in_the_middle(
        |ends| {
            ends.write("large", &bytes(1, LARGE));
            ends.write("d/old", b"old");
        },
        1 << 20,
    );
    let paths = ["came", "d/came", "new/came"];
    paths
        .iter()
        .for_each(|path| ends.write(path, path.as_bytes()));
    running.resume();

    let outcome = running.wait().expect(0);

    for path in paths {
        let found = ends.at_source(path).or_else(|| ends.at_destination(path));
        assert_eq!(found.as_deref(), Some(path.as_bytes()), "{path}: {outcome}");
    }
    let outcome = ends.mover().run().expect(0);
    ends.assert_source_empty(&outcome);
    assert_eq!(
        ends.at_destination("d/came").unwrap(),
        b"d/came",
        "{outcome}"
    );
}

#[test]
fn a_final_name_that_somebody_takes_meanwhile_is_not_overwritten() {
    let (ends, running) =
        caught_in_the_middle(|ends| ends.write("large", &bytes(1, LARGE)), 1 << 20);
    ends.write_at_destination("large", b"came first");
    running.resume();

    let outcome = running.wait().expect_one_of(&[0, 6]);

    // What the mover had expected there was nothing: it may not take this for an older version.
    assert_eq!(
        ends.at_destination("large").unwrap(),
        b"came first",
        "{outcome}"
    );
    assert!(
        ends.at_source("large") == Some(bytes(1, LARGE)),
        "{outcome}"
    );
}

#[test]
fn a_file_that_a_writer_has_open_is_deferred() {
    let ends = Ends::with(&[
        ("open", b"so far"),
        ("closed", b"done"),
        ("d/open", b"so far"),
    ]);
    let open = ["open", "d/open"].map(|path| {
        OpenOptions::new()
            .append(true)
            .open(ends.source.join(path))
            .unwrap()
    });

    let outcome = ends.mover().run().expect(0).says(&["2 deferred"]);

    for path in ["open", "d/open"] {
        assert_eq!(
            ends.at_source(path).unwrap(),
            b"so far",
            "{path}: {outcome}"
        );
        assert_eq!(ends.at_destination(path), None, "{path}: {outcome}");
    }
    assert_eq!(ends.at_destination("closed").unwrap(), b"done", "{outcome}");

    drop(open);
    let outcome = ends.mover().run().expect(0);
    ends.assert_source_empty(&outcome);
    assert_eq!(ends.at_destination("open").unwrap(), b"so far", "{outcome}");
}

#[test]
fn a_file_that_a_reader_has_open_is_moved() {
    let ends = Ends::with(&[("open", b"content")]);
    let before = snapshot(&ends.source).unwrap();
    let _reader = File::open(ends.source.join("open")).unwrap();

    let outcome = ends.mover().run().expect(0);

    ends.assert_moved(&before, &outcome);
}
