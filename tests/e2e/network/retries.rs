//! What a move does when the peer is not there, or goes away in the middle.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use realize_test_kit::odd_tree::{bytes, snapshot};
use rstest::rstest;
use rustix::process::Signal;

use super::machines::{Daemon, EVERYTHING, Machines, assert_moved, write};
use crate::program::{Outcome, Running, realize, wait_until};

/// The size of the file that is on its way when the peer goes.
const LARGE: usize = 64 << 20;
/// How much of it may be sent twice, or arrive without the sender being told: what is on its way at
/// once, read and sent.
const WINDOW: u64 = 8 << 20;
/// How long something may take that takes no time.
const SOON: Duration = Duration::from_secs(60);

/// The lines of a log that tell of a retry.
fn retries(log: &str) -> Vec<&str> {
    let lines = log.lines();
    lines
        .filter(|line| line.contains("event=run.retrying"))
        .collect()
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A cam with one file for a nas that is not there, and the address where it would be.
fn alone() -> (Machines, String) {
    let machines = Machines::new();
    let address = nobody();
    machines.configure_nas(&address, EVERYTHING);
    machines.configure_cam(&address, machines.nas_key());
    write(&machines.source(), "file", b"content");
    (machines, address)
}

#[test]
fn nobody_there_ends_with_5_after_the_retries() {
    let (machines, address) = alone();
    let before = snapshot(&machines.source()).unwrap();

    let outcome = machines.cam(["move", "--retries", "3"]).run().expect(5);

    crate::ends::assert_same(&before, &machines.source(), &outcome);
    let lines = retries(outcome.stderr_text());
    assert_eq!(lines.len(), 3, "{outcome}");
    for (line, attempt) in lines.iter().zip(2..) {
        for part in [
            "level=warn",
            &format!("attempt={attempt} "),
            "delay=0.",
            &address,
            "refused",
        ] {
            assert!(line.contains(part), "{part:?} is not in {line}");
        }
    }
    outcome.says(&["nas", "the sources are intact"]);
}

#[rstest]
#[case("list nas:inbox")]
#[case("verify ../source nas:inbox")]
#[case("move --retries 0")]
#[case("move --dry-run")]
fn nobody_there_ends_with_5_at_once(#[case] line: &str) {
    let (machines, address) = alone();
    let program = machines.cam(line.split(' '));

    let outcome = program.in_directory(&machines.path("cam")).run().expect(5);

    assert_eq!(retries(outcome.stderr_text()), [""; 0], "{outcome}");
    outcome.says(&[&*address, "refused"]);
}

#[test]
fn a_daemon_that_comes_late_is_waited_for() {
    let (machines, _) = alone();
    let before = snapshot(&machines.source()).unwrap();
    let mut running = machines.cam(["move", "--retries", "100"]).spawn();
    assert!(first_retry(&mut running), "{}", running.stderr_so_far());

    let daemon = machines.daemon();
    let outcome = running.wait().expect(0);

    assert_moved(&before, &machines.source(), &machines.inbox(), &outcome);
    daemon.stop().expect(0);
}

/// The move of a large file that loses its daemon in the middle, and finds it again.
#[rstest]
fn a_daemon_that_goes_and_comes_back_is_found_again(
    #[values(Signal::KILL, Signal::TERM)] signal: Signal,
    #[values(true, false)] there: bool,
) {
    let (machines, _) = alone();
    let (from, to) = if there {
        (machines.source(), machines.inbox())
    } else {
        (machines.inbox(), machines.source())
    };
    fs::remove_file(machines.source().join("file")).unwrap();
    write(&from, "large", &bytes(1, LARGE));
    (0..50).for_each(|i| write(&from, &format!("d/{i}"), &bytes(i, 1000)));
    let before = snapshot(&from).unwrap();
    let daemon = machines.daemon();
    let line = if there {
        ["move", "../source", "nas:inbox"]
    } else {
        ["move", "nas:inbox", "../source"]
    };
    let moving = machines.cam(line).with(["--json", "--retries", "100"]);
    let mut running = moving.in_directory(&machines.path("cam")).spawn();
    assert!(
        running.reaches("a part of the file", || has_part_of_large(&to)),
        "it ended too soon: {}",
        running.stderr_so_far()
    );

    end(daemon, signal);
    assert!(first_retry(&mut running), "{}", running.stderr_so_far());
    let daemon = machines.daemon();
    let outcome = running.wait().expect(0);

    assert_moved(&before, &from, &to, &outcome);
    let size = (LARGE + 50 * 1000) as u64;
    let sent = outcome.json_summary("sent");
    let window = size - WINDOW..size + WINDOW;
    assert!(window.contains(&sent), "{sent}: {outcome}");
    assert_eq!(outcome.json_file("large")["status"], "moved", "{outcome}");
    assert_eq!(outcome.json_summary("failed"), 0, "{outcome}");
    daemon.stop().expect(0);
}

#[test]
fn the_time_that_runs_out_ends_the_retries() {
    let (machines, _) = alone();

    let line = ["move", "--retries", "1000", "--max-duration", "700ms"];
    let outcome = machines.cam(line).run().expect(11);

    assert!(!retries(outcome.stderr_text()).is_empty(), "{outcome}");
    assert!(machines.source().join("file").exists(), "{outcome}");
}

#[rstest]
#[case(Signal::TERM, 143)]
#[case(Signal::INT, 130)]
fn a_signal_ends_the_wait_for_a_retry(#[case] signal: Signal, #[case] code: i32) {
    let (machines, _) = alone();
    let patient = machines.cam(["move", "--retries", "3"]);
    let patient = patient.variable("REALIZE_MOVE__RETRY_DELAY", "1h");
    let patient = patient.variable("REALIZE_MOVE__RETRY_MAX_DELAY", "1h");
    let mut running = patient.spawn();
    assert!(first_retry(&mut running), "{}", running.stderr_so_far());

    running.signal(signal);
    wait_until("the end", SOON, || running.ended());

    let outcome = running.wait().expect(code);
    assert!(machines.source().join("file").exists(), "{outcome}");
}

/// No number of tries makes a key the right one.
#[rstest]
#[case::of_the_peer(true)]
#[case::of_this_machine(false)]
fn a_wrong_key_ends_with_4_at_once(#[case] of_the_peer: bool) {
    let (machines, address) = alone();
    let other = realize(["keygen"]).with([machines.path("other.key")]).run();
    let other = other.expect(0).stdout_text().trim().to_owned();
    if of_the_peer {
        machines.configure_cam(&address, &other);
    } else {
        let peers = format!("[peers.cam]\nkey = \"{other}\"\n");
        machines.write_nas(&address, "cam = [\"write\"]", &peers);
    }
    let daemon = machines.daemon();

    let outcome = machines.cam(["move"]).run().expect(4);

    assert_eq!(retries(outcome.stderr_text()), [""; 0], "{outcome}");
    assert!(machines.source().join("file").exists(), "{outcome}");
    outcome.says(&["key", &address]);
    daemon.stop().expect(0);
}

/// Waits until the run says that it tries again.
fn first_retry(running: &mut Running) -> bool {
    let stderr = running.stderr_path();
    running.reaches("a retry", || {
        !retries(&fs::read_to_string(&stderr).unwrap()).is_empty()
    })
}

/// Whether some of the large file has arrived, and not all.
fn has_part_of_large(to: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(to) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let is_partial = entry.file_name().as_encoded_bytes().ends_with(b".part");
        let stored = entry
            .metadata()
            .map_or(0, |metadata| metadata.blocks() * 512);
        is_partial && stored > LARGE as u64 / 8
    })
}

fn end(daemon: Daemon, signal: Signal) -> Outcome {
    if signal == Signal::TERM {
        daemon.stop().expect(0)
    } else {
        daemon.kill()
    }
}
