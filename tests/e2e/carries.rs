//! What a move carries: everything that a tree can hold, as it was.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};

use realize_test_kit::odd_tree::{
    SPARSE_FILE, SPARSE_SIZE, bytes, plant, remains, set_modified, snapshot,
};
use rstest::rstest;

use crate::ends::{Ends, assert_same};
use crate::program::{Program, realize};

#[test]
fn the_odd_tree_arrives_whole() {
    let ends = Ends::new();
    plant(&ends.source, 500).unwrap();
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.mover().run().expect(0);

    ends.assert_moved(&before, &outcome);
    let sparse = fs::metadata(ends.destination.join(SPARSE_FILE)).unwrap();
    assert_eq!(sparse.len(), SPARSE_SIZE, "{outcome}");
    assert!(
        sparse.blocks() * 512 < 2 << 20,
        "{} blocks: {outcome}",
        sparse.blocks()
    );
}

#[test]
fn the_odd_tree_comes_back_unchanged() {
    let ends = Ends::new();
    plant(&ends.source, 100).unwrap();
    let before = snapshot(&ends.source).unwrap();

    ends.mover().run().expect(0);
    let back = realize(["move"])
        .with([&ends.destination, &ends.source])
        .run()
        .expect(0);

    ends.assert_source_is(&before, &back);
    assert_eq!(remains(&ends.destination).unwrap(), [""; 0], "{back}");
}

#[test]
fn a_second_run_has_nothing_to_do() {
    let ends = Ends::new();
    plant(&ends.source, 10).unwrap();
    let before = snapshot(&ends.source).unwrap();
    ends.mover().run().expect(0);

    let again = ends.mover().run().expect(0);

    ends.assert_moved(&before, &again);
}

#[test]
fn one_file_goes_into_the_destination() {
    let ends = Ends::with(&[("one", b"first"), ("two", b"second")]);

    let outcome = realize(["move"])
        .with([ends.source.join("one"), ends.destination.clone()])
        .run();

    let outcome = outcome.expect(0);
    assert_eq!(ends.at_source("one"), None, "{outcome}");
    assert_eq!(ends.at_source("two").unwrap(), b"second", "{outcome}");
    assert_eq!(ends.at_destination("one").unwrap(), b"first", "{outcome}");
    ends.assert_no_partials(&outcome);
}

#[rstest]
#[case("", "")]
#[case("/", "")]
#[case("", "/")]
#[case("///", "/.")]
fn a_slash_at_the_end_changes_nothing(#[case] source: &str, #[case] destination: &str) {
    let ends = Ends::with(&[("a/b", b"content")]);
    let before = snapshot(&ends.source).unwrap();
    let with = |path: &std::path::Path, end: &str| {
        let mut path = path.as_os_str().to_owned();
        path.push(end);
        path
    };
    // A path that ends in a dot names a directory, so that one must exist.
    fs::create_dir(&ends.destination).unwrap();

    let arguments = [
        with(&ends.source, source),
        with(&ends.destination, destination),
    ];
    let outcome = realize(["move"]).with(arguments).run().expect(0);

    ends.assert_moved(&before, &outcome);
}

#[test]
fn relative_paths_and_colons() {
    let ends = Ends::new();
    let program = |source: &str, destination: &str| -> Program {
        realize(["move", source, destination]).in_directory(&ends.outside(""))
    };
    ends.write("file", b"content");
    program("source", "./to:here").run().expect(0);
    assert_eq!(fs::read(ends.outside("to:here/file")).unwrap(), b"content");
    // Without a slash before it, the colon stands behind the name of a machine.
    let outcome = program("to:here", "destination").run();
    assert_ne!(outcome.code(), 0, "{outcome}");
    assert_eq!(
        fs::read(ends.outside("to:here/file")).unwrap(),
        b"content",
        "{outcome}"
    );
}

#[test]
fn content_beyond_four_gibibytes() {
    let ends = Ends::new();
    let file = File::create(ends.source.join("large")).unwrap();
    let (size, tail) = ((4 << 30) + 12_345, bytes(1, 300_000));
    file.set_len(size).unwrap();
    file.write_all_at(&tail, size - 300_000).unwrap();
    file.write_all_at(&bytes(2, 10), (1 << 32) - 5).unwrap();
    drop(file);
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.mover().run().expect(0);

    ends.assert_moved(&before, &outcome);
}

#[test]
fn hard_links_arrive_as_separate_files() {
    let ends = Ends::with(&[("one", b"shared")]);
    fs::hard_link(ends.source.join("one"), ends.source.join("two")).unwrap();

    let outcome = ends.mover().run().expect(0);

    ends.assert_source_empty(&outcome);
    for name in ["one", "two"] {
        assert_eq!(ends.at_destination(name).unwrap(), b"shared", "{outcome}");
        let links = fs::metadata(ends.destination.join(name)).unwrap().nlink();
        assert_eq!(links, 1, "{name}: {outcome}");
    }
}

#[test]
fn set_id_bits_are_stripped() {
    let ends = Ends::with(&[("tool", b"#!/bin/sh\n")]);
    realize_test_kit::odd_tree::set_mode(&ends.source.join("tool"), 0o6755).unwrap();

    let outcome = ends.mover().run().expect(0);

    let mode = fs::metadata(ends.destination.join("tool")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o755, "{outcome}");
}

#[test]
fn into_directories_that_are_there_already() {
    let ends = Ends::with(&[("shared/new", b"new"), ("shared/deep/new", b"new too")]);
    ends.write_at_destination("shared/old", b"old");
    ends.write_at_destination("other", b"other");

    let outcome = ends.mover().run().expect(0);

    ends.assert_source_empty(&outcome);
    let held = ["shared/new", "shared/deep/new", "shared/old", "other"]
        .map(|path| ends.at_destination(path).unwrap());
    assert_eq!(
        held,
        [
            b"new".to_vec(),
            b"new too".into(),
            b"old".into(),
            b"other".into()
        ]
    );
}

#[test]
fn a_link_at_the_destination_is_never_followed() {
    let ends = Ends::with(&[("file", b"new"), ("directory/file", b"inner")]);
    let outside = ends.outside("outside");
    fs::create_dir_all(outside.join("kept")).unwrap();
    fs::write(outside.join("target"), b"untouched").unwrap();
    let untouched = snapshot(&outside).unwrap();
    fs::create_dir(&ends.destination).unwrap();
    symlink(outside.join("target"), ends.destination.join("file")).unwrap();
    symlink(outside.join("kept"), ends.destination.join("directory")).unwrap();

    let outcome = ends.mover().run().expect(6).says(&["directory"]);

    assert_same(&untouched, &outside, &outcome);
    assert_eq!(
        ends.at_source("directory/file").unwrap(),
        b"inner",
        "{outcome}"
    );
    // Replacing a link is replacing the link.
    let file = ends.destination.join("file");
    assert!(file.symlink_metadata().unwrap().is_file(), "{outcome}");
    assert_eq!(fs::read(file).unwrap(), b"new", "{outcome}");
}

#[test]
fn a_link_replaces_a_file_and_a_newer_link_an_older() {
    let ends = Ends::new();
    for (name, target) in [
        ("was a file", "one"),
        ("was a link", "two"),
        ("same", "three"),
    ] {
        symlink(target, ends.source.join(name)).unwrap();
        set_modified(&ends.source.join(name), 1_234_567, 89).unwrap();
    }
    ends.write_at_destination("was a file", b"old");
    symlink("old", ends.destination.join("was a link")).unwrap();
    symlink("three", ends.destination.join("same")).unwrap();
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.mover().run().expect(0);

    ends.assert_moved(&before, &outcome);
}

#[rstest]
#[case::file_onto_directory("thing", "thing/inside")]
#[case::directory_onto_file("thing/inside", "thing")]
fn a_file_and_a_directory_are_never_merged(#[case] ours: &str, #[case] theirs: &str) {
    let ends = Ends::with(&[(ours, b"ours"), ("other", b"other")]);
    ends.write_at_destination(theirs, b"theirs");

    let outcome = ends.mover().run().expect(6).says(&["thing"]);

    assert_eq!(ends.at_source(ours).unwrap(), b"ours", "{outcome}");
    assert_eq!(ends.at_destination(theirs).unwrap(), b"theirs", "{outcome}");
    assert_eq!(ends.at_destination("other").unwrap(), b"other", "{outcome}");
    assert_eq!(ends.at_source("other"), None, "{outcome}");
    ends.assert_no_partials(&outcome);
}
