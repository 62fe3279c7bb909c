//! The commands beside `move`: copy, verify, list.

use std::fs;
use std::os::unix::fs::MetadataExt;

use realize_test_kit::odd_tree::{bytes, plant, set_mode, set_modified, snapshot};
use rstest::rstest;

use crate::ends::Ends;
use crate::program::realize;

#[test]
fn a_copy_leaves_the_source_alone() {
    let ends = Ends::new();
    plant(&ends.source, 50).unwrap();
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.program("copy").run().expect(0).says(&["Copied "]);

    ends.assert_source_is(&before, &outcome);
    ends.assert_destination_is(&before, &outcome);
    ends.assert_no_partials(&outcome);
}

#[test]
fn a_second_copy_sends_nothing() {
    let ends = Ends::with(&[
        ("large", &bytes(1, 2 << 20)),
        ("d/small", b"small"),
        ("empty", b""),
    ]);
    let before = snapshot(&ends.source).unwrap();
    ends.program("copy").run().expect(0);
    let inode = || fs::metadata(ends.destination.join("large")).unwrap().ino();
    let first = inode();

    let outcome = ends.program("copy").with(["--json"]).run().expect(0);

    assert_eq!(outcome.json_summary("sent"), 0, "{outcome}");
    assert_eq!(inode(), first, "the file was written again: {outcome}");
    ends.assert_source_is(&before, &outcome);
    ends.assert_destination_is(&before, &outcome);
}

#[test]
fn a_move_after_a_copy_only_deletes() {
    let ends = Ends::with(&[("large", &bytes(1, 2 << 20)), ("d/small", b"small")]);
    let before = snapshot(&ends.source).unwrap();
    ends.program("copy").run().expect(0);

    let outcome = ends.mover().with(["--json"]).run().expect(0);

    assert_eq!(outcome.json_summary("sent"), 0, "{outcome}");
    ends.assert_moved(&before, &outcome);
}

#[test]
fn verify_after_a_copy_finds_nothing_and_changes_nothing() {
    let ends = Ends::new();
    plant(&ends.source, 20).unwrap();
    ends.program("copy").run().expect(0);
    let before = (
        snapshot(&ends.source).unwrap(),
        snapshot(&ends.destination).unwrap(),
    );

    let outcome = ends.program("verify").run().expect(0);

    ends.assert_source_is(&before.0, &outcome);
    ends.assert_destination_is(&before.1, &outcome);
    ends.assert_no_partials(&outcome);
}

#[rstest]
#[case::one_bit(b"content\x01")]
#[case::shorter(b"content")]
#[case::longer(b"content\x00\x00")]
#[case::empty(b"")]
fn verify_finds_other_content_under_the_same_time(#[case] other: &[u8]) {
    let ends = Ends::with(&[("d/file", b"content\x00"), ("fine", b"fine")]);
    ends.program("copy").run().expect(0);
    let copy = ends.destination.join("d/file");
    let time = fs::metadata(&copy).unwrap();
    fs::write(&copy, other).unwrap();
    set_modified(&copy, time.mtime(), time.mtime_nsec().try_into().unwrap()).unwrap();
    let before = (
        snapshot(&ends.source).unwrap(),
        snapshot(&ends.destination).unwrap(),
    );

    let outcome = ends.program("verify").run().expect(7);

    let said = format!("{}{}", outcome.stdout_text(), outcome.stderr_text());
    assert!(said.contains("d/file"), "{outcome}");
    ends.assert_source_is(&before.0, &outcome);
    ends.assert_destination_is(&before.1, &outcome);
}

#[rstest]
#[case::a_file("file")]
#[case::a_file_below("d/inner")]
#[case::a_link("link")]
fn verify_finds_what_is_missing(#[case] missing: &str) {
    let ends = Ends::with(&[("file", b"content"), ("d/inner", b"inner")]);
    std::os::unix::fs::symlink("file", ends.source.join("link")).unwrap();
    ends.program("copy").run().expect(0);
    fs::remove_file(ends.destination.join(missing)).unwrap();

    let outcome = ends.program("verify").run().expect(7);

    let said = format!("{}{}", outcome.stdout_text(), outcome.stderr_text());
    assert!(said.contains(missing), "{outcome}");
    assert_eq!(ends.at_destination(missing), None, "{outcome}");
}

#[test]
fn verify_finds_a_link_that_points_elsewhere() {
    let ends = Ends::new();
    fs::create_dir(&ends.destination).unwrap();
    std::os::unix::fs::symlink("one", ends.source.join("link")).unwrap();
    std::os::unix::fs::symlink("two", ends.destination.join("link")).unwrap();

    let outcome = ends.program("verify").run().expect(7);

    let said = format!("{}{}", outcome.stdout_text(), outcome.stderr_text());
    assert!(said.contains("link"), "{outcome}");
}

#[test]
fn list_prints_every_file_on_a_line_of_its_own() {
    let ends = Ends::with(&[
        ("a", b"1"),
        ("d/b c", b"22"),
        ("new\nline", b""),
        ("d/\x1b[31m", b""),
    ]);
    std::os::unix::fs::symlink("a", ends.source.join("link")).unwrap();
    set_mode(&ends.source.join("a"), 0o600).unwrap();
    let before = snapshot(&ends.source).unwrap();

    let outcome = realize(["list"]).with([&ends.source]).run().expect(0);

    let text = outcome.stdout_text();
    assert!(!text.contains('\x1b'), "{outcome}");
    for shown in ["a", "d/b c", "new\\nline", "d/\\u{1b}[31m", "link"] {
        let lines = text.lines().filter(|line| line.contains(shown)).count();
        assert!(lines >= 1, "{shown:?} is not listed: {outcome}");
    }
    assert!(
        !text.lines().any(|line| line == "line"),
        "a name spans two lines: {outcome}"
    );
    ends.assert_source_is(&before, &outcome);
    ends.assert_no_partials(&outcome);
}

#[test]
fn list_of_an_empty_directory_prints_nothing() {
    let ends = Ends::new();

    let outcome = realize(["list"]).with([&ends.source]).run().expect(0);

    assert_eq!(outcome.stdout_text(), "", "{outcome}");
}

#[test]
fn list_of_what_does_not_exist() {
    let ends = Ends::new();

    let outcome = realize(["list"]).with([&ends.destination]).run().expect(2);

    outcome.says(&[ends.destination.to_str().unwrap()]);
}
