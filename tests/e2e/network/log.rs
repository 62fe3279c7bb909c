//! What the log says of a daemon's life, event by event, and what it never says.

use std::fs;
use std::io::Write as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use realize_core::known_peers::KnownPeers;
use realize_core::transport::{Endpoint, Transport};
use realize_tcp::{TcpOptions, TcpTransport};
use realize_test_kit::odd_tree::bytes;
use realize_tls::load_private_key;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Runtime;

use super::another::Another;
use super::machines::{Daemon, EVERYTHING, Machines, Way, write};
use crate::program::{realized, wait_until};

/// How long something may take that takes no time.
const SOON: Duration = Duration::from_secs(60);
/// Everything that any part of the programs has to say.
const EVERY_LEVEL: &str = "trace,tarpc=trace,rustls=trace,quinn=trace";
/// The size of the file that is moved.
const SIZE: usize = 1 << 20;

/// A daemon's life, and what was logged meanwhile.
struct Session {
    /// What the daemon logged.
    events: Vec<Value>,
    /// What either program wrote to standard error.
    logs: Vec<String>,
    /// Their private keys, as they are in their files.
    private_keys: Vec<String>,
    nas_key: String,
    stranger_key: String,
    address: String,
    config: String,
}

/// What the nas says of the cam: everything in `inbox`, a look at `outbox`, and its limits.
fn configure(machines: &Machines, peers: &str) {
    let quoted: Vec<_> = EVERYTHING
        .iter()
        .map(|right| format!("{right:?}"))
        .collect();
    let cam = format!(
        "[peers.cam]\nkey = \"{}\"\nrights = [\"control\"]\n{peers}",
        machines.cam_key()
    );
    let allow = format!("cam = [{}]", quoted.join(", "));
    machines.write_nas("127.0.0.1:0", &allow, &cam);
    machines.also_on_nas(&format!(
        "[directories.outbox]\npath = \"../outbox\"\nallow = {{ cam = [\"list\"] }}\n\
         [log]\nformat = \"json\"\nlevel = \"{EVERY_LEVEL}\"\n"
    ));
}

/// Sends this to the daemon, from somebody without a key.
fn knock(daemon: &Daemon, said: &[u8]) {
    let mut stream = TcpStream::connect(&daemon.address).unwrap();
    stream.write_all(said).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
}

/// Sends this to the daemon, as the cam.
fn say_as_the_cam(machines: &Machines, daemon: &Daemon, said: &[u8]) {
    let key = |name: &str| load_private_key(&machines.path(name).join("key.pem")).unwrap();
    let options = TcpOptions::default();
    let transport = TcpTransport::new(key("cam"), KnownPeers::default(), options);
    let nas = key("nas").public_key().peer_id().unwrap();
    let address = Endpoint::new(&*daemon.address).unwrap();
    Runtime::new().unwrap().block_on(async {
        let mut connection = transport.dial(&address, &nas).await.unwrap();
        connection.stream.write_all(said).await.unwrap();
        connection.stream.flush().await.unwrap();
        daemon.logs("protocol.violation");
    });
}

/// The session is the same for every test, and takes a while.
fn session() -> &'static Session {
    static SESSION: OnceLock<Session> = OnceLock::new();
    SESSION.get_or_init(|| {
        let machines = Machines::new();
        fs::create_dir(machines.path("outbox")).unwrap();
        configure(&machines, "");
        let daemon = machines.daemon();
        machines.configure_cam(&daemon.address, machines.nas_key());
        let lab = Another::beside(&machines, &daemon.address);
        let mut logs = Vec::new();
        let loudly = ["--log-level", EVERY_LEVEL, "--log-format", "json"];
        let mut cam = |line: &[&str], code: i32| {
            let program = machines.cam(line).globally(loudly);
            let outcome = program
                .in_directory(&machines.path("cam"))
                .run()
                .expect(code);
            logs.push(outcome.stderr_text().to_owned());
        };

        write(&machines.source(), "file", &bytes(1, SIZE));
        cam(&["move"], 0);
        cam(&["list", "nas:private"], 4);
        cam(&["move", "nas:outbox", "../source"], 4);
        cam(&["limit", "nas", "--up", "1M"], 0);
        knock(&daemon, b"GET / HTTP/1.1\r\n\r\n");
        let refused = lab.program(["list", "nas:inbox"]).globally(loudly);
        logs.push(refused.run().expect(4).stderr_text().to_owned());
        say_as_the_cam(&machines, &daemon, b"GET / HTTP/1.1\r\n\r\n");

        let was = fs::read_to_string(machines.nas_config()).unwrap();
        fs::write(machines.nas_config(), was.replace("[listen]", "[lsiten]")).unwrap();
        daemon.reloads("config.rejected");
        configure(&machines, &lab.section());
        machines.also_on_nas("[throttle]\ndown = \"1M\"\n");
        daemon.reloads("config.reloaded");

        wait_until("the connections to end", SOON, || {
            let log = daemon.log();
            log.matches("\"peer.connected\"").count()
                == log.matches("\"peer.disconnected\"").count()
        });
        let address = daemon.address.clone();
        let outcome = daemon.stop().expect(0);
        logs.push(outcome.stderr_text().to_owned());
        let event = |line: &str| -> Value {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
        };
        let private_key =
            |name: &str| fs::read_to_string(machines.path(name).join("key.pem")).unwrap();
        Session {
            events: outcome.stderr_text().lines().map(event).collect(),
            logs,
            private_keys: ["nas", "cam", "lab"].map(private_key).into(),
            nas_key: machines.nas_key().to_owned(),
            stranger_key: lab.key,
            address,
            config: machines.nas_config().display().to_string(),
        }
    })
}

/// Whether `event` has all that `expected` says.
fn has(event: &Value, expected: &Value) -> bool {
    let expected = expected.as_object().unwrap();
    expected.iter().all(|(name, value)| event[name] == *value)
}

/// The fields `there` have something in them, whatever it is.
#[rstest]
#[case::started("daemon.started", "info", |s: &Session| json!({
    "version": env!("CARGO_PKG_VERSION"),
    "config": s.config,
    "key": s.nas_key,
    "listeners": format!("tcp {}", s.address),
    "directories": "inbox,outbox,private",
}), &[])]
#[case::listening("daemon.listening", "info", |s: &Session| json!({
    "transport": "tcp", "address": s.address,
}), &[])]
#[case::connected("peer.connected", "info", |_: &Session| json!({
    "peer": "cam", "transport": "tcp",
}), &["address"])]
#[case::disconnected("peer.disconnected", "info", |_: &Session| json!({
    "peer": "cam", "transport": "tcp", "reason": "closed",
}), &["address", "bytes_in", "bytes_out"])]
#[case::rejected_without_tls("peer.rejected", "warn", |_: &Session| json!({
    "transport": "tcp",
    "reason": "what came is not TLS 1.3: received corrupt message of type InvalidContentType",
}), &["address"])]
#[case::rejected_with_a_key("peer.rejected", "warn", |s: &Session| json!({
    "transport": "tcp", "key": s.stranger_key, "reason": "the key is not known here",
}), &["address"])]
#[case::denied_a_directory("access.denied", "warn", |_: &Session| json!({
    "peer": "cam", "directory": "private", "operation": "open",
}), &[])]
#[case::denied_an_operation("access.denied", "warn", |_: &Session| json!({
    "peer": "cam", "directory": "outbox", "operation": "claim",
}), &[])]
#[case::violated("protocol.violation", "warn", |_: &Session| json!({
    "peer": "cam",
    "transport": "tcp",
    "what": "what is there does not speak realize's protocol",
    "value": "it began with `GET / HTTP/1.1`",
}), &["address"])]
#[case::disconnected_after_that("peer.disconnected", "info", |_: &Session| json!({
    "peer": "cam",
    "reason": "what is there does not speak realize's protocol: it began with `GET / HTTP/1.1`",
    "bytes_in": 18,
    "bytes_out": 0,
}), &["address"])]
#[case::limit_changed("limit.changed", "info", |_: &Session| json!({
    "peer": "all", "direction": "up", "new": 1 << 20,
}), &[])]
#[case::config_rejected("config.rejected", "error", |_: &Session| json!({ "line": 3 }), &["reason"])]
#[case::config_reloaded("config.reloaded", "info", |_: &Session| json!({
    "peers": 2,
    "directories": 3,
    "peers_added": "lab",
    "peers_removed": null,
    "peers_changed": null,
    "directories_added": null,
    "limits_changed": true,
}), &[])]
#[case::stopping("daemon.stopping", "info", |_: &Session| json!({ "signal": "SIGTERM" }), &[])]
fn what_happens_is_logged(
    #[case] name: &str,
    #[case] level: &str,
    #[case] expected: fn(&Session) -> Value,
    #[case] there: &[&str],
) {
    let session = session();
    let of_name = session.events.iter().filter(|event| event["event"] == name);
    let of_name: Vec<_> = of_name.collect();
    let expected = expected(session);
    let wanted = |event: &&Value| {
        event["level"] == level
            && has(event, &expected)
            && there.iter().all(|field| !event[field].is_null())
    };
    assert!(
        of_name.iter().any(wanted),
        "{level} {expected} with {there:?} is not among {of_name:#?}"
    );
}

#[test]
fn the_bytes_of_a_connection_are_counted() {
    let ends = session().events.iter();
    let ends = ends.filter(|event| event["event"] == "peer.disconnected");
    let received: u64 = ends.map(|event| event["bytes_in"].as_u64().unwrap()).sum();
    assert!(received > SIZE as u64, "{received}");
}

#[test]
fn a_reason_names_no_line_twice() {
    let rejected = |event: &&Value| event["event"] == "config.rejected";
    let rejected = session().events.iter().find(rejected).unwrap();
    let reason = rejected["reason"].as_str().unwrap();
    assert!(reason.contains("unknown key `lsiten`"), "{reason}");
    assert!(reason.contains("did you mean `listen`?"), "{reason}");
    assert!(!reason.contains('\n'), "{reason}");
}

#[test]
fn every_line_is_an_object_with_time_level_and_target() {
    let session = session();
    for event in &session.events {
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        let time = text("time");
        assert!(time.len() == 27 && time.ends_with('Z'), "{event}");
        let levels = ["error", "warn", "info", "debug", "trace"];
        assert!(levels.contains(&text("level")), "{event}");
        let own = text("target").starts_with("realize");
        assert!(!own || event["event"].is_string(), "{event}");
        let nested = event.as_object().unwrap().values();
        let flat = nested.map(|value| value.is_object() || value.is_array());
        assert!(!flat.into_iter().any(|nested| nested), "{event}");
    }
    // Without it nothing would be known of the deepest levels.
    let traced = |event: &Value| event["level"] == "trace" || event["level"] == "debug";
    assert!(session.events.iter().any(traced));
}

#[test]
fn a_private_key_is_in_no_line_at_any_level() {
    let session = session();
    assert_eq!(session.private_keys.len(), 3);
    for pem in &session.private_keys {
        let body: String = pem.lines().filter(|line| !line.starts_with("--")).collect();
        let der = STANDARD.decode(&body).unwrap();
        let seed = &der[16..48];
        let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
        let numbers: Vec<String> = seed.iter().map(u8::to_string).collect();
        let forms = [
            body.clone(),
            // What of it does not depend on what comes before.
            body[24..60].to_owned(),
            STANDARD_NO_PAD.encode(seed),
            URL_SAFE_NO_PAD.encode(seed),
            hex.to_uppercase(),
            hex,
            numbers[..8].join(", "),
            numbers[..8].join(","),
        ];
        for log in &session.logs {
            for form in &forms {
                assert!(!log.contains(form), "a private key as {form}");
            }
        }
    }
}

#[test]
fn who_cannot_listen_says_where_and_why() {
    let machines = Machines::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    machines.configure_nas(&address, EVERYTHING);
    machines.also_on_nas("[log]\nformat = \"json\"\n");
    let config = machines.nas_config();
    let outcome = realized(["--config".as_ref(), config.as_os_str()])
        .run()
        .expect(1);
    let failed = outcome.stderr_text().lines().next().unwrap();
    let failed: Value = serde_json::from_str(failed).unwrap();
    let expected = json!({
        "level": "error",
        "event": "listener.failed",
        "transport": "tcp",
        "address": address,
    });
    assert!(has(&failed, &expected), "{failed}");
    assert!(
        failed["error"].as_str().unwrap().contains("in use"),
        "{failed}"
    );
}

/// The cam's directory, and a file in it whose name is meant to mislead.
fn hostile(machines: &Machines, name: &str) {
    let path = machines.source().join(name);
    fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
    fs::write(path, b"content").unwrap();
}

#[rstest]
fn a_name_cannot_make_a_line(#[values("human", "logfmt", "json")] format: &str) {
    let machines = Machines::new();
    let _daemon = machines.start(EVERYTHING);
    hostile(&machines, "a\nlevel=error event=forged\u{1b}[31m\u{202e}");
    let mover = machines.mover(Way::ToNas);
    let log = ["-v", "--log-format", format];
    let outcome = mover.with(log).run().expect(0);
    let text = outcome.stderr_text();
    assert!(text.contains("file.finished"), "{outcome}");
    let steering = text
        .chars()
        .find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
    assert_eq!(steering, None, "{outcome}");
    let forged = text.lines().find(|line| line.starts_with("level=error"));
    assert_eq!(forged, None, "{outcome}");
}
