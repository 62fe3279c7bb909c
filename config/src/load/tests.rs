//! Who wins, what paths mean, and that no input ends in a panic.

use super::*;
use crate::environment::variable;
use crate::keys::{self, KEYS, Shape};
use crate::transports::double::four;
use proptest::prelude::*;
use rstest::rstest;

mod every_key;

fn load_text(
    text: &str,
    variables: &[(&str, &str)],
    overrides: &Overrides,
) -> Result<Config, ConfigError> {
    let directory = Path::new("/etc/realize");
    let file = ConfigFile::new(Path::new("realize.toml"), directory, text.into())?;
    let environment = variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    load(Some(file), &environment.collect(), overrides, &four())
}

/// Whether `key` is what `path` stands for.
fn is_one_of(key: &str, path: &[&str]) -> bool {
    let key: Vec<&str> = key.split('.').collect();
    let same = |(known, given): (&&str, &&str)| *known == "*" || known == given;
    key.len() == path.len() && path.iter().zip(&key).all(same)
}

/// Adds a flag with what was typed.
fn flag(overrides: Overrides, key: &str, value: &str) -> Overrides {
    let path: Vec<&str> = key.split('.').collect();
    match keys::find(&path) {
        keys::Found::Key(Shape::List) => {
            let items = crate::text::split_at_commas(value);
            overrides.list(key, "--x", items.into_iter().map(str::to_owned).collect())
        }
        keys::Found::Key(Shape::Switch) => overrides.switch(key, "--x", value.parse().ok()),
        _ => overrides.text(key, "--x", Some(value.to_owned())),
    }
}

#[rstest]
#[case::empty("")]
#[case::byte_order_mark("\u{feff}")]
#[case::comment("# nothing\r\n")]
#[case::empty_sections(
    "[identity]\n[listen]\n[directories]\n[peers]\n[move]\n[throttle]\n[transports]\n\
     [transports.quic]\n[metrics]\n[log]\n"
)]
fn what_nobody_says_has_a_default(#[case] text: &str) {
    let config = load_text(text, &[], &Overrides::new()).unwrap();
    let default = Config {
        file: Some("realize.toml".into()),
        ..Config::default()
    };
    assert_eq!(config, default);
}

#[test]
fn no_file_at_all() {
    let (environment, overrides) = (Environment::default(), Overrides::new());
    let config = Config::load(None, &environment, &overrides, &four()).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!((config.text(), config.file.as_ref()), ("", None));
}

/// What it takes for the values of other keys to be valid.
const BESIDE: [(&str, &str); 3] = [
    ("directories.d.path", "'/d'"),
    ("peers.p.key", "'x:p'"),
    ("peers.q.key_file", "'/q'"),
];

/// Every key with what the file, a variable and a flag say.
const ORDER: &[(&str, [&str; 3])] = &[
    ("directories.d.allow.p", ["list", "read", "write"]),
    ("directories.d.path", ["/f", "/e", "/a"]),
    ("identity.key", ["/f", "/e", "/a"]),
    ("listen.addresses", ["f:1", "e:1", "tcp://a:1"]),
    ("log.format", ["human", "logfmt", "json"]),
    ("log.level", ["warn", "debug", "trace"]),
    ("metrics.listen", ["[::1]:1", "2", ":3"]),
    ("metrics.push", ["http://f", "http://e", "http://a"]),
    ("move.compress", ["zstd", "none", "zstd"]),
    ("move.destination", ["/f", "/e", "p:a"]),
    ("move.exclude", ["f", "e", "a"]),
    ("move.include", ["f", "e", "a"]),
    ("move.json", ["false", "true", "false"]),
    ("move.keep_directories", ["true", "false", "true"]),
    ("move.max_duration", ["1s", "2s", "3s"]),
    ("move.metrics_listen", ["[::1]:1", "2", ":3"]),
    ("move.min_age", ["1s", "2s", "3s"]),
    ("move.on_conflict", ["keep", "rename", "fail"]),
    ("move.progress", ["bar", "plain", "none"]),
    ("move.receipts", ["/f", "/e", "/a"]),
    ("move.retries", ["0", "1000", "5"]),
    ("move.retry_delay", ["2s", "3s", "4s"]),
    ("move.retry_max_delay", ["2s", "3s", "4s"]),
    ("move.source", ["/f", "/e", "/a"]),
    ("peers.p.address", ["f:1", "e:1", "a:1"]),
    ("peers.p.key", ["x:f", "x:e", "x:a"]),
    ("peers.p.rights", ["control", "", "control"]),
    ("peers.p.throttle.down", ["1K", "2K", "3K"]),
    ("peers.p.throttle.up", ["1K", "2K", "3K"]),
    ("peers.p.transport", ["quic", "exec", "channel"]),
    ("peers.q.key_file", ["/f", "/e", "/a"]),
    ("throttle.down", ["1K", "2K", "3K"]),
    ("throttle.up", ["1K", "2K", "3K"]),
    ("transport", ["quic", "exec", "channel"]),
];

/// Each party in turn is the strongest of those that name the key.
#[test]
fn flag_then_variable_then_file() {
    for (key, values) in ORDER {
        check_order(key, *values);
    }
}

fn check_order(key: &str, values: [&str; 3]) {
    let path: Vec<&str> = key.split('.').collect();
    let toml = |value: &str, more: &str| {
        let value = match keys::find(&path) {
            keys::Found::Key(Shape::Switch | Shape::Integer) => value.to_owned(),
            keys::Found::Key(Shape::List) if value.is_empty() => "[]".to_owned(),
            keys::Found::Key(Shape::List) => format!("['{value}'{more}]"),
            _ => format!("'{value}'"),
        };
        let beside = BESIDE.iter().filter(|(other, _)| *other != key);
        let lines = beside.map(|(key, value)| format!("{key} = {value}\n"));
        lines
            .chain([format!("{key} = {value}")])
            .collect::<String>()
    };
    let alone = |value: &str| load_text(&toml(value, ""), &[], &Overrides::new()).unwrap();
    let [in_file, in_variable, in_flag] = values;
    let name = variable(key);
    let variables = [(name.as_str(), in_variable)];
    let flag = flag(Overrides::new(), key, in_flag);

    // A longer list in the file, where any item may follow: all of it is to be gone.
    let more = if key.ends_with("clude") {
        ", 'more'"
    } else {
        ""
    };
    let file = toml(in_file, more);
    assert_eq!(load_text(&file, &variables, &flag).unwrap(), alone(in_flag));
    assert_eq!(load_text(&file, &[], &flag).unwrap(), alone(in_flag));
    assert_eq!(
        load_text(&file, &variables, &Overrides::new()).unwrap(),
        alone(in_variable)
    );
    assert_ne!(alone(in_file), alone(in_variable));
}

#[test]
fn the_order_is_tried_with_every_key() {
    for (path, _) in KEYS.iter().filter(|(path, _)| !keys::is_for_files(path)) {
        assert!(
            ORDER.iter().any(|(key, _)| is_one_of(key, path)),
            "{path:?}"
        );
    }
}

#[rstest]
#[case::absolute("/var/rec", "/var/rec")]
#[case::below("sub/rec", "/etc/realize/sub/rec")]
#[case::above("../rec", "/etc/realize/../rec")]
#[case::colon_after_slash("./a:b", "/etc/realize/./a:b")]
#[case::plain_name("rec", "/etc/realize/rec")]
#[case::dot(".", "/etc/realize/.")]
#[case::directory("inbox", "inbox")]
#[case::directory_by_variable("other", "other")]
#[case::remote("nas:inbox", "nas:inbox")]
#[case::remote_below("nas:inbox/a/b", "nas:inbox/a/b")]
#[case::remote_without_directory("nas:", "nas:")]
fn a_path_in_a_file_is_relative_to_it(#[case] source: &str, #[case] expected: &str) {
    let text =
        format!("directories.inbox.path = '/i'\npeers.nas.key = 'x:'\nmove.source = '{source}'");
    let variables = [("REALIZE_DIRECTORIES__OTHER__PATH", "o")];
    let config = load_text(&text, &variables, &Overrides::new()).unwrap();
    assert_eq!(config.r#move.source.unwrap(), expected);
    assert_eq!(config.directories["other"].path, Path::new("o"));
}

#[test]
fn a_path_from_elsewhere_is_as_typed() {
    let variables = [("REALIZE_MOVE__SOURCE", "a/b")];
    let flag = Overrides::new().text("move.destination", "DESTINATION", Some("c/d".into()));
    let config = load_text(
        "[move]\nsource = '/x'\ndestination = 'y'",
        &variables,
        &flag,
    );
    let config = config.unwrap();
    assert_eq!(config.r#move.source.unwrap(), "a/b");
    assert_eq!(config.r#move.destination.unwrap(), "c/d");
}

#[test]
fn a_file_on_disk() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("realize.toml");
    std::fs::write(&file, "move.source = 'rec'").unwrap();
    let config = Config::load(
        Some(&file),
        &Environment::default(),
        &Overrides::new(),
        &four(),
    );
    assert_eq!(
        config.unwrap().r#move.source.unwrap(),
        home.path().join("rec")
    );
}

/// Text made of what a configuration is made of goes deeper than noise does.
fn nearly_toml() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "[",
            "]",
            "{",
            "}",
            "=",
            ".",
            ",",
            "\"",
            "'",
            "\n",
            "\r\n",
            " ",
            "#",
            "\\",
            "'''",
            "directories",
            "inbox",
            "path",
            "peers",
            "allow",
            "key",
            "[peers.a]\n",
            "key = 'x:'\n",
            "[[throttle.schedule]]\n",
            "from = '00:00'\n",
            "to = '01:00'\n",
            "up = '1M'\n",
            "[transports.quic]\n",
            "congestion = ",
            "addresses = ['a', 'b']\n",
            "transport",
            "move",
            "source",
            "include",
            "min_age",
            "json",
            "log",
            "level",
            "[move]\n",
            "[[move]]\n",
            "true",
            "1979-05-27",
            "0x",
            "1e9",
            "-1",
            "\u{0}",
            "\u{1b}",
            "\u{202e}",
            "é",
            "\t",
            "json = 1\n",
            "level = 'a=b'\n",
        ])
        .prop_map(str::to_owned),
        ".{0,3}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(text in prop_oneof![any::<String>(), nearly_toml()]) {
        if let Err(error) = load_text(&text, &[], &Overrides::new()) {
            let message = error.to_string();
            prop_assert!(message.lines().count() <= 3, "{message}");
            prop_assert!(!message.contains(|c: char| c.is_control() && c != '\n'), "{message:?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic(content: Vec<u8>) {
        if let Ok(file) = ConfigFile::new(Path::new("f"), Path::new("/"), content) {
            let _ = load(Some(file), &Environment::default(), &Overrides::new(), &four());
        }
    }

    #[test]
    fn no_variable_and_no_flag_makes_it_panic(
        key in prop_oneof![
            ".{0,12}",
            "(move|log|directories|peers|throttle|transports)(\\.|_)[a-z_-]{0,12}(\\.path)?",
            prop::sample::select(KEYS.to_vec()).prop_map(|(path, _)| path.join(".").replace('*', "a")),
        ],
        value in prop_oneof![any::<String>(), r"[\[\]{},=a-z0-9*.\\]{0,20}"],
    ) {
        let overrides = Overrides::new().text(&key, "--x", Some(value.clone()));
        let by_flag = load(None, &Environment::default(), &overrides, &four());
        let environment = Environment::from_iter([(variable(&key).into(), value.into())]);
        let by_variable = load(None, &environment, &Overrides::new(), &four());
        for error in [by_flag, by_variable].into_iter().filter_map(Result::err) {
            prop_assert!(!error.to_string().contains(char::is_control), "{error:?}");
            prop_assert!(!matches!(error, ConfigError::Merge(_)), "{error:?}");
        }
    }
}
