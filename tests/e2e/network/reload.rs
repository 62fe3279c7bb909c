//! SIGHUP: what a changed configuration does to a daemon that runs.

use std::fs;

use realize_test_kit::odd_tree::{Tree, bytes, snapshot};
use rstest::rstest;

use super::another::{Another, cam_section};
use super::machines::{EVERYTHING, Machines, Way, assert_moved, assert_seen, write};
use super::middle::caught_in_the_middle;
use crate::program::Running;

/// The size of the file that is on its way when the configuration changes.
const LARGE: usize = 64 << 20;
/// What the nas is told to listen at, which a reload may not change.
const LISTEN: &str = "127.0.0.1:0";

/// Every right for the cam.
fn everything() -> String {
    let quoted: Vec<_> = EVERYTHING.iter().map(|r| format!("{r:?}")).collect();
    format!("cam = [{}]", quoted.join(", "))
}

/// A move of a large file, stopped in the middle, and what its source holds.
fn under_way(machines: &Machines, way: Way) -> (Running, Tree) {
    let source = machines.ends(way).source;
    let plant = || write(&source, "large", &bytes(7, LARGE));
    let running = caught_in_the_middle(machines, way, plant, 1 << 20);
    let mut held = snapshot(&source).unwrap();
    held.retain(|path, _| path == b"large");
    (running, held)
}

#[rstest]
fn who_is_taken_out_is_cut_in_the_middle_of_a_move(#[values(Way::ToNas, Way::FromNas)] way: Way) {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    let other = Another::beside(&machines, &daemon.address);
    let (running, held) = under_way(&machines, way);

    let allow = "lab = [\"list\"]";
    machines.write_nas(LISTEN, allow, &other.section());
    daemon.reloads("event=config.reloaded");
    running.resume();

    let outcome =
        running
            .wait()
            .expect(4)
            .says(&["nas", "does not know this machine's key", "intact"]);
    assert_seen(&held, &machines.ends(way).source, &outcome);
    other.program(["list", "nas:inbox"]).run().expect(0);

    // With its key back, it goes on where it was.
    machines.write_nas(LISTEN, &everything(), &cam_section(&machines));
    daemon.reloads("peers=1 directories=2 peers_added=cam peers_removed=lab ");
    let outcome = machines.mover(way).with(["--json"]).run().expect(0);
    assert!(outcome.json_summary("sent") < LARGE as u64, "{outcome}");
    assert_moved(
        &held,
        &machines.ends(way).source,
        &machines.ends(way).destination,
        &outcome,
    );
}

#[test]
fn a_right_that_is_taken_away_is_missing_from_the_next_call_on() {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    let way = Way::ToNas;
    let (running, held) = under_way(&machines, way);

    machines.configure_nas(LISTEN, &["list"]);
    daemon.reloads("event=config.reloaded");
    running.resume();

    let outcome = running
        .wait()
        .expect(4)
        .says(&["large", "not granted", "write", "intact"]);
    assert_seen(&held, &machines.source(), &outcome);
    assert!(!machines.inbox().join("large").exists(), "{outcome}");
    daemon.logs("event=access.denied");
}

#[test]
fn who_is_added_may_move() {
    let machines = Machines::new();
    machines.write_nas(LISTEN, "", "");
    let daemon = machines.daemon();
    machines.configure_cam(&daemon.address, machines.nas_key());
    write(&machines.source(), "file", b"content");
    machines.mover(Way::ToNas).run().expect(4);

    machines.configure_nas(LISTEN, EVERYTHING);
    daemon.reloads("event=config.reloaded");

    let before = snapshot(&machines.source()).unwrap();
    let outcome = machines.mover(Way::ToNas).run().expect(0);
    assert_moved(&before, &machines.source(), &machines.inbox(), &outcome);
}

/// Each of these takes the cam out, too: it must stay in, for nothing of it is taken over.
#[rstest]
#[case::listeners("127.0.0.1:1", "", "[listen] has changed: restart needed")]
#[case::the_log(
    LISTEN,
    "[log]\nlevel = \"debug\"\n",
    "[log] has changed: restart needed"
)]
#[case::a_transport(
    LISTEN,
    "[transports.tcp]\nlanes = 1\n",
    "[transports] has changed: restart needed"
)]
#[case::the_metrics(
    LISTEN,
    "[metrics]\nlisten = \"127.0.0.1:0\"\n",
    "[metrics] has changed: restart needed"
)]
#[case::an_unknown_key(LISTEN, "[lgo]\n", "unknown")]
#[case::no_toml(LISTEN, "[directories\n", "realize.toml")]
fn what_cannot_be_taken_over_changes_nothing(
    #[case] listen: &str,
    #[case] more: &str,
    #[case] reason: &str,
) {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    machines.write_nas(listen, "", "");
    machines.also_on_nas(more);
    daemon.reloads("event=config.rejected");

    assert!(daemon.log().contains(reason), "{}", daemon.log());
    write(&machines.source(), "file", b"content");
    let before = snapshot(&machines.source()).unwrap();
    let outcome = machines.mover(Way::ToNas).run().expect(0);
    assert_moved(&before, &machines.source(), &machines.inbox(), &outcome);
}

#[test]
fn another_key_needs_a_restart() {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    let text = fs::read_to_string(machines.nas_config()).unwrap();
    let other = text.replace("\"key.pem\"", "\"../cam/key.pem\"");
    fs::write(machines.nas_config(), other).unwrap();
    daemon.reloads("[identity] has changed: restart needed");
    machines.cam(["list", "nas:inbox"]).run().expect(0);
    // Nor is one taken in that is in the same file.
    fs::write(machines.nas_config(), text).unwrap();
    let key = machines.nas_config().with_file_name("key.pem");
    fs::remove_file(&key).unwrap();
    daemon.reloads("cannot be read: restart needed");
    machines.cam(["keygen"]).with([&key]).run().expect(0);
    daemon.reloads("the key of [identity] is another one now");
    machines.cam(["list", "nas:inbox"]).run().expect(0);
}
