//! kill -9 at random moments, again and again.
//!
//! `REALIZE_TEST_ROUNDS` says how many rounds, `REALIZE_TEST_SEED` with which seed; the seed of a
//! round that failed, with one round, does the same things again (the moments are as exact as the
//! machine is).

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use realize_test_kit::odd_tree::{bytes, reserved_names};

use crate::during::caught_in_the_middle;
use crate::ends::Ends;
use crate::planted::{Dice, Planted, plant, seed};
use crate::program::{setting, wait_until};

fn converge(ends: &Ends, planted: &Planted, round: &str) {
    let outcome = ends.mover().run();
    assert_eq!(
        outcome.code(),
        0,
        "{round}: the run without a fault: {outcome}"
    );
    planted.assert_moved(ends, &outcome);
}

#[test]
fn at_random_moments_nothing_is_lost() {
    let seed = seed("kill rounds");
    let rounds = setting("REALIZE_TEST_ROUNDS", 50);

    // What a whole run takes here, so that the kills fall everywhere in it; files are linked in every
    // other round.
    let record = tempfile::tempdir().unwrap();
    let expected = [true, false].map(|links| {
        let ends = Ends::new();
        plant(&ends, &mut Dice(seed));
        let mut mover = ends.mover();
        if !links {
            mover = mover.with([Path::new("--receipts"), &record.path().join("expected")]);
        }
        let started = Instant::now();
        mover.run().expect(0);
        started.elapsed()
    });

    let mut kills = 0;
    for i in 0..rounds {
        let seed = seed.wrapping_add(i);
        let mut dice = Dice(seed);
        let ends = Ends::new();
        let planted = plant(&ends, &mut dice);
        // What has to be on record with its hash is carried, not linked.
        let receipts = record.path().join(format!("round {i}"));
        let mover = || match i % 2 {
            0 => ends.mover(),
            _ => ends.mover().with([Path::new("--receipts"), &receipts]),
        };
        let times = if dice.below(4) == 0 {
            2 + dice.below(4)
        } else {
            1
        };
        for nth in 0..times {
            let round = format!("round {i}, kill {nth}, REALIZE_TEST_SEED={seed}");
            let mut running = mover().spawn();
            let after = expected[usize::from(i % 2 != 0)].mul_f64(dice.below(1000) as f64 / 1000.0);
            let started = Instant::now();
            running.reaches("the moment to kill", || started.elapsed() >= after);
            kills += u32::from(!running.ended());
            let outcome = running.kill();
            assert!([0, 137].contains(&outcome.code()), "{round}: {outcome}");
            planted.check(&ends, &round, &outcome);
        }
        let round = format!("round {i}, REALIZE_TEST_SEED={seed}");
        converge(&ends, &planted, &round);
    }
    let least = u32::try_from(rounds / 4).unwrap();
    assert!(
        kills >= least,
        "only {kills} runs were killed before their end"
    );
}

#[test]
fn a_large_file_goes_on_where_it_was() {
    const SIZE: usize = 64 << 20;
    let content = bytes(1, SIZE);
    let (ends, running) =
        caught_in_the_middle(|ends| ends.write("large", &content), SIZE as u64 / 2);
    let outcome = running.kill().expect(137);
    assert_eq!(ends.at_destination("large"), None, "{outcome}");
    assert!(
        ends.at_source("large").as_ref() == Some(&content),
        "{outcome}"
    );

    let outcome = ends.mover().with(["--json"]).run().expect(0);

    ends.assert_source_empty(&outcome);
    ends.assert_no_partials(&outcome);
    assert!(ends.at_destination("large") == Some(content), "{outcome}");
    let sent = outcome.json_summary("sent");
    assert!(
        sent < SIZE as u64 * 3 / 4,
        "{sent} of {SIZE} bytes sent again: {outcome}"
    );
}

#[test]
fn a_partial_whose_source_changed_is_not_trusted() {
    const SIZE: usize = 64 << 20;
    let (ends, running) =
        caught_in_the_middle(|ends| ends.write("large", &bytes(1, SIZE)), SIZE as u64 / 2);
    running.kill().expect(137);
    let other = bytes(2, SIZE);
    ends.write("large", &other);

    let outcome = ends.mover().run().expect(0);

    ends.assert_source_empty(&outcome);
    ends.assert_no_partials(&outcome);
    assert!(ends.at_destination("large") == Some(other), "{outcome}");
}

#[test]
fn a_partial_that_was_damaged_is_not_trusted() {
    const SIZE: usize = 64 << 20;
    let content = bytes(1, SIZE);
    let (ends, running) =
        caught_in_the_middle(|ends| ends.write("large", &content), SIZE as u64 / 2);
    running.kill().expect(137);
    let (partial, _) = crate::during::partial(&ends).unwrap();
    let file = fs::OpenOptions::new().write(true).open(partial).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"damage", 1_000).unwrap();
    drop(file);

    // The first run may find it out at the end and give up on the file; it may not accept it.
    let outcome = ends.mover().run().expect_one_of(&[0, 6, 7]);
    let (here, there) = (ends.at_source("large"), ends.at_destination("large"));
    assert!(
        here.is_none() || here.as_ref() == Some(&content),
        "{outcome}"
    );
    assert!(
        there.is_none() || there.as_ref() == Some(&content),
        "{outcome}"
    );
    assert!(here.is_some() || there.is_some(), "{outcome}");

    let outcome = ends.mover().run().expect(0);
    ends.assert_source_empty(&outcome);
    ends.assert_no_partials(&outcome);
    assert!(ends.at_destination("large") == Some(content), "{outcome}");
}

#[test]
fn a_partial_whose_source_is_gone_is_swept() {
    const SIZE: usize = 64 << 20;
    let (ends, running) =
        caught_in_the_middle(|ends| ends.write("large", &bytes(1, SIZE)), SIZE as u64 / 2);
    running.kill().expect(137);
    fs::remove_file(ends.source.join("large")).unwrap();
    ends.write("other", b"other");

    let outcome = ends.mover().run().expect(0);

    assert_eq!(ends.at_destination("other").unwrap(), b"other", "{outcome}");
    wait_until("the orphan to go", Duration::from_secs(1), || {
        reserved_names(&ends.destination).unwrap().is_empty()
    });
}
