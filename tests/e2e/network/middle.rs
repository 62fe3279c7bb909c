//! Catching a mover in the middle of a large file.

use super::machines::{Machines, Way};
use crate::during::partial;
use crate::program::Running;

/// Starts a move of what is there, which is large, until one is caught with at least `stored` bytes
/// of the file `large` at the destination and its source still there; it is stopped then. `plant`
/// puts there what is to be moved.
pub(crate) fn caught_in_the_middle(
    machines: &Machines,
    way: Way,
    plant: impl Fn(),
    stored: u64,
) -> Running {
    let ends = machines.ends(way);
    for _ in 0..20 {
        machines.clear();
        plant();
        let mut running = machines.mover(way).spawn();
        let there = || partial(&ends).is_some_and(|(_, found)| found >= stored);
        if !running.reaches("a partial", there) {
            running.wait().expect(0);
            continue;
        }
        if running.pause() && there() && !ends.destination.join("large").exists() {
            return running;
        }
    }
    panic!("20 runs went by before one could be stopped in the middle of a file");
}
