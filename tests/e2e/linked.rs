//! A move within one file system: files keep their inodes, and nothing is carried.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use realize_test_kit::odd_tree::{bytes, plant, snapshot};
use tempfile::TempDir;

use crate::ends::Ends;

const FILES: [(&str, usize); 4] = [
    ("large", 2 << 20),
    ("d/small", 500),
    ("d/e/f", 4),
    ("empty", 0),
];

fn planted() -> Ends {
    let ends = Ends::new();
    for (i, (path, len)) in FILES.iter().enumerate() {
        ends.write(path, &bytes(i as u64, *len));
    }
    ends
}

fn inodes(root: &Path) -> BTreeMap<&'static str, u64> {
    let inode = |path| fs::metadata(root.join(path)).unwrap().ino();
    FILES.iter().map(|(path, _)| (*path, inode(path))).collect()
}

#[test]
fn files_keep_their_inodes() {
    let ends = planted();
    let (before, tree) = (inodes(&ends.source), snapshot(&ends.source).unwrap());

    let outcome = ends.mover().with(["--json"]).run().expect(0);

    ends.assert_moved(&tree, &outcome);
    assert_eq!(inodes(&ends.destination), before, "{outcome}");
    assert_eq!(outcome.json_summary("sent"), 0, "{outcome}");
    assert_eq!(outcome.json_summary("moved"), 4, "{outcome}");
    let object = outcome.json_file("large");
    assert_eq!(object["status"], "moved", "{outcome}");
    assert!(object.get("hash").is_none(), "nobody read it: {outcome}");
}

#[test]
fn the_odd_tree_keeps_its_inodes_but_those_of_hard_links() {
    let ends = Ends::new();
    plant(&ends.source, 100).unwrap();
    let tree = snapshot(&ends.source).unwrap();
    let before = all_inodes(&ends.source);

    let outcome = ends.mover().run().expect(0);

    ends.assert_moved(&tree, &outcome);
    let after = all_inodes(&ends.destination);
    let kept = before
        .iter()
        .filter(|(path, inode)| after.get(*path) == Some(inode));
    assert!(kept.count() >= 100, "{outcome}");
}

/// The inodes of the regular files in `root` and its directories.
fn all_inodes(root: &Path) -> BTreeMap<std::path::PathBuf, u64> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() {
                let path = entry.path().strip_prefix(root).unwrap().to_path_buf();
                found.insert(path, entry.metadata().unwrap().ino());
            }
        }
    }
    found
}

#[test]
fn without_rights_of_root_too() {
    if !crate::program::can_change_user() {
        return;
    }
    let ends = planted();
    ends.give_to_nobody();
    let before = inodes(&ends.source);

    let outcome = ends.mover().by_nobody().run().expect(0);

    assert_eq!(inodes(&ends.destination), before, "{outcome}");
    ends.assert_source_empty(&outcome);
}

#[test]
fn a_copy_and_what_goes_through_a_transport_are_files_of_their_own() {
    for program in [
        |ends: &Ends| ends.program("copy"),
        |ends: &Ends| ends.mover().with(["--transport", "channel"]),
        |ends: &Ends| {
            ends.mover()
                .with([Path::new("--receipts"), &ends.outside("r")])
        },
    ] {
        let ends = planted();
        let (before, tree) = (inodes(&ends.source), snapshot(&ends.source).unwrap());

        let outcome = program(&ends).run().expect(0);

        ends.assert_destination_is(&tree, &outcome);
        let after = inodes(&ends.destination);
        let kept = before
            .iter()
            .filter(|(path, inode)| after[*path] == **inode);
        // An inode that a deletion freed is given out again.
        let shared = kept.filter(|(path, _)| ends.source.join(path).exists());
        assert_eq!(shared.count(), 0, "{outcome}");
    }
}

#[test]
fn to_another_file_system_content_is_copied() {
    let memory = Path::new("/dev/shm");
    let ends = planted();
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    let other =
        device(memory).is_some_and(|device_there| Some(device_there) != device(&ends.source));
    let Some(there) = other.then(|| TempDir::new_in(memory).ok()).flatten() else {
        eprintln!("NOT TESTED: there is one file system only");
        return;
    };
    let ends = Ends::of(
        &ends.source,
        &there.path().join("destination"),
        there.path(),
    );
    let tree = snapshot(&ends.source).unwrap();

    let outcome = ends.mover().with(["--json"]).run().expect(0);

    ends.assert_moved(&tree, &outcome);
    assert!(outcome.json_summary("sent") > 2 << 20, "{outcome}");
    assert!(outcome.json_file("large")["hash"].is_string(), "{outcome}");
}

#[test]
fn what_was_linked_and_not_deleted_is_deleted_by_the_next_run() {
    let ends = planted();
    let tree = snapshot(&ends.source).unwrap();
    fs::create_dir(&ends.destination).unwrap();
    fs::hard_link(ends.source.join("large"), ends.destination.join("large")).unwrap();
    let before = inodes(&ends.source);

    let outcome = ends.mover().with(["--json"]).run().expect(0);

    ends.assert_moved(&tree, &outcome);
    assert_eq!(inodes(&ends.destination), before, "{outcome}");
    assert_eq!(
        outcome.json_file("large")["status"],
        "identical",
        "{outcome}"
    );
    assert_eq!(outcome.json_summary("sent"), 0, "{outcome}");
}
