//! The n-th call of the file system fails, for every n.

use realize_test_kit::sim::Crash;
use rstest::rstest;
use rustix::io::Errno;

use crate::check::assert_safe;
use crate::scenario::{Scenario, run};

/// Every how many steps a fault is injected.
pub(crate) fn stride() -> usize {
    std::env::var("REALIZE_FAULT_STRIDE")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1)
        .max(1)
}

/// How many calls the move takes when nothing fails.
pub(crate) fn calls(scenario: Scenario) -> u64 {
    let planted = scenario.plant();
    let fs = planted.fs.survivor(Crash::All, 0);
    let report = run(&fs).unwrap_or_else(|error| panic!("{scenario:?}: {}", error.chain()));
    assert!(report.is_clean(), "{scenario:?}: {report:?}");
    let calls = fs.script().calls();
    assert_safe(&planted, &fs, "without faults");
    calls
}

#[rstest]
fn every_call_fails_once(
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
    #[values(Errno::IO, Errno::NOSPC, Errno::INTR)] errno: Errno,
) {
    let planted = scenario.plant();
    for n in (1..=calls(scenario)).step_by(stride()) {
        let fs = planted.fs.survivor(Crash::All, 0);
        fs.script().fail(n, errno.raw_os_error());
        let _ = run(&fs);
        // What the process left is right, and so is what a power loss leaves of that.
        let after = fs.survivor(Crash::OnlySynced, n);
        assert_safe(
            &planted,
            &fs,
            &format!("{scenario:?}, call {n} failed with {errno}"),
        );
        assert_safe(
            &planted,
            &after,
            &format!("{scenario:?}, call {n}, then a power loss"),
        );
    }
}

#[rstest]
fn every_call_from_one_on_fails(
    #[values(
        Scenario::New,
        Scenario::Patch,
        Scenario::Batch,
        Scenario::Replace,
        Scenario::Linked,
        Scenario::LinkedBatch
    )]
    scenario: Scenario,
) {
    let planted = scenario.plant();
    for n in (1..=calls(scenario)).step_by(stride()) {
        let fs = planted.fs.survivor(Crash::All, 0);
        fs.script().fail_from(n, Errno::DQUOT.raw_os_error());
        let _ = run(&fs);
        assert_safe(
            &planted,
            &fs,
            &format!("{scenario:?}, every call from {n} on failed"),
        );
    }
}

#[rstest]
fn short_reads_and_writes(
    #[values(Scenario::New, Scenario::Patch, Scenario::Batch, Scenario::Sparse)] scenario: Scenario,
) {
    let planted = scenario.plant();
    for n in 1..=60 {
        for read in [false, true] {
            let fs = planted.fs.survivor(Crash::All, 0);
            if read {
                fs.script().short_read(n)
            } else {
                fs.script().short_write(n)
            }
            let report = run(&fs).unwrap();
            assert!(report.is_clean(), "{scenario:?}, {n}: {report:?}");
            assert_safe(
                &planted,
                &fs,
                &format!("{scenario:?}, transfer {n} was short"),
            );
        }
    }
}

/// A bit that the destination's disk flips is found by the read-back and mended in the same run.
#[rstest]
fn flipped_bits_are_mended(
    #[values(
        Scenario::New,
        Scenario::Resume,
        Scenario::Patch,
        Scenario::Batch,
        Scenario::Shared
    )]
    scenario: Scenario,
) {
    let planted = scenario.plant();
    for n in 1..=40 {
        let fs = planted.fs.survivor(Crash::All, 0);
        fs.script().flip_bit(n, n * 7919);
        let _ = run(&fs);
        assert_safe(
            &planted,
            &fs,
            &format!("{scenario:?}, write {n} was flipped"),
        );
    }
}
