//! What the options of a move do.

use std::fs;
use std::time::{Duration, SystemTime};

use realize_test_kit::odd_tree::{bytes, plant, remains, set_mode, set_modified, snapshot};
use rstest::rstest;

use crate::ends::Ends;
use crate::program::Outcome;

#[test]
fn a_dry_run_changes_nothing() {
    let ends = Ends::new();
    plant(&ends.source, 20).unwrap();
    ends.write_at_destination("one byte", b"an older one");
    let both = || {
        (
            snapshot(&ends.source).unwrap(),
            snapshot(&ends.destination).unwrap(),
        )
    };
    let before = both();

    let outcome = ends.mover().with(["--dry-run"]).run().expect(0);

    ends.assert_source_is(&before.0, &outcome);
    ends.assert_destination_is(&before.1, &outcome);
    let shown = format!("{}{}", outcome.stdout_text(), outcome.stderr_text());
    assert!(
        shown.contains("content/three MiB"),
        "what would be moved is not shown: {outcome}"
    );
}

#[test]
fn a_dry_run_makes_no_destination() {
    let ends = Ends::with(&[("file", b"content")]);

    let outcome = ends.mover().with(["--dry-run"]).run().expect(0);

    assert!(!ends.destination.exists(), "{outcome}");
    assert_eq!(remains(&ends.source).unwrap(), ["file"], "{outcome}");
}

#[rstest]
#[case::include(&["--include", "*.jpg"], &["a.jpg", "d/b.jpg"])]
#[case::two_includes(&["--include", "*.jpg", "--include", "*.txt"], &["a.jpg", "d/b.jpg", "d/c.txt"])]
#[case::exclude(&["--exclude", "*.jpg"], &["d/c.txt", "d/e/f"])]
#[case::exclude_wins(&["--include", "*.jpg", "--exclude", "b*"], &["a.jpg"])]
#[case::below_a_directory(&["--exclude", "d/**"], &["a.jpg"])]
#[case::any_depth(&["--include", "**/f"], &["d/e/f"])]
#[case::by_path(&["--include", "d/*.txt"], &["d/c.txt"])]
#[case::nothing(&["--include", "*.none"], &[])]
fn globs_choose(#[case] flags: &[&str], #[case] moved: &[&str]) {
    const ALL: [&str; 4] = ["a.jpg", "d/b.jpg", "d/c.txt", "d/e/f"];
    let ends = Ends::new();
    ALL.iter()
        .for_each(|path| ends.write(path, path.as_bytes()));

    let outcome = ends.mover().with(flags).run().expect(0);

    for path in ALL {
        let (gone, left) = (ends.at_destination(path), ends.at_source(path));
        assert_eq!(gone.is_some(), moved.contains(&path), "{path}: {outcome}");
        assert_eq!(left.is_some(), !moved.contains(&path), "{path}: {outcome}");
    }
    ends.assert_no_partials(&outcome);
}

#[test]
fn young_files_wait() {
    let ends = Ends::with(&[
        ("young", b"still warm"),
        ("old", b"cold"),
        ("future", b"odd clock"),
    ]);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let hours = |n: u64| i64::try_from((now - Duration::from_secs(n * 3600)).as_secs()).unwrap();
    set_modified(&ends.source.join("old"), hours(2), 0).unwrap();
    set_modified(&ends.source.join("future"), hours(0) + 7200, 0).unwrap();

    let outcome = ends
        .mover()
        .with(["--min-age", "1h"])
        .run()
        .expect(0)
        .says(&["2 deferred"]);

    assert_eq!(ends.at_source("young").unwrap(), b"still warm", "{outcome}");
    assert_eq!(ends.at_source("future").unwrap(), b"odd clock", "{outcome}");
    assert_eq!(ends.at_source("old"), None, "{outcome}");
    assert_eq!(ends.at_destination("old").unwrap(), b"cold", "{outcome}");
    assert_eq!(ends.at_destination("young"), None, "{outcome}");
}

#[rstest]
#[case::by_default(&[])]
#[case::in_words(&["--on-conflict", "replace"])]
fn an_older_version_is_replaced(#[case] flags: &[&str]) {
    let ends = Ends::with(&[("file", b"new version"), ("link", b"other")]);
    ends.write_at_destination("file", b"old version, longer");
    set_mode(&ends.destination.join("file"), 0o400).unwrap();
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.mover().with(flags).run().expect(0);

    ends.assert_moved(&before, &outcome);
}

#[test]
fn keep_leaves_both() {
    let ends = Ends::with(&[("file", b"ours"), ("other", b"other"), ("same", b"same")]);
    ends.write_at_destination("file", b"theirs");
    ends.write_at_destination("same", b"same");

    let outcome = ends
        .mover()
        .with(["--on-conflict", "keep"])
        .run()
        .expect(6)
        .says(&["file"]);

    assert_eq!(ends.at_source("file").unwrap(), b"ours", "{outcome}");
    assert_eq!(ends.at_destination("file").unwrap(), b"theirs", "{outcome}");
    assert_eq!(ends.at_destination("other").unwrap(), b"other", "{outcome}");
    assert_eq!(remains(&ends.source).unwrap(), ["file"], "{outcome}");
    ends.assert_no_partials(&outcome);
}

#[test]
fn fail_stops_and_loses_nothing() {
    let ends = Ends::with(&[("file", b"ours")]);
    ends.write_at_destination("file", b"theirs");

    let outcome = ends.mover().with(["--on-conflict", "fail"]).run();

    assert_ne!(outcome.code(), 0, "{outcome}");
    assert_eq!(ends.at_source("file").unwrap(), b"ours", "{outcome}");
    assert_eq!(ends.at_destination("file").unwrap(), b"theirs", "{outcome}");
    outcome.says(&["file"]);
}

#[rstest]
#[case("photo.jpg", "photo~", ".jpg")]
#[case("d/archive.tar.gz", "d/archive.tar~", ".gz")]
#[case("plain", "plain~", "")]
#[case(".hidden", ".hidden~", "")]
fn rename_keeps_both_under_a_name_from_the_hash(
    #[case] name: &str,
    #[case] stem: &str,
    #[case] extension: &str,
) {
    let ends = Ends::with(&[(name, b"ours")]);
    ends.write_at_destination(name, b"theirs");
    let digits = &blake3::hash(b"ours").to_hex()[..8];
    let renamed = format!("{stem}{digits}{extension}");
    let check = |outcome: &Outcome| {
        ends.assert_source_empty(outcome);
        assert_eq!(ends.at_destination(name).unwrap(), b"theirs", "{outcome}");
        assert_eq!(
            ends.at_destination(&renamed).as_deref(),
            Some(&b"ours"[..]),
            "{outcome}"
        );
        let files = remains(&ends.destination).unwrap();
        let files = files
            .iter()
            .filter(|path| ends.destination.join(path).is_file())
            .count();
        assert_eq!(files, 2, "{outcome}");
    };

    check(
        &ends
            .mover()
            .with(["--on-conflict", "rename"])
            .run()
            .expect(0),
    );

    // The same file comes again, for instance from a camera's card that was put back.
    ends.write(name, b"ours");
    check(
        &ends
            .mover()
            .with(["--on-conflict", "rename"])
            .run()
            .expect(0),
    );
}

#[test]
fn directories_stay_when_asked() {
    let ends = Ends::with(&[("d/e/file", b"content")]);
    fs::create_dir_all(ends.source.join("empty/too")).unwrap();

    let outcome = ends.mover().with(["--keep-directories"]).run().expect(0);

    assert_eq!(
        remains(&ends.source).unwrap(),
        ["d", "d/e", "empty", "empty/too"],
        "{outcome}"
    );
    assert_eq!(
        ends.at_destination("d/e/file").unwrap(),
        b"content",
        "{outcome}"
    );
    assert!(ends.destination.join("empty/too").is_dir(), "{outcome}");
}

#[test]
fn what_is_identical_is_not_sent_again() {
    let ends = Ends::with(&[("same", &bytes(1, 300_000)), ("d/small", b"small")]);
    ends.write_at_destination("same", &bytes(1, 300_000));
    ends.write_at_destination("d/small", b"small");
    for (path, mode) in [("same", 0o640), ("d/small", 0o444)] {
        set_modified(&ends.source.join(path), 1_500_000_000, 7).unwrap();
        set_mode(&ends.source.join(path), mode).unwrap();
    }
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.mover().with(["--json"]).run().expect(0);

    ends.assert_moved(&before, &outcome);
    assert_eq!(outcome.json_summary("sent"), 0, "{outcome}");
    assert_eq!(
        outcome.json_file("same")["status"],
        "identical",
        "{outcome}"
    );
}

#[test]
fn equal_size_and_time_are_not_taken_for_equal_content() {
    let ends = Ends::with(&[("file", b"new content")]);
    ends.write_at_destination("file", b"old content");
    for end in [&ends.source, &ends.destination] {
        set_modified(&end.join("file"), 1_500_000_000, 7).unwrap();
    }
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.mover().run().expect(0);

    ends.assert_moved(&before, &outcome);
}

#[test]
fn an_older_version_is_patched() {
    const SIZE: usize = 16 << 20;
    let mut content = bytes(1, SIZE);
    let ends = Ends::new();
    ends.write_at_destination("disk.img", &content);
    // A change, an insertion that shifts everything behind it, and a longer end.
    content[1_000_000..1_000_500].fill(7);
    content.splice(5_000_000..5_000_000, *b"inserted");
    content.extend_from_slice(&bytes(2, 10_000));
    ends.write("disk.img", &content);
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.mover().with(["--json"]).run().expect(0);

    ends.assert_moved(&before, &outcome);
    let sent = outcome.json_summary("sent");
    assert!(sent < SIZE as u64 / 4, "{sent} bytes sent: {outcome}");
}

#[test]
fn time_that_runs_out_leaves_the_rest_for_the_next_run() {
    let ends = Ends::new();
    ends.write("large", &bytes(1, 96 << 20));
    (0..300).for_each(|i| ends.write(&format!("d/{i}"), &bytes(i, 1000)));
    let before = snapshot(&ends.source).unwrap();

    // However fast the machine is, it would take half a minute.
    let slow = ["--transport", "channel", "--throttle", "3M"];
    let outcome = ends
        .mover()
        .with(slow)
        .with(["--max-duration", "500ms"])
        .run()
        .expect(11);

    for (path, _) in before.iter().filter(|(_, node)| node.size > 0) {
        let path = std::str::from_utf8(path).unwrap();
        let (here, there) = (ends.at_source(path), ends.at_destination(path));
        assert!(
            here.is_some() || there.is_some(),
            "{path} is lost: {outcome}"
        );
    }

    let outcome = ends.mover().run().expect(0);
    ends.assert_moved(&before, &outcome);
}

#[test]
fn time_that_suffices_changes_nothing() {
    let ends = Ends::with(&[("file", b"content")]);
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.mover().with(["--max-duration", "10m"]).run().expect(0);

    ends.assert_moved(&before, &outcome);
}

/// The name that a file gets when it gives way may be that of another file of the source.
#[test]
fn a_file_that_gives_way_takes_no_other_files_name() {
    let digits = &blake3::hash(b"newer").to_hex()[..8];
    let other = format!("x~{digits}.txt");
    let ends = Ends::with(&[("x.txt", b"newer"), (&other, b"another file")]);
    ends.write_at_destination("x.txt", b"older content");

    let outcome = ends.mover().with(["--on-conflict", "rename"]).run();

    for content in [&b"newer"[..], b"another file", b"older content"] {
        let kept = ["x.txt", &other].iter().any(|path| {
            ends.at_source(path).as_deref() == Some(content)
                || ends.at_destination(path).as_deref() == Some(content)
        });
        assert!(kept, "{} is lost: {outcome}", content.escape_ascii());
    }
}

#[test]
fn a_hard_link_between_both_ends_is_unlinked_at_the_source() {
    let ends = Ends::with(&[("file", b"content")]);
    fs::create_dir(&ends.destination).unwrap();
    fs::hard_link(ends.source.join("file"), ends.destination.join("file")).unwrap();

    let outcome = ends.mover().run().expect(0);

    assert_eq!(remains(&ends.source).unwrap(), [""; 0], "{outcome}");
    assert_eq!(
        ends.at_destination("file").unwrap(),
        b"content",
        "{outcome}"
    );
}

#[test]
fn excluded_directories_are_left_alone() {
    let ends = Ends::with(&[("file", b"content"), ("cache/file", b"cached")]);
    fs::create_dir(ends.source.join("cache2")).unwrap();
    fs::create_dir_all(ends.destination.join("cache2")).unwrap();
    set_mode(&ends.source.join("cache2"), 0o711).unwrap();

    let outcome = ends.mover().with(["--exclude", "cache*"]).run().expect(0);

    assert!(ends.source.join("cache2").is_dir(), "{outcome}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(ends.destination.join("cache2"))
            .unwrap()
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o755, "{outcome}");
}
