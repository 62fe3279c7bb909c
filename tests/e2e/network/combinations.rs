//! The odd tree, from any side to any side.

use realize_test_kit::odd_tree::{plant, remains, reserved_names, snapshot};

use super::machines::{EVERYTHING, Machines};
use crate::ends::assert_same;

#[test]
fn the_odd_tree_moves_there_and_back() {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    plant(&machines.source(), 100).unwrap();
    let before = snapshot(&machines.source()).unwrap();

    let outcome = machines.cam(["move"]).run().expect(0);
    assert_same(&before, &machines.inbox(), &outcome);
    assert_eq!(remains(&machines.source()).unwrap(), [""; 0], "{outcome}");
    assert!(reserved_names(&machines.inbox()).unwrap().is_empty());

    let outcome = machines
        .cam(["move", "nas:inbox"])
        .with([machines.source()])
        .run()
        .expect(0);
    assert_same(&before, &machines.source(), &outcome);
    assert_eq!(remains(&machines.inbox()).unwrap(), [""; 0], "{outcome}");
    daemon.stop().expect(0);
}
