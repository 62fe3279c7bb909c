//! The power goes at every call; and the process is killed at every call.

use realize_test_kit::sim::Crash;
use rstest::rstest;

use crate::check::assert_safe;
use crate::failing::{calls, stride};
use crate::scenario::{Scenario, run};

fn seeds() -> u64 {
    std::env::var("REALIZE_FAULT_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(3)
}

#[rstest]
fn the_power_goes_at_every_call(
    #[values(
        Scenario::New,
        Scenario::Resume,
        Scenario::Patch,
        Scenario::Replace,
        Scenario::Batch,
        Scenario::BatchPartly,
        Scenario::Link,
        Scenario::Empty,
        Scenario::Sparse,
        Scenario::Identical,
        Scenario::HardLinks,
        Scenario::Linked,
        Scenario::LinkedBatch,
        Scenario::LinkedResume,
        Scenario::LinkedTwice,
        Scenario::LinkedPartly,
        Scenario::Shared
    )]
    scenario: Scenario,
) {
    let planted = scenario.plant();
    for n in (1..=calls(scenario)).step_by(stride()) {
        let fs = planted.fs.survivor(Crash::All, 0);
        fs.script().power_off_at(n);
        let _ = run(&fs);
        let journal = (0..seeds()).map(|seed| (Crash::Journal, n * 1000 + seed));
        for (crash, seed) in [(Crash::OnlySynced, 0), (Crash::All, 0)]
            .into_iter()
            .chain(journal)
        {
            let after = fs.power_loss(crash, seed);
            let what = format!("{scenario:?}, power off at call {n}, {crash:?}, seed {seed}");
            assert_safe(&planted, &after, &what);
        }
    }
}

/// After a restart a device may have another number.
#[rstest]
fn the_power_goes_and_the_device_has_another_number(
    #[values(Scenario::Resume, Scenario::Replace, Scenario::Patch)] scenario: Scenario,
) {
    let planted = scenario.plant();
    for n in (1..=calls(scenario)).step_by(stride()) {
        for (crash, seed) in [(Crash::All, 0), (Crash::Journal, n)] {
            let fs = planted.fs.survivor(Crash::All, 0);
            fs.script().power_off_at(n);
            let _ = run(&fs);
            let after = fs.power_loss(crash, seed);
            after.renumber();
            let what = format!("{scenario:?}, power off at call {n}, {crash:?}, another device");
            assert_safe(&planted, &after, &what);
        }
    }
}

/// Two crashes in a row: the second at every call of the run that follows the first.
#[rstest]
fn the_power_goes_twice(
    #[values(
        Scenario::New,
        Scenario::Patch,
        Scenario::Replace,
        Scenario::Batch,
        Scenario::Linked
    )]
    scenario: Scenario,
) {
    let planted = scenario.plant();
    let total = calls(scenario);
    for first in (1..=total).step_by(7 * stride()) {
        let fs = planted.fs.survivor(Crash::All, 0);
        fs.script().power_off_at(first);
        let _ = run(&fs);
        let between = fs.power_loss(Crash::Journal, first);
        for second in (1..=total).step_by(11 * stride()) {
            let fs = between.survivor(Crash::All, 0);
            fs.script().power_off_at(second);
            let _ = run(&fs);
            let after = fs.power_loss(Crash::Journal, second);
            let what = format!("{scenario:?}, power off at call {first}, then at {second}");
            assert_safe(&planted, &after, &what);
        }
    }
}

/// After a run that ended well, whatever of the unsynced changes reached the disk.
#[rstest]
fn the_power_goes_after_the_end(#[values(0, 1, 2, 3)] part: u64) {
    for scenario in Scenario::ALL {
        let planted = scenario.plant();
        let fs = planted.fs.survivor(Crash::All, 0);
        assert!(run(&fs).unwrap().is_clean());
        for seed in part * 25..(part + 1) * 25 {
            let after = fs.survivor(Crash::Journal, seed);
            assert_safe(&planted, &after, &format!("{scenario:?}, seed {seed}"));
        }
    }
}
