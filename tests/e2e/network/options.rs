//! The options of a move, where one end is a peer's directory.

use std::fs;
use std::time::{Duration, SystemTime};

use realize_test_kit::odd_tree::{bytes, plant_compact, remains, set_modified, snapshot};
use rstest::rstest;

use super::machines::{assert_no_partials, seen, write};
use super::ways::{Ends, Way};
use crate::ends::assert_same;

#[rstest]
fn a_dry_run_changes_nothing(#[values(Way::There, Way::Back)] way: Way) {
    let ends = Ends::new(way);
    plant_compact(&ends.source, 20).unwrap();
    write(&ends.destination, "one byte", b"an older one");
    let before = (
        snapshot(&ends.source).unwrap(),
        snapshot(&ends.destination).unwrap(),
    );

    let outcome = ends.program("move").with(["--dry-run"]).run().expect(0);

    assert_same(&before.0, &ends.source, &outcome);
    assert_same(&before.1, &ends.destination, &outcome);
    assert!(
        outcome
            .stdout_text()
            .contains("would move: content/three MiB"),
        "{outcome}"
    );

    let json = ["--dry-run", "--json"];
    let outcome = ends.program("copy").with(json).run().expect(0);
    assert_eq!(outcome.json_file("one byte")["status"], "would copy");
}

#[test]
fn a_dry_run_makes_no_destination() {
    let ends = Ends::new(Way::There);
    write(&ends.source, "file", b"content");

    let line = ["move", "--dry-run", "../source", "nas:inbox/new/place"];
    let dry = ends.machines.cam(line);
    let outcome = dry.in_directory(&ends.machines.path("cam")).run().expect(0);

    assert_eq!(remains(&ends.destination).unwrap(), [""; 0], "{outcome}");
    assert_eq!(remains(&ends.source).unwrap(), ["file"], "{outcome}");
    assert!(
        outcome.stdout_text().contains("would move: file"),
        "{outcome}"
    );
}

#[rstest]
fn json_has_an_object_for_each_file_and_a_summary(#[values(Way::There, Way::Back)] way: Way) {
    let ends = Ends::new(way);
    for (path, content) in [
        ("small", b"content".to_vec()),
        ("d/large", bytes(1, 300_000)),
        ("same", b"same".to_vec()),
    ] {
        write(&ends.source, path, &content);
    }
    write(&ends.destination, "same", b"same");

    let outcome = ends.program("move").with(["--json"]).run().expect(0);

    assert_eq!(outcome.json().len(), 4, "{outcome}");
    for (path, status, content) in [
        ("small", "moved", b"content".to_vec()),
        ("d/large", "moved", bytes(1, 300_000)),
        ("same", "identical", b"same".to_vec()),
    ] {
        outcome.has_ended(path, status, &content);
    }
    assert_eq!(outcome.json_summary("moved"), 3, "{outcome}");
    assert_eq!(outcome.json_summary("bytes"), 300_011, "{outcome}");
    assert_eq!(outcome.json_summary("sent"), 300_007, "{outcome}");
}

#[rstest]
#[case::include(&["--include", "*.jpg"], &["a.jpg", "d/b.jpg"])]
#[case::exclude(&["--exclude", "*.jpg"], &["d/c.txt", "d/e/f"])]
#[case::exclude_wins(&["--include", "*.jpg", "--exclude", "b*"], &["a.jpg"])]
#[case::below_a_directory(&["--exclude", "d/**"], &["a.jpg"])]
fn globs_choose(
    #[case] flags: &[&str],
    #[case] moved: &[&str],
    #[values(Way::There, Way::Back)] way: Way,
) {
    const ALL: [&str; 4] = ["a.jpg", "d/b.jpg", "d/c.txt", "d/e/f"];
    let ends = Ends::new(way);
    for path in ALL {
        write(&ends.source, path, path.as_bytes());
    }

    let outcome = ends.program("move").with(flags).run().expect(0);

    for path in ALL {
        let (gone, left) = (
            fs::read(ends.destination.join(path)).ok(),
            fs::read(ends.source.join(path)).ok(),
        );
        let (at, not_at) = if moved.contains(&path) {
            (gone, left)
        } else {
            (left, gone)
        };
        assert_eq!(at.as_deref(), Some(path.as_bytes()), "{path}: {outcome}");
        assert_eq!(not_at, None, "{path}: {outcome}");
    }
    assert_no_partials(&[&ends.source, &ends.destination], &outcome);
}

#[rstest]
fn young_files_wait(#[values(Way::There, Way::Back)] way: Way) {
    let ends = Ends::new(way);
    write(&ends.source, "young", b"still warm");
    write(&ends.source, "old", b"cold");
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let earlier = (now - Duration::from_secs(7200)).as_secs();
    set_modified(&ends.source.join("old"), earlier.try_into().unwrap(), 0).unwrap();

    let outcome = ends.program("move").with(["--min-age", "1h"]).run();
    let outcome = outcome.expect(0).says(&["1 deferred"]);

    assert_eq!(remains(&ends.source).unwrap(), ["young"], "{outcome}");
    assert_eq!(remains(&ends.destination).unwrap(), ["old"], "{outcome}");
}

#[rstest]
fn a_file_that_is_being_written_waits(#[values(Way::There, Way::Back)] way: Way) {
    let ends = Ends::new(way);
    write(&ends.source, "open", b"so far");
    write(&ends.source, "done", b"whole");
    let file = ends.source.join("open");
    let writer = fs::OpenOptions::new().append(true).open(file).unwrap();

    let outcome = ends.program("move").run();
    let outcome = outcome.expect(0).says(&["1 deferred"]);
    assert_eq!(remains(&ends.source).unwrap(), ["open"], "{outcome}");
    assert_eq!(remains(&ends.destination).unwrap(), ["done"], "{outcome}");

    drop(writer);
    let outcome = ends.program("move").run().expect(0);
    assert_eq!(remains(&ends.source).unwrap(), [""; 0], "{outcome}");
    let arrived = fs::read(ends.destination.join("open")).unwrap();
    assert_eq!(arrived, b"so far", "{outcome}");
}

/// What lies where after a move of `photo.jpg` over an older one.
#[rstest]
#[case::by_default(&[], 0, &[], &[("photo.jpg", "ours")])]
#[case::replace(&["--on-conflict", "replace"], 0, &[], &[("photo.jpg", "ours")])]
#[case::keep(&["--on-conflict", "keep"], 6, &["photo.jpg"], &[("photo.jpg", "theirs")])]
#[case::fail(&["--on-conflict", "fail"], 6, &["photo.jpg"], &[("photo.jpg", "theirs")])]
#[case::rename(
    &["--on-conflict", "rename"], 0, &[], &[("photo.jpg", "theirs"), ("photo~HASH.jpg", "ours")],
)]
fn a_conflict_ends_as_it_was_chosen(
    #[case] flags: &[&str],
    #[case] code: i32,
    #[case] left: &[&str],
    #[case] arrived: &[(&str, &str)],
    #[values(Way::There, Way::Back)] way: Way,
) {
    let ends = Ends::new(way);
    write(&ends.source, "photo.jpg", b"ours");
    write(&ends.destination, "photo.jpg", b"theirs");

    let outcome = ends.program("move").with(flags).run().expect(code);

    let tree = |dir| {
        let tree = seen(dir);
        let names = tree
            .keys()
            .map(|name| String::from_utf8(name.clone()).unwrap());
        names.collect::<Vec<_>>()
    };
    assert_eq!(tree(&ends.source), left, "{outcome}");
    let digits = &blake3::hash(b"ours").to_hex()[..8];
    let arrived = arrived
        .iter()
        .map(|(name, content)| (name.replace("HASH", digits), content));
    let mut names = Vec::new();
    for (name, content) in arrived {
        let found = fs::read_to_string(ends.destination.join(&name)).unwrap();
        assert_eq!(found, **content, "{name}: {outcome}");
        names.push(name);
    }
    assert_eq!(tree(&ends.destination), names, "{outcome}");
    if code != 0 {
        outcome.says(&["photo.jpg"]);
    }
}

#[rstest]
fn directories_stay_when_asked(#[values(Way::There, Way::Back)] way: Way) {
    let ends = Ends::new(way);
    write(&ends.source, "d/e/file", b"content");
    fs::create_dir_all(ends.source.join("empty/too")).unwrap();

    let outcome = ends.program("move").with(["--keep-directories"]).run();
    let outcome = outcome.expect(0);

    let kept = ["d", "d/e", "empty", "empty/too"];
    assert_eq!(remains(&ends.source).unwrap(), kept, "{outcome}");
    let arrived = ["d", "d/e", "d/e/file", "empty", "empty/too"];
    assert_eq!(remains(&ends.destination).unwrap(), arrived, "{outcome}");
}
