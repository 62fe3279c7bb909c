//! Mistakes in variables of the environment.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use rstest::rstest;

use super::*;

fn variable_error(name: OsString, value: OsString) -> String {
    let environment = Environment::from_iter([(name, value)]);
    load(None, &environment, &Overrides::new())
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
    "unknown key `mvoe.json`; there are SECTIONS; did you mean \
     `REALIZE_MOVE__JSON`?"
)]
#[case::one_underscore(
    "REALIZE_LOG_LEVEL",
    "info",
    "unknown key `log_level`; there are SECTIONS; did you mean \
     `REALIZE_LOG__LEVEL`?"
)]
#[case::no_section(
    "REALIZE_ON_CONFLICT",
    "keep",
    "unknown key `on_conflict`; there are SECTIONS; did you mean \
     `REALIZE_MOVE__ON_CONFLICT`?"
)]
#[case::far_from_all("REALIZE_FOO", "", "unknown key `foo`; there are SECTIONS")]
#[case::nothing("REALIZE_", " ", "unknown key ``; there are SECTIONS")]
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
    "unknown key `directories.a.pth`; [directories.a] has allow, path; did you mean \
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
#[case::number(
    "REALIZE_MOVE__RETRIES",
    "many",
    "`move.retries`: invalid type: string \"many\", expected an integer from 0 to 1000"
)]
#[case::number_out_of_range(
    "REALIZE_MOVE__RETRIES",
    "1001",
    "`move.retries`: invalid value: integer `1001`, expected an integer from 0 to 1000"
)]
#[case::no_directory_without_a_path(
    "REALIZE_DIRECTORIES__A__ALLOW__B",
    "read",
    "[directories.a] has no `path`"
)]
#[case::list_of_sections(
    "REALIZE_THROTTLE__SCHEDULE",
    "x",
    "`throttle.schedule`: only a configuration file can say this"
)]
#[case::below_a_list_of_sections(
    "REALIZE_THROTTLE__SCHEDULE__[]__FROM",
    "07:00",
    "`throttle.schedule.[].from`: only a configuration file can say this"
)]
#[case::transport_table(
    "REALIZE_TRANSPORTS__QUIC",
    "x",
    "`transports.quic`: only a configuration file can say this"
)]
#[case::key_of_a_transport(
    "REALIZE_TRANSPORTS__QUIC__CONGESTION",
    "bbr",
    "`transports.quic.congestion`: only a configuration file can say this"
)]
#[case::transport(
    "REALIZE_TRANSPORT",
    "qiuc",
    "`transport`: unknown transport \"qiuc\"; there are channel, exec, quic, tcp; did you mean \
     `quic`?"
)]
#[case::listen_address(
    "REALIZE_LISTEN__ADDRESSES",
    "tcp://a:1,serial://b:2",
    "`listen.addresses`: unknown transport \"serial\"; there are channel, exec, quic, tcp"
)]
#[case::key_of_a_peer(
    "REALIZE_PEERS__NAS__ADRESS",
    "x",
    "unknown key `peers.nas.adress`; [peers.nas] has address, key, key_file, rights, throttle, \
     transport; did you mean `REALIZE_PEERS__NAS__ADDRESS`?"
)]
#[case::peer_without_key(
    "REALIZE_PEERS__NAS__ADDRESS",
    "nas:9771",
    "[peers.nas] has no `key` or `key_file`"
)]
#[case::key_of_a_peers_section(
    "REALIZE_PEERS__NAS__THROTTLE__UPP",
    "1M",
    "unknown key `peers.nas.throttle.upp`; [peers.nas.throttle] has down, up; did you mean \
     `REALIZE_PEERS__NAS__THROTTLE__UP`?"
)]
#[case::below_the_rights_of_a_peer(
    "REALIZE_DIRECTORIES__A__ALLOW__B__C",
    "x",
    "unknown key `directories.a.allow.b.c`; [directories.a.allow] has NAME"
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
