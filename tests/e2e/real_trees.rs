//! Trees as they are found on a machine, with the odd tree in them, there and back.

use std::fs;
use std::path::Path;
use std::process::Command;

use realize_test_kit::odd_tree::{Kind, Tree, plant, remains, snapshot};
use rstest::rstest;

use crate::ends::Ends;
use crate::program::{can_mount, realize};

/// As much of a tree is taken as makes a test of seconds.
const LIMIT_MIB: u64 = 100;

#[rstest]
#[case("/usr/share/doc")]
#[case("/usr/lib/python3")]
fn a_real_tree_comes_back_unchanged(#[case] tree: &str) {
    let Some(ends) = copied(tree) else { return };
    let before = snapshot(&ends.source).unwrap();

    let there = ends.mover().run().expect(0);
    ends.assert_moved(&before, &there);
    let back = realize(["move"])
        .with([&ends.destination, &ends.source])
        .run()
        .expect(0);

    ends.assert_source_is(&before, &back);
    assert_eq!(remains(&ends.destination).unwrap(), [""; 0], "{back}");
}

/// A tmpfs on the way: other limits of names, times and holes than those of a disk.
#[test]
fn over_another_file_system_and_back() {
    if !can_mount() {
        return;
    }
    let ends = copied("/usr/lib/python3").unwrap_or_else(|| {
        let ends = Ends::new();
        plant(&ends.source, 300).unwrap();
        ends
    });
    let before = snapshot(&ends.source).unwrap();
    let between = ends.outside("between");
    fs::create_dir(&between).unwrap();

    let script = r#"
        mount -t tmpfs -o size=300m none "$A"
        "$@"
        left=$(ls -A "$B")
        if [ -n "$left" ]; then echo "left at the source: $left" >&2; exit 99; fi
        "$1" move "$A" "$C"
        left=$(ls -A "$A")
        if [ -n "$left" ]; then echo "left between: $left" >&2; exit 99; fi
    "#;
    let outcome = realize(["move"])
        .with([&ends.source, &between])
        .among_mounts(script, &[&between, &ends.source, &ends.destination])
        .run()
        .expect(0);

    ends.assert_moved(&before, &outcome);
}

/// A copy of `tree` and an odd tree at the source; none, and a word about it, where there is none.
fn copied(tree: &str) -> Option<Ends> {
    if !Path::new(tree).is_dir() {
        eprintln!("NOT TESTED: there is no {tree} here");
        return None;
    }
    let ends = Ends::new();
    let script = r#"
        cp -a "$1" "$2/tree"
        # The largest first, until the rest is small enough.
        cd "$2/tree"
        du -ak . | sort -rn | while read -r size path; do
            [ "$(du -sk . | cut -f1)" -gt "$3" ] || break
            [ -d "$path" ] || rm -f -- "$path"
        done
    "#;
    let status = Command::new("sh")
        .args(["-euc", script, "sh", tree])
        .arg(&ends.source)
        .arg((LIMIT_MIB * 1024).to_string())
        .status()
        .unwrap();
    assert!(status.success());
    let odd = ends.source.join("odd");
    fs::create_dir(&odd).unwrap();
    plant(&odd, 20).unwrap();
    let files = count_files(&snapshot(&ends.source).unwrap());
    assert!(files > 20, "{files} files in the copy of {tree}");
    Some(ends)
}

fn count_files(tree: &Tree) -> usize {
    tree.values()
        .filter(|node| matches!(node.kind, Kind::File(_)))
        .count()
}
