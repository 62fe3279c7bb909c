//! Being asked to stop: everything that arrived is kept for the next run.

use realize_test_kit::odd_tree::bytes;
use rstest::rstest;
use rustix::process::Signal;

use crate::during::{LARGE, caught_in_the_middle};

#[rstest]
#[case(Signal::INT, 130)]
#[case(Signal::TERM, 143)]
fn a_signal_ends_it_and_the_next_run_goes_on(#[case] signal: Signal, #[case] code: i32) {
    let content = bytes(1, LARGE);
    let (ends, running) = caught_in_the_middle(
        |ends| {
            ends.write("large", &content);
            ends.write("small", b"small");
        },
        LARGE as u64 / 2,
    );
    running.signal(signal);
    running.resume();

    let outcome = running.wait().expect(code);

    assert!(
        ends.at_source("large").as_ref() == Some(&content),
        "{outcome}"
    );
    assert_eq!(ends.at_destination("large"), None, "{outcome}");

    let outcome = ends.mover().with(["--json"]).run().expect(0);
    ends.assert_source_empty(&outcome);
    ends.assert_no_partials(&outcome);
    assert!(
        ends.at_destination("large").as_ref() == Some(&content),
        "{outcome}"
    );
    assert_eq!(ends.at_destination("small").unwrap(), b"small", "{outcome}");
    let sent = outcome.json_summary("sent");
    assert!(
        sent < LARGE as u64 * 3 / 4,
        "{sent} bytes sent again: {outcome}"
    );
}
