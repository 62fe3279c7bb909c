//! What cannot be done: one clear error that names the thing, the right exit code, nothing lost.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use realize_test_kit::odd_tree::snapshot;
use rstest::rstest;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::ends::Ends;
use crate::program::{can_make_devices, realize};

#[rstest]
#[case("move")]
#[case("copy")]
#[case("verify")]
fn a_source_that_does_not_exist(#[case] command: &str) {
    let ends = Ends::new();
    let missing = ends.outside("no such source");

    let outcome = realize([command])
        .with([&missing, &ends.destination])
        .run()
        .expect(2);

    outcome.says(&["no such source"]);
    assert!(!ends.destination.exists());
}

#[test]
fn a_destination_that_is_a_file() {
    let ends = Ends::with(&[("file", b"content")]);
    fs::write(&ends.destination, b"a file").unwrap();
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends
        .mover()
        .run()
        .expect(2)
        .says(&[ends.destination.to_str().unwrap()]);

    ends.assert_source_is(&before, &outcome);
    assert_eq!(fs::read(&ends.destination).unwrap(), b"a file", "{outcome}");
}

#[test]
fn a_destination_whose_parent_does_not_exist() {
    let ends = Ends::with(&[("file", b"content")]);
    let before = snapshot(&ends.source).unwrap();
    let destination = ends.outside("missing/destination");

    let outcome = realize(["move"])
        .with([&ends.source, &destination])
        .run()
        .expect(2);

    ends.assert_source_is(&before, &outcome);
    assert!(!ends.outside("missing").exists(), "{outcome}");
    outcome.says(&["missing"]);
}

#[rstest]
#[case::unknown_flag(&["move", "--no-such-flag", "a", "b"], "--no-such-flag")]
#[case::unknown_command(&["mvoe", "a", "b"], "move")]
#[case::unknown_policy(&["move", "--on-conflict", "merge", "a", "b"], "replace")]
#[case::unknown_progress(&["move", "--progress", "fast", "a", "b"], "plain")]
#[case::no_duration(&["move", "--min-age", "soon", "a", "b"], "soon")]
#[case::negative_duration(&["move", "--max-duration", "-5s", "a", "b"], "max-duration")]
#[case::bad_glob(&["move", "--include", "[a", "a", "b"], "[a")]
#[case::three_paths(&["move", "a", "b", "c"], "c")]
#[case::no_command(&[], "usage")]
#[case::list_without_where(&["list"], "where")]
fn usage_that_is_wrong(#[case] arguments: &[&str], #[case] named: &str) {
    let ends = Ends::new();
    fs::create_dir(ends.outside("a")).unwrap();
    fs::write(ends.outside("a/file"), b"content").unwrap();

    let outcome = realize(arguments)
        .in_directory(&ends.outside(""))
        .run()
        .expect(2);

    assert_eq!(
        fs::read(ends.outside("a/file")).unwrap(),
        b"content",
        "{outcome}"
    );
    assert!(!ends.outside("b").exists(), "{outcome}");
    outcome.says(&[named]);
}

#[rstest]
#[case(&["move"])]
#[case(&["move", "source"])]
fn an_end_that_nobody_named(#[case] arguments: &[&str]) {
    let ends = Ends::with(&[("file", b"content")]);
    let before = snapshot(&ends.source).unwrap();

    let outcome = realize(arguments)
        .in_directory(&ends.outside(""))
        .run()
        .expect(2);

    ends.assert_source_is(&before, &outcome);
    outcome.says(&["destination"]);
}

fn make_fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap();
}

/// The name of a socket stays when nobody listens any more.
fn make_socket(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
}

#[rstest]
#[case(make_fifo, "pipe")]
#[case(make_socket, "socket")]
fn special_files_are_reported_and_left(#[case] make: fn(&Path), #[case] kind: &str) {
    let ends = Ends::with(&[("before", b"1"), ("with/other", b"2"), ("zzz", b"3")]);
    make(&ends.source.join("with/thing"));

    let outcome = ends.mover().run().expect(6).says(&["with/thing", kind]);

    let left = fs::symlink_metadata(ends.source.join("with/thing"))
        .unwrap()
        .file_type();
    assert!(left.is_fifo() || left.is_socket(), "{outcome}");
    for (path, content) in [("before", b"1"), ("with/other", b"2"), ("zzz", b"3")] {
        assert_eq!(ends.at_source(path), None, "{path}: {outcome}");
        assert_eq!(
            ends.at_destination(path).unwrap(),
            content,
            "{path}: {outcome}"
        );
    }
    assert!(!ends.destination.join("with/thing").exists(), "{outcome}");
    ends.assert_no_partials(&outcome);
}

#[test]
fn devices_are_reported_and_left() {
    if !can_make_devices() {
        return;
    }
    let ends = Ends::with(&[("file", b"content")]);
    // The device that gives zeros without end: whoever reads it by mistake never returns.
    let mode = Mode::from_raw_mode(0o644);
    let device = ends.source.join("zero");
    mknodat(CWD, &device, FileType::CharacterDevice, mode, makedev(1, 5)).unwrap();

    let outcome = ends.mover().run().expect(6).says(&["zero", "device"]);

    assert!(
        fs::symlink_metadata(device)
            .unwrap()
            .file_type()
            .is_char_device(),
        "{outcome}"
    );
    assert_eq!(
        ends.at_destination("file").unwrap(),
        b"content",
        "{outcome}"
    );
    assert_eq!(ends.at_source("file"), None, "{outcome}");
}

#[test]
fn a_special_file_as_the_source() {
    let ends = Ends::new();
    let fifo = ends.source.join("fifo");
    make_fifo(&fifo);

    let outcome = realize(["move"]).with([&fifo, &ends.destination]).run();

    let outcome = outcome.expect_one_of(&[2, 6]).says(&["fifo"]);
    assert!(
        fs::symlink_metadata(fifo).unwrap().file_type().is_fifo(),
        "{outcome}"
    );
}

#[test]
fn a_special_file_where_a_file_should_go() {
    let ends = Ends::with(&[("thing", b"content"), ("other", b"other")]);
    fs::create_dir(&ends.destination).unwrap();
    let fifo = ends.destination.join("thing");
    make_fifo(&fifo);

    let outcome = ends.mover().run().expect(6).says(&["thing"]);

    assert!(
        fs::symlink_metadata(fifo).unwrap().file_type().is_fifo(),
        "{outcome}"
    );
    assert_eq!(ends.at_source("thing").unwrap(), b"content", "{outcome}");
    assert_eq!(ends.at_source("other"), None, "{outcome}");
    assert_eq!(ends.at_destination("other").unwrap(), b"other", "{outcome}");
}
