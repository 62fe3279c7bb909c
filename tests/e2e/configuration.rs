//! What the configuration says, and what the program says of a wrong one.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use realize_test_kit::odd_tree::snapshot;
use rstest::rstest;

use crate::ends::Ends;
use crate::program::realize;

fn configuration(ends: &Ends, text: &str) -> PathBuf {
    let path = ends.outside("realize.toml");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn both_ends_from_the_file_relative_to_it() {
    let ends = Ends::with(&[("file", b"content")]);
    let before = snapshot(&ends.source).unwrap();
    let file = configuration(
        &ends,
        "[move]\nsource = \"source\"\ndestination = \"destination/\"\n",
    );
    // A slash makes these paths; without one they could be names of directories.
    let text = fs::read_to_string(&file)
        .unwrap()
        .replace("\"source\"", "\"./source\"");
    fs::write(&file, text).unwrap();

    let outcome = realize(["--config"])
        .with([&file])
        .with(["move"])
        .run()
        .expect(0);

    ends.assert_moved(&before, &outcome);
}

#[test]
fn a_directory_by_its_name() {
    let ends = Ends::with(&[("file", b"content")]);
    let before = snapshot(&ends.source).unwrap();
    fs::create_dir(&ends.destination).unwrap();
    let file = configuration(
        &ends,
        "[directories.cam]\npath = \"source\"\n[directories.archive]\npath = \"destination\"\n",
    );

    let outcome = realize(["--config"])
        .with([&file])
        .with(["move", "cam", "archive"])
        .run()
        .expect(0);

    ends.assert_moved(&before, &outcome);
}

#[test]
fn arguments_come_before_the_file() {
    let ends = Ends::with(&[("file", b"content")]);
    let before = snapshot(&ends.source).unwrap();
    let file = configuration(
        &ends,
        "[move]\nsource = \"/nonexistent\"\ndestination = \"./no\"\n",
    );

    let outcome = ends
        .mover()
        .globally([OsStr::new("--config"), file.as_ref()])
        .run()
        .expect(0);

    ends.assert_moved(&before, &outcome);
    assert!(!ends.outside("no").exists(), "{outcome}");
}

#[rstest]
#[case::unknown_key("[move]\nsuorce = \"./a\"\n", &["suorce", "line 2", "source"])]
#[case::unknown_section("[mvoe]\nsource = \"./a\"\n", &["mvoe", "line 1", "move"])]
#[case::wrong_type("\n\n[move]\nsource = 5\n", &["source", "line 4"])]
#[case::no_toml("[move\n", &["line 1"])]
fn a_wrong_file_gets_one_clear_error(#[case] text: &str, #[case] named: &[&str]) {
    let ends = Ends::with(&[("file", b"content")]);
    let before = snapshot(&ends.source).unwrap();
    let file = configuration(&ends, text);

    let outcome = ends
        .mover()
        .globally([OsStr::new("--config"), file.as_ref()])
        .run()
        .expect(3);

    ends.assert_source_is(&before, &outcome);
    assert!(!ends.destination.exists(), "{outcome}");
    outcome.says(&["realize.toml"]).says(named);
}

#[test]
fn a_file_that_does_not_exist() {
    let ends = Ends::with(&[("file", b"content")]);

    let outcome = ends
        .mover()
        .globally([
            OsStr::new("--config"),
            ends.outside("missing.toml").as_ref(),
        ])
        .run()
        .expect(3)
        .says(&["missing.toml"]);

    assert_eq!(ends.at_source("file").unwrap(), b"content", "{outcome}");
}
