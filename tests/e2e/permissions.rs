//! What a user without rights may not do: each is reported, and nothing is lost.

use std::fs;

use realize_test_kit::odd_tree::{bytes, set_mode, snapshot};

use crate::ends::{Ends, give};
use crate::program::can_change_user;

#[test]
fn a_source_that_may_not_be_deleted_from_is_copied_and_kept() {
    if !can_change_user() {
        return;
    }
    let ends = Ends::with(&[
        ("file", b"content"),
        ("directory/other", &bytes(1, 100_000)),
    ]);
    ends.open_to_nobody();
    set_mode(&ends.source, 0o755).unwrap();
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.mover().by_nobody().run().expect(6);

    ends.assert_source_is(&before, &outcome);
    ends.assert_destination_is(&before, &outcome);
    let outcome = outcome.says(&["file", "directory/other", "source", "denied"]);

    // A second try finds the copies, and is no more successful.
    let again = ends.mover().by_nobody().run().expect(6);
    ends.assert_source_is(&before, &again);
    ends.assert_destination_is(&before, &outcome);
}

#[test]
fn one_directory_that_may_not_be_deleted_from_keeps_only_its_own() {
    if !can_change_user() {
        return;
    }
    let ends = Ends::with(&[("free/file", b"goes"), ("guarded/file", b"stays")]);
    ends.give_to_nobody();
    set_mode(&ends.source.join("guarded"), 0o555).unwrap();

    let outcome = ends
        .mover()
        .by_nobody()
        .run()
        .expect(6)
        .says(&["guarded/file"]);

    assert_eq!(
        ends.at_source("guarded/file").unwrap(),
        b"stays",
        "{outcome}"
    );
    assert!(!ends.source.join("free").exists(), "{outcome}");
    assert_eq!(
        ends.at_destination("free/file").unwrap(),
        b"goes",
        "{outcome}"
    );
    ends.assert_no_partials(&outcome);
}

#[test]
fn an_unreadable_file_stays_and_the_rest_goes() {
    if !can_change_user() {
        return;
    }
    let ends = Ends::with(&[
        ("readable", b"goes"),
        ("secret", b"stays"),
        ("d/also", b"goes too"),
    ]);
    ends.give_to_nobody();
    set_mode(&ends.source.join("secret"), 0o000).unwrap();

    let outcome = ends
        .mover()
        .by_nobody()
        .run()
        .expect(6)
        .says(&["secret", "denied", "source"]);

    assert_eq!(ends.at_source("secret").unwrap(), b"stays", "{outcome}");
    assert_eq!(ends.at_destination("secret"), None, "{outcome}");
    assert_eq!(ends.at_source("readable"), None, "{outcome}");
    assert_eq!(
        ends.at_destination("readable").unwrap(),
        b"goes",
        "{outcome}"
    );
    assert_eq!(
        ends.at_destination("d/also").unwrap(),
        b"goes too",
        "{outcome}"
    );
    ends.assert_no_partials(&outcome);
}

#[test]
fn an_unreadable_directory_is_an_error_and_never_an_empty_one() {
    if !can_change_user() {
        return;
    }
    let ends = Ends::with(&[("readable", b"goes"), ("closed/inner", b"stays")]);
    ends.give_to_nobody();
    set_mode(&ends.source.join("closed"), 0o000).unwrap();

    let outcome = ends
        .mover()
        .by_nobody()
        .run()
        .expect(6)
        .says(&["closed", "denied"]);

    assert_eq!(
        ends.at_source("closed/inner").unwrap(),
        b"stays",
        "{outcome}"
    );
    assert_eq!(ends.at_source("readable"), None, "{outcome}");
    assert_eq!(
        ends.at_destination("readable").unwrap(),
        b"goes",
        "{outcome}"
    );
}

#[test]
fn a_source_that_cannot_be_read_is_named() {
    if !can_change_user() {
        return;
    }
    let ends = Ends::with(&[("file", b"content")]);
    ends.open_to_nobody();
    set_mode(&ends.source, 0o700).unwrap();
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.mover().by_nobody().run().expect_one_of(&[1, 2, 6]);

    ends.assert_source_is(&before, &outcome);
    outcome.says(&[ends.source.to_str().unwrap(), "denied"]);
}

#[test]
fn a_destination_that_cannot_be_written_leaves_the_source() {
    if !can_change_user() {
        return;
    }
    let ends = Ends::with(&[("file", b"content"), ("directory/other", b"more")]);
    fs::create_dir(&ends.destination).unwrap();
    ends.give_to_nobody();
    set_mode(&ends.destination, 0o755).unwrap();
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends
        .mover()
        .by_nobody()
        .run()
        .expect_one_of(&[1, 2, 6])
        .says(&["denied"]);

    ends.assert_source_is(&before, &outcome);
    ends.assert_no_partials(&outcome);
}

#[test]
fn an_older_version_that_may_not_be_replaced_stays() {
    if !can_change_user() {
        return;
    }
    let ends = Ends::with(&[("guarded/file", b"new"), ("free/file", b"goes")]);
    ends.write_at_destination("guarded/file", b"old");
    ends.give_to_nobody();
    give(&ends.destination);
    set_mode(&ends.destination.join("guarded"), 0o555).unwrap();

    let outcome = ends
        .mover()
        .by_nobody()
        .run()
        .expect(6)
        .says(&["guarded/file"]);

    assert_eq!(ends.at_source("guarded/file").unwrap(), b"new", "{outcome}");
    assert_eq!(
        ends.at_destination("guarded/file").unwrap(),
        b"old",
        "{outcome}"
    );
    assert_eq!(
        ends.at_destination("free/file").unwrap(),
        b"goes",
        "{outcome}"
    );
    assert_eq!(ends.at_source("free/file"), None, "{outcome}");
}

#[test]
fn read_only_files_and_directories_of_ones_own_move() {
    if !can_change_user() {
        return;
    }
    let ends = Ends::with(&[("file", b"content"), ("older", b"new version")]);
    ends.write_at_destination("older", b"old version");
    fs::create_dir(ends.source.join("empty and read-only")).unwrap();
    for (path, mode) in [
        ("file", 0o400),
        ("older", 0o444),
        ("empty and read-only", 0o555),
    ] {
        set_mode(&ends.source.join(path), mode).unwrap();
    }
    set_mode(&ends.destination.join("older"), 0o400).unwrap();
    ends.give_to_nobody();
    give(&ends.destination);
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.mover().by_nobody().run().expect(0);

    ends.assert_moved(&before, &outcome);
}

#[test]
fn copying_needs_no_right_to_write_at_the_source() {
    if !can_change_user() {
        return;
    }
    let ends = Ends::with(&[("file", b"content"), ("directory/other", b"more")]);
    ends.open_to_nobody();
    set_mode(&ends.source, 0o755).unwrap();
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.program("copy").by_nobody().run().expect(0);

    ends.assert_source_is(&before, &outcome);
    ends.assert_destination_is(&before, &outcome);
}

/// What a pattern includes may lie in a directory that cannot be read: that is said.
#[test]
fn an_unreadable_directory_is_an_error_for_patterns_too() {
    if !can_change_user() {
        return;
    }
    let ends = Ends::with(&[("photos/a.jpg", b"content"), ("b.jpg", b"other")]);
    ends.give_to_nobody();
    set_mode(&ends.source.join("photos"), 0o000).unwrap();

    let outcome = ends
        .mover()
        .with(["--include", "*.jpg"])
        .by_nobody()
        .run()
        .expect(6);

    set_mode(&ends.source.join("photos"), 0o755).unwrap();
    assert_eq!(
        ends.at_source("photos/a.jpg").unwrap(),
        b"content",
        "{outcome}"
    );
    outcome.says(&["photos"]);
}
