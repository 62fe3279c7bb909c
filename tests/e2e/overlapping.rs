//! A source and a destination that are one tree, or one inside the other, by whatever path.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use realize_test_kit::odd_tree::{Kind, snapshot};
use rstest::rstest;

use crate::ends::Ends;
use crate::program::{can_mount, realize};

#[rstest]
#[case::itself("source", "source")]
#[case::itself_with_dots("source", "source/inner/..")]
#[case::destination_inside("source", "source/inner")]
#[case::destination_inside_and_new("source", "source/new")]
#[case::source_inside("source/inner", "source")]
#[case::link_to_itself("source", "link")]
#[case::through_a_link("link", "source")]
#[case::inside_by_a_link("source", "link/inner")]
#[case::new_inside_by_a_link("source", "link/new")]
#[case::source_inside_by_a_link("link/inner", "source")]
fn is_refused(#[case] source: &str, #[case] destination: &str) {
    for command in ["move", "copy"] {
        let ends = Ends::with(&[("file", b"content"), ("inner/file", b"inner content")]);
        symlink(&ends.source, ends.outside("link")).unwrap();
        let before = snapshot(&ends.source).unwrap();

        let outcome = realize([command])
            .with([ends.outside(source), ends.outside(destination)])
            .run()
            .expect(2);

        ends.assert_source_is(&before, &outcome);
        outcome.says(&["source"]);
    }
}

#[rstest]
#[case::file_onto_itself("source/file", "source")]
#[case::by_a_link("link/file", "source")]
fn one_file_is_not_moved_onto_itself(#[case] source: &str, #[case] destination: &str) {
    let ends = Ends::with(&[("file", b"content")]);
    symlink(&ends.source, ends.outside("link")).unwrap();
    let before = snapshot(&ends.source).unwrap();

    let outcome = realize(["move"])
        .with([ends.outside(source), ends.outside(destination)])
        .run();

    assert_ne!(outcome.code(), 0, "{outcome}");
    ends.assert_source_is(&before, &outcome);
}

#[test]
fn one_file_may_go_into_a_directory_beside_it() {
    let ends = Ends::with(&[("file", b"content"), ("inner/other", b"other")]);

    let outcome = realize(["move"])
        .with([ends.source.join("file"), ends.source.join("inner")])
        .run();

    let outcome = outcome.expect(0);
    assert_eq!(
        ends.at_source("inner/file").unwrap(),
        b"content",
        "{outcome}"
    );
    assert_eq!(ends.at_source("file"), None, "{outcome}");
}

#[rstest]
#[case::bound_elsewhere(r#"mount --bind "$A" "$B""#, &[2])]
#[case::an_inner_directory(r#"mount --bind "$A/inner" "$B""#, &[2, 6])]
#[case::nested_in_the_source(r#"mount --bind "$B" "$A/inner""#, &[2, 6])]
#[case::nested_in_the_destination(r#"mkdir "$B/inner"; mount --bind "$A" "$B/inner""#, &[2, 6])]
#[case::one_inner_directory_in_both(
    r#"mkdir "$B/inner"; mount --bind "$A/inner" "$B/inner""#,
    &[2, 6]
)]
fn bind_mounts_lose_nothing(#[case] mount: &str, #[case] codes: &[i32]) {
    if !can_mount() {
        return;
    }
    let ends = Ends::with(&[("file", b"content"), ("inner/file", b"inner content")]);
    fs::create_dir(&ends.destination).unwrap();

    let outcome = ends
        .mover()
        .among_mounts(
            &format!("{mount}\nexec \"$@\""),
            &[&ends.source, &ends.destination],
        )
        .run();

    // What the mount hid is seen again: every content must be somewhere.
    for content in [b"content".as_slice(), b"inner content"] {
        let held = holds(&ends.source, content) || holds(&ends.destination, content);
        assert!(held, "{} is lost: {outcome}", content.escape_ascii());
    }
    outcome.expect_one_of(codes);
}

fn holds(tree: &Path, content: &[u8]) -> bool {
    snapshot(tree).unwrap().iter().any(|(path, node)| {
        let path = tree.join(std::str::from_utf8(path).unwrap());
        matches!(node.kind, Kind::File(_)) && fs::read(path).unwrap() == content
    })
}
