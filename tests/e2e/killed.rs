//! kill -9 at random moments, again and again.
//!
//! `REALIZE_TEST_ROUNDS` says how many rounds, `REALIZE_TEST_SEED` with which seed; the seed of a
//! round that failed, with one round, does the same things again (the moments are as exact as the
//! machine is).

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant, SystemTime};

use realize_test_kit::odd_tree::{Tree, bytes, reserved_names, snapshot};

use crate::during::caught_in_the_middle;
use crate::ends::Ends;
use crate::program::{Outcome, setting, wait_until};

/// A source file's path and content, and the older content at the destination.
struct Planted {
    new: Vec<u8>,
    old: Option<Vec<u8>>,
}

/// Random numbers from a seed, as the contents are.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        let number = bytes(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d), 8);
        u64::from_le_bytes(number.try_into().unwrap()) % end
    }
}

fn plant(ends: &Ends, dice: &mut Dice) -> BTreeMap<String, Planted> {
    let mut planted = BTreeMap::new();
    for i in 0..3 {
        let len = 2_000_000 + usize::try_from(dice.below(4_000_000)).unwrap();
        let new = bytes(dice.below(u64::MAX), len);
        let old = (i > 0).then(|| {
            // An older version that shares most of its content, or an equal one.
            let mut old = new.clone();
            if i == 1 {
                let at = usize::try_from(dice.below(1_900_000)).unwrap();
                old[at..at + 5_000].fill(1);
                old.truncate(len - 70_000);
            }
            old
        });
        planted.insert(format!("large {i}"), Planted { new, old });
    }
    for i in 0..200 {
        let len = usize::try_from(dice.below(9_000)).unwrap();
        let new = if i % 20 == 0 {
            Vec::new()
        } else {
            bytes(dice.below(u64::MAX), len)
        };
        let old = match i % 10 {
            0 => Some(new.clone()),
            1 => Some(bytes(dice.below(u64::MAX), len / 2 + 1)),
            _ => None,
        };
        planted.insert(format!("d{}/small {i}", i % 7), Planted { new, old });
    }
    for (path, file) in &planted {
        ends.write(path, &file.new);
        if let Some(old) = &file.old {
            ends.write_at_destination(path, old);
        }
    }
    symlink("large 1", ends.source.join("link")).unwrap();
    fs::create_dir_all(ends.source.join("empty/directory")).unwrap();
    ends.write_at_destination("somebody else's", b"untouched");
    fs::write(ends.outside("bystander"), b"untouched").unwrap();
    planted
}

/// Each content exists whole; no final name holds anything but a whole version; what was at the
/// destination is there in its old or its new version; nothing beside the two ends has changed.
fn check(ends: &Ends, planted: &BTreeMap<String, Planted>, round: &str, outcome: &Outcome) {
    for (path, file) in planted {
        let (here, there) = (ends.at_source(path), ends.at_destination(path));
        let new_here = here.as_ref() == Some(&file.new);
        let new_there = there.as_ref() == Some(&file.new);
        assert!(new_here || new_there, "{round}: {path} is lost: {outcome}");
        assert!(
            here.is_none() || new_here,
            "{round}: {path} changed at the source: {outcome}"
        );
        assert!(
            new_there || there == file.old,
            "{round}: {path} holds what is no version of it at the destination: {outcome}"
        );
    }
    assert_eq!(
        ends.at_destination("somebody else's").unwrap(),
        b"untouched",
        "{round}: {outcome}"
    );
    assert_eq!(
        fs::read(ends.outside("bystander")).unwrap(),
        b"untouched",
        "{round}: {outcome}"
    );
    let mut beside: Vec<_> = fs::read_dir(ends.outside(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    beside.sort();
    assert_eq!(
        beside,
        ["bystander", "destination", "source"],
        "{round}: {outcome}"
    );
}

fn converge(ends: &Ends, before: &Tree, round: &str) -> Duration {
    let started = Instant::now();
    let outcome = ends.mover().run();
    assert_eq!(
        outcome.code(),
        0,
        "{round}: the run without a fault: {outcome}"
    );
    let took = started.elapsed();
    ends.assert_moved(before, &outcome);
    took
}

#[test]
fn at_random_moments_nothing_is_lost() {
    let clock = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let seed = setting(
        "REALIZE_TEST_SEED",
        u64::try_from(clock.as_micros()).unwrap(),
    );
    let rounds = setting("REALIZE_TEST_ROUNDS", 50);
    // Past the capture of the test runner: the seed matters most when a run is cut off.
    let _ = writeln!(
        std::io::stderr(),
        "kill rounds: {rounds}, REALIZE_TEST_SEED={seed}"
    );

    // What a whole run takes here, so that the kills fall everywhere in it.
    let expected = {
        let ends = Ends::new();
        plant(&ends, &mut Dice(seed));
        let started = Instant::now();
        ends.mover().run().expect(0);
        started.elapsed()
    };

    let mut kills = 0;
    for i in 0..rounds {
        let seed = seed.wrapping_add(i);
        let mut dice = Dice(seed);
        let ends = Ends::new();
        let planted = plant(&ends, &mut dice);
        let mut before = snapshot(&ends.source).unwrap();
        before.extend(
            snapshot(&ends.destination)
                .unwrap()
                .remove_entry(&b"somebody else's"[..]),
        );
        let times = if dice.below(4) == 0 {
            2 + dice.below(4)
        } else {
            1
        };
        for nth in 0..times {
            let round = format!("round {i}, kill {nth}, REALIZE_TEST_SEED={seed}");
            let mut running = ends.mover().spawn();
            let after = expected.mul_f64(dice.below(1000) as f64 / 1000.0);
            let started = Instant::now();
            running.reaches("the moment to kill", || started.elapsed() >= after);
            kills += u32::from(!running.ended());
            let outcome = running.kill();
            assert!([0, 137].contains(&outcome.code()), "{round}: {outcome}");
            check(&ends, &planted, &round, &outcome);
        }
        converge(
            &ends,
            &before,
            &format!("round {i}, REALIZE_TEST_SEED={seed}"),
        );
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
