//! A source whose disk is full, and is to be emptied: there is no room for a directory, nor for what
//! is written to a lease.

use realize_test_kit::sim::tree::NodeContent;
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

/// It is, and is safe wherever the power goes meanwhile.
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
    let calls = fs.script().calls();
    assert_safe(&planted, &fs, &format!("{scenario:?}, full"));
    for n in (1..=calls).step_by(stride()) {
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

/// A file that was set aside, and that somebody goes on writing, is put back, whatever it is called: it is
/// none of realize's own.
#[test]
fn what_was_set_aside_is_nobodys_partial_and_no_probe() {
    let names = ["f", "f.part", "f.state", "f.source", "f.destination"];
    let planted = || {
        let fs = SimFileSystem::new().with_links(false);
        fs.mkdir_all("/dst");
        for name in names {
            fs.write(format!("/src/{name}"), name);
        }
        fs.sync_everything();
        fill(&fs);
        fs
    };
    let fs = planted();
    run(&fs).unwrap();
    let mut found = 0;
    for n in 1..=fs.script().calls() {
        let fs = planted();
        fs.script().power_off_at(n);
        let _ = run(&fs);
        let fs = fs.power_loss(Crash::All, 0);
        let is_aside = |path: &Vec<u8>| path.starts_with(b".realize-deleting-");
        let Some(aside) = fs.tree("/src").into_keys().find(is_aside) else {
            continue;
        };
        found += 1;
        let written = b"what was written since".to_vec();
        fs.write(format!("/src/{}", aside.escape_ascii()), &written);
        for _ in 0..2 {
            assert!(run(&fs).unwrap().is_clean());
        }
        let moved = leaves(&fs, "/dst").into_values();
        let whole = NodeContent::Bytes(written);
        assert!(
            moved.into_iter().any(|content| content == whole),
            "call {n}"
        );
    }
    assert!(found >= names.len(), "{found}");
}
