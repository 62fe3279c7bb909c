//! Mistakes in what concerns other machines.

use rstest::rstest;

use super::*;
use crate::settings::Config;
use crate::transports::double::only;

#[rstest]
#[case::transport(
    "transport = \"qiuc\"",
    (1, 13, 6),
    "`transport`: unknown transport \"qiuc\"; there are channel, exec, quic, tcp; did you mean \
     `quic`?"
)]
#[case::transport_far_from_all(
    "transport = \"carrier pigeon\"",
    (1, 13, 16),
    "`transport`: unknown transport \"carrier pigeon\"; there are channel, exec, quic, tcp"
)]
#[case::empty_transport(
    "transport = ''",
    (1, 13, 2),
    "`transport`: expected the name of a transport, found \"\""
)]
#[case::transport_as_a_section(
    "[transport.quic]\n",
    (1, 2, 9),
    "`transport`: invalid type: map, expected the name of a transport"
)]
#[case::transport_of_a_peer(
    "[peers.cam]\nkey = 'x:'\ntransport = 'chanel'",
    (3, 13, 8),
    "`peers.cam.transport`: unknown transport \"chanel\"; there are channel, exec, quic, tcp; \
     did you mean `channel`?"
)]
#[case::transport_of_a_listener(
    "[listen]\naddresses = ['0.0.0.0:1', 'tpc://0.0.0.0:2']",
    (2, 27, 17),
    "`listen.addresses`: unknown transport \"tpc\"; there are channel, exec, quic, tcp; did you \
     mean `tcp`?"
)]
#[case::table_of_no_transport(
    "[transports.tcp]\n[transports.qiuc]\nx = 1",
    (2, 13, 4),
    "`transports.qiuc`: unknown transport \"qiuc\"; there are channel, exec, quic, tcp; did you \
     mean `quic`?"
)]
#[case::dotted_key_of_no_transport(
    "transports.qiuc.x = 1",
    (1, 12, 4),
    "`transports.qiuc`: unknown transport \"qiuc\"; there are channel, exec, quic, tcp; did you \
     mean `quic`?"
)]
#[case::value_for_a_table(
    "transports.tcp = 'x'",
    (1, 18, 3),
    "`transports.tcp`: invalid type: string, expected a section"
)]
#[case::value_for_all_tables(
    "transports = 3",
    (1, 14, 1),
    "`transports`: invalid type: integer, expected a section"
)]
#[case::key_in_a_table(
    "transport = 'tcp'\n\n[transports.quic]\ncongestoin = 'bbr'",
    (4, 1, 10),
    "`transports.quic.congestoin`: unknown field `congestoin`, expected `congestion` or `window`"
)]
#[case::value_in_a_table(
    "[transports.quic]\ncongestion = 'reno'",
    (2, 14, 6),
    "`transports.quic.congestion`: unknown variant `reno`, expected `bbr` or `cubic`"
)]
#[case::table_as_a_whole(
    "[transports.quic]\ncongestion = 'cubic'\nwindow = 0",
    (1, 13, 4),
    "`transports.quic`: cubic needs a window"
)]
#[case::empty_address(
    "listen.addresses = ['']",
    (1, 21, 2),
    "`listen.addresses`: expected an address such as \"0.0.0.0:9771\" or \
     \"tcp://0.0.0.0:9771\", found \"\""
)]
#[case::string_for_addresses(
    "listen.addresses = 'a:1'",
    (1, 20, 5),
    "`listen.addresses`: invalid type: string, expected a list of strings"
)]
#[case::address_twice(
    "listen.addresses = ['a:1', 'quic://a:1', 'tcp://a:1']",
    (1, 42, 11),
    "`listen.addresses`: a:1 with tcp is in the list twice"
)]
#[case::peer_name(
    "[peers.Cam]\nkey = 'x:'",
    (1, 8, 3),
    "`peers.Cam`: expected a name of lower-case letters, digits, - and _, found \"Cam\""
)]
#[case::peer_without_key(
    "[peers.cam]\naddress = 'cam:1'",
    (1, 8, 3),
    "[peers.cam] has no `key` or `key_file`"
)]
#[case::peer_with_two_keys(
    "[peers.cam]\nkey = 'x:'\nkey_file = 'cam.pub'",
    (3, 12, 9),
    "`peers.cam.key_file`: `peers.cam.key` is said too, and one is enough"
)]
#[case::key(
    "peers.cam.key = 'AAAA'",
    (1, 17, 6),
    "`peers.cam.key`: expected a public key such as \"ed25519:BASE64\", found \"AAAA\""
)]
#[case::key_with_control_characters(
    "peers.cam.key = \"x:\\u0007\"",
    (1, 17, 10),
    "`peers.cam.key`: expected a public key such as \"ed25519:BASE64\", found \"x:\\u{7}\": it \
     has control characters"
)]
#[case::one_key_for_two(
    "[peers.nas]\nkey = 'x:1'\n[peers.cam]\nkey = 'x:1'\n[peers.box]\nkey = 'x:2'",
    (2, 7, 5),
    "`peers.nas.key`: `peers.cam` has the same; each peer has a key of its own, or an address of its own"
)]
#[case::one_key_file_for_two(
    "peers.a.key_file = 'x'\npeers.b.key_file = '/nowhere'\npeers.c.key_file = 'x'",
    (3, 20, 3),
    "`peers.c.key_file`: `peers.a` has the same; each peer has a key of its own, or an address of its own"
)]
#[case::address_of_a_peer(
    "peers.cam = { key = 'x:', address = '' }",
    (1, 37, 2),
    "`peers.cam.address`: expected an address such as \"cam.lan:9771\", found \"\""
)]
#[case::rights_of_a_peer(
    "peers.cam.rights = ['contrl']",
    (1, 21, 8),
    "`peers.cam.rights`: expected \"control\", found \"contrl\"; did you mean `control`?"
)]
#[case::unknown_key_of_a_peer(
    "[peers.cam]\nkeyfile = 'x'",
    (2, 1, 7),
    "unknown key `peers.cam.keyfile`; [peers.cam] has address, key, key_file, rights, throttle, \
     transport; did you mean `key_file`?"
)]
#[case::right(
    "directories.a.allow.cam = ['list', 'raed']",
    (1, 36, 6),
    "`directories.a.allow.cam`: expected one of list, read, write, replace, delete, found \
     \"raed\"; did you mean `read`?"
)]
#[case::rights_as_a_string(
    "[directories.a]\nallow = { cam = 'read' }",
    (2, 17, 6),
    "`directories.a.allow.cam`: invalid type: string, expected a list of strings"
)]
#[case::unknown_peer_may(
    "[directories.a]\npath = '/a'\nallow = { cam = ['read'], nsa = [] }\n\
     [peers]\ncam.key = 'x:'\nnas.key = 'x:n'",
    (3, 27, 3),
    "`directories.a.allow.nsa`: unknown peer \"nsa\"; there are cam, nas; did you mean `nas`?"
)]
#[case::a_peer_may_where_there_are_none(
    "[directories.a]\npath = '/a'\n[directories.a.allow]\ncam = ['read']",
    (4, 1, 3),
    "`directories.a.allow.cam`: unknown peer \"cam\"; there are no peers"
)]
#[case::unknown_peer_as_source(
    "move.source = 'cma:rec'\npeers.cam.key = 'x:'",
    (1, 15, 9),
    "`move.source`: unknown peer \"cma\"; there is cam; did you mean `cam`?"
)]
#[case::unknown_peer_as_destination(
    "[move]\ndestination = ':inbox'",
    (2, 15, 8),
    "`move.destination`: unknown peer \"\"; there are no peers"
)]
#[case::rate(
    "throttle.up = '1M/s'",
    (1, 15, 6),
    "`throttle.up`: expected bytes per second such as \"512K\" or \"20M\", found \"1M/s\""
)]
#[case::number_for_a_rate(
    "throttle.up = 1000",
    (1, 15, 4),
    "`throttle.up`: invalid type: integer `1000`, expected bytes per second such as \"512K\" or \
     \"20M\""
)]
#[case::no_rate_of_a_peer(
    "peers.cam.throttle = { up = '0' }",
    (1, 29, 3),
    "`peers.cam.throttle.up`: expected bytes per second such as \"512K\" or \"20M\", found \
     \"0\": nothing would be sent; for no limit, leave the key out"
)]
#[case::section_for_the_schedule(
    "[throttle.schedule]\nfrom = '01:00'",
    (1, 1, 19),
    "`throttle.schedule`: invalid type: table, expected a list of sections"
)]
#[case::value_in_the_schedule(
    "throttle.schedule = ['07:00']",
    (1, 22, 7),
    "`throttle.schedule`: invalid type: string, expected a section"
)]
#[case::unknown_key_in_the_schedule(
    "[[throttle.schedule]]\nfrom = '01:00'\n[[throttle.schedule]]\nform = '01:00'",
    (4, 1, 4),
    "unknown key `throttle.schedule.form`; [throttle.schedule] has days, down, from, to, up; did \
     you mean `from`?"
)]
#[case::time(
    "[[throttle.schedule]]\nfrom = '07:00'\nto = '24:00'",
    (3, 6, 7),
    "`throttle.schedule.to`: expected a time from \"00:00\" to \"23:59\", found \"24:00\""
)]
#[case::period_without_begin(
    "[[throttle.schedule]]\nto = '07:00'",
    (1, 1, 21),
    "[throttle.schedule] has no `from`"
)]
#[case::period_without_end(
    "[[throttle.schedule]]\nfrom = '07:00'",
    (1, 1, 21),
    "[throttle.schedule] has no `to`"
)]
#[case::period_without_rates(
    "throttle.schedule = [{ from = '01:00', to = '02:00', up = '1M' },\n\
     { from = '07:00', to = '08:00' }]",
    (2, 1, 32),
    "[throttle.schedule] has no `up` or `down`"
)]
#[case::period_without_length(
    "[[throttle.schedule]]\nfrom = '07:00'\nto = '07:00'\nup = '1M'",
    (3, 6, 7),
    "`throttle.schedule.to`: this is when the period begins; it ends earlier or later"
)]
#[case::day(
    "[[throttle.schedule]]\ndays = ['mon', 'tus']",
    (2, 16, 5),
    "`throttle.schedule.days`: expected one of mon, tue, wed, thu, fri, sat, sun, found \"tus\"; \
     did you mean `tue`?"
)]
#[case::period_on_no_day(
    "[[throttle.schedule]]\nfrom = '07:00'\nto = '08:00'\ndays = []",
    (4, 8, 2),
    "`throttle.schedule.days`: on no day it never holds; for every day, leave the key out"
)]
#[case::metrics_address(
    "metrics.listen = 'localhost'",
    (1, 18, 11),
    "`metrics.listen`: expected an IP address and a port such as \"127.0.0.1:9772\", or a port \
     alone, which only this machine reaches, found \"localhost\""
)]
#[case::metrics_url(
    "metrics.push = 'monitor:9091'",
    (1, 16, 14),
    "`metrics.push`: expected a URL such as \"http://monitor.lan:9091\", found \"monitor:9091\": it \
     does not begin with http://"
)]
#[case::metrics_over_tls(
    "metrics.push = 'https://monitor'",
    (1, 16, 17),
    "`metrics.push`: expected a URL such as \"http://monitor.lan:9091\", found \
     \"https://monitor\": metrics are sent without TLS; write http, or the address of a proxy on \
     this machine that speaks TLS"
)]
#[case::metrics_of_a_move(
    "move.metrics_listen = '127.0.0.1'",
    (1, 23, 11),
    "`move.metrics_listen`: expected an IP address and a port such as \"127.0.0.1:9772\", or a \
     port alone, which only this machine reaches, found \"127.0.0.1\""
)]
#[case::unknown_key_of_the_metrics(
    "metrics.port = 1",
    (1, 9, 4),
    "unknown key `metrics.port`; [metrics] has listen, push"
)]
#[case::key_outside_of_its_section(
    "addresses = []",
    (1, 1, 9),
    "unknown key `addresses`; there are SECTIONS; did you mean `listen.addresses`?"
)]
#[case::key_of_the_shortest_path(
    "up = '1M'",
    (1, 1, 2),
    "unknown key `up`; there are SECTIONS; did you mean `throttle.up`?"
)]
fn in_a_file(#[case] content: &str, #[case] place: (usize, usize, usize), #[case] expected: &str) {
    assert_in_file(content, place, expected);
}

/// Neither what was found nor the line shows the password.
#[test]
fn a_password_is_not_shown() {
    let message = error_of("metrics.push = 'https://me:s3cret@monitor/x' # s3cret@");
    assert_eq!(
        message,
        "realize.toml: line 1, column 16: `metrics.push`: expected a URL such as \
         \"http://monitor.lan:9091\", found \"https://*********@monitor/x\": metrics are sent without \
         TLS; write http, or the address of a proxy on this machine that speaks TLS\n\
         1 | metrics.push = 'https://*****************************@\n\
         \x20                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"
    );
}

/// A list that is too long to be shown leaves room for what follows it.
#[test]
fn the_nearest_of_many_peers() {
    let peers = (0..1000).map(|i| format!("peers.camera-{i}.key = 'x:{i}'\n"));
    let content = peers.collect::<String>() + "move.source = 'camera-99O:rec'";
    let message = error_of(content);
    assert!(message.contains("did you mean `camera-99`?"), "{message}");
}

#[test]
fn a_default_that_does_not_exist_is_wrong_where_it_is_needed() {
    let error_of = |text: &str| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("realize.toml");
        fs::write(&file, text).unwrap();
        let (environment, overrides) = (Environment::default(), Overrides::new());
        let loaded = Config::load(Some(&file), &environment, &overrides, &only("mine"));
        let message = loaded.err()?.to_string();
        Some(message.lines().next()?.split_once("line ")?.1.to_owned())
    };
    let unknown = "no transport is named, and the default is an unknown transport \"tcp\"; \
                   there is mine";
    assert_eq!(error_of(""), None);
    assert_eq!(error_of("peers.a.key = 'x:'"), None);
    assert_eq!(
        error_of("peers.a = { key = 'x:', address = 'a:1', transport = 'mine' }"),
        None
    );
    assert_eq!(
        error_of("transport = 'mine'\npeers.a = { key = 'x:', address = 'a:1' }"),
        None
    );
    assert_eq!(
        error_of("peers.a = { key = 'x:', address = 'a:1' }"),
        Some(format!("1, column 35: `peers.a.address`: {unknown}"))
    );
    assert_eq!(
        error_of("listen.addresses = ['mine://a:1', 'b:1']"),
        Some(format!("1, column 35: `listen.addresses`: {unknown}"))
    );
}

/// What only a program finds out is shown where it was said, or should have been.
#[rstest]
#[case::value(&["peers", "cam", "key"], "file: line 3, column 7: `peers.cam.key`")]
#[case::item(&["listen", "addresses", "1"], "file: line 1, column 28: `listen.addresses`")]
#[case::no_such_item(&["listen", "addresses", "2"], "file: line 1, column 8: `listen.addresses.2`")]
#[case::section(&["peers", "cam"], "file: line 2, column 8: `peers.cam`")]
#[case::section_of_an_absent_key(&["peers", "cam", "address"], "file: line 2, column 8: `peers.cam.address`")]
#[case::transport_table(&["transports", "tcp"], "file: line 4, column 13: `transports.tcp`")]
#[case::below_a_transport(&["transports", "tcp", "window"], "file: line 5, column 10: `transports.tcp.window`")]
#[case::absent_table(&["transports", "quic"], "file: line 4, column 2: `transports.quic`")]
#[case::variable(&["peers", "nas", "key"], "environment variable REALIZE_PEERS__NAS__KEY: `peers.nas.key`")]
#[case::beside_a_variable(&["peers", "nas", "address"], "environment variable REALIZE_PEERS__NAS__KEY: `peers.nas.address`")]
#[case::flag(&["transport"], "flag --transport: `transport`")]
#[case::nowhere(&["identity", "key"], "by default: `identity.key`")]
fn found_out_later(#[case] key: &[&str], #[case] expected: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let text = "listen.addresses = ['a:1', 'b:1']\n[peers.cam]\nkey = 'x:'\n\
                [transports.tcp]\nwindow = 3\n";
    fs::write(&file, text).unwrap();
    let variable = ("REALIZE_PEERS__NAS__KEY".into(), "x:n".into());
    let flag = Overrides::new().text("transport", "--transport", Some("quic".to_owned()));
    let config = load(Some(&file), &Environment::from_iter([variable]), &flag).unwrap();

    let error = config.fault(key, "no good".to_owned());

    let message = error.to_string();
    let prefix = format!("{}/", directory.path().display());
    let first = message.lines().next().unwrap().replace(&prefix, "");
    assert_eq!(first, format!("{expected}: no good"));
    assert_eq!(error.is_from_flag(), expected.starts_with("flag"));
}
