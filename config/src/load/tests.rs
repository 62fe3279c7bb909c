//! Who wins, what paths mean, and that no input ends in a panic.

use super::*;
use crate::environment::variable;
use crate::schema::KEYS;
use crate::text::{LogFormat, OnConflict, Progress};
use proptest::prelude::*;
use rstest::rstest;
use std::time::Duration;

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
    load(Some(&file), &environment.collect(), overrides)
}

const EVERY_KEY: &str = r#"
    [directories.inbox]
    path = "/srv/inbox"
    [directories.0-a_b]
    path = "relative"
    [move]
    source = "/var/rec"
    destination = "nas:inbox"
    include = ["*.mkv", "*.{jpg,png}"]
    exclude = ["*.tmp"]
    min_age = "5m"
    max_duration = "6h 30m"
    on_conflict = "rename"
    keep_directories = true
    progress = "plain"
    json = true
    [log]
    level = "info,realize_core=debug"
    format = "json"
"#;

fn every_key() -> Config {
    let directory = |path: &str| Directory { path: path.into() };
    Config {
        directories: BTreeMap::from([
            ("inbox".to_owned(), directory("/srv/inbox")),
            ("0-a_b".to_owned(), directory("/etc/realize/relative")),
        ]),
        r#move: Move {
            source: Some("/var/rec".into()),
            destination: Some("nas:inbox".into()),
            include: vec!["*.mkv".to_owned(), "*.{jpg,png}".to_owned()],
            exclude: vec!["*.tmp".to_owned()],
            min_age: Duration::from_secs(300),
            max_duration: Some(Duration::from_secs(23_400)),
            on_conflict: OnConflict::Rename,
            keep_directories: true,
            progress: Progress::Plain,
            json: true,
        },
        log: Log {
            level: Some("info,realize_core=debug".to_owned()),
            format: Some(LogFormat::Json),
        },
    }
}

#[test]
fn a_file_can_say_everything() {
    assert_eq!(
        load_text(EVERY_KEY, &[], &Overrides::new()).unwrap(),
        every_key()
    );
}

#[test]
fn the_environment_can_say_everything() {
    let variables = [
        ("REALIZE_CONFIG", "not a key"),
        ("REALIZE_DIRECTORIES__0-A_B__PATH", "/etc/realize/relative"),
        ("REALIZE_DIRECTORIES__INBOX__PATH", "/srv/inbox"),
        ("REALIZE_LOG__FORMAT", "json"),
        ("REALIZE_LOG__LEVEL", "info,realize_core=debug"),
        ("REALIZE_MOVE__DESTINATION", "nas:inbox"),
        ("REALIZE_MOVE__EXCLUDE", "*.tmp"),
        ("REALIZE_MOVE__INCLUDE", "*.mkv, *.{jpg,png}"),
        ("REALIZE_MOVE__JSON", "true"),
        ("REALIZE_MOVE__KEEP_DIRECTORIES", "true"),
        ("REALIZE_MOVE__MAX_DURATION", "6h 30m"),
        ("REALIZE_MOVE__MIN_AGE", "5m"),
        ("REALIZE_MOVE__ON_CONFLICT", "rename"),
        ("REALIZE_MOVE__PROGRESS", "plain"),
        ("REALIZE_MOVE__SOURCE", "/var/rec"),
    ];
    assert_eq!(
        load_text("", &variables, &Overrides::new()).unwrap(),
        every_key()
    );
}

#[test]
fn flags_can_say_everything() {
    let text = |value: &str| Some(value.to_owned());
    let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let overrides = Overrides::new()
        .text("directories.inbox.path", "--a", text("/srv/inbox"))
        .text(
            "directories.0-a_b.path",
            "--b",
            text("/etc/realize/relative"),
        )
        .text("log.format", "--log-format", text("json"))
        .text("log.level", "--log-level", text("info,realize_core=debug"))
        .text("move.destination", "DESTINATION", text("nas:inbox"))
        .list("move.exclude", "--exclude", list(&["*.tmp"]))
        .list("move.include", "--include", list(&["*.mkv", "*.{jpg,png}"]))
        .switch("move.json", "--json", Some(true))
        .switch("move.keep_directories", "--keep-directories", Some(true))
        .text("move.max_duration", "--max-duration", text("6h 30m"))
        .text("move.min_age", "--min-age", text("5m"))
        .text("move.on_conflict", "--on-conflict", text("rename"))
        .text("move.progress", "--progress", text("plain"))
        .text("move.source", "SOURCE", text("/var/rec"));
    assert_eq!(load_text("", &[], &overrides).unwrap(), every_key());
}

#[rstest]
#[case::empty("")]
#[case::byte_order_mark("\u{feff}")]
#[case::comment("# nothing\r\n")]
#[case::empty_sections("[directories]\n[move]\n[log]\n")]
fn what_nobody_says_has_a_default(#[case] text: &str) {
    let config = load_text(text, &[], &Overrides::new()).unwrap();
    assert_eq!(config, Config::default());
}

#[test]
fn no_file_at_all() {
    let config = Config::load(None, &Environment::default(), &Overrides::new()).unwrap();
    assert_eq!(config, Config::default());
}

/// Each party in turn is the strongest of those that name the key.
#[rstest]
#[case("directories.d.path", ["/f", "/e", "/a"])]
#[case("log.format", ["human", "logfmt", "json"])]
#[case("log.level", ["warn", "debug", "trace"])]
#[case("move.destination", ["/f", "/e", "/a"])]
#[case("move.exclude", ["f", "e", "a"])]
#[case("move.include", ["f", "e", "a"])]
#[case("move.json", ["false", "true", "false"])]
#[case("move.keep_directories", ["true", "false", "true"])]
#[case("move.max_duration", ["1s", "2s", "3s"])]
#[case("move.min_age", ["1s", "2s", "3s"])]
#[case("move.on_conflict", ["keep", "rename", "fail"])]
#[case("move.progress", ["bar", "plain", "none"])]
#[case("move.source", ["/f", "/e", "/a"])]
fn flag_then_variable_then_file(#[case] key: &str, #[case] values: [&str; 3]) {
    let is_list = key.ends_with("clude");
    let toml = |value: &str| match value {
        "true" | "false" => format!("{key} = {value}"),
        _ if is_list => format!("{key} = ['{value}', 'and more']"),
        _ => format!("{key} = '{value}'"),
    };
    let alone = |value: &str| {
        let text = toml(value).replace(", 'and more'", "");
        load_text(&text, &[], &Overrides::new()).unwrap()
    };
    let [in_file, in_variable, in_flag] = values;
    let name = variable(key);
    let variables = [(name.as_str(), in_variable)];
    let flag = match in_flag {
        "true" | "false" => Overrides::new().switch(key, "--x", in_flag.parse().ok()),
        _ if is_list => Overrides::new().list(key, "--x", vec![in_flag.to_owned()]),
        _ => Overrides::new().text(key, "--x", Some(in_flag.to_owned())),
    };

    let file = toml(in_file);
    assert_eq!(load_text(&file, &variables, &flag).unwrap(), alone(in_flag));
    assert_eq!(load_text(&file, &[], &flag).unwrap(), alone(in_flag));
    assert_eq!(
        load_text(&file, &variables, &Overrides::new()).unwrap(),
        alone(in_variable)
    );
}

#[test]
fn a_flag_that_was_not_given_says_nothing() {
    let overrides = Overrides::new()
        .text("move.source", "SOURCE", None)
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
    let text = format!("directories.inbox.path = '/i'\nmove.source = '{source}'");
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
    let config = Config::load(Some(&file), &Environment::default(), &Overrides::new());
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
            let _ = load(Some(&file), &Environment::default(), &Overrides::new());
        }
    }

    #[test]
    fn no_variable_and_no_flag_makes_it_panic(
        key in prop_oneof![
            ".{0,12}",
            "(move|log|directories)(\\.|_)[a-z_-]{0,12}(\\.path)?",
            prop::sample::select(KEYS).prop_map(|(path, _)| path.join(".")),
        ],
        value in prop_oneof![any::<String>(), r"[\[\]{},=a-z0-9*.\\]{0,20}"],
    ) {
        let overrides = Overrides::new().text(&key, "--x", Some(value.clone()));
        let by_flag = load(None, &Environment::default(), &overrides);
        let environment = Environment::from_iter([(variable(&key).into(), value.into())]);
        let by_variable = load(None, &environment, &Overrides::new());
        for error in [by_flag, by_variable].into_iter().filter_map(Result::err) {
            prop_assert!(!error.to_string().contains(char::is_control), "{error:?}");
            prop_assert!(!matches!(error, ConfigError::Merge(_)), "{error:?}");
        }
    }
}
