//! How fast: what a move is told, what a daemon is told, and what either says of it.

use std::fs;
use std::time::{Duration, Instant};

use realize_test_kit::odd_tree::{bytes, snapshot};
use rstest::rstest;
use rustix::process::Signal;

use super::machines::{Daemon, EVERYTHING, Machines, Way, assert_moved, write};
use crate::ends::Ends;
use crate::program::{Outcome, realize, wait_until};

/// How long something may take that takes no time.
const SOON: Duration = Duration::from_secs(60);

fn machines(of_nas: &str) -> (Machines, Daemon) {
    let machines = Machines::new();
    machines.configure_nas("127.0.0.1:0", EVERYTHING);
    machines.also_on_nas(of_nas);
    let daemon = machines.daemon();
    machines.configure_cam(&daemon.address, machines.nas_key());
    (machines, daemon)
}

/// Moves a file of so many KiB, and holds it to taking no less than its time at `rate`.
#[track_caller]
fn assert_slow(machines: &Machines, way: Way, arguments: &[&str], kib: u64, rate: u64) -> Outcome {
    let ends = machines.ends(way);
    write(
        &ends.source,
        "file",
        &bytes(1, usize::try_from(kib << 10).unwrap()),
    );
    let before = snapshot(&ends.source).unwrap();
    let started = Instant::now();
    let outcome = machines.mover(way).with(arguments).run().expect(0);
    let took = started.elapsed().as_secs_f64();
    // What may go at once is 10 ms of the rate, or two slices.
    let least = (kib << 10) as f64 / rate as f64 * 0.95;
    assert!(took >= least, "{took} s, and not {least} s: {outcome}");
    assert_moved(&before, &ends.source, &ends.destination, &outcome);
    outcome
}

/// The line of a log that tells of a limit.
#[track_caller]
fn assert_told(log: &str, parts: &[&str]) {
    let told = log
        .lines()
        .filter(|line| line.contains("level=info") && line.contains("event=limit.changed"));
    let has = |line: &&str| parts.iter().all(|part| format!("{line} ").contains(part));
    assert!(told.clone().any(|line| has(&line)), "{parts:?} in: {log}");
}

#[test]
fn each_side_says_which_limit_it_keeps_to() {
    let (machines, daemon) = machines("");
    let limits = ["-v", "--throttle-up", "1M", "--throttle-down", "512k"];
    let outcome = assert_slow(&machines, Way::FromNas, &limits, 1024, 512 << 10);
    let log = outcome.stderr_text();
    assert_told(log, &["direction=up", "new=1048576 "]);
    assert_told(
        &daemon.log(),
        &["peer=cam", "directory=inbox", "direction=up", "new=524288 "],
    );
}

#[rstest]
#[case::up(Way::ToNas, &["--throttle-up", "1M"])]
#[case::down(Way::FromNas, &["--throttle-down", "1M"])]
#[case::both_up(Way::ToNas, &["--throttle", "1M"])]
#[case::both_down(Way::FromNas, &["--throttle", "1M"])]
fn a_move_keeps_to_its_limit(#[case] way: Way, #[case] limits: &[&str]) {
    let (machines, _daemon) = machines("");
    assert_slow(&machines, way, limits, 1536, 1 << 20);
}

#[rstest]
#[case::of_the_move("[throttle]\nup = \"1M\"\n")]
#[case::of_the_peer("")]
fn what_is_configured_is_kept_to(#[case] throttle: &str) {
    let (machines, _daemon) = machines("");
    if throttle.is_empty() {
        let config = machines.path("cam/realize.toml");
        let text = fs::read_to_string(&config).unwrap();
        let text = text.replace("[move]", "throttle = { up = \"1M\" }\n[move]");
        fs::write(config, text).unwrap();
    }
    machines.also_on_cam(throttle);
    assert_slow(&machines, Way::ToNas, &[], 1536, 1 << 20);
}

/// The two halves of the day; in which the test runs does not matter.
const ALL_DAY: &str = "[throttle]\nup = \"64K\"\n\
    [[throttle.schedule]]\nfrom = \"00:00\"\nto = \"12:00\"\nup = \"1M\"\n\
    [[throttle.schedule]]\nfrom = \"12:00\"\nto = \"00:00\"\nup = \"1M\"\n";

#[test]
fn a_move_keeps_to_the_timetable() {
    let (machines, _daemon) = machines("");
    machines.also_on_cam(ALL_DAY);
    let outcome = assert_slow(&machines, Way::ToNas, &["-v"], 1536, 1 << 20);
    assert_told(outcome.stderr_text(), &["direction=up ", "new=1048576 "]);
}

#[test]
fn what_is_typed_goes_over_the_timetable() {
    let (machines, _daemon) = machines("");
    machines.also_on_cam(ALL_DAY);
    let typed = ["-v", "--throttle-up", "2M"];
    let outcome = assert_slow(&machines, Way::ToNas, &typed, 3072, 2 << 20);
    assert_told(outcome.stderr_text(), &["direction=up ", "new=2097152 "]);
}

#[test]
fn what_the_environment_says_goes_over_the_timetable() {
    let (machines, _daemon) = machines("");
    machines.also_on_cam(ALL_DAY);
    write(&machines.source(), "small", b"small");
    let mover = machines.mover(Way::ToNas).with(["-v"]);
    let mover = mover.variable("REALIZE_THROTTLE__UP", "2M");
    let outcome = mover.run().expect(0);
    assert_told(outcome.stderr_text(), &["direction=up ", "new=2097152 "]);
}

/// One that limits what nobody sends is heard of.
#[rstest]
#[case::down(Way::ToNas, "--throttle-down", Some("is limited by `up`"))]
#[case::up(Way::FromNas, "--throttle-up", Some("is limited by `down`"))]
#[case::both(Way::FromNas, "--throttle", None)]
fn a_limit_of_the_other_way_limits_nothing(
    #[case] way: Way,
    #[case] flag: &str,
    #[case] says: Option<&str>,
) {
    let (machines, _daemon) = machines("");
    write(&machines.ends(way).source, "small", b"small");
    let outcome = machines.mover(way).with([flag, "1M"]).run().expect(0);
    let said = outcome.stderr_text();
    assert_eq!(said.contains("limit.unheeded"), says.is_some(), "{outcome}");
    assert!(said.contains(says.unwrap_or_default()), "{outcome}");
}

/// The program at the other end ends with the connection, and its limits with it.
#[test]
fn the_limits_of_one_connection_cannot_be_changed() {
    let machines = Machines::new();
    machines.configure_nas("127.0.0.1:0", EVERYTHING);
    machines.also_on_nas("rights = [\"control\"]\n[throttle]\nup = \"1M\"\n");
    machines.configure_cam("127.0.0.1:1", machines.nas_key());
    let realized = env!("CARGO_BIN_EXE_realized");
    let config = machines.nas_config();
    machines.also_on_cam(&format!(
        "[transports.exec]\ncommand = [\"env\", \"-u\", \"REALIZE_PEERS__NAS__TRANSPORT\", \
         {realized:?}, \"--config\", {config:?}, \"--stdio\", \
         \"--peer\", \"cam\"]\n"
    ));
    let limit = |flags: &[&str]| {
        let program = machines.cam(["limit", "nas"]).with(flags);
        program
            .variable("REALIZE_PEERS__NAS__TRANSPORT", "exec")
            .run()
    };
    let read = limit(&[]).expect(0);
    assert_eq!(read.stdout_text(), "up 1048576\ndown none\n");
    limit(&["--up", "2M"])
        .expect(1)
        .says(&["only a daemon that listens"]);
}

#[test]
fn a_daemon_keeps_to_the_timetable() {
    let (machines, daemon) = machines(ALL_DAY);
    assert_slow(&machines, Way::FromNas, &[], 1536, 1 << 20);
    assert_told(
        &daemon.log(),
        &["peer=all", "direction=up ", "new=1048576 "],
    );
}

#[rstest]
#[case::it_sends("up", Way::FromNas)]
#[case::it_receives("down", Way::ToNas)]
fn a_daemon_keeps_to_its_own(#[case] direction: &str, #[case] way: Way) {
    let (machines, daemon) = machines(&format!("[throttle]\n{direction} = \"1M\"\n"));
    assert_slow(&machines, way, &[], 1536, 1 << 20);
    let direction = format!("direction={direction} ");
    assert_told(&daemon.log(), &["peer=all", &direction, "new=1048576 "]);
}

#[test]
fn a_local_move_is_limited_over_the_channel() {
    let ends = Ends::new();
    write(&ends.source, "file", &bytes(1, 1536 << 10));
    for way in ["--throttle-up", "--throttle-down"] {
        write(&ends.source, "file", &bytes(1, 1536 << 10));
        let started = Instant::now();
        let program = realize(["--transport", "channel", "move", way, "1M"]);
        program
            .with([&ends.source, &ends.destination])
            .run()
            .expect(0);
        assert!(started.elapsed() >= Duration::from_millis(1400), "{way}");
        fs::remove_file(ends.destination.join("file")).unwrap();
    }
}

#[test]
fn a_local_move_without_a_connection_says_that_nothing_is_limited() {
    let ends = Ends::new();
    write(&ends.source, "file", b"content");
    let program = realize(["move", "--throttle", "1M"]);
    let outcome = program.with([&ends.source, &ends.destination]).run();
    outcome
        .expect(0)
        .says(&["event=limit.unheeded", "--transport channel"]);
}

#[rstest]
#[case("0")]
#[case("-1")]
#[case("")]
#[case("fast")]
#[case("0.0001K")]
#[case("99999999999999999999")]
fn what_is_no_rate_is_refused_with_one_that_is(#[case] rate: &str) {
    for flag in ["--throttle", "--throttle-up", "--throttle-down"] {
        let program = realize(["move", flag, rate, "/nonexistent/a", "/nonexistent/b"]);
        program.run().expect(2).says(&[flag, "\"512K\""]);
    }
}

#[test]
fn a_reload_changes_the_limits() {
    let (machines, daemon) = machines("[throttle]\nup = \"1M\"\n");
    machines.configure_nas("127.0.0.1:0", EVERYTHING);
    machines.also_on_nas("throttle = { up = \"2M\" }\n[throttle]\ndown = \"3M\"\n");
    daemon.reloads("event=config.reloaded");
    let log = daemon.log();
    assert_told(&log, &["peer=all", "direction=up ", "old=1048576 "]);
    assert_told(&log, &["peer=all", "direction=down ", "new=3145728 "]);
    assert_told(&log, &["peer=cam", "direction=up ", "new=2097152 "]);
}

#[test]
fn who_has_control_reads_and_changes_a_daemon_s_limits() {
    let (machines, daemon) = machines("rights = [\"control\"]\n[throttle]\nup = \"1M\"\n");
    let limit = |arguments: &[&str]| {
        let outcome = machines
            .cam(["limit", "nas"])
            .with(arguments)
            .run()
            .expect(0);
        outcome.stdout_text().to_owned()
    };
    assert_eq!(limit(&[]), "up 1048576\ndown none\n");
    assert_eq!(limit(&["--down", "2M"]), "up 1048576\ndown 2097152\n");
    assert_eq!(limit(&["--up", "none"]), "up none\ndown 2097152\n");
    assert_told(
        &daemon.log(),
        &["peer=all", "direction=down ", "new=2097152 "],
    );
    assert_slow(&machines, Way::ToNas, &[], 3072, 2 << 20);
    // A reload that is about something else leaves it.
    machines.also_on_nas("\n[directories.more]\npath = \"more\"\n");
    daemon.reloads("directories_added=more");
    assert_eq!(limit(&[]), "up none\ndown 2097152\n");
    let wrong = machines.cam(["limit", "nas", "--up", "0"]).run().expect(2);
    wrong.says(&["--up", "\"512K\"", "none"]);
}

#[test]
fn who_has_no_control_is_refused_the_limits() {
    let (machines, daemon) = machines("");
    machines
        .cam(["limit", "nas", "--up", "1M"])
        .run()
        .expect(4)
        .says(&["control"]);
    daemon.logs("event=access.denied");
    machines
        .cam(["limit", "attic"])
        .run()
        .expect(2)
        .says(&["attic", "nas"]);
}

#[rstest]
fn a_slow_move_hears_of_a_signal(#[values(Way::ToNas, Way::FromNas)] way: Way) {
    let (machines, daemon) = machines("");
    let source = machines.ends(way).source;
    write(&source, "large", &bytes(1, 8 << 20));
    (0..200).for_each(|i| write(&source, &format!("small/{i}"), &bytes(i, 20_000)));
    let mut running = machines.mover(way).with(["--throttle", "64K"]).spawn();
    let there = machines.ends(way).destination;
    wait_until("something to arrive", SOON, || {
        fs::read_dir(&there).unwrap().any(|entry| {
            let entry = entry.unwrap();
            entry.file_name().to_string_lossy().ends_with(".part") || entry.path().is_dir()
        })
    });
    running.signal(Signal::TERM);
    wait_until("the move to end", SOON, || running.ended());
    running.wait().expect(143);
    // And what it had taken is free again.
    let outcome = machines.mover(way).run().expect(0);
    assert!(
        !daemon.log().contains("level=warn"),
        "{outcome}{}",
        daemon.log()
    );
}
