//! Several movers on the same directories: one works, the others are told.

use std::fs;

use realize_test_kit::odd_tree::{bytes, snapshot};

use crate::during::{LARGE, caught_in_the_middle};
use crate::ends::Ends;
use crate::program::{Running, realize, setting};

fn holder() -> (Ends, Running) {
    let (ends, running) = caught_in_the_middle(
        |ends| {
            ends.write("large", &bytes(1, LARGE));
            ends.write("small", b"small");
        },
        1 << 20,
    );
    assert!(ends.source.join(".realize-source.lease").exists());
    (ends, running)
}

#[test]
fn a_second_mover_of_the_same_ends_is_told_who_is_at_work() {
    let (ends, running) = holder();

    let second = ends
        .mover()
        .run()
        .expect(12)
        .says(&[running.pid().to_string()]);

    assert!(ends.at_source("large").is_some(), "{second}");
    running.resume();
    let first = running.wait().expect(0);
    ends.assert_source_empty(&first);
    assert!(
        ends.at_destination("large") == Some(bytes(1, LARGE)),
        "{first}"
    );
    ends.assert_no_partials(&first);
}

#[test]
fn the_source_alone_is_held_too() {
    let (ends, running) = holder();
    let elsewhere = ends.outside("elsewhere");

    let second = realize(["move"])
        .with([&ends.source, &elsewhere])
        .run()
        .expect(12);

    second.says(&[running.pid().to_string()]);
}

#[test]
fn the_destination_alone_is_held_too() {
    let (ends, running) = holder();
    let elsewhere = ends.outside("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("file"), b"content").unwrap();

    let second = realize(["move"])
        .with([&elsewhere, &ends.destination])
        .run()
        .expect(12);

    assert_eq!(
        fs::read(elsewhere.join("file")).unwrap(),
        b"content",
        "{second}"
    );
    second.says(&[running.pid().to_string()]);
}

#[test]
fn other_directories_are_free() {
    let (_held, _running) = holder();
    let other = Ends::with(&[("file", b"content")]);
    let before = snapshot(&other.source).unwrap();

    let outcome = other.mover().run().expect(0);

    other.assert_moved(&before, &outcome);
}

#[test]
fn a_holder_that_was_killed_holds_nothing() {
    let (ends, running) = holder();
    running.kill();

    let outcome = ends.mover().run().expect(0);

    ends.assert_source_empty(&outcome);
    ends.assert_no_partials(&outcome);
    assert!(
        ends.at_destination("large") == Some(bytes(1, LARGE)),
        "{outcome}"
    );
}

#[test]
fn of_several_that_start_at_once_none_loses_anything() {
    for round in 0..setting("REALIZE_TEST_RACES", 20) {
        let ends = Ends::new();
        for i in 0..30 {
            ends.write(&format!("d{}/{i}", i % 3), &bytes(round * 100 + i, 5_000));
        }
        let before = snapshot(&ends.source).unwrap();

        let runs: Vec<_> = (0..4).map(|_| ends.mover().spawn()).collect();
        let outcomes: Vec<_> = runs
            .into_iter()
            .map(|run| run.wait().expect_one_of(&[0, 12]))
            .collect();

        let done = outcomes
            .iter()
            .filter(|outcome| outcome.code() == 0)
            .count();
        assert!(
            done >= 1,
            "round {round}: nobody got through: {}",
            outcomes[0]
        );
        ends.assert_moved(&before, &outcomes[0]);
    }
}
