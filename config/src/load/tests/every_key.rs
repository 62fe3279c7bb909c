//! All that can be said, by each party that can say it.

use super::*;
use crate::settings::{
    Directory, Identity, Listen, Log, Metrics, Move, Peer, PeerKey, Period, Rates, Throttle,
};
use crate::text::{Compression, Day, Days, LogFormat, OnConflict, Progress, Right, TimeOfDay};
use realize_core::transport::{Endpoint, PeerId};
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;

/// All but what a file alone can say.
const EVERY_KEY: &str = r#"
    transport = "quic"
    [identity]
    key = "/etc/nas.key"
    [listen]
    addresses = ["0.0.0.0:9771", "tcp://[::]:9772"]
    [directories.inbox]
    path = "/srv/inbox"
    allow = { cam = ["list", "read"], 0-a_b = [] }
    [directories.0-a_b]
    path = "relative"
    [peers.cam]
    key = "ed25519:AAAA"
    address = "cam.lan:9771"
    transport = "tcp"
    throttle = { up = "1M", down = "512K" }
    rights = ["control"]
    [peers.0-a_b]
    key_file = "b.pub"
    [move]
    source = "/var/rec"
    destination = "cam:inbox"
    include = ["*.mkv", "*.{jpg,png}"]
    exclude = ["*.tmp"]
    min_age = "5m"
    max_duration = "6h 30m"
    on_conflict = "rename"
    compress = "zstd"
    keep_directories = true
    progress = "plain"
    json = true
    retries = 3
    retry_delay = "2s"
    retry_max_delay = "1h"
    metrics_listen = "[::1]:9773"
    receipts = "receipts.jsonl"
    [throttle]
    up = "1M"
    down = "512K"
    [metrics]
    listen = "9772"
    push = "http://monitor:9091/x"
    [log]
    level = "info,realize_core=debug"
    format = "json"
"#;

fn rates(up: Option<u64>, down: Option<u64>) -> Rates {
    Rates {
        up: up.and_then(NonZeroU64::new),
        down: down.and_then(NonZeroU64::new),
    }
}

fn listen(transport: &str, endpoint: &str) -> Listen {
    Listen {
        transport: transport.to_owned(),
        endpoint: Endpoint::new(endpoint).unwrap(),
    }
}

fn every_key() -> Config {
    let limits = rates(Some(1024 * 1024), Some(512 * 1024));
    Config {
        file: Some("realize.toml".into()),
        transport: "quic".to_owned(),
        identity: Identity {
            key: Some("/etc/nas.key".into()),
        },
        listen: vec![listen("quic", "0.0.0.0:9771"), listen("tcp", "[::]:9772")],
        directories: BTreeMap::from([
            (
                "inbox".to_owned(),
                Directory {
                    path: "/srv/inbox".into(),
                    allow: BTreeMap::from([
                        ("cam".to_owned(), vec![Right::List, Right::Read]),
                        ("0-a_b".to_owned(), Vec::new()),
                    ]),
                },
            ),
            (
                "0-a_b".to_owned(),
                Directory {
                    path: "/etc/realize/relative".into(),
                    allow: BTreeMap::new(),
                },
            ),
        ]),
        peers: BTreeMap::from([
            (
                "cam".to_owned(),
                Peer {
                    key: PeerKey::Id(PeerId::new("ed25519:AAAA").unwrap()),
                    address: Some(Endpoint::new("cam.lan:9771").unwrap()),
                    transport: "tcp".to_owned(),
                    throttle: limits,
                    control: true,
                },
            ),
            (
                "0-a_b".to_owned(),
                Peer {
                    key: PeerKey::File("/etc/realize/b.pub".into()),
                    address: None,
                    transport: "quic".to_owned(),
                    throttle: Rates::default(),
                    control: false,
                },
            ),
        ]),
        r#move: Move {
            source: Some("/var/rec".into()),
            destination: Some("cam:inbox".into()),
            include: vec!["*.mkv".to_owned(), "*.{jpg,png}".to_owned()],
            exclude: vec!["*.tmp".to_owned()],
            min_age: Duration::from_secs(300),
            max_duration: Some(Duration::from_secs(23_400)),
            on_conflict: OnConflict::Rename,
            compress: Compression::Zstd,
            keep_directories: true,
            progress: Progress::Plain,
            json: true,
            retries: 3,
            retry_delay: Duration::from_secs(2),
            retry_max_delay: Duration::from_secs(3600),
            metrics_listen: Some("[::1]:9773".parse().unwrap()),
            receipts: Some("/etc/realize/receipts.jsonl".into()),
        },
        throttle: Throttle {
            rates: limits,
            schedule: Vec::new(),
        },
        metrics: Metrics {
            listen: Some(([127, 0, 0, 1], 9772).into()),
            push: Some("http://monitor:9091/x".to_owned()),
        },
        log: Log {
            level: Some("info,realize_core=debug".to_owned()),
            format: Some(LogFormat::Json),
        },
        ..Config::default()
    }
}

#[test]
fn a_file_can_say_everything() {
    assert_eq!(
        load_text(EVERY_KEY, &[], &Overrides::new()).unwrap(),
        every_key()
    );
}

/// The values of every key, as a variable or a flag says them.
const TYPED: &[(&str, &str)] = &[
    ("directories.0-a_b.path", "/etc/realize/relative"),
    ("directories.inbox.allow.0-a_b", ""),
    ("directories.inbox.allow.cam", "list, read"),
    ("directories.inbox.path", "/srv/inbox"),
    ("identity.key", "/etc/nas.key"),
    ("listen.addresses", "0.0.0.0:9771,tcp://[::]:9772"),
    ("log.format", "json"),
    ("log.level", "info,realize_core=debug"),
    ("metrics.listen", "127.0.0.1:9772"),
    ("metrics.push", "http://monitor:9091/x"),
    ("move.compress", "zstd"),
    ("move.destination", "cam:inbox"),
    ("move.exclude", "*.tmp"),
    ("move.include", "*.mkv, *.{jpg,png}"),
    ("move.json", "true"),
    ("move.keep_directories", "true"),
    ("move.max_duration", "6h 30m"),
    ("move.metrics_listen", "[::1]:9773"),
    ("move.min_age", "5m"),
    ("move.on_conflict", "rename"),
    ("move.progress", "plain"),
    ("move.receipts", "/etc/realize/receipts.jsonl"),
    ("move.retries", "3"),
    ("move.retry_delay", "2s"),
    ("move.retry_max_delay", "1h"),
    ("move.source", "/var/rec"),
    ("peers.0-a_b.key_file", "/etc/realize/b.pub"),
    ("peers.cam.address", "cam.lan:9771"),
    ("peers.cam.key", "ed25519:AAAA"),
    ("peers.cam.rights", "control"),
    ("peers.cam.throttle.down", "512K"),
    ("peers.cam.throttle.up", "1M"),
    ("peers.cam.transport", "tcp"),
    ("throttle.down", "512K"),
    ("throttle.up", "1M"),
    ("transport", "quic"),
];

/// A key that is added to the schema is missed here.
#[test]
fn no_key_is_left_out() {
    let typed = |path: &[&str]| TYPED.iter().any(|(key, _)| is_one_of(key, path));
    for (path, _) in KEYS {
        assert_eq!(typed(path), !crate::keys::is_for_files(path), "{path:?}");
    }
}

#[test]
fn the_environment_can_say_everything() {
    let names: Vec<String> = TYPED.iter().map(|(key, _)| variable(key)).collect();
    let values = TYPED.iter().map(|(_, value)| *value);
    let mut variables: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(values).collect();
    variables.push(("REALIZE_CONFIG", "not a key"));
    assert_eq!(
        load_text("", &variables, &Overrides::new()).unwrap(),
        every_key()
    );
}

#[test]
fn flags_can_say_everything() {
    let overrides = TYPED
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .fold(Overrides::new(), |overrides, (key, value)| {
            flag(overrides, key, value)
        });
    // A list without items is no flag.
    let none = [("REALIZE_DIRECTORIES__INBOX__ALLOW__0-A_B", "")];
    assert_eq!(load_text("", &none, &overrides).unwrap(), every_key());
}

#[test]
fn a_flag_that_was_not_given_says_nothing() {
    let overrides = Overrides::new()
        .text("move.source", "SOURCE", None)
        .text("move.retries", "--retries", None)
        .list("move.include", "--include", Vec::new())
        .switch("move.json", "--json", None);
    assert_eq!(load_text(EVERY_KEY, &[], &overrides).unwrap(), every_key());
}

#[test]
fn an_empty_list_replaces_one() {
    let variables = [("REALIZE_MOVE__INCLUDE", "")];
    let config = load_text(EVERY_KEY, &variables, &Overrides::new()).unwrap();
    assert_eq!(config.r#move.include, Vec::<String>::new());
}

/// A daemon's sections beside a mover's, and a schedule and a transport's table.
const BOTH_PROGRAMS: &str = r#"
transport = "quic"                 # also: tcp, exec, channel

[identity]
key = "nas.key"

[listen]
addresses = ["0.0.0.0:9771", "tcp://0.0.0.0:9772"]

[directories.inbox]
path = "/srv/inbox"
allow = { cam = ["write"] }

[peers.cam]
key = "ed25519:BASE64"
address = "cam.lan:9771"
transport = "tcp"
throttle = { up = "1M", down = "512K" }
rights = []

[peers.nas]
key_file = "nas.pub"

[move]
source = "/var/rec"
destination = "nas:inbox"

[throttle]
up = "1M"
down = "512K"

[[throttle.schedule]]
from = "23:00"
to = "07:00"
up = "20M"

[[throttle.schedule]]
from = "12:00"
to = "14:00"
days = ["sat", "sun"]
down = "1K"

[transports.quic]
congestion = "bbr"

[metrics]
listen = "127.0.0.1:9772"

[log]
level = "info"
format = "human"
"#;

#[test]
fn one_file_is_for_both_programs() {
    let config = load_text(BOTH_PROGRAMS, &[], &Overrides::new()).unwrap();
    let time = |hour| TimeOfDay::new(hour, 0).unwrap();
    let schedule = vec![
        Period {
            from: time(23),
            to: time(7),
            days: Days::ALL,
            rates: rates(Some(20 * 1024 * 1024), None),
        },
        Period {
            from: time(12),
            to: time(14),
            days: [Day::Saturday, Day::Sunday].into_iter().collect(),
            rates: rates(None, Some(1024)),
        },
    ];
    assert_eq!(config.throttle.schedule, schedule);
    assert_eq!(
        config.identity.key.as_deref(),
        Some(Path::new("/etc/realize/nas.key"))
    );
    assert_eq!(
        config.peers["nas"].key,
        PeerKey::File("/etc/realize/nas.pub".into())
    );
    assert!(!config.peers["cam"].control);
    assert_eq!(
        config.listen,
        [
            listen("quic", "0.0.0.0:9771"),
            listen("tcp", "0.0.0.0:9772")
        ]
    );
    assert_eq!(config.text(), BOTH_PROGRAMS);
    assert_eq!(config.file.as_deref(), Some(Path::new("realize.toml")));
}

/// The tables are for the transports alone, whatever is in them.
#[test]
fn what_is_in_a_transports_table_is_not_merged() {
    let text = "transports.tcp.window = 18446744073709551615";
    let config = load_text(text, &[], &Overrides::new()).unwrap();
    assert_eq!(config.text(), text);
}
