//! Where the configuration comes from: file, variable, flag.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use realize_test_kit::odd_tree::snapshot;
use rstest::rstest;

use super::machines::{Daemon, EVERYTHING, Machines, assert_moved, write};
use crate::program::{Program, realize, realized, wait_until};

/// A daemon, a file to move, and the cam's configuration at another place than the usual.
fn two(place: &str) -> (Machines, Daemon, PathBuf) {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    let file = machines.path(place);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = fs::read_to_string(machines.path("cam/realize.toml")).unwrap();
    fs::remove_file(machines.path("cam/realize.toml")).unwrap();
    let text = text.replace("key.pem", machines.path("cam/key.pem").to_str().unwrap());
    let text = text.replace("../source", machines.source().to_str().unwrap());
    fs::write(&file, text).unwrap();
    write(&machines.source(), "file", b"content");
    (machines, daemon, file)
}

#[track_caller]
fn assert_moves(machines: &Machines, program: Program) {
    let before = snapshot(&machines.source()).unwrap();
    let outcome = program.run().expect(0);
    assert_moved(&before, &machines.source(), &machines.inbox(), &outcome);
}

#[rstest]
#[case("XDG_CONFIG_HOME", "config", "config/realize/realize.toml")]
#[case("HOME", "home", "home/.config/realize/realize.toml")]
#[case("REALIZE_CONFIG", "odd.toml", "odd.toml")]
fn a_variable_leads_to_the_file(#[case] name: &str, #[case] value: &str, #[case] file: &str) {
    let (machines, _daemon, _) = two(file);
    let move_it = realize(["move"]).variable("XDG_CONFIG_HOME", "");
    assert_moves(&machines, move_it.variable(name, machines.path(value)));
}

#[test]
fn realize_config_comes_before_the_usual_place_and_the_flag_before_both() {
    let (machines, _daemon, file) = two("good.toml");
    let usual = machines.path("config/realize/realize.toml");
    fs::create_dir_all(usual.parent().unwrap()).unwrap();
    fs::write(usual, "[move]\nsource = \"/nonexistent/usual\"\n").unwrap();
    let named = machines.path("named.toml");
    fs::write(&named, "[move]\nsource = \"/nonexistent/named\"\n").unwrap();
    let run = |line: &[&str]| {
        let program = realize(line).variable("XDG_CONFIG_HOME", machines.path("config"));
        program.variable("REALIZE_CONFIG", &named)
    };

    let outcome = run(&["move", "--dry-run"]).with([".", "."]);
    assert_ne!(outcome.run().code(), 0);
    // Its source does not exist.
    let check = run(&["check"]).run().expect(2);
    assert!(check.stdout_text().contains("named.toml"), "{check}");
    let flag = run(&["move"]).globally(["--config".as_ref(), file.as_os_str()]);
    assert_moves(&machines, flag);
}

#[test]
fn the_daemon_too_finds_its_file_by_a_variable() {
    let machines = Machines::new();
    machines.configure_nas("127.0.0.1:0", EVERYTHING);
    let none: [&str; 0] = [];
    let daemon = realized(none).variable("REALIZE_CONFIG", machines.nas_config());
    let running = daemon.spawn();
    wait_until("the daemon to listen", Duration::from_secs(30), || {
        running.stdout_so_far().contains("listening on tcp ")
    });
}

#[test]
fn a_variable_comes_before_the_file() {
    let (machines, daemon, file) = two("cam.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(&daemon.address, "127.0.0.1:1")).unwrap();
    let program = |line: &[&str]| realize(line).globally(["--config".as_ref(), file.as_os_str()]);
    program(&["move", "--retries", "0"])
        .run()
        .expect(5)
        .says(&["127.0.0.1:1"]);

    let variable = program(&["move"]).variable("REALIZE_PEERS__NAS__ADDRESS", &daemon.address);
    assert_moves(&machines, variable);
}

#[test]
fn a_flag_comes_before_a_variable() {
    let (machines, _daemon, file) = two("cam.toml");
    let program = |line: &[&str]| {
        let program = realize(line).globally(["--config".as_ref(), file.as_os_str()]);
        program.variable("REALIZE_MOVE__EXCLUDE", "file")
    };
    let outcome = program(&["move"]).run().expect(0);
    assert!(machines.source().join("file").exists(), "{outcome}");

    assert_moves(&machines, program(&["move", "--exclude", "other"]));
}

#[rstest]
#[case::an_unknown_peer("REALIZE_PEERS__NAAS__ADDRESS", "127.0.0.1:1")]
#[case::an_unknown_key("REALIZE_PEERS__NAS__ADRESS", "127.0.0.1:1")]
fn a_wrong_variable_is_named(#[case] name: &str, #[case] value: &str) {
    let (machines, _daemon, file) = two("cam.toml");
    let program = realize(["move"]).globally(["--config".as_ref(), file.as_os_str()]);

    let outcome = program.variable(name, value).run().expect(3);

    assert!(machines.source().join("file").exists(), "{outcome}");
    outcome.says(&[name]);
}
