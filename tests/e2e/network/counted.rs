//! What both programs count: every metric, by its name, its labels and its value, after a run of which
//! everything is known.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use realize_test_kit::odd_tree::bytes;

use super::machines::{Daemon, EVERYTHING, Machines, Way, write};
use crate::monitoring::{Prometheus, Pushgateway, get};
use crate::program::{Program, realize};

const LARGE: usize = 1 << 20;
const SMALL: usize = 1000;

/// The samples of a page whose series begin with `name`, as (series, value).
fn samples<'a>(page: &'a str, name: &str) -> Vec<(&'a str, f64)> {
    let of_it = page.lines().filter(|line| line.starts_with(name));
    let sample = |line: &'a str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series, value.parse().unwrap())
    };
    of_it.map(sample).collect()
}

/// Holds `page` to having this series with a value that `fits`.
#[track_caller]
fn has(page: &str, series: &str, fits: impl Fn(f64) -> bool) {
    let name = series.split('{').next().unwrap();
    let found = samples(page, name);
    let sample = found.iter().find(|(found, _)| *found == series);
    let value = sample.unwrap_or_else(|| panic!("no {series} among {found:?}"));
    assert!(fits(value.1), "{series} is {}", value.1);
}

/// A page of a gateway without the labels of the group that was pushed.
fn alone(page: &str) -> String {
    let labels = ["instance=\"\",", "job=\"m\",", "instance=\"\"", "job=\"m\""];
    let page = labels
        .iter()
        .fold(page.to_owned(), |page, label| page.replace(label, ""));
    page.replace(",}", "}").replace("{}", "")
}

/// A daemon that serves its metrics, and knows a limit; and where they are.
fn daemon(machines: &Machines) -> (Daemon, String) {
    let cam = format!(
        "[peers.cam]\nkey = \"{}\"\nthrottle = {{ up = \"7M\" }}\n",
        machines.cam_key()
    );
    let quoted: Vec<_> = EVERYTHING
        .iter()
        .map(|right| format!("{right:?}"))
        .collect();
    let allow = format!("cam = [{}]", quoted.join(", "));
    machines.write_nas("127.0.0.1:0", &allow, &cam);
    machines.also_on_nas("[metrics]\nlisten = \"0\"\n[throttle]\ndown = \"900M\"\n");
    let mut daemon = machines.daemon();
    machines.configure_cam(&daemon.address, machines.nas_key());
    let address = super::metrics::served_at(&mut daemon.running);
    (daemon, address)
}

/// A large and a small file, one that is too young, and one that cannot be moved.
fn plant(machines: &Machines) {
    let source = machines.source();
    write(&source, "large", &bytes(1, LARGE));
    write(&source, "small", &bytes(2, SMALL));
    write(&source, "kept", b"newer");
    write(&machines.inbox(), "kept", b"older!");
    let future = SystemTime::now() + Duration::from_secs(3600);
    write(&source, "young", b"young");
    let young = fs::File::options()
        .write(true)
        .open(source.join("young"))
        .unwrap();
    young.set_modified(future).unwrap();
    for name in ["large", "small", "kept"] {
        age(&source.join(name));
    }
}

/// Makes a file a day old and more.
fn age(path: &Path) {
    let file = fs::File::options().write(true).open(path).unwrap();
    let old = SystemTime::now() - Duration::from_secs(100_000);
    file.set_modified(old).unwrap();
}

/// The move of what was planted.
fn mover(machines: &Machines, way: Way) -> Program {
    machines
        .mover(way)
        .with(["--min-age", "1s", "--on-conflict", "keep"])
}

#[test]
fn every_metric_of_a_move() {
    let machines = Machines::new();
    let (_daemon, _) = daemon(&machines);
    plant(&machines);
    let gateway = Pushgateway::start();
    let url = format!("{}/metrics/job/m", gateway.url());
    let flags = ["--metrics-push", &url, "--throttle-up", "800M"];
    mover(&machines, Way::ToNas).with(flags).run().expect(6);
    let page = alone(&gateway.page());
    let content = (LARGE + SMALL) as f64;
    let is = |expected: f64| move |value: f64| value == expected;
    for (series, expected) in [
        ("realize_move_start_count", 1.0),
        ("realize_move_end_count", 1.0),
        ("realize_move_file_start_count", 3.0),
        ("realize_move_file_end_count{status=\"Ok\"}", 2.0),
        ("realize_move_file_end_count{status=\"Sync Failed\"}", 1.0),
        ("realize_move_read_bytes{method=\"read\"}", content),
        ("realize_move_read_bytes{method=\"diff\"}", 0.0),
        ("realize_move_write_bytes{method=\"send\"}", content),
        ("realize_move_write_bytes{method=\"apply_patch\"}", 0.0),
        ("realize_move_range_read_bytes{method=\"read\"}", content),
        ("realize_move_range_read_bytes{method=\"diff\"}", 0.0),
        ("realize_move_range_write_bytes{method=\"send\"}", content),
        (
            "realize_move_range_write_bytes{method=\"apply_patch\"}",
            0.0,
        ),
        ("realize_files_deferred_total{directory=\"nas:inbox\"}", 1.0),
        ("realize_verify_mismatches_total", 0.0),
        ("realize_backlog_files", 2.0),
        ("realize_backlog_bytes", 10.0),
        (
            "realize_bytes_total{direction=\"up\",kind=\"logical\",peer=\"nas\"}",
            content,
        ),
        (
            "realize_bytes_total{direction=\"down\",kind=\"logical\",peer=\"nas\"}",
            0.0,
        ),
        (
            "realize_limit_bytes_per_second{direction=\"up\",peer=\"\"}",
            (800 << 20) as f64,
        ),
        (
            "realize_limit_bytes_per_second{direction=\"up\",peer=\"nas\"}",
            (900 << 20) as f64,
        ),
    ] {
        has(&page, series, is(expected));
    }
    let wire = "realize_bytes_total{direction=\"up\",kind=\"wire\",peer=\"nas\"}";
    has(&page, wire, |value| {
        value > content && value < content * 1.1
    });
    let wire = "realize_bytes_total{direction=\"down\",kind=\"wire\",peer=\"nas\"}";
    has(&page, wire, |value| value > 0.0 && value < content);
    // Of what was left, the one that is in conflict is the oldest.
    has(&page, "realize_oldest_pending_seconds", |age| {
        (100_000.0..101_000.0).contains(&age)
    });
    // It has not succeeded yet: one file was not moved.
    assert_eq!(
        samples(&page, "realize_last_success_timestamp_seconds").len(),
        0
    );

    // With the conflict out of the way it does. What was pushed before goes.
    fs::remove_file(machines.inbox().join("kept")).unwrap();
    mover(&machines, Way::ToNas).with(flags).run().expect(0);
    let page = gateway.page();
    let last = samples(
        &page,
        "realize_last_success_timestamp_seconds{directory=\"nas:inbox\"",
    );
    assert!(
        matches!(last[..], [(_, since)] if since > 1.7e9),
        "{last:?}"
    );
    let count = |page: &str, name| samples(page, name)[0].1;
    // The one that is too young.
    assert_eq!(count(&page, "realize_backlog_files"), 1.0);

    // A run that fails says nothing of it: the time of the last success stays.
    write(&machines.source(), "kept", b"newest");
    age(&machines.source().join("kept"));
    mover(&machines, Way::ToNas).with(flags).run().expect(6);
    let page = gateway.page();
    assert_eq!(count(&page, "realize_backlog_files"), 2.0);
    let kept = samples(
        &page,
        "realize_last_success_timestamp_seconds{directory=\"nas:inbox\"",
    );
    assert_eq!(kept, last);
}

#[test]
fn every_metric_of_a_daemon() {
    let machines = Machines::new();
    let (daemon, address) = daemon(&machines);
    plant(&machines);
    mover(&machines, Way::ToNas).run().expect(6);
    // A stranger, who has a key of their own.
    let stranger = machines.path("stranger.pem");
    realize(["keygen"]).with([&stranger]).run().expect(0);
    let config = format!(
        "[identity]\nkey = {stranger:?}\n[peers.nas]\nkey = \"{}\"\naddress = \"{}\"\n",
        machines.nas_key(),
        daemon.address
    );
    let file = machines.path("stranger.toml");
    fs::write(&file, config).unwrap();
    let list = realize(["list", "nas:inbox"]).globally(["--config".as_ref(), file.as_os_str()]);
    list.run().expect(4);

    let (_, page) = get(&address, "/metrics").unwrap();
    let content = (LARGE + SMALL) as f64;
    let is = |expected: f64| move |value: f64| value == expected;
    for (series, expected) in [
        (
            "realize_bytes_total{direction=\"down\",kind=\"logical\",peer=\"cam\"}",
            content,
        ),
        (
            "realize_bytes_total{direction=\"up\",kind=\"logical\",peer=\"cam\"}",
            0.0,
        ),
        ("realize_verify_mismatches_total", 0.0),
        ("realize_auth_rejections_total{transport=\"tcp\"}", 1.0),
        ("realize_peer_connected{peer=\"cam\"}", 0.0),
        (
            "realize_limit_bytes_per_second{direction=\"up\",peer=\"cam\"}",
            (7 << 20) as f64,
        ),
        (
            "realize_limit_bytes_per_second{direction=\"down\",peer=\"\"}",
            (900 << 20) as f64,
        ),
        ("realize_rpc_duration_seconds_count{method=\"put\"}", 1.0),
        ("realize_rpc_duration_seconds_count{method=\"finish\"}", 1.0),
        ("realize_rpc_duration_seconds_count{method=\"delete\"}", 0.0),
    ] {
        has(&page, series, is(expected));
    }
    has(
        &page,
        "realize_rpc_duration_seconds_sum{method=\"put\"}",
        |sum| sum > 0.0,
    );
    let wire = "realize_bytes_total{direction=\"down\",kind=\"wire\",peer=\"cam\"}";
    has(&page, wire, |value| {
        value > content && value < content * 1.1
    });
    let free = "realize_directory_free_bytes{directory=\"inbox\"}";
    has(&page, free, |value| value > 1e6);
    // Not all that was meant was moved.
    let last = "realize_last_success_timestamp_seconds";
    assert_eq!(samples(&page, last).len(), 0);
    assert_eq!(samples(&page, "realize_limit_bytes_per_second").len(), 2);
    // No series of whoever has no name here.
    let labels: Vec<_> = page.lines().filter(|line| line.contains("peer=")).collect();
    let known = |line: &&&str| !line.contains("peer=\"cam\"") && !line.contains("peer=\"\"");
    assert_eq!(labels.iter().filter(known).count(), 0, "{labels:#?}");
    assert!(
        !page.contains("large") && !page.contains("ed25519"),
        "{page}"
    );

    // From here on the daemon sends, and the figures are to be had from a Prometheus.
    let prometheus = Prometheus::scraping(&[&address]);
    machines.mover(Way::FromNas).run().expect(0);
    let up = "realize_bytes_total{direction=\"up\",kind=\"logical\",peer=\"cam\"}";
    prometheus.sees(up, content + 6.0);
    prometheus.sees(
        "realize_rpc_duration_seconds_count{method=\"delete\"} > bool 0",
        1.0,
    );
    prometheus.sees(
        "realize_last_success_timestamp_seconds{directory=\"inbox\"} > bool 1.7e9",
        1.0,
    );

    // Who is taken out of the configuration is not shown any more.
    machines.write_nas("127.0.0.1:0", "", "");
    machines.also_on_nas("[metrics]\nlisten = \"0\"\n[throttle]\ndown = \"900M\"\n");
    daemon.reloads("config.reloaded");
    let (_, page) = get(&address, "/metrics").unwrap();
    assert!(!page.contains("peer=\"cam\""), "{page}");
}
