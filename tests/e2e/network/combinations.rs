//! The odd tree, from any side to any side.

use std::fs;
use std::path::Path;

use realize_test_kit::odd_tree::{plant, plant_compact, snapshot};
use rstest::rstest;

use super::machines::{Daemon, EVERYTHING, Machines, assert_moved, assert_seen, write};
use crate::program::realize;

/// How many files lie in one directory of the tree.
const MANY: usize = 100;

#[test]
fn the_odd_tree_moves_there_and_back() {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    let (source, inbox) = (machines.source(), machines.inbox());
    plant(&source, MANY).unwrap();
    let before = snapshot(&source).unwrap();

    let outcome = machines.cam(["move"]).run().expect(0);
    assert_moved(&before, &source, &inbox, &outcome);

    let back = machines.cam(["move", "nas:inbox"]).with([&source]);
    let outcome = back.run().expect(0);
    assert_moved(&before, &inbox, &source, &outcome);
    daemon.stop().expect(0);
}

#[test]
fn from_one_directory_of_a_peer_to_another() {
    let machines = Machines::new();
    fs::create_dir(machines.path("outbox")).unwrap();
    machines.configure_nas("127.0.0.1:0", &["write"]);
    machines.also_on_nas(
        "[directories.outbox]\npath = \"../outbox\"\nallow = { cam = [\"list\", \"read\", \"delete\"] }\n",
    );
    let daemon = machines.daemon();
    machines.configure_cam(&daemon.address, machines.nas_key());
    plant_compact(&machines.path("outbox"), MANY).unwrap();
    let before = snapshot(&machines.path("outbox")).unwrap();

    let outcome = machines
        .cam(["move", "nas:outbox", "nas:inbox"])
        .run()
        .expect(0);

    assert_moved(
        &before,
        &machines.path("outbox"),
        &machines.inbox(),
        &outcome,
    );
    daemon.stop().expect(0);
}

#[test]
fn from_one_peer_to_another() {
    let machines = Machines::new();
    let nas = machines.start(EVERYTHING);
    let lab = lab(&machines, "../lab-data");
    plant_compact(&machines.path("lab-data"), MANY).unwrap();
    let before = snapshot(&machines.path("lab-data")).unwrap();

    let outcome = machines
        .cam(["move", "lab:data", "nas:inbox"])
        .run()
        .expect(0);

    assert_moved(
        &before,
        &machines.path("lab-data"),
        &machines.inbox(),
        &outcome,
    );
    nas.stop().expect(0);
    lab.stop().expect(0);
}

#[test]
fn between_two_local_directories_though_peers_are_configured() {
    let machines = Machines::new();
    // Nobody listens there, and nobody has to.
    machines.configure_cam("127.0.0.1:1", machines.nas_key());
    machines.also_on_cam("[directories.here]\npath = \"../source\"\n");
    let (source, archive) = (machines.source(), machines.path("archive"));
    plant_compact(&source, MANY).unwrap();
    let before = snapshot(&source).unwrap();

    let outcome = machines
        .cam(["move", "here"])
        .with([&archive])
        .run()
        .expect(0);

    assert_moved(&before, &source, &archive, &outcome);
}

/// Both ends are one directory, whatever it is called.
#[rstest]
#[case::by_its_path_and_by_name("../inbox", "nas:inbox")]
#[case::by_name_and_by_its_path("nas:inbox", "../inbox")]
#[case::by_name_twice("nas:inbox", "nas:inbox")]
#[case::by_two_daemons("lab:data", "nas:inbox")]
#[case::a_part_and_the_whole("nas:inbox/d", "nas:inbox")]
#[case::the_whole_and_a_part("nas:inbox", "nas:inbox/new")]
fn a_directory_does_not_move_into_itself(#[case] source: &str, #[case] destination: &str) {
    let machines = Machines::new();
    let _nas = machines.start(EVERYTHING);
    let _lab = lab(&machines, "../inbox");
    let inbox = machines.inbox();
    for path in ["a", "d/b", "d/e/c"] {
        write(&inbox, path, path.as_bytes());
    }
    let before = snapshot(&inbox).unwrap();

    let outcome = machines
        .cam(["move", source, destination])
        .in_directory(&machines.path("cam"))
        .run()
        .expect(2);

    assert_seen(&before, &inbox, &outcome);
}

/// A third machine, whose `data` is the directory at `path`.
fn lab(machines: &Machines, path: &str) -> Daemon {
    let home = machines.path("lab");
    fs::create_dir(&home).unwrap();
    fs::create_dir_all(home.join(path)).unwrap();
    let made = realize(["keygen"]).with([home.join("key.pem")]).run();
    let key = made.expect(0).stdout_text().trim().to_owned();
    let config = home.join("realize.toml");
    let text = format!(
        "[identity]\nkey = \"key.pem\"\n[listen]\naddresses = [\"127.0.0.1:0\"]\n\
         [directories.data]\npath = {path:?}\n\
         allow = {{ cam = [\"list\", \"read\", \"delete\"] }}\n\
         [peers.cam]\nkey = {:?}\n",
        machines.cam_key()
    );
    fs::write(&config, text).unwrap();
    let daemon = Daemon::start(Path::new(&config));
    machines.also_on_cam(&format!(
        "[peers.lab]\nkey = {key:?}\naddress = {:?}\n",
        daemon.address
    ));
    daemon
}
