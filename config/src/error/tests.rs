//! Every kind of mistake, with the whole of what is said about it.

use std::error::Error as _;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rstest::rstest;

use super::*;
use crate::{Config, Environment, Overrides};

/// What is said of a file with this content; the file's directory is left out.
fn error_of(content: impl AsRef<[u8]>) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("realize.toml");
    fs::write(&file, content).unwrap();
    let error = Config::load(Some(&file), &Environment::default(), &Overrides::new());
    let prefix = format!("{}/", directory.path().display());
    error.unwrap_err().to_string().replace(&prefix, "")
}

/// In what is expected below, MOVE stands for the keys of `[move]`.
fn spelt_out(message: &str) -> String {
    let keys = "destination, exclude, include, json, keep_directories, max_duration, \
                min_age, on_conflict, progress, source";
    message.replace("has MOVE", &format!("has {keys}"))
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
    "unknown key `zzz`; there are directories, log, move"
)]
#[case::unknown_section(
    "[moves]\njson = 1",
    (1, 2, 5),
    "unknown key `moves`; there are directories, log, move; did you mean `move`?"
)]
#[case::unknown_section_in_a_dotted_key(
    "mvoe.json = true",
    (1, 1, 4),
    "unknown key `mvoe`; there are directories, log, move; did you mean `move`?"
)]
#[case::key_outside_of_its_section(
    "on_conflict = 'keep'",
    (1, 1, 11),
    "unknown key `on_conflict`; there are directories, log, move; did you mean \
     `move.on_conflict`?"
)]
#[case::section_and_key_run_together(
    "log_level = 'info'",
    (1, 1, 9),
    "unknown key `log_level`; there are directories, log, move; did you mean `log.level`?"
)]
#[case::unknown_key_of_a_directory(
    "[directories.inbox]\npth = 'x'",
    (2, 1, 3),
    "unknown key `directories.inbox.pth`; [directories.inbox] has path; did you mean `path`?"
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
fn in_a_file(
    #[case] content: &str,
    #[case] (line, column, carets): (usize, usize, usize),
    #[case] expected: &str,
) {
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

fn variable_error(name: OsString, value: OsString) -> String {
    let environment = Environment::from_iter([(name, value)]);
    Config::load(None, &environment, &Overrides::new())
        .unwrap_err()
        .to_string()
}

#[rstest]
#[case::key(
    "REALIZE_MOVE__JSN",
    "1",
    "unknown key `move.jsn`; [move] has MOVE; did you mean `REALIZE_MOVE__JSON`?"
)]
#[case::section(
    "REALIZE_MVOE__JSON",
    "1",
    "unknown key `mvoe.json`; there are directories, log, move; did you mean \
     `REALIZE_MOVE__JSON`?"
)]
#[case::one_underscore(
    "REALIZE_LOG_LEVEL",
    "info",
    "unknown key `log_level`; there are directories, log, move; did you mean \
     `REALIZE_LOG__LEVEL`?"
)]
#[case::no_section(
    "REALIZE_ON_CONFLICT",
    "keep",
    "unknown key `on_conflict`; there are directories, log, move; did you mean \
     `REALIZE_MOVE__ON_CONFLICT`?"
)]
#[case::far_from_all(
    "REALIZE_FOO",
    "",
    "unknown key `foo`; there are directories, log, move"
)]
#[case::nothing("REALIZE_", " ", "unknown key ``; there are directories, log, move")]
#[case::below_a_key(
    "REALIZE_MOVE__JSON__X",
    "x",
    "unknown key `move.json.x`; [move] has MOVE"
)]
#[case::value_for_a_section("REALIZE_MOVE", "x", "`move`: this is a section, and takes no value")]
#[case::value_for_a_directory(
    "REALIZE_DIRECTORIES__A",
    "x",
    "`directories.a`: this is a section, and takes no value"
)]
#[case::key_of_a_directory(
    "REALIZE_DIRECTORIES__A__PTH",
    "x",
    "unknown key `directories.a.pth`; [directories.a] has path; did you mean \
     `REALIZE_DIRECTORIES__A__PATH`?"
)]
#[case::directory_name(
    "REALIZE_DIRECTORIES__A.B__PATH",
    "x",
    "`directories.a.b.path`: expected a name of lower-case letters, digits, - and _, found \
     \"a.b\""
)]
#[case::lower_case(
    "REALIZE_move__JSON",
    "true",
    "`move.json`: write the variable in upper case: REALIZE_MOVE__JSON"
)]
#[case::switch(
    "REALIZE_MOVE__JSON",
    "yes",
    "`move.json`: invalid type: string \"yes\", expected a boolean"
)]
#[case::choice(
    "REALIZE_MOVE__ON_CONFLICT",
    "keeep",
    "`move.on_conflict`: expected one of replace, keep, rename, fail, found \"keeep\"; did you \
     mean `keep`?"
)]
#[case::list(
    "REALIZE_MOVE__INCLUDE",
    "a,[b",
    "`move.include`: expected a glob such as \"*.tmp\", found \"[b\": unclosed character class; \
     missing ']'"
)]
#[case::empty_path(
    "REALIZE_MOVE__SOURCE",
    "",
    "`move.source`: expected a path, found \"\""
)]
#[case::hostile(
    "REALIZE_LOG__LEVEL",
    "\u{1b}[2J",
    "`log.level`: expected one of error, warn, info, debug, trace, off, or a filter such as \
     \"info,realize_core=debug\", found \"\\u{1b}[2J\": invalid filter directive"
)]
fn in_a_variable(#[case] name: &str, #[case] value: &str, #[case] expected: &str) {
    let expected = format!("environment variable {name}: {}", spelt_out(expected));
    assert_eq!(variable_error(name.into(), value.into()), expected);
}

#[test]
fn a_variable_that_is_not_utf8() {
    let value = OsString::from_vec(b"a\xff".to_vec());
    assert_eq!(
        variable_error("REALIZE_MOVE__SOURCE".into(), value),
        "environment variable REALIZE_MOVE__SOURCE: `move.source`: the value is not UTF-8"
    );
}

#[test]
fn in_a_flag() {
    let error_of = |overrides| {
        Config::load(None, &Environment::default(), &overrides)
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
    let error = Config::load(Some(&file), &Environment::default(), &flag).unwrap_err();
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
    let result = Config::load(Some(&file), &Environment::default(), &Overrides::new());
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
    let error = Config::load(file, &Environment::default(), &Overrides::new()).unwrap_err();
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
