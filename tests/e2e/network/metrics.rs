//! What Prometheus sees of a daemon and of a move, with the real one, and what becomes of a program
//! that cannot be seen.

use std::fs;
use std::net::TcpListener;

use realize_test_kit::odd_tree::{bytes, snapshot};
use rstest::rstest;

use super::machines::{Daemon, EVERYTHING, Machines, Way, assert_moved, write};
use crate::ends::Ends;
use crate::monitoring::{Prometheus, Pushgateway, ask, assert_page, free_address, get};
use crate::program::{Program, Running, realize, realized};

/// The one series that every program has, on its page.
const BUILD_INFO: &str = concat!(
    "realize_build_info{version=\"",
    env!("CARGO_PKG_VERSION"),
    "\"} 1\n"
);

/// A daemon that serves its metrics at an address of the system's choice.
fn daemon(machines: &Machines) -> Daemon {
    machines.configure_nas("127.0.0.1:0", EVERYTHING);
    machines.also_on_nas("[metrics]\nlisten = \"0\"\n");
    let daemon = machines.daemon();
    machines.configure_cam(&daemon.address, machines.nas_key());
    daemon
}

/// Where a program serves its metrics, once it says so.
pub(super) fn served_at(running: &mut Running) -> String {
    let mut address = None;
    let says = running.stderr_path();
    running.reaches("metrics to be served", || {
        let log = fs::read_to_string(&says).unwrap();
        let line = log
            .lines()
            .find(|line| line.contains("event=metrics.listening"));
        let said = line.and_then(|line| line.split_once("address="));
        address = said.map(|(_, rest)| rest.split(' ').next().unwrap().to_owned());
        address.is_some() && log.ends_with('\n')
    });
    address.unwrap_or_else(|| panic!("no address in: {}", running.stderr_so_far()))
}

/// `realize move` of one file between two directories here.
fn local_move() -> (Ends, Program) {
    let ends = Ends::with(&[("file", b"content")]);
    let program = realize(["move"]).with([&ends.source, &ends.destination]);
    (ends, program)
}

#[test]
fn a_daemon_is_scraped() {
    let machines = Machines::new();
    let mut daemon = daemon(&machines);
    let address = served_at(&mut daemon.running);
    let prometheus = Prometheus::scraping(&[&address]);
    prometheus.sees("up", 1.0);
    let version = env!("CARGO_PKG_VERSION");
    prometheus.sees(&format!("realize_build_info{{version={version:?}}}"), 1.0);
    assert_eq!(prometheus.query("realize_nothing_of_the_kind"), None);
    // That of this process: it has opened something, and begun after 2020.
    assert!(prometheus.query("process_open_fds > 3").is_some());
    assert!(
        prometheus
            .query("process_start_time_seconds > 1577836800")
            .is_some()
    );

    // It goes on to be scraped while it is busy, and is not any more once it has ended.
    write(&machines.source(), "file", b"content");
    machines.mover(Way::ToNas).run().expect(0);
    let scraped = "count_over_time(up[1h])";
    let before = prometheus.query(scraped).unwrap();
    prometheus.sees(&format!("{scraped} > bool {before}"), 1.0);
    daemon.stop().expect(0);
    assert_eq!(get(&address, "/metrics"), None);
    prometheus.sees("up", 0.0);
}

#[test]
fn the_page_of_a_daemon_is_one_that_prometheus_reads() {
    let machines = Machines::new();
    let mut daemon = daemon(&machines);
    let address = served_at(&mut daemon.running);
    let (status, page) = get(&address, "/metrics").unwrap();
    assert_eq!(status, 200, "{page}");
    assert!(page.contains(BUILD_INFO), "{page}");
    assert_page(&page);
    assert_eq!(get(&address, "/healthz"), Some((200, "ok".to_owned())));
    assert_eq!(get(&address, "/").unwrap().0, 404);
    assert_eq!(ask(&address, "POST /metrics", "").unwrap().0, 405);
}

#[test]
fn a_daemon_whose_port_is_taken_does_not_start() {
    let machines = Machines::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    machines.configure_nas("127.0.0.1:0", EVERYTHING);
    // A port alone is one of this machine.
    machines.also_on_nas(&format!("[metrics]\nlisten = \":{}\"\n", address.port()));
    let daemon = realized(["--config".as_ref(), machines.nas_config().as_os_str()]);
    let outcome = daemon.run().expect(1);
    assert_eq!(outcome.stdout_text(), "", "{outcome}");
    assert!(
        !outcome.stderr_text().contains("daemon.started"),
        "{outcome}"
    );
    outcome.says(&[
        "event=listener.failed transport=metrics",
        &format!("realized: listening on metrics {address}: Address already in use"),
    ]);
}

#[test]
fn a_move_pushes_when_it_ends() {
    let gateway = Pushgateway::start();
    let host = rustix::system::uname();
    let host = host.nodename().to_str().unwrap();
    // What an earlier version counted, and another machine's, which is none of our business.
    for (instance, name) in [(host, "realize_old"), ("other", "realize_other")] {
        let page = format!("# HELP {name} A.\n# TYPE {name} gauge\n{name} 1\n");
        let line = format!("PUT /metrics/job/realize/instance/{instance}");
        let (status, said) = ask(gateway.address(), &line, &page).unwrap();
        assert_eq!(status, 200, "{said}");
    }
    assert!(gateway.page().contains("realize_old{"));

    let (ends, program) = local_move();
    let before = snapshot(&ends.source).unwrap();
    let outcome = program
        .with(["--metrics-push", &gateway.url()])
        .run()
        .expect(0);
    assert_eq!(
        outcome.stderr_text().matches("metrics").count(),
        0,
        "{outcome}"
    );
    assert_moved(&before, &ends.source, &ends.destination, &outcome);

    let pushed = gateway.pushed();
    let version = env!("CARGO_PKG_VERSION");
    let info =
        format!("realize_build_info{{instance={host:?},job=\"realize\",version={version:?}}} 1");
    assert!(pushed.contains(&info), "{info} in {pushed:#?}");
    let has = |name: &str| pushed.iter().any(|line| line.starts_with(name));
    assert!(has("process_cpu_seconds_total{"), "{pushed:#?}");
    assert!(has("realize_other{instance=\"other\""), "{pushed:#?}");
    assert!(!has("realize_old{"), "{pushed:#?}");
    assert_page(&gateway.page());

    let prometheus = Prometheus::scraping(&[gateway.address()]);
    let expression = format!("realize_build_info{{exported_instance={host:?}}}");
    prometheus.sees(&expression, 1.0);
}

#[rstest]
#[case::of_the_configuration(true)]
#[case::of_the_flag(false)]
fn a_move_that_fails_pushes_too(#[case] configured: bool) {
    let gateway = Pushgateway::start();
    let machines = Machines::new();
    machines.configure_cam(&free_address(), machines.nas_key());
    write(&machines.source(), "file", b"content");
    let program = machines.cam(["move", "--retries", "0"]);
    // A flag goes over what is configured.
    let (url, program) = match configured {
        true => (gateway.url(), program),
        false => {
            let program = program.with(["--metrics-push", &gateway.url()]);
            (format!("http://{}", free_address()), program)
        }
    };
    machines.also_on_cam(&format!("[metrics]\npush = {url:?}\n"));
    let outcome = program.run().expect(5);
    let pushed = gateway.pushed();
    let has = |line: &String| line.starts_with("realize_build_info{");
    assert!(pushed.iter().any(has), "{pushed:#?} {outcome}");
}

#[rstest]
#[case::copy(&["copy"], true)]
#[case::preview(&["move", "--dry-run"], false)]
#[case::list(&["list"], false)]
fn who_pushes(#[case] command: &[&str], #[case] pushes: bool) {
    let gateway = Pushgateway::start();
    let ends = Ends::with(&[("file", b"content")]);
    let program = realize(command).variable("REALIZE_METRICS__PUSH", gateway.url());
    let program = match command {
        ["list"] => program.with([&ends.source]),
        _ => program.with([&ends.source, &ends.destination]),
    };
    let outcome = program.run().expect(0);
    assert_eq!(!gateway.pushed().is_empty(), pushes, "{outcome}");
}

#[test]
fn what_the_gateway_refuses_is_said_and_changes_nothing() {
    let gateway = Pushgateway::start();
    let (ends, program) = local_move();
    // A label without a value is no group.
    let url = format!("{}/metrics/job/a/b", gateway.url());
    let outcome = program.with(["--metrics-push", &url]).run().expect(0);
    assert!(ends.destination.join("file").exists(), "{outcome}");
    outcome.says(&[
        "level=warn",
        "event=metrics.push_failed",
        &url,
        "answered 400",
    ]);
}

#[test]
fn a_gateway_that_is_not_there_changes_nothing_and_no_password_is_told() {
    let (ends, program) = local_move();
    let nobody = free_address();
    let url = format!("http://me:s3cret@{nobody}");
    let outcome = program
        .with(["-vv", "--metrics-push", &url])
        .run()
        .expect(0);
    assert!(ends.destination.join("file").exists(), "{outcome}");
    assert!(!outcome.stderr_text().contains("s3cret"), "{outcome}");
    outcome.says(&[
        "event=metrics.push_failed",
        &nobody,
        "connecting",
        "refused",
    ]);
}

#[test]
fn a_gateway_behind_tls_is_refused_before_anything_is_moved() {
    let (ends, program) = local_move();
    let flag = ["--metrics-push", "https://me:s3cret@monitor"];
    let outcome = program.with(flag).run().expect(2);
    assert!(ends.source.join("file").exists(), "{outcome}");
    assert!(!outcome.stderr_text().contains("s3cret"), "{outcome}");
    outcome.says(&["--metrics-push", "without TLS"]);

    let file = ends.outside("realize.toml");
    fs::write(&file, "[metrics]\npush = \"https://me:s3cret@monitor\"\n").unwrap();
    let program = realize(["move"]).globally(["--config".as_ref(), file.as_os_str()]);
    let outcome = program
        .with([&ends.source, &ends.destination])
        .run()
        .expect(3);
    assert!(!outcome.stderr_text().contains("s3cret"), "{outcome}");
    outcome.says(&["line 2, column 8", "without TLS", "^^^"]);
}

#[test]
fn a_move_is_scraped_while_it_runs() {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    write(&machines.source(), "large", &bytes(1, 8 << 20));
    let program = machines.mover(Way::ToNas).with(["--throttle", "64K"]);
    let mut running = program
        .with(["-v", "--metrics-listen", "127.0.0.1:0"])
        .spawn();
    let address = served_at(&mut running);
    let prometheus = Prometheus::scraping(&[&address]);
    prometheus.sees("up", 1.0);
    prometheus.sees("realize_build_info", 1.0);
    let (_, page) = get(&address, "/metrics").unwrap();
    assert_page(&page);
    running.kill();
    daemon.stop().expect(0);
}

#[test]
fn a_move_whose_port_is_taken_goes_on() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (ends, program) = local_move();
    let before = snapshot(&ends.source).unwrap();
    let outcome = program.with(["--metrics-listen", &address]).run().expect(0);
    assert_moved(&before, &ends.source, &ends.destination, &outcome);
    outcome.says(&["level=warn", "event=metrics.unserved", &address, "in use"]);
}

/// Both programs read one file: the port is the daemon's.
#[test]
fn a_move_does_not_contend_with_the_daemon() {
    let machines = Machines::new();
    machines.configure_nas("127.0.0.1:0", EVERYTHING);
    machines.also_on_nas(&format!("[metrics]\nlisten = {:?}\n", free_address()));
    let _daemon = machines.daemon();
    let ends = Ends::with(&[("file", b"content")]);
    let config = machines.nas_config();
    let program = realize(["move"]).globally(["--config".as_ref(), config.as_os_str()]);
    let outcome = program
        .with([&ends.source, &ends.destination])
        .run()
        .expect(0);
    assert!(!outcome.stderr_text().contains("level=warn"), "{outcome}");
}
