//! `realize check` says what would fail, and why.

use std::fs;
use std::net::TcpListener;

use realize_test_kit::odd_tree::{set_mode, snapshot};
use rstest::rstest;

use super::machines::{EVERYTHING, Machines};
use crate::ends::assert_same;
use crate::program::{Outcome, can_change_user, can_mount, realize};

/// The one line of what failed, which must name each of `parts`; everything else is fine.
#[track_caller]
fn assert_failed(outcome: &Outcome, parts: &[&str]) {
    let text = outcome.stdout_text();
    let failed: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("FAILED"))
        .collect();
    assert_eq!(failed.len(), 1, "{outcome}");
    for part in parts {
        assert!(failed[0].contains(part), "{part:?}: {outcome}");
    }
    let fine = text.lines().filter(|line| line.starts_with("ok "));
    assert_eq!(fine.count() + 1, text.lines().count(), "{outcome}");
}

#[test]
fn all_is_well_on_both_sides_and_nothing_is_left_behind() {
    let machines = Machines::new();
    let daemon = machines.start(&["write"]);
    machines.also_on_cam("[directories.source]\npath = \"../source\"\n");
    let before = snapshot(&machines.path("")).unwrap();

    let outcome = machines.cam(["check"]).run().expect(0);
    let text = outcome.stdout_text();
    for part in [
        "realize.toml",
        machines.cam_key(),
        "directory source",
        "peer nas",
        "inbox: write",
    ] {
        assert!(text.contains(part), "{part:?}: {outcome}");
    }
    assert!(!text.contains("FAILED"), "{outcome}");
    assert!(!text.contains("private"), "{outcome}");
    assert_same(&before, &machines.path(""), &outcome);

    let nas = machines.nas_config();
    let check = realize(["--config".as_ref(), nas.as_os_str(), "check".as_ref()]);
    let outcome = check.run().expect(0);
    for part in [
        machines.nas_key(),
        "directory inbox",
        "directory private",
        "listening on tcp 127.0.0.1:0",
        "peer cam",
    ] {
        assert!(outcome.stdout_text().contains(part), "{part:?}: {outcome}");
    }
    assert_same(&before, &machines.path(""), &outcome);
    daemon.stop().expect(0);
}

#[test]
fn a_peer_that_is_not_who_it_should_be() {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    let other = realize(["keygen"]).with([machines.path("other.key")]).run();
    let other = other.expect(0).stdout_text().trim().to_owned();
    machines.configure_cam(&daemon.address, &other);

    let outcome = machines.cam(["check"]).run().expect(4);

    assert_failed(&outcome, &["peer nas", &daemon.address, machines.nas_key()]);
}

#[test]
fn a_peer_that_does_not_know_this_machine() {
    let machines = Machines::new();
    machines.write_nas("127.0.0.1:0", "", "");
    let daemon = machines.daemon();
    machines.configure_cam(&daemon.address, machines.nas_key());

    let outcome = machines.cam(["check"]).run().expect(4);

    assert_failed(&outcome, &["peer nas", &daemon.address, machines.cam_key()]);
    daemon.logs("rejected");
}

#[test]
fn a_peer_that_serves_this_machine_nothing_is_there_all_the_same() {
    let machines = Machines::new();
    let _daemon = machines.start(&[]);

    // Which is not enough for the move of its configuration.
    let outcome = machines.cam(["check"]).run().expect(4);

    assert_failed(&outcome, &["destination nas:inbox"]);
    let text = outcome.stdout_text();
    assert!(text.contains("serves nothing to this machine"), "{outcome}");
}

#[test]
fn nobody_there() {
    let machines = Machines::new();
    let address = nobody();
    machines.configure_cam(&address, machines.nas_key());

    let outcome = machines.cam(["check"]).run().expect(5);

    assert_failed(&outcome, &["peer nas", &address, "refused"]);
}

#[test]
fn this_machine_has_no_key() {
    let machines = Machines::new();
    let _daemon = machines.start(EVERYTHING);
    fs::remove_file(machines.path("cam/key.pem")).unwrap();

    let outcome = machines.cam(["check"]).run().expect(3);

    let text = outcome.stdout_text();
    let failed = |what: &str| {
        let mut lines = text.lines().filter(|line| line.starts_with("FAILED"));
        lines.any(|line| line.contains(what) && line.contains("cam/key.pem"))
    };
    assert!(failed("key of this machine"), "{outcome}");
    assert!(failed("peer nas"), "{outcome}");
}

#[test]
fn a_directory_that_does_not_exist() {
    let machines = Machines::new();
    let _daemon = machines.start(EVERYTHING);
    machines.also_on_cam("[directories.gone]\npath = \"../gone\"\n");

    let outcome = machines.cam(["check"]).run().expect(1);

    assert_failed(&outcome, &["directory gone", "/gone", "No such file"]);
}

#[test]
fn a_directory_that_is_a_file() {
    let machines = Machines::new();
    let _daemon = machines.start(EVERYTHING);
    machines.also_on_cam("[directories.key]\npath = \"key.pem\"\n");

    let outcome = machines.cam(["check"]).run().expect(1);

    assert_failed(&outcome, &["directory key", "key.pem", "Not a directory"]);
}

#[test]
fn a_directory_that_cannot_be_written() {
    if !can_change_user() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    set_mode(directory.path(), 0o755).unwrap();
    fs::create_dir(directory.path().join("inbox")).unwrap();
    let config = directory.path().join("realize.toml");
    fs::write(&config, "[directories.inbox]\npath = \"inbox\"\n").unwrap();

    let check = realize(["--config".as_ref(), config.as_os_str(), "check".as_ref()]);
    let outcome = check.by_nobody().run().expect(1);

    assert_failed(&outcome, &["directory inbox", "Permission denied"]);
}

#[test]
fn a_directory_on_a_file_system_that_is_read_only() {
    if !can_mount() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("inbox");
    fs::create_dir(&inbox).unwrap();
    let config = directory.path().join("realize.toml");
    fs::write(&config, "[directories.inbox]\npath = \"inbox\"\n").unwrap();

    let check = realize(["--config".as_ref(), config.as_os_str(), "check".as_ref()]);
    let script = "mount -t tmpfs -o ro none \"$A\"\nexec \"$@\"";
    let outcome = check.among_mounts(script, &[&inbox]).run().expect(1);

    assert_failed(&outcome, &["directory inbox", "Read-only file system"]);
}

#[rstest]
#[case::both(&["here", "there"], 0, &["ok      source ", "ok      destination "])]
#[case::one_to_be_made(&["here"], 0, &["/there: does not exist, and will be made"])]
#[case::no_source(&["there"], 2, &["FAILED  source ", "/here: No such file"])]
fn the_ends_of_the_move(#[case] there: &[&str], #[case] code: i32, #[case] says: &[&str]) {
    let home = tempfile::tempdir().unwrap();
    for name in there {
        fs::create_dir(home.path().join(name)).unwrap();
    }
    let text = "[move]\nsource = \"./here\"\ndestination = \"./there\"\n";
    fs::write(home.path().join("realize.toml"), text).unwrap();
    let check = realize(["--config", "realize.toml", "check"]).in_directory(home.path());
    let outcome = check.run().expect(code);
    for words in says {
        assert!(outcome.stdout_text().contains(words), "{words}: {outcome}");
    }
    assert_eq!(home.path().join("there").exists(), there.contains(&"there"));
}

/// What is granted is compared with what the move takes.
#[rstest]
#[case::a_source("nas:inbox", "./here", &["list"], Some("FAILED  source nas:inbox: a move needs rights that are not granted there: read, delete"))]
#[case::a_destination("./here", "nas:inbox", &["list", "read"], Some("FAILED  destination nas:inbox: a move needs rights that are not granted there: write"))]
#[case::enough("./here", "nas:inbox", &["write"], None)]
fn what_a_move_may_not_do(
    #[case] source: &str,
    #[case] destination: &str,
    #[case] rights: &[&str],
    #[case] says: Option<&str>,
) {
    let machines = Machines::new();
    let _daemon = machines.start(rights);
    fs::create_dir(machines.path("cam/here")).unwrap();
    let check = machines.cam(["check"]).in_directory(&machines.path("cam"));
    let check = check.variable("REALIZE_MOVE__SOURCE", source);
    let check = check.variable("REALIZE_MOVE__DESTINATION", destination);
    let outcome = check.run().expect(if says.is_some() { 4 } else { 0 });
    if let Some(says) = says {
        assert!(outcome.stdout_text().contains(says), "{outcome}");
    }
}

/// It serves well what others only read.
#[test]
fn a_directory_that_nobody_may_change_need_not_be_writable() {
    if !can_mount() {
        return;
    }
    let machines = Machines::new();
    machines.configure_nas("127.0.0.1:0", &["list", "read"]);
    let check = realize([
        "--config".as_ref(),
        machines.nas_config().as_os_str(),
        "check".as_ref(),
    ]);
    let script = "mount -t tmpfs -o ro none \"$A\"\nexec \"$@\"";
    let outcome = check.among_mounts(script, &[&machines.inbox()]).run();
    let text = outcome.stdout_text();
    assert!(
        text.contains("directory inbox") && text.contains("nobody may change it"),
        "{outcome}"
    );
    assert!(!text.contains("FAILED  directory inbox"), "{outcome}");
}

/// The code is that of the first thing that failed; everything that fails is named.
#[test]
fn one_failure_hides_no_other() {
    let machines = Machines::new();
    machines.configure_cam(&nobody(), machines.nas_key());
    machines.also_on_cam("[directories.gone]\npath = \"../gone\"\n");

    let outcome = machines.cam(["check"]).run().expect(1);

    let text = outcome.stdout_text();
    let failed = text.lines().filter(|line| line.starts_with("FAILED"));
    assert_eq!(failed.count(), 2, "{outcome}");
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
