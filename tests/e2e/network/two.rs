//! Two movers at once, of one machine and of two.

use std::fs;
use std::time::{Duration, Instant};

use realize_test_kit::odd_tree::bytes;
use rstest::rstest;
use rustix::process::Signal;

use super::another::{Another, cam_section};
use super::machines::{Daemon, EVERYTHING, Machines, Way};
use super::middle::caught_in_the_middle;
use crate::planted::{Dice, plant_little, seed};
use crate::program::{Running, setting};

const SIZE: usize = 64 << 20;

/// The two machines and the lab, which may all do everything.
fn with_another() -> (Machines, Another, Daemon) {
    let machines = Machines::new();
    let first = machines.start(EVERYTHING);
    let address = first.address.clone();
    first.stop().expect(0);
    let lab = Another::beside(&machines, &address);
    let allow = format!("cam = {EVERYTHING:?}, lab = {EVERYTHING:?}");
    let sections = cam_section(&machines) + &lab.section();
    machines.write_nas(&address, &allow, &sections);
    let daemon = machines.daemon();
    (machines, lab, daemon)
}

/// A mover of the cam in the middle of a large file, stopped.
fn busy(machines: &Machines, way: Way) -> Running {
    let ends = machines.ends(way);
    let plant = || ends.write("large", &bytes(1, SIZE));
    caught_in_the_middle(machines, way, plant, 1 << 20)
}

#[rstest]
#[case(Way::ToNas)]
#[case(Way::FromNas)]
fn a_second_mover_of_the_same_machine_is_told_who_is_at_work(#[case] way: Way) {
    let (machines, _lab, daemon) = with_another();
    let first = busy(&machines, way);
    let elsewhere = machines.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("small"), b"small").unwrap();
    let connections = || daemon.log().matches("peer.connected").count();
    let before = connections();

    // What is near is another directory: the nas has to say it.
    let mut second = machines.cam(["move"]).with(match way {
        Way::ToNas => [elsewhere.clone().into_os_string(), "nas:inbox".into()],
        Way::FromNas => ["nas:inbox".into(), elsewhere.clone().into_os_string()],
    });
    second = second.with(["--json"]);
    let mut second = second.spawn();
    assert!(second.reaches("its connection", || connections() > before));
    // It is there, and shows it.
    first.resume();

    let pid = first.pid().to_string();
    let second = second.wait().expect(12).says(&[&pid]);
    assert_eq!(fs::read(elsewhere.join("small")).unwrap(), b"small");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1, "{second}");
    let first = first.wait().expect(0);
    let ends = machines.ends(way);
    ends.assert_source_empty(&first);
    assert!(
        ends.at_destination("large") == Some(bytes(1, SIZE)),
        "{first}"
    );
}

#[rstest]
#[case(Way::ToNas)]
#[case(Way::FromNas)]
fn a_mover_of_another_machine_is_told_who_is_at_work(#[case] way: Way) {
    let (machines, lab, _daemon) = with_another();
    let first = busy(&machines, way);
    let elsewhere = machines.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("small"), b"small").unwrap();
    let second = || {
        lab.program(["move"]).with(match way {
            Way::ToNas => [elsewhere.clone().into_os_string(), "nas:inbox".into()],
            Way::FromNas => ["nas:inbox".into(), elsewhere.clone().into_os_string()],
        })
    };

    let pid = first.pid().to_string();
    let outcome = second().run().expect(12).says(&[&pid]);

    assert_eq!(fs::read(elsewhere.join("small")).unwrap(), b"small");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1, "{outcome}");
    first.resume();
    let first = first.wait().expect(0);
    let ends = machines.ends(way);
    ends.assert_source_empty(&first);
    assert!(
        ends.at_destination("large") == Some(bytes(1, SIZE)),
        "{first}"
    );
    second().run().expect(0);
}

#[rstest]
#[case(Way::ToNas)]
#[case(Way::FromNas)]
fn restarts_that_race_lose_nothing(#[case] way: Way) {
    let seed = seed("races");
    let (machines, lab, daemon) = with_another();
    let (near, far) = (machines.source().into_os_string(), "nas:inbox".into());
    let pair = match way {
        Way::ToNas => [near, far],
        Way::FromNas => [far, near],
    };
    let cam = || machines.cam(["move"]).with(&pair);
    let lab = || lab.program(["move"]).with(&pair);
    for i in 0..setting("REALIZE_TEST_RACES", 20) / 2 {
        let mut dice = Dice(seed.wrapping_add(i));
        let round = format!("round {i}, REALIZE_TEST_SEED={seed}");
        let ends = machines.ends(way);
        let planted = plant_little(&ends, &mut dice);
        let mut killed = cam().spawn();
        let after = Duration::from_millis(dice.below(150));
        let started = Instant::now();
        killed.reaches("the moment of the restart", || started.elapsed() >= after);
        // The restart comes before the end of what it replaces.
        let mut racing = vec![cam().spawn(), lab().spawn()];
        if dice.below(2) == 0 {
            killed.signal(Signal::KILL);
        }
        racing.push(cam().spawn());

        let outcome = killed.wait().expect_one_of(&[0, 12, 137]);
        planted.check(&ends, &round, &outcome);
        for running in racing {
            let outcome = running.wait();
            assert!(
                [0, 12].contains(&outcome.code()),
                "{round}: {outcome}\nthe daemon: {}",
                daemon.log()
            );
            planted.check(&ends, &round, &outcome);
        }
        for last in [lab(), cam()] {
            let outcome = last.run();
            assert_eq!(
                outcome.code(),
                0,
                "{round}: {outcome}\nthe daemon: {}",
                daemon.log()
            );
            planted.check(&ends, &round, &outcome);
        }
        let outcome = cam().run().expect(0);
        planted.assert_moved(&ends, &outcome);
        machines.clear();
    }
}
