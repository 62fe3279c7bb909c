//! Every kind of mistake, with the whole of what is said about it.

use std::error::Error as _;
use std::fs;
use std::path::Path;

use rstest::rstest;

use super::*;
use crate::transports::double::four;
use crate::{Config, Environment, Overrides};

mod network;
mod variables;

/// Loads with the transports of the contract.
fn load(
    file: Option<&Path>,
    environment: &Environment,
    overrides: &Overrides,
) -> Result<Config, ConfigError> {
    Config::load(file, environment, overrides, &four())
}

/// What is said of a file with this content; the file's directory is left out.
fn error_of(content: impl AsRef<[u8]>) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("realize.toml");
    fs::write(&file, content).unwrap();
    let error = load(Some(&file), &Environment::default(), &Overrides::new());
    let prefix = format!("{}/", directory.path().display());
    error.unwrap_err().to_string().replace(&prefix, "")
}

/// In what is expected below, MOVE stands for the keys of `[move]`, SECTIONS for all at the top.
fn spelt_out(message: &str) -> String {
    let keys = "compress, destination, exclude, include, json, keep_directories, max_duration, \
                metrics_listen, min_age, on_conflict, progress, receipts, retries, retry_delay, retry_max_delay, source";
    let sections = "directories, identity, listen, log, metrics, move, peers, throttle, \
                    transport, transports";
    message
        .replace("has MOVE", &format!("has {keys}"))
        .replace("are SECTIONS", &format!("are {sections}"))
}

#[rstest]
#[case::unknown_key(
    "[move]\ndestinaton = 'x'",
    (2, 1, 10),
    "unknown key `move.destinaton`; [move] has MOVE; did you mean `destination`?"
)]
#[case::unknown_key_far_from_all(
    "zzz = 1",
    (1, 1, 3),
    "unknown key `zzz`; there are SECTIONS"
)]
#[case::unknown_section(
    "[moves]\njson = 1",
    (1, 2, 5),
    "unknown key `moves`; there are SECTIONS; did you mean `move`?"
)]
#[case::unknown_section_in_a_dotted_key(
    "mvoe.json = true",
    (1, 1, 4),
    "unknown key `mvoe`; there are SECTIONS; did you mean `move`?"
)]
#[case::key_outside_of_its_section(
    "on_conflict = 'keep'",
    (1, 1, 11),
    "unknown key `on_conflict`; there are SECTIONS; did you mean \
     `move.on_conflict`?"
)]
#[case::section_and_key_run_together(
    "log_level = 'info'",
    (1, 1, 9),
    "unknown key `log_level`; there are SECTIONS; did you mean `log.level`?"
)]
#[case::unknown_key_of_a_directory(
    "[directories.inbox]\npth = 'x'",
    (2, 1, 3),
    "unknown key `directories.inbox.pth`; [directories.inbox] has allow, path; did you mean `path`?"
)]
#[case::first_unknown_key_before_wrong_values(
    "[move]\nsource = 3\nmin_aeg = 1\njsn = 2",
    (3, 1, 7),
    "unknown key `move.min_aeg`; [move] has MOVE; did you mean `min_age`?"
)]
#[case::open_string(
    "[move]\nsource = 'x\n",
    (2, 12, 1),
    "invalid literal string, expected `'`"
)]
#[case::open_section(
    "[move",
    (1, 6, 1),
    "unclosed table, expected `]`"
)]
#[case::duplicate_key(
    "[move]\njson = true\njson = false",
    (3, 1, 4),
    "duplicate key"
)]
#[case::duplicate_section(
    "[move]\n[log]\n[move]\n",
    (3, 2, 4),
    "duplicate key"
)]
#[case::value_for_a_section(
    "move = 3",
    (1, 8, 1),
    "`move`: invalid type: integer, expected a section"
)]
#[case::list_of_sections(
    "[[move]]",
    (1, 1, 8),
    "`move`: invalid type: array, expected a section"
)]
#[case::list_for_a_section(
    "log = ['info', 'human']",
    (1, 7, 17),
    "`log`: invalid type: array, expected a section"
)]
#[case::value_for_a_directory(
    "[directories]\ninbox = '/x'",
    (2, 9, 4),
    "`directories.inbox`: invalid type: string, expected a section"
)]
#[case::section_for_a_value(
    "[move.source]\nx = 1",
    (1, 1, 13),
    "`move.source`: invalid type: map, expected a path"
)]
#[case::directory_name(
    "[directories.Inbox]\npath = '/x'",
    (1, 14, 5),
    "`directories.Inbox`: expected a name of lower-case letters, digits, - and _, found \"Inbox\""
)]
#[case::directory_without_path(
    "[move]\n[directories.inbox]\n",
    (2, 14, 5),
    "[directories.inbox] has no `path`"
)]
#[case::empty_path(
    "directories.inbox.path = ''",
    (1, 26, 2),
    "`directories.inbox.path`: expected a path, found \"\""
)]
#[case::nul_in_a_path(
    "move.source = \"a\\u0000\"",
    (1, 15, 9),
    "`move.source`: expected a path, found \"a\\0\""
)]
#[case::number_for_a_path(
    "move.source = 3",
    (1, 15, 1),
    "`move.source`: invalid type: integer `3`, expected a path"
)]
#[case::huge_number(
    "move.source = 99999999999999999999999999999999999999999",
    (1, 15, 41),
    "`move.source`: integer number overflowed"
)]
#[case::string_for_a_list(
    "move.include = '*.x'",
    (1, 16, 5),
    "`move.include`: invalid type: string, expected a list of strings"
)]
#[case::number_in_a_list(
    "move.include = ['a', 3]",
    (1, 22, 1),
    "`move.include`: invalid type: integer `3`, expected a glob such as \"*.tmp\""
)]
#[case::glob(
    "move.exclude = ['a', '[']",
    (1, 22, 3),
    "`move.exclude`: expected a glob such as \"*.tmp\", found \"[\": unclosed character class; \
     missing ']'"
)]
#[case::number_for_a_duration(
    "move.min_age = 300",
    (1, 16, 3),
    "`move.min_age`: invalid type: integer `300`, expected a duration such as \"5m\" or \"1h \
     30m\""
)]
#[case::duration(
    "move.min_age = '5 parsecs'",
    (1, 16, 11),
    "`move.min_age`: expected a duration such as \"5m\" or \"1h 30m\", found \"5 parsecs\": \
     unknown time unit \"parsecs\", supported units: ns, us/µs, ms, sec, min, hours, days, \
     weeks, months, years (and few variations)"
)]
#[case::long_duration(
    "move.max_duration = '101 years'",
    (1, 21, 11),
    "`move.max_duration`: expected a duration such as \"5m\" or \"1h 30m\", found \"101 years\": \
     over a century"
)]
#[case::on_conflict(
    "move.on_conflict = 'kep'",
    (1, 20, 5),
    "`move.on_conflict`: expected one of replace, keep, rename, fail, found \"kep\"; did you \
     mean `keep`?"
)]
#[case::compress(
    "move.compress = 'zst'",
    (1, 17, 5),
    "`move.compress`: expected one of none, zstd, found \"zst\"; did you mean `zstd`?"
)]
#[case::progress(
    "move.progress = 'x'",
    (1, 17, 3),
    "`move.progress`: expected one of auto, bar, plain, none, found \"x\""
)]
#[case::string_for_a_switch(
    "move.json = 'yes'",
    (1, 13, 5),
    "`move.json`: invalid type: string \"yes\", expected a boolean"
)]
#[case::number_for_a_switch(
    "move.keep_directories = 1",
    (1, 25, 1),
    "`move.keep_directories`: invalid type: integer `1`, expected a boolean"
)]
#[case::string_for_a_number(
    "move.retries = '3'",
    (1, 16, 3),
    "`move.retries`: invalid type: string \"3\", expected an integer from 0 to 1000"
)]
#[case::number_below_the_range(
    "move.retries = -1",
    (1, 16, 2),
    "`move.retries`: invalid value: integer `-1`, expected an integer from 0 to 1000"
)]
#[case::number_above_the_range(
    "move.retries = 1001",
    (1, 16, 4),
    "`move.retries`: invalid value: integer `1001`, expected an integer from 0 to 1000"
)]
#[case::longest_delay_below_the_first(
    "[move]\nretry_max_delay = '10s'\nretry_delay = '1m 5s'",
    (2, 19, 5),
    "`move.retry_max_delay`: 10s is below `move.retry_delay`, which is 1m 5s"
)]
#[case::first_delay_above_the_longest_by_default(
    "move.retry_delay = '61s'",
    (1, 20, 5),
    "`move.retry_delay`: 1m 1s is above `move.retry_max_delay`, which is 1m"
)]
#[case::log_level(
    "log.level = 'inof'",
    (1, 13, 6),
    "`log.level`: expected one of error, warn, info, debug, trace, off, or a filter such as \
     \"info,realize_core=debug\", found \"inof\"; did you mean `info`?"
)]
#[case::log_format(
    "log.format = 'xml'",
    (1, 14, 5),
    "`log.format`: expected one of human, logfmt, json, found \"xml\""
)]
fn in_a_file(#[case] content: &str, #[case] place: (usize, usize, usize), #[case] expected: &str) {
    assert_in_file(content, place, expected);
}

/// That this is what is said of `content`, with `carets` below the place.
fn assert_in_file(content: &str, (line, column, carets): (usize, usize, usize), expected: &str) {
    let gutter = format!("{line} | ");
    let expected = format!(
        "realize.toml: line {line}, column {column}: {expected}\n\
         {gutter}{shown}\n\
         {space:indent$}{carets}",
        expected = spelt_out(expected),
        shown = content.lines().nth(line - 1).unwrap(),
        space = "",
        indent = gutter.len() + column - 1,
        carets = "^".repeat(carets),
    );
    assert_eq!(error_of(content), expected);
}

#[rstest]
#[case::key(
    "[move]\n\"\\u001b[2J\" = 1",
    "realize.toml: line 2, column 1: unknown key `move.\\u{1b}[2J`; [move] has MOVE\n\
     2 | \"\\u001b[2J\" = 1\n    ^^^^^^^^^^^"
)]
#[case::line(
    "json = 1 # \u{1b}[2J\u{202e}",
    "realize.toml: line 1, column 12: invalid comment character, expected printable characters\n\
     1 | json = 1 # \\u{1b}[2J\\u{202e}\n               ^"
)]
fn hostile(#[case] content: &str, #[case] expected: &str) {
    assert_eq!(error_of(content), spelt_out(expected));
}

#[test]
fn in_a_flag() {
    let error_of = |overrides| {
        load(None, &Environment::default(), &overrides)
            .unwrap_err()
            .to_string()
    };
    let kept = Some("kep".to_owned());
    assert_eq!(
        error_of(Overrides::new().text("move.on_conflict", "--on-conflict", kept)),
        "flag --on-conflict: `move.on_conflict`: expected one of replace, keep, rename, fail, \
         found \"kep\"; did you mean `keep`?"
    );
    assert_eq!(
        error_of(Overrides::new().text("transport", "--transport", Some("tpc".to_owned()))),
        "flag --transport: `transport`: unknown transport \"tpc\"; there are channel, exec, quic, \
         tcp; did you mean `tcp`?"
    );
    assert_eq!(
        error_of(Overrides::new().text("move.retries", "--retries", Some("-1".to_owned()))),
        "flag --retries: `move.retries`: invalid value: integer `-1`, expected an integer from 0 \
         to 1000"
    );
    assert_eq!(
        error_of(Overrides::new().switch("move.jsn", "--json", Some(true))),
        spelt_out(
            "flag --json: unknown key `move.jsn`; [move] has MOVE; did you mean `move.json`?"
        )
    );
}

#[test]
fn not_utf8() {
    assert_eq!(
        error_of(b"[move]\nsource = 'a\xff'\n"),
        "realize.toml: line 2, column 12: this is not UTF-8\n\
         2 | source = 'a\u{fffd}'\n\
         \x20              ^"
    );
}

#[test]
fn a_mistake_is_reported_though_a_flag_hides_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("realize.toml");
    fs::write(&file, "move.min_age = 5").unwrap();
    let flag = Overrides::new().text("move.min_age", "--min-age", Some("5m".to_owned()));
    let error = load(Some(&file), &Environment::default(), &flag).unwrap_err();
    assert!(
        matches!(
            error,
            ConfigError::Value {
                place: Place::File(_),
                ..
            }
        ),
        "{error}"
    );
}

#[rstest]
#[case::at_the_limit(MAX_FILE_SIZE, None)]
#[case::over(
    MAX_FILE_SIZE + 1,
    Some("the configuration realize.toml is larger than 1048576 bytes")
)]
fn size_limit(#[case] size: u64, #[case] expected: Option<&str>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("realize.toml");
    fs::write(&file, "#".repeat(size as usize)).unwrap();
    let result = load(Some(&file), &Environment::default(), &Overrides::new());
    let prefix = format!("{}/", directory.path().display());
    let message = result
        .err()
        .map(|error| error.to_string().replace(&prefix, ""));
    assert_eq!(message.as_deref(), expected);
}

#[rstest]
#[case::absent("/nowhere/realize.toml", io::ErrorKind::NotFound)]
#[case::directory("/", io::ErrorKind::IsADirectory)]
fn unreadable(#[case] path: &str, #[case] kind: io::ErrorKind) {
    let file = Some(Path::new(path));
    let error = load(file, &Environment::default(), &Overrides::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot read the configuration {path}")
    );
    let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), kind);
}

/// Deep or long, a file is answered with a short message, and soon.
#[rstest]
#[case::dotted_key("a.".repeat(500_000) + "a = 1", "recursion limit")]
#[case::arrays("a = ".to_owned() + &"[".repeat(1_000_000), "max recursion depth met")]
#[case::tables("a = ".to_owned() + &"{a=".repeat(300_000), "max recursion depth met")]
#[case::glob(format!("move.include = ['{}']", "{".repeat(1_000_000)), "over 4096 bytes")]
#[case::filter(format!("log.level = '[{{a={}'", "(".repeat(1_000_000)), "over 4096 bytes")]
#[case::many_keys((0..90_000).map(|i| format!("k{i}=1\n")).collect(), "unknown key `k0`")]
#[case::long_key("k".repeat(1_000_000) + " = 1", "unknown key `kkk")]
fn excess(#[case] content: String, #[case] expected: &str) {
    let message = error_of(content);
    assert!(
        message.contains(expected) && message.len() < 1000,
        "{message}"
    );
}
