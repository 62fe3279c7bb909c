//! Content that is compressed on its way, in either direction, and content that cannot be.

use std::fs;

use realize_test_kit::odd_tree::{bytes, snapshot};
use rstest::rstest;

use super::machines::{Daemon, EVERYTHING, Machines, Way, assert_moved, write};
use crate::monitoring::get;

/// A daemon that serves its metrics, and where.
fn daemon(machines: &Machines) -> (Daemon, String) {
    machines.configure_nas("127.0.0.1:0", EVERYTHING);
    machines.also_on_nas("[metrics]\nlisten = \"0\"\n");
    let mut daemon = machines.daemon();
    machines.configure_cam(&daemon.address, machines.nas_key());
    let address = super::metrics::served_at(&mut daemon.running);
    (daemon, address)
}

/// How many bytes a daemon has had on the wire, both ways together.
fn on_the_wire(address: &str) -> u64 {
    let (_, page) = get(address, "/metrics").unwrap();
    let is_wire = |line: &&str| line.starts_with("realize_bytes_total") && line.contains("wire");
    let counts = page.lines().filter(is_wire).map(|line| {
        let (_, count) = line.rsplit_once(' ').unwrap();
        count.parse::<u64>().unwrap()
    });
    counts.sum()
}

/// A log, as programs write them.
fn text(len: usize) -> Vec<u8> {
    let line = |i: u32| {
        let word = i.wrapping_mul(2_654_435_761) >> 12;
        format!(
            "2024-05-{:02} level=info request={word} status=200\n",
            i % 28
        )
    };
    (0..).flat_map(|i| line(i).into_bytes()).take(len).collect()
}

/// How many bytes of content are moved.
const CONTENT: u64 = 8 << 20;

/// Moves a large file, one that becomes a newer one, and many small ones, `CONTENT` bytes in all; answers
/// how many bytes were on the wire.
fn moved(machines: &Machines, metrics: &str, way: Way, flags: &[&str], content: &[u8]) -> u64 {
    let ends = machines.ends(way);
    let (from, to) = match way {
        Way::ToNas => (machines.source(), machines.inbox()),
        Way::FromNas => (machines.inbox(), machines.source()),
    };
    let (large, rest) = content.split_at(5 << 20);
    let (patched, small) = rest.split_at(2 << 20);
    ends.write("large", large);
    ends.write("patched", patched);
    // Half of it is there.
    let mut older = patched.to_vec();
    older[1 << 20..].fill(0);
    write(&to, "patched", &older);
    for (i, content) in small.chunks(2000).enumerate() {
        ends.write(&format!("small/{i}"), content);
    }
    let before = snapshot(&from).unwrap();
    let began = on_the_wire(metrics);
    let outcome = machines.mover(way).with(flags).run().expect(0);
    assert_moved(&before, &from, &to, &outcome);
    assert!(!outcome.stderr_text().contains("compression"), "{outcome}");
    machines.clear();
    on_the_wire(metrics) - began
}

#[rstest]
fn text_takes_a_fraction_of_its_bytes(#[values(Way::ToNas, Way::FromNas)] way: Way) {
    let machines = Machines::new();
    let (_daemon, metrics) = daemon(&machines);
    let content = text(CONTENT as usize);
    let plain = moved(&machines, &metrics, way, &[], &content);
    assert!(plain > CONTENT / 8 * 7, "{plain}");
    let none = moved(&machines, &metrics, way, &["--compress", "none"], &content);
    assert!(none > CONTENT / 8 * 7, "{none}");
    let zstd = moved(&machines, &metrics, way, &["--compress", "zstd"], &content);
    assert!(zstd < CONTENT / 3, "{zstd} instead of {plain}");
}

#[rstest]
fn noise_takes_no_more_bytes_than_without(#[values(Way::ToNas, Way::FromNas)] way: Way) {
    let machines = Machines::new();
    let (_daemon, metrics) = daemon(&machines);
    let content = bytes(1, CONTENT as usize);
    let plain = moved(&machines, &metrics, way, &[], &content);
    let zstd = moved(&machines, &metrics, way, &["--compress", "zstd"], &content);
    assert!(zstd < plain + plain / 50, "{zstd} instead of {plain}");
}

#[test]
fn the_configuration_can_ask_for_it() {
    let machines = Machines::new();
    let (_daemon, metrics) = daemon(&machines);
    let content = text(CONTENT as usize);
    let file = machines.path("cam/realize.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, config + "compress = \"zstd\"\n").unwrap();
    let zstd = moved(&machines, &metrics, Way::ToNas, &[], &content);
    assert!(zstd < CONTENT / 3, "{zstd}");
    // A flag goes over it.
    let none = moved(
        &machines,
        &metrics,
        Way::ToNas,
        &["--compress", "none"],
        &content,
    );
    assert!(none > CONTENT / 8 * 7, "{none}");
    let mistyped = machines.mover(Way::ToNas).with(["--compress", "zst"]);
    mistyped
        .run()
        .expect(2)
        .says(&["--compress", "did you mean `zstd`?"]);
}

/// A peer of a version that can less: what it can is the first byte of its hello's body.
#[test]
fn a_peer_that_cannot_is_said_once_and_gets_content_as_it_is() {
    let machines = Machines::new();
    let content = text(CONTENT as usize);
    write(&machines.source(), "large", &content);
    let before = snapshot(&machines.source()).unwrap();
    let allow = format!("cam = {EVERYTHING:?}");
    machines.write_nas("127.0.0.1:0", &allow, "[peers.cam]\nkey = \"exec:cam\"\n");
    let script = format!(
        "{:?} --config {:?} --stdio --peer cam | \
         {{ dd bs=1 count=12; printf '\\0'; dd bs=1 count=1 of=/dev/null; cat; }} 2>/dev/null",
        env!("CARGO_BIN_EXE_realized"),
        machines.nas_config()
    );
    let config = format!(
        "transport = \"exec\"\n[peers.nas]\nkey = \"exec:nas\"\naddress = \"there\"\n\
         [transports.exec]\ncommand = [\"sh\", \"-c\", {script:?}]\n"
    );
    fs::write(machines.path("cam/realize.toml"), config).unwrap();
    let mover = machines.mover(Way::ToNas).with(["--compress", "zstd"]);
    let outcome = mover
        .run()
        .expect(0)
        .says(&["event=compression.refused", "peer=nas"]);
    let said = outcome.stderr_text().matches("compression.refused").count();
    assert_eq!(said, 1, "{outcome}");
    assert_moved(&before, &machines.source(), &machines.inbox(), &outcome);
}
