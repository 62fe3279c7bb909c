use std::time::Duration;

use tokio::time::advance;
use tracing::{error, info, warn};

use super::super::line::Form;
use super::super::tests::{Written, log};
use super::*;

/// How many of the lines hold `text`.
fn count(lines: &[String], text: &str) -> usize {
    lines.iter().filter(|line| line.contains(text)).count()
}

/// The ends of the lines that say what was left out.
fn left_out(written: &Written) -> Vec<String> {
    let lines = written.take().into_iter();
    lines
        .filter_map(|line| Some(line.trim_end().split_once(" event=")?.1.to_owned()))
        .filter(|line| line.contains(" more="))
        .collect()
}

fn rejected(number: usize, reason: &str) {
    let address = format!("192.0.2.7:{number}");
    warn!(event = "peer.rejected", transport = "tcp", address, reason);
}

#[tokio::test(start_paused = true)]
async fn of_a_flood_the_first_are_written_and_the_rest_counted_when_the_minute_is_over() {
    let (written, logging, _guard) = log(Form::Logfmt, false, "info");
    let counting = tokio::spawn(logging.keep_counting());
    for number in 0..100 {
        rejected(number, "garbage");
    }
    let lines = written.take();
    assert_eq!(lines.len() as u64, ONE_BY_ONE);
    assert!(lines[9].ends_with("transport=tcp address=192.0.2.7:9 reason=garbage\n"));

    tokio::time::sleep(PERIOD - Duration::from_secs(1)).await;
    assert_eq!(written.take(), [""; 0]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let lines = written.take();
    assert_eq!(
        lines,
        ["time=2026-11-23T12:00:00.000000Z level=warn \
          target=realize_cli::logging::sampling::tests event=peer.rejected transport=tcp \
          reason=garbage more=90\n"]
    );
    // From then on they are written again; of a few nothing is left out.
    for number in 0..3 {
        rejected(number, "garbage");
    }
    assert_eq!(written.take().len(), 3);
    tokio::time::sleep(PERIOD * 3).await;
    assert_eq!(written.take(), [""; 0]);

    // And again.
    for number in 0..11 {
        rejected(number, "garbage");
    }
    assert_eq!(written.take().len(), 10);
    tokio::time::sleep(PERIOD).await;
    tokio::task::yield_now().await;
    assert_eq!(
        left_out(&written),
        ["peer.rejected transport=tcp reason=garbage more=1"]
    );
    counting.abort();
}

#[tokio::test(start_paused = true)]
async fn the_next_one_says_what_was_left_out_before_it() {
    let (written, _logging, _guard) = log(Form::Logfmt, false, "info");
    for number in 0..30 {
        rejected(number, "garbage");
    }
    written.take();
    advance(PERIOD).await;
    rejected(30, "garbage");
    let lines = written.take();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with("reason=garbage more=20\n"), "{lines:?}");
    assert!(lines[1].contains("address=192.0.2.7:30"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_left_out_is_said_at_the_end() {
    let (written, logging, _guard) = log(Form::Json, false, "info");
    for number in 0..12 {
        rejected(number, "garbage");
    }
    written.take();
    drop(logging);
    let lines = written.take();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].ends_with("\"reason\":\"garbage\",\"more\":2}\n"));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_kind_hides_no_other() {
    let (written, _logging, _guard) = log(Form::Logfmt, false, "info");
    let denied = |peer: &str, directory: &str| {
        warn!(event = "access.denied", peer, directory, operation = "open");
    };
    for number in 0..1000 {
        rejected(number, "garbage");
        denied("cam", &format!("guess-{number}"));
    }
    rejected(1, "no handshake");
    denied("lab", "inbox");
    let lines = written.take();
    assert_eq!(count(&lines, "reason=garbage"), 10);
    assert_eq!(count(&lines, "peer=cam"), 10);
    assert_eq!(count(&lines, "no handshake"), 1);
    assert_eq!(count(&lines, "peer=lab"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_about_a_path_or_is_no_warning_is_never_left_out() {
    let (written, logging, _guard) = log(Form::Logfmt, false, "info");
    for number in 0..1000 {
        warn!(event = "file.changed", path = format!("file-{number}"));
        warn!(event = "file.mismatch", path = "the same", attempt = 1);
        info!(event = "peer.connected", peer = "cam");
        error!(event = "directory.failed", peer = "cam");
    }
    drop(logging);
    assert_eq!(written.take().len(), 4000);
}

#[tokio::test(start_paused = true)]
async fn however_many_kinds_come_a_bounded_number_is_written_and_remembered() {
    let (written, logging, _guard) = log(Form::Logfmt, false, "info");
    for number in 0..10_000 {
        rejected(number, &format!("{number}{}", "x".repeat(10_000)));
    }
    let lines = written.take();
    assert_eq!(lines.len(), MAX_KINDS + 10);
    let places = logging.0.places();
    let kinds: Vec<_> = places.values().flatten().collect();
    assert_eq!(kinds.len(), MAX_KINDS + 1);
    let texts = kinds
        .iter()
        .flat_map(|kind| kind.told_by.0.iter().flatten());
    assert!(texts.map(String::len).max().unwrap() <= MAX_TEXT);
    drop(places);
    drop(logging);
    let more = 10_000 - MAX_KINDS - 10;
    assert_eq!(left_out(&written), [format!("peer.rejected more={more}")]);
}

#[test]
fn a_text_is_remembered_up_to_a_whole_character() {
    let mut start = Start(String::new());
    let long = "ä".repeat(MAX_TEXT);
    fmt::Write::write_str(&mut start, "a").unwrap();
    fmt::Write::write_str(&mut start, &long).unwrap_err();
    assert_eq!(start.0.len(), MAX_TEXT - 1);
}
