//! The audit trail as a file, and comparing a destination with it.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use rstest::rstest;
use serde_json::Value;

use crate::ends::Ends;
use crate::program::realize;

/// The lines of a trail.
fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[rstest]
#[case::a_move("move", &["file.finished", "file.deleted"])]
#[case::a_copy("copy", &["file.finished"])]
fn what_is_moved_is_on_record(#[case] command: &str, #[case] events: &[&str]) {
    let ends = Ends::with(&[("sub/file", b"content")]);
    let trail = ends.outside("receipts.jsonl");
    let program = realize([command]).with([&ends.source, &ends.destination]);
    program
        .with(["--receipts".as_ref(), trail.as_os_str()])
        .run()
        .expect(0);
    let found = lines(&fs::read_to_string(&trail).unwrap());
    let said: Vec<_> = found.iter().map(|line| line["event"].clone()).collect();
    assert_eq!(said, events);
    for line in found {
        assert_eq!(line["path"], "sub/file");
        assert_eq!(line["bytes"], 7);
        assert_eq!(line["hash"], blake3::hash(b"content").to_string());
        assert_eq!(line["peer"], "local");
        assert_eq!(line["run"].as_str().unwrap().len(), 32);
        assert!(line["time"].as_str().unwrap().ends_with('Z'));
    }
}

#[test]
fn receipts_of_several_moves_are_in_one_file() {
    let trail = tempfile::tempdir().unwrap();
    let trail = trail.path().join("receipts.jsonl");
    for name in ["one", "two"] {
        let ends = Ends::with(&[(name, b"content")]);
        let program = realize(["move"]).with([&ends.source, &ends.destination]);
        let program = program.variable("REALIZE_MOVE__RECEIPTS", &trail);
        program.run().expect(0);
    }
    assert_eq!(lines(&fs::read_to_string(&trail).unwrap()).len(), 4);
}

#[rstest]
#[case::no_such_directory("missing/receipts")]
#[case::a_directory("")]
#[case::what_cannot_be_synced("/dev/full")]
fn a_trail_that_cannot_be_opened_leaves_everything_where_it_is(#[case] name: &str) {
    let ends = Ends::with(&[("file", b"content")]);
    let trail = ends.outside("there").join(name);
    fs::create_dir(ends.outside("there")).unwrap();
    let program = realize(["move"]).with([&ends.source, &ends.destination]);
    let program = program.with(["--receipts".as_ref(), trail.as_os_str()]);
    program
        .run()
        .expect(1)
        .says(&["receipts", "nothing was moved"]);
    assert!(ends.source.join("file").exists());
}

#[rstest]
#[case::nothing("", 0, 3, 0)]
#[case::one_changed("changed", 7, 2, 1)]
#[case::one_gone("gone", 7, 2, 1)]
#[case::one_of_another_kind("link", 7, 2, 1)]
fn a_destination_is_compared_with_its_receipts(
    #[case] happened: &str,
    #[case] code: i32,
    #[case] same: u64,
    #[case] different: u64,
) {
    let odd = std::ffi::OsStr::from_bytes(b"odd\xff\n");
    let ends = Ends::with(&[("file", b"content"), ("sub/other", b"more")]);
    fs::write(ends.source.join(odd), b"odd").unwrap();
    let trail = ends.outside("receipts.jsonl");
    let program = realize(["move"]).with([&ends.source, &ends.destination]);
    program
        .with(["--receipts".as_ref(), trail.as_os_str()])
        .run()
        .expect(0);
    let file = ends.destination.join("file");
    match happened {
        "changed" => fs::write(&file, b"CONTENT").unwrap(),
        "gone" => fs::remove_file(&file).unwrap(),
        "link" => {
            fs::remove_file(&file).unwrap();
            std::os::unix::fs::symlink("sub/other", &file).unwrap();
        }
        _ => {}
    }
    let program = realize(["verify", "--json", "--receipts"]).with([&trail, &ends.destination]);
    let outcome = program.run().expect(code);
    assert_eq!(outcome.json_summary("same"), same, "{outcome}");
    assert_eq!(outcome.json_summary("different"), different, "{outcome}");
}

#[rstest]
#[case::no_trail("moved everything\n", "line 1")]
#[case::a_hash_that_is_none(
    "{\"time\":\"\",\"event\":\"file.finished\",\"path\":\"f\",\"bytes\":1,\"hash\":\"00\",\
     \"peer\":\"\",\"directory\":\"\",\"run\":\"\"}\n",
    "line 1"
)]
fn what_is_no_trail_is_refused(#[case] text: &str, #[case] says: &str) {
    let ends = Ends::with(&[]);
    fs::create_dir_all(&ends.destination).unwrap();
    let trail = ends.outside("receipts.jsonl");
    fs::write(&trail, text).unwrap();
    let program = realize(["verify", "--receipts"]).with([&trail, &ends.destination]);
    program
        .run()
        .expect(2)
        .says(&[says, "nothing was compared"]);
}
