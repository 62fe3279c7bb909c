//! What is asked before there is work for it.

use realize_core::service::MAX_BATCH;
use realize_test_kit::sim::SimFileSystem;
use tokio::sync::Barrier;

use crate::altered::{Alteration, Altered};
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
