//! What is asked before there is work for it, and how much is under way at once.

use std::sync::Arc;

use realize_core::engine::{Mode, MoveOptions, move_files};
use realize_core::service::{MAX_BATCH, MAX_BLOCK};
use realize_test_kit::sim::SimFileSystem;
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use crate::altered::{Alteration, Altered, UnderWay};
use crate::scenario::{run_between, services};

/// How many pages are offered at once.
const PAGES: usize = 2;

/// Over a long way each page would otherwise be waited for before the next one is asked about.
#[test]
fn pages_are_offered_before_the_ones_before_them_are_answered() {
    let fs = SimFileSystem::new().with_links(false);
    fs.mkdir_all("/src");
    fs.mkdir_all("/dst");
    let names: Vec<String> = (0..PAGES * MAX_BATCH).map(|n| format!("{n:05}")).collect();
    for name in &names {
        fs.write(format!("/src/{name}"), name);
    }
    fs.advance(std::time::Duration::from_secs(60));
    let (source, destination) = services(&fs).unwrap();
    let together = Alteration::OffersTogether(Barrier::new(PAGES));
    let report = run_between((source, Altered::new(destination, together))).unwrap();
    assert!(report.is_clean(), "{report:?}");
    for name in &names {
        assert!(fs.read(format!("/dst/{name}")).unwrap() == name.as_bytes());
        assert!(fs.read(format!("/src/{name}")).is_none());
    }
}

/// Each unit has a block on its way, and two are about to be: no more memory is taken, however many
/// files are under way and however slowly they go.
#[tokio::test(start_paused = true)]
async fn no_more_blocks_are_held_than_units_send_and_two() {
    const UNITS: usize = 6;
    let fs = SimFileSystem::new().with_links(false);
    fs.mkdir_all("/src");
    fs.mkdir_all("/dst");
    let content = vec![7; 3 * MAX_BLOCK as usize];
    for name in 0..2 * UNITS {
        fs.write(format!("/src/{name}"), &content);
    }
    fs.advance(std::time::Duration::from_secs(60));
    let (source, destination) = services(&fs).unwrap();
    let sends = Arc::new(UnderWay::default());
    let slow = Altered::new(destination, Alteration::SendsSlowly(Arc::clone(&sends)));
    let options = MoveOptions::new(Mode::Move);
    let moved = move_files(
        source,
        slow,
        options,
        Arc::new(()),
        CancellationToken::new(),
    );
    let report = moved.await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(sends.most(), UNITS + 2);
}
