//! Every right, and what happens without it: nothing is lost, and both sides are told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use realize_test_kit::odd_tree::{Tree, bytes, remains, set_mode, snapshot};
use rstest::rstest;

use super::machines::{Daemon, EVERYTHING, Machines, Way, assert_moved, assert_seen, seen, write};
use crate::program::Outcome;

/// A daemon that grants `rights`, three files on the cam, and others in the inbox.
fn granted(rights: &[&str]) -> (Machines, Daemon) {
    let machines = Machines::new();
    let daemon = machines.start(rights);
    write(&machines.inbox(), "theirs/b", b"b");
    write(&machines.inbox(), "changed", b"an older version");
    write(&machines.inbox(), "theirs/large", &bytes(3, 300_000));
    (machines, daemon)
}

/// What both sides hold.
fn both(machines: &Machines) -> (Tree, Tree) {
    (seen(&machines.source()), seen(&machines.inbox()))
}

#[track_caller]
fn assert_untouched(machines: &Machines, before: &(Tree, Tree), outcome: &Outcome) {
    assert_seen(&before.0, &machines.source(), outcome);
    assert_seen(&before.1, &machines.inbox(), outcome);
}

/// Holds the nas's log to a refusal that says who, where and what.
#[track_caller]
fn assert_denied(daemon: &Daemon, who: &str, directory: &str, operation: &str) {
    let words = [
        "event=access.denied".to_owned(),
        format!("directory={directory}"),
        format!("operation={operation}"),
    ];
    let denied = |line: &str| words.iter().all(|word| line.contains(word)) && line.contains(who);
    let log = daemon.log();
    assert!(log.lines().any(denied), "{words:?} by {who}:\n{log}");
}

#[test]
fn who_may_only_write_moves_what_is_new() {
    let (machines, daemon) = granted(&["write"]);
    let source = machines.source();
    write(&source, "new/small", b"small");
    write(&source, "new/large", &bytes(1, 3 << 20));
    fs::create_dir(source.join("new/empty")).unwrap();
    let mut expected = snapshot(&machines.inbox()).unwrap();
    expected.extend(snapshot(&source).unwrap());

    let outcome = machines.cam(["move"]).run().expect(0);

    assert_moved(&expected, &source, &machines.inbox(), &outcome);
    assert!(!daemon.log().contains("access.denied"), "{}", daemon.log());
}

#[rstest]
#[case::small(7)]
#[case::large(3 << 20)]
fn who_may_not_replace_leaves_the_older_version_and_the_source(#[case] size: usize) {
    let (machines, daemon) = granted(&["list", "read", "write", "delete"]);
    write(&machines.source(), "changed", &bytes(1, size));
    write(&machines.source(), "new", b"new");
    let older = snapshot(&machines.inbox()).unwrap();

    let outcome = machines.cam(["move", "--json"]).run().expect(4);

    assert_eq!(
        remains(&machines.source()).unwrap(),
        ["changed"],
        "{outcome}"
    );
    let ours = fs::read(machines.source().join("changed")).unwrap();
    assert_eq!(ours, bytes(1, size), "{outcome}");
    let mut now = seen(&machines.inbox());
    assert!(now.remove(&b"new"[..]).is_some(), "{outcome}");
    assert_eq!(now, older, "{outcome}");
    let object = outcome.json_file("changed");
    assert_eq!(object["kind"], "Forbidden", "{outcome}");
    assert!(object["reason"].as_str().unwrap().contains("replace"));
    let operation = if size < 1000 { "put" } else { "finish" };
    assert_denied(&daemon, "peer=cam ", "inbox", operation);

    let outcome = machines.cam(["move"]).run().expect(4);
    outcome.says(&["changed", "not granted", "replace", "source is intact"]);
}

#[test]
fn a_failure_for_want_of_a_right_is_in_the_movers_log() {
    let (machines, _daemon) = granted(&["write"]);
    write(&machines.source(), "changed", b"newer");
    let log = ["--log-level", "info", "--log-format", "logfmt"];

    let outcome = machines.cam(["move"]).globally(log).run().expect(4);

    let text = outcome.stderr_text();
    let mut lines = text.lines();
    let failed = lines.any(|line| line.contains("event=file.failed") && line.contains("changed"));
    assert!(failed, "{outcome}");
}

#[test]
fn who_may_read_copies_and_does_not_move() {
    let (machines, daemon) = granted(&["list", "read"]);
    let before = both(&machines);

    let line = ["move", "nas:inbox", "../source"];
    let moving = machines.cam(line).in_directory(&machines.path("cam"));
    let outcome = moving.run().expect(4).says(&["delete", "inbox"]);
    assert_untouched(&machines, &before, &outcome);
    assert_denied(&daemon, "peer=cam ", "inbox", "claim");

    let line = ["copy", "nas:inbox", "../source"];
    let copying = machines.cam(line).in_directory(&machines.path("cam"));
    let outcome = copying.run().expect(0);
    assert_untouched(&machines, &(before.1.clone(), before.1), &outcome);
}

#[rstest]
#[case::source(["nas:inbox", "../source"])]
#[case::destination(["../source", "nas:inbox"])]
fn who_may_read_verifies(#[case] ends: [&str; 2]) {
    let (machines, _daemon) = granted(&["list", "read"]);
    let line = ["copy", "nas:inbox", "../source"];
    let home = machines.path("cam");
    machines.cam(line).in_directory(&home).run().expect(0);

    let verify = machines.cam(["verify"]).with(ends).in_directory(&home);
    verify.run().expect(0).says(&["Verified 3 files"]);
}

#[test]
fn who_may_not_read_does_not_verify() {
    let (machines, _daemon) = granted(&["list", "write"]);
    write(&machines.source(), "theirs/b", b"c");
    let before = both(&machines);
    let line = ["verify", "../source", "nas:inbox"];
    let verify = machines.cam(line).in_directory(&machines.path("cam"));
    let outcome = verify.run().expect(4).says(&["not granted"]);
    assert_untouched(&machines, &before, &outcome);
}

#[rstest]
#[case::copy(&["copy", "nas:inbox", "../source"], "claim")]
#[case::move_away(&["move", "nas:inbox", "../source"], "claim")]
#[case::move_there(&["move", "../source", "nas:inbox"], "claim")]
#[case::move_below(&["move", "../source", "nas:inbox/new"], "claim")]
fn who_may_list_only_lists(#[case] line: &[&str], #[case] operation: &str) {
    let (machines, daemon) = granted(&["list"]);
    write(&machines.source(), "ours", b"ours");
    let before = both(&machines);
    let listed = machines.cam(["list", "nas:inbox"]).run().expect(0);
    assert!(listed.stdout_text().contains("theirs/b"), "{listed}");

    let outcome = machines
        .cam(line)
        .in_directory(&machines.path("cam"))
        .run()
        .expect(4);

    assert_untouched(&machines, &before, &outcome);
    assert_denied(&daemon, "peer=cam ", "inbox", operation);
    outcome.says(&["not granted", "inbox", "the sources are intact"]);
}

#[test]
fn who_may_not_list_is_refused_a_listing() {
    let (machines, daemon) = granted(&["read", "write", "replace", "delete"]);

    let outcome = machines.cam(["list", "nas:inbox"]).run().expect(4);

    assert_eq!(outcome.stdout_text(), "", "{outcome}");
    assert_denied(&daemon, "peer=cam ", "inbox", "list");
    outcome.says(&["not granted", "list"]);
}

#[test]
fn who_may_not_delete_moves_nothing_away() {
    let (machines, daemon) = granted(&["list", "read", "write", "replace"]);
    let before = both(&machines);

    let line = ["move", "nas:inbox", "../source"];
    let moving = machines.cam(line).in_directory(&machines.path("cam"));
    let outcome = moving.run().expect(4).says(&["delete"]);

    assert_untouched(&machines, &before, &outcome);
    assert_denied(&daemon, "peer=cam ", "inbox", "claim");
}

/// Whether a directory exists is not told to whom it does not concern.
#[rstest]
#[case::from(|directory: &str| ["move".to_owned(), directory.to_owned(), ".".to_owned()])]
#[case::to(|directory: &str| ["move".to_owned(), ".".to_owned(), directory.to_owned()])]
fn a_directory_without_rights_looks_like_one_that_does_not_exist(
    #[case] line: fn(&str) -> [String; 3],
) {
    let (machines, daemon) = granted(EVERYTHING);
    write(&machines.path("private"), "secret", b"secret");
    write(&machines.source(), "ours", b"ours");
    let before = both(&machines);

    let said = ["private", "nowhere"].map(|directory| {
        let line = line(&format!("nas:{directory}"));
        let run = machines.cam(line).in_directory(&machines.source());
        let outcome = run.run().expect(4);
        assert_untouched(&machines, &before, &outcome);
        assert_eq!(remains(&machines.path("private")).unwrap(), ["secret"]);
        outcome.stderr_text().replace(directory, "DIRECTORY")
    });

    assert_eq!(said[0], said[1]);
    assert_denied(&daemon, "peer=cam ", "private", "open");
    assert_denied(&daemon, "peer=cam ", "nowhere", "open");
}

/// Without *read* the mover is told nothing of what the older version holds.
#[test]
fn who_may_not_read_patches_nothing_and_replaces_the_whole_file() {
    const SIZE: usize = 4 << 20;
    let (machines, daemon) = granted(&["write", "replace"]);
    let mut content = bytes(1, SIZE);
    write(&machines.inbox(), "disk.img", &content);
    content[1_000_000] ^= 1;
    write(&machines.source(), "disk.img", &content);
    let mut expected = snapshot(&machines.inbox()).unwrap();
    expected.extend(snapshot(&machines.source()).unwrap());

    let outcome = machines.cam(["move", "--json"]).run().expect(0);

    assert_moved(&expected, &machines.source(), &machines.inbox(), &outcome);
    assert_eq!(outcome.json_summary("sent"), SIZE as u64, "{outcome}");
    daemon.stop().expect(0);
}

/// Two peers of one daemon: each has its own rights, and its own partials.
#[test]
fn the_rights_of_one_peer_are_not_those_of_another() {
    let machines = Machines::new();
    let lab = machines.path("lab");
    fs::create_dir(&lab).unwrap();
    let made = crate::program::realize(["keygen"]).with([lab.join("key.pem")]);
    let key = made.run().expect(0).stdout_text().trim().to_owned();
    let peers = format!(
        "[peers.cam]\nkey = \"{}\"\n[peers.lab]\nkey = \"{key}\"\n",
        machines.cam_key()
    );
    let allow = "cam = [\"write\"], lab = [\"list\", \"read\"]";
    machines.write_nas("127.0.0.1:0", allow, &peers);
    let daemon = machines.daemon();
    machines.configure_cam(&daemon.address, machines.nas_key());
    let config = Path::new("cam/realize.toml");
    fs::copy(machines.path("").join(config), lab.join("realize.toml")).unwrap();
    write(&machines.source(), "file", b"content");
    let as_lab = |line: &[&str]| {
        let config = lab.join("realize.toml");
        let program = crate::program::realize(["--config".as_ref(), config.as_os_str()]);
        program.with(line).in_directory(&lab)
    };

    machines.cam(["list", "nas:inbox"]).run().expect(4);
    let outcome = as_lab(&["move"]).run().expect(4);
    assert_eq!(remains(&machines.source()).unwrap(), ["file"], "{outcome}");
    machines.cam(["move"]).run().expect(0);
    let outcome = as_lab(&["list", "nas:inbox"]).run().expect(0);
    assert!(outcome.stdout_text().contains("file"), "{outcome}");
}

/// Of directories that were there, who may replace nothing changes nothing; those that it makes get
/// their modes, also in a later run.
#[rstest]
#[case::may_replace(EVERYTHING, 0o2750)]
#[case::may_write(&["write"], 0o2755)]
fn directories_that_were_there_are_others(#[case] rights: &[&str], #[case] kept: u32) {
    let machines = Machines::new();
    let _daemon = machines.start(rights);
    let source = machines.source();
    for (path, content) in [("shared/a", b"a"), ("new/b", b"b"), ("made/c", b"c")] {
        write(&source, path, content);
    }
    for directory in ["shared", "new", "made"] {
        set_mode(&source.join(directory), 0o750).unwrap();
    }
    // As an inbox is that a group shares: what is made in it has the bit too.
    set_mode(&machines.inbox(), 0o2755).unwrap();
    write(&machines.inbox(), "shared/other", b"there");
    set_mode(&machines.inbox().join("shared"), 0o2755).unwrap();
    // As a run leaves it that was cut off before it came to directories.
    write(&machines.inbox(), "new/earlier", b"there");
    set_mode(&machines.inbox().join("new"), 0o3700).unwrap();

    let outcome = machines.mover(Way::ToNas).run().expect(0);

    let mode = |directory: &str| {
        let found = fs::metadata(machines.inbox().join(directory)).unwrap();
        found.permissions().mode() & 0o7777
    };
    assert_eq!((mode("shared"), mode("new")), (kept, 0o2750), "{outcome}");
    assert_eq!(mode("made"), 0o2750, "{outcome}");
}
