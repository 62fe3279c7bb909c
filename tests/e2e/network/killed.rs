//! kill -9 at random moments: of the mover, of the daemon, of both; in either direction.
//!
//! `REALIZE_TEST_ROUNDS` and `REALIZE_TEST_SEED` as for one machine.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::planted::{Dice, plant, seed};
use crate::program::{Running, setting};

use super::machines::{Daemon, EVERYTHING, Machines, Way};

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Mover,
    Daemon,
    Both,
}

/// What a whole run takes here, so that the kills fall everywhere in it.
fn whole_run(machines: &Machines, way: Way, dice: &mut Dice) -> Duration {
    let ends = machines.ends(way);
    plant(&ends, dice);
    let started = Instant::now();
    machines.mover(way).run().expect(0);
    let took = started.elapsed();
    machines.clear();
    took
}

fn reach(running: &mut Running, after: Duration) {
    let started = Instant::now();
    running.reaches("the moment to kill", || started.elapsed() >= after);
}

/// Kills the daemon and starts it again.
fn again(machines: &Machines, daemon: Daemon) -> Daemon {
    daemon.kill();
    machines.daemon()
}

#[test]
fn at_random_moments_nothing_is_lost_between_two_machines() {
    let seed = seed("kill rounds of two machines");
    let rounds = setting("REALIZE_TEST_ROUNDS", 50);
    let machines = Machines::new();
    let mut daemon = machines.start(EVERYTHING);
    // It comes back where it was.
    machines.configure_nas(&daemon.address, EVERYTHING);
    let expected = Way::BOTH.map(|way| whole_run(&machines, way, &mut Dice(seed)));

    let mut kills = 0;
    for i in 0..rounds {
        let seed = seed.wrapping_add(i);
        let mut dice = Dice(seed);
        let direction = usize::try_from(dice.below(2)).unwrap();
        let way = Way::BOTH[direction];
        let victims = [Victim::Mover, Victim::Daemon, Victim::Both];
        let victim = victims[usize::try_from(dice.below(3)).unwrap()];
        let ends = machines.ends(way);
        let planted = plant(&ends, &mut dice);
        for nth in 0..1 + dice.below(3) {
            let round =
                format!("round {i}, {way:?}, {victim:?}, kill {nth}, REALIZE_TEST_SEED={seed}");
            let mut running = machines.mover(way).spawn();
            reach(
                &mut running,
                expected[direction].mul_f64(dice.below(1000) as f64 / 1000.0),
            );
            kills += u32::from(!running.ended());
            let outcome = match victim {
                Victim::Mover => running.kill(),
                // It goes on by itself when the daemon is back.
                Victim::Daemon => {
                    daemon = again(&machines, daemon);
                    running.wait()
                }
                Victim::Both => {
                    running.signal(Signal::KILL);
                    daemon = again(&machines, daemon);
                    running.wait()
                }
            };
            let allowed: &[i32] = match victim {
                Victim::Daemon => &[0],
                Victim::Mover | Victim::Both => &[0, 137],
            };
            assert!(allowed.contains(&outcome.code()), "{round}: {outcome}");
            planted.check(&ends, &round, &outcome);
        }
        let outcome = machines.mover(way).run();
        assert_eq!(
            outcome.code(),
            0,
            "round {i}, {way:?}, {victim:?}, REALIZE_TEST_SEED={seed}: the run without a fault: \
             {outcome}\nthe daemon: {}",
            daemon.log()
        );
        planted.assert_moved(&ends, &outcome);
        machines.assert_private_untouched(&outcome);
        machines.clear();
    }
    let least = u32::try_from(rounds / 4).unwrap();
    assert!(
        kills >= least,
        "only {kills} runs were killed before their end"
    );
}
