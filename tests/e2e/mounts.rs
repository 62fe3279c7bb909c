//! A disk that is full, a file system that cannot be written, and one that ends inside the tree.

use std::fs;
use std::path::PathBuf;

use realize_test_kit::odd_tree::{bytes, is_reserved, snapshot};

use crate::ends::{Ends, assert_same};
use crate::program::can_mount;

/// Mounts a small disk on the destination, moves, copies what it holds to where the test can see
/// it, and gives the test the mover's own exit code.
const SMALL_DISK: &str = r#"
    mkdir -p "$A" "$B"
    mount -t tmpfs -o size=6m none "$A"
    set +e
    "$@"
    code=$?
    cp -a "$A/." "$B"
    exit $code
"#;

#[test]
fn a_full_destination_loses_nothing() {
    if !can_mount() {
        return;
    }
    let ends = Ends::new();
    let large = bytes(1, 24 << 20);
    ends.write("large", &large);
    let small = (0..40)
        .map(|i| (format!("small {i}"), bytes(i, 20_000)))
        .collect::<Vec<_>>();
    small
        .iter()
        .for_each(|(name, content)| ends.write(name, content));
    let seen = ends.outside("seen");

    let outcome = ends
        .mover()
        .among_mounts(SMALL_DISK, &[&ends.destination, &seen])
        .run()
        .expect(8);

    assert_eq!(ends.at_source("large").as_ref(), Some(&large), "{outcome}");
    assert!(!seen.join("large").exists(), "{outcome}");
    for (name, content) in &small {
        let arrived = fs::read(seen.join(name)).ok();
        assert!(
            arrived.is_none() || arrived.as_ref() == Some(content),
            "{name}: {outcome}"
        );
        let kept = ends.at_source(name);
        assert!(
            kept.as_ref().or(arrived.as_ref()) == Some(content),
            "{name} lost: {outcome}"
        );
    }
    outcome.says(&["large", "source"]);

    // The name is free and the disk is large now: everything that stayed can go.
    let outcome = ends.mover().run().expect(0);
    ends.assert_source_empty(&outcome);
    assert_eq!(
        ends.at_destination("large").as_ref(),
        Some(&large),
        "{outcome}"
    );
    ends.assert_no_partials(&outcome);
}

#[test]
fn an_older_version_survives_a_full_destination() {
    if !can_mount() {
        return;
    }
    let ends = Ends::new();
    let new = bytes(1, 24 << 20);
    ends.write("report", &new);
    let seen = ends.outside("seen");
    let script = SMALL_DISK.replace("set +e", r#"printf old > "$A/report"; set +e"#);

    let outcome = ends
        .mover()
        .among_mounts(&script, &[&ends.destination, &seen])
        .run()
        .expect(8);

    assert_eq!(ends.at_source("report").as_ref(), Some(&new), "{outcome}");
    assert_eq!(fs::read(seen.join("report")).unwrap(), b"old", "{outcome}");
    let strangers: Vec<PathBuf> = fs::read_dir(&seen)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("report") && !is_reserved(path.file_name().unwrap()))
        .collect();
    assert!(strangers.is_empty(), "{strangers:?}: {outcome}");
}

#[test]
fn a_read_only_destination_leaves_the_source() {
    if !can_mount() {
        return;
    }
    let ends = Ends::with(&[("file", b"content"), ("directory/other", b"more")]);
    let before = snapshot(&ends.source).unwrap();
    let script = r#"
        mkdir "$A"
        mount -t tmpfs -o ro none "$A"
        exec "$@"
    "#;

    let outcome = ends
        .mover()
        .among_mounts(script, &[&ends.destination])
        .run();

    assert_ne!(outcome.code(), 0, "{outcome}");
    ends.assert_source_is(&before, &outcome);
    outcome.says(&["read-only"]);
}

#[test]
fn a_read_only_source_is_copied_and_kept() {
    if !can_mount() {
        return;
    }
    let ends = Ends::with(&[("file", b"content"), ("directory/other", b"more")]);
    let before = snapshot(&ends.source).unwrap();
    let script = r#"
        mount --bind "$A" "$A"
        mount -o remount,bind,ro "$A"
        exec "$@"
    "#;

    let outcome = ends
        .program("copy")
        .among_mounts(script, &[&ends.source])
        .run()
        .expect(0);
    ends.assert_destination_is(&before, &outcome);

    let outcome = ends.mover().among_mounts(script, &[&ends.source]).run();
    assert_ne!(outcome.code(), 0, "{outcome}");
    ends.assert_source_is(&before, &outcome);
    assert_same(&before, &ends.destination, &outcome);
}

#[test]
fn the_destination_spans_two_file_systems() {
    if !can_mount() {
        return;
    }
    let ends = Ends::with(&[("near", b"one"), ("mounted/far", b"two")]);
    let before = snapshot(&ends.source).unwrap();
    let seen = ends.outside("seen");
    let script = r#"
        mkdir -p "$A/mounted" "$B"
        mount -t tmpfs -o size=4m none "$A/mounted"
        "$@"
        cp -a "$A/." "$B"
    "#;

    let outcome = ends
        .mover()
        .among_mounts(script, &[&ends.destination, &seen])
        .run()
        .expect(0);

    ends.assert_source_empty(&outcome);
    assert_same(&before, &seen, &outcome);
}
