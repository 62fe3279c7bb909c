//! SUBPATH: what is meant below a directory of a peer.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use realize_test_kit::odd_tree::{remains, snapshot};
use rstest::rstest;

use super::machines::{
    Daemon, EVERYTHING, Machines, assert_moved, assert_no_partials, assert_seen, write,
};
use crate::ends::assert_same;

/// The nas has recordings of two days; the cam has an empty directory.
fn recordings() -> (Machines, Daemon) {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    let inbox = machines.inbox();
    for path in [
        "day 1/morning/a",
        "day 1/morning/b",
        "day 1/c",
        "day 2/d",
        "e",
    ] {
        write(&inbox, path, path.as_bytes());
    }
    fs::create_dir(inbox.join("day 1/empty")).unwrap();
    symlink("c", inbox.join("day 1/link")).unwrap();
    (machines, daemon)
}

#[rstest]
#[case::a_directory("nas:inbox/day 1", "day 1")]
#[case::with_a_slash("nas:inbox/day 1/", "day 1")]
#[case::with_slashes("nas:inbox/day 1///", "day 1")]
#[case::nested("nas:inbox/day 1/morning", "day 1/morning")]
#[case::nested_with_a_slash("nas:inbox/day 1/morning/", "day 1/morning")]
#[case::that_is_empty("nas:inbox/day 1/empty", "day 1/empty")]
fn the_contents_of_a_directory_come_without_its_name(#[case] source: &str, #[case] path: &str) {
    let (machines, _daemon) = recordings();
    let inbox = machines.inbox();
    let before = snapshot(&inbox.join(path)).unwrap();
    let rest = beside(&inbox, path);

    let outcome = machines
        .cam(["move", source])
        .with([machines.source()])
        .run()
        .expect(0);

    assert_moved(&before, &inbox.join(path), &machines.source(), &outcome);
    assert_eq!(beside(&inbox, path), rest, "{outcome}");
}

#[rstest]
#[case::a_file("nas:inbox/day 1/c", "day 1/c")]
#[case::with_a_slash("nas:inbox/day 1/c/", "day 1/c")]
#[case::nested("nas:inbox/day 1/morning/a", "day 1/morning/a")]
#[case::at_the_top("nas:inbox/e", "e")]
#[case::a_link("nas:inbox/day 1/link", "day 1/link")]
fn one_file_comes_alone(#[case] source: &str, #[case] path: &str) {
    let (machines, _daemon) = recordings();
    let (inbox, here) = (machines.inbox(), machines.source());
    let name = Path::new(path).file_name().unwrap().to_str().unwrap();
    let mut before = snapshot(&inbox).unwrap();
    let node = before.remove(path.as_bytes()).unwrap();

    let outcome = machines.cam(["move", source]).with([&here]).run().expect(0);

    assert_same(&[(name.as_bytes().to_vec(), node)].into(), &here, &outcome);
    assert_same(&before, &inbox, &outcome);
    assert_no_partials(&[&inbox, &here], &outcome);
}

#[rstest]
#[case::at_the_top("nas:inbox/day 3")]
#[case::nested("nas:inbox/day 1/morning/none")]
#[case::below_a_file("nas:inbox/e/none")]
fn a_source_that_does_not_exist_is_said_to_be_missing(
    #[case] source: &str,
    #[values("move", "copy", "list")] command: &str,
) {
    let (machines, _daemon) = recordings();
    let before = snapshot(&machines.inbox()).unwrap();
    let mut line = vec![command, source];
    if command != "list" {
        line.push("../source");
    }

    let outcome = machines
        .cam(line)
        .in_directory(&machines.path("cam"))
        .run()
        .expect(2);

    assert_same(&before, &machines.inbox(), &outcome);
    assert_eq!(remains(&machines.source()).unwrap(), [""; 0], "{outcome}");
    outcome.says(&[source.rsplit('/').next().unwrap()]);
}

#[rstest]
#[case::up("nas:inbox/..")]
#[case::up_from_below("nas:inbox/day 1/../..")]
#[case::this("nas:inbox/./e")]
#[case::no_directory("nas:")]
#[case::a_path("nas:/etc/passwd")]
fn what_is_no_subpath_is_refused(#[case] place: &str) {
    let (machines, _daemon) = recordings();
    write(&machines.source(), "f", b"f");
    let before = snapshot(&machines.inbox()).unwrap();

    for line in [vec!["move", place, "."], vec!["move", ".", place]] {
        let outcome = machines
            .cam(line)
            .in_directory(&machines.source())
            .run()
            .expect(2);
        assert_same(&before, &machines.inbox(), &outcome);
        assert_eq!(remains(&machines.source()).unwrap(), ["f"], "{outcome}");
    }
}

#[rstest]
#[case::new("nas:inbox/new", "new")]
#[case::with_a_slash("nas:inbox/new/", "new")]
#[case::nested("nas:inbox/of/cam/today", "of/cam/today")]
#[case::below_one_that_is_there("nas:inbox/day 2/new", "day 2/new")]
fn a_destination_is_made(#[case] destination: &str, #[case] path: &str) {
    let (machines, _daemon) = recordings();
    let (source, inbox) = (machines.source(), machines.inbox());
    write(&source, "x/y", b"y");
    write(&source, "z", b"z");
    let before = snapshot(&source).unwrap();

    let outcome = machines
        .cam(["move", "../source", destination])
        .in_directory(&machines.path("cam"))
        .run()
        .expect(0);

    assert_moved(&before, &source, &inbox.join(path), &outcome);
    for made in Path::new(path).ancestors().filter(|p| p != &Path::new("")) {
        let mode = fs::metadata(inbox.join(made)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "{made:?}: {outcome}");
    }
}

#[test]
fn files_are_added_to_a_destination_that_is_there() {
    let (machines, _daemon) = recordings();
    let (source, inbox) = (machines.source(), machines.inbox());
    write(&source, "morning/late", b"late");
    fs::set_permissions(inbox.join("day 1"), fs::Permissions::from_mode(0o750)).unwrap();
    let mut expected = snapshot(&inbox).unwrap();
    let node = snapshot(&source).unwrap()[&b"morning/late"[..]].clone();
    expected.insert(b"day 1/morning/late".to_vec(), node);

    let outcome = machines
        .cam(["move", "../source", "nas:inbox/day 1"])
        .in_directory(&machines.path("cam"))
        .run()
        .expect(0);

    assert_same(&expected, &inbox, &outcome);
    assert_eq!(remains(&source).unwrap(), [""; 0], "{outcome}");
}

#[test]
fn a_file_is_no_destination() {
    let (machines, _daemon) = recordings();
    write(&machines.source(), "new", b"new");
    let before = snapshot(&machines.inbox()).unwrap();

    let outcome = machines
        .cam(["move", "../source", "nas:inbox/day 1/c"])
        .in_directory(&machines.path("cam"))
        .run()
        .expect(2);

    assert_seen(&before, &machines.inbox(), &outcome);
    assert_eq!(remains(&machines.source()).unwrap(), ["new"], "{outcome}");
    outcome.says(&["day 1/c", "directory"]);
}

/// What lies in `root`, but not at or below `path`.
fn beside(root: &Path, path: &str) -> Vec<String> {
    let below = format!("{path}/");
    let mut left = remains(root).unwrap();
    left.retain(|name| name != path && !name.starts_with(&below));
    left
}
