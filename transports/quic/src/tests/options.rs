//! What the table may say.

use std::path::PathBuf;

use quinn::congestion::{Bbr, Cubic, NewReno};
use realize_core::registry::{
    TableError, TransportContext, TransportFactory, TransportTable, TypedFactory,
};
use realize_tls::save_private_key;
use rstest::rstest;

use super::*;
use crate::config::{Congestion, QuicFactory};

/// What `[transports.quic]` followed by `line` makes, or the error and what it points at.
fn options(line: &str) -> Result<QuicOptions, (TableError, String)> {
    let text = format!("[transports.quic]\n{line}\n");
    let table = TransportTable::find(&text, "quic").unwrap();
    table.parse().map_err(|error: TableError| {
        let place = text[error.span.clone().unwrap()].to_owned();
        (error, place)
    })
}

#[test]
fn nothing_said_is_the_default() {
    let default = options("").unwrap();
    assert_eq!(default, QuicOptions::default());
    let numbers = [
        default.lanes.get(),
        default.connections.get(),
        default.bandwidth.get(),
        default.delay.get(),
        default.keep_alive.get(),
        default.idle_timeout.get(),
        default.udp_buffer.get(),
        default.mtu.get(),
    ];
    assert_eq!(numbers, [8, 4, 1000, 50, 3, 10, 4 << 20, 1452]);
    assert_eq!(default.congestion, Congestion::Bbr);
    assert!(default.gso);
    // What the options say of their defaults is what holds.
    for option in TypedFactory::options(&QuicFactory) {
        let said = format!("{} = {}", option.name, option.default);
        assert_eq!(options(&said).unwrap(), default);
    }
}

#[rstest]
#[case("lanes", 1, 16, "streams")]
#[case("connections", 1, 8, "connections")]
#[case("bandwidth", 1, 100_000, "Mbit/s")]
#[case("delay", 1, 2000, "ms")]
#[case("keep_alive", 1, 60, "s")]
#[case("idle_timeout", 2, 600, "s")]
#[case("udp_buffer", 65_536, 67_108_864, "bytes")]
#[case("mtu", 1200, 65_527, "bytes")]
fn what_is_out_of_its_range_is_refused_with_the_range(
    #[case] name: &str,
    #[case] least: u64,
    #[case] most: u64,
    #[case] unit: &str,
) {
    for taken in [least, most] {
        options(&format!("{name} = {taken}")).unwrap();
    }
    for refused in [least - 1, most + 1] {
        let (error, place) = options(&format!("{name} = {refused}")).unwrap_err();
        let range = format!("expected an integer of {least} to {most} {unit}");
        assert!(error.what.contains(&range), "{}", error.what);
        assert_eq!(place, refused.to_string());
    }
}

#[rstest]
#[case("congestion = \"vegas\"", "`bbr`, `cubic`, `newreno`")]
#[case("gso = 1", "a boolean")]
fn what_is_no_value_is_refused_with_those_that_are(#[case] line: &str, #[case] values: &str) {
    let (error, _) = options(line).unwrap_err();
    assert!(error.what.contains(values), "{}", error.what);
}

/// What is made of a table that says `line`, with or without a key.
fn make(line: &str, key_file: Option<PathBuf>) -> Result<(), String> {
    let text = format!("[transports.quic]\n{line}\n");
    let table = TransportTable::find(&text, "quic").unwrap();
    let context = TransportContext {
        key_file,
        known: KnownPeers::default(),
    };
    let made = QuicFactory.build(&table, &context);
    made.map(drop).map_err(|error| chain(&error))
}

#[test]
fn a_keep_alive_that_comes_too_late_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    save_private_key(&file, &PrivateKey::generate().unwrap()).unwrap();
    make("keep_alive = 4\nidle_timeout = 5", Some(file.clone())).unwrap();
    for (keep_alive, idle_timeout) in [(5, 5), (6, 5)] {
        let line = format!("keep_alive = {keep_alive}\nidle_timeout = {idle_timeout}");
        let error = make(&line, Some(file.clone())).unwrap_err();
        let expected = format!(
            "keep_alive has to be shorter than idle_timeout, and {keep_alive} s is not shorter \
             than {idle_timeout} s"
        );
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn a_key_that_is_missing_or_is_none_is_refused() {
    let error = make("", None).unwrap_err();
    assert!(error.contains("realize keygen"), "{error}");
    let error = make("", Some("/no/such/key".into())).unwrap_err();
    assert!(error.contains("/no/such/key"), "{error}");
}

/// How the connection of a machine finds its rate, with these options.
async fn controller(congestion: Congestion) -> Box<dyn std::any::Any> {
    let machines = Machines::with(QuicOptions {
        congestion,
        ..QuicOptions::default()
    });
    let (mut listener, at) = machines.listen().await;
    let _ends = machines.meet(&mut listener, &at).await;
    machines.standing().remove(0).congestion_state().into_any()
}

#[tokio::test]
async fn congestion_is_what_finds_the_rate() {
    assert!(controller(Congestion::default()).await.is::<Bbr>());
    for (line, is_it) in [
        (
            "bbr",
            (|any| any.is::<Bbr>()) as fn(Box<dyn std::any::Any>) -> bool,
        ),
        ("cubic", |any| any.is::<Cubic>()),
        ("newreno", |any| any.is::<NewReno>()),
    ] {
        let said = options(&format!("congestion = \"{line}\"")).unwrap();
        assert!(is_it(controller(said.congestion).await), "{line}");
    }
}

/// How many bytes a stream takes that nobody reads, which is the window of the other end.
async fn taken(options: QuicOptions, streams: usize) -> usize {
    let machines = Machines::with(options);
    let (mut listener, at) = machines.listen().await;
    let mut ends = machines.meet_often(&mut listener, &at, streams).await;
    let mut taken = 0;
    for (near, _far) in &mut ends {
        let chunk = bytes(64 << 10);
        // What has been taken is said at once; more comes when somebody reads.
        while let Ok(written) = timeout(Duration::from_millis(300), near.stream.write(&chunk)).await
        {
            taken += written.unwrap();
        }
    }
    taken
}

#[rstest]
#[case::a_slow_way(10, 20, 1 << 20)]
#[case::in_between(1000, 12, 1_500_000)]
#[case::a_long_fat_way(10_000, 300, 2 << 20)]
#[tokio::test]
async fn bandwidth_and_delay_are_what_may_be_on_its_way(
    #[case] bandwidth: u64,
    #[case] delay: u64,
    #[case] window: usize,
) {
    let options = QuicOptions {
        lanes: number(1),
        connections: number(1),
        bandwidth: number(bandwidth),
        delay: number(delay),
        ..QuicOptions::default()
    };
    let taken = taken(options, 4).await;
    // Less the first bytes of the streams, and what has been read of them may not have been told.
    assert!((window - 4..=window).contains(&taken), "{taken}");
}
