//! A source whose disk is full, and is to be emptied: there is no room for a directory, nor for what
//! is written to a lease.

use realize_test_kit::sim::{Call, Crash, Effect, SimFileSystem};
use rstest::rstest;
use rustix::io::Errno;

use crate::check::assert_safe;
use crate::failing::stride;
use crate::scenario::{Scenario, leaves, run};

/// Has all fail that would take room at the source.
fn fill(fs: &SimFileSystem) {
    let takes_room = |call: &Call| {
        let of_source = call.subject.ends_with(b".realize-source.lease");
        call.subject == b".realize-deleting" && call.name == "create_directory"
            || of_source && matches!(call.name, "file.write" | "file.set_size")
    };
    let full = Errno::NOSPC.raw_os_error();
    fs.script().at(takes_room, 1, Effect::FailFromHere(full));
}

#[rstest]
fn a_full_source_is_emptied(
    #[values(
        Scenario::New,
        Scenario::Batch,
        Scenario::Link,
        Scenario::HardLinks,
        Scenario::Linked
    )]
    scenario: Scenario,
) {
    let planted = scenario.plant();
    let fs = planted.fs.survivor(Crash::All, 0);
    fill(&fs);
    let report = run(&fs).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert!(leaves(&fs, "/src").is_empty());
    assert_safe(&planted, &fs, &format!("{scenario:?}, full"));
}

#[rstest]
fn the_power_goes_while_a_full_source_is_emptied(
    #[values(
        Scenario::New,
        Scenario::Batch,
        Scenario::Link,
        Scenario::HardLinks,
        Scenario::Linked
    )]
    scenario: Scenario,
) {
    let planted = scenario.plant();
    let fs = planted.fs.survivor(Crash::All, 0);
    fill(&fs);
    run(&fs).unwrap();
    for n in (1..=fs.script().calls()).step_by(stride()) {
        let fs = planted.fs.survivor(Crash::All, 0);
        fill(&fs);
        fs.script().power_off_at(n);
        let _ = run(&fs);
        for (crash, seed) in [(Crash::All, 0), (Crash::OnlySynced, 0), (Crash::Journal, n)] {
            // It is still full when it is back.
            let after = fs.power_loss(crash, seed);
            fill(&after);
            let _ = run(&after);
            let what = format!("{scenario:?}, full, power off at call {n}, {crash:?}");
            assert_safe(&planted, &after, &what);
        }
    }
}
