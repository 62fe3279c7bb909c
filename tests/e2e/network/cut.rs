//! The connection is cut, changed or silenced anywhere in a short session.
//!
//! `REALIZE_TEST_CUTS` and `REALIZE_TEST_FLIPS` say at how many places, `REALIZE_TEST_SEED` where
//! exactly.

use std::time::Duration;

use rstest::rstest;

use super::machines::{Daemon, EVERYTHING, Machines, Way};
use super::proxy::{Fault, From, Proxy};
use crate::planted::{Dice, plant_little, seed};
use crate::program::{setting, wait_until};

/// A daemon, and a line to it that the mover dials.
fn over_a_line() -> (Machines, Daemon, Proxy) {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    let proxy = Proxy::to(&daemon.address);
    machines.configure_cam(&proxy.address, machines.nas_key());
    (machines, daemon, proxy)
}

/// How many bytes of the mover, and of the daemon, a whole session takes: the least of a few, as one
/// may be over before it has all its lanes.
fn lengths(machines: &Machines, proxy: &Proxy, way: Way, seed: u64) -> [u64; 2] {
    let mut least = [u64::MAX; 2];
    for _ in 0..5 {
        proxy.set(Fault::None);
        plant_little(&machines.ends(way), &mut Dice(seed));
        machines.mover(way).run().expect(0);
        machines.clear();
        let passed = proxy.passed();
        least = [0, 1].map(|side| least[side].min(passed[side]));
    }
    least
}

/// The `i`th of `count` places in `length` bytes: spread evenly, and moved a little.
fn place(i: u64, count: u64, length: u64, dice: &mut Dice) -> u64 {
    let step = (length / count).max(1);
    (length * i / count + dice.below(step)).min(length - 1)
}

/// Runs once with each fault, looks at what is left, and runs once without. Answers how often the
/// fault happened.
fn each(
    way: Way,
    count: u64,
    exits: &[i32],
    fault: impl Fn(u64, [u64; 2], &mut Dice) -> Fault,
) -> u64 {
    let seed = seed("faults of the connection");
    let (machines, daemon, proxy) = over_a_line();
    let lengths = lengths(&machines, &proxy, way, seed);
    let mut happened = 0;
    for i in 0..count {
        let mut dice = Dice(seed.wrapping_add(i << 20));
        let ends = machines.ends(way);
        let planted = plant_little(&ends, &mut dice);
        let fault = fault(i, lengths, &mut dice);
        let round = format!("{i} of {count}, {fault:?}, REALIZE_TEST_SEED={seed}");
        proxy.set(fault);
        let outcome = machines.mover(way).with(["--retries", "0"]).run();
        happened += u64::from(proxy.happened());
        let code = outcome.code();
        assert!(
            code == 0 || exits.contains(&code) && proxy.happened(),
            "{round}: {outcome}\nthe daemon: {}",
            daemon.log()
        );
        planted.check(&ends, &round, &outcome);
        proxy.set(Fault::None);
        let outcome = machines.mover(way).run();
        assert_eq!(
            outcome.code(),
            0,
            "{round}: the run without the fault: {outcome}\nthe daemon: {}",
            daemon.log()
        );
        planted.assert_moved(&ends, &outcome);
        machines.assert_private_untouched(&outcome);
        machines.clear();
    }
    happened
}

#[rstest]
#[case(Way::ToNas)]
#[case(Way::FromNas)]
fn wherever_the_connection_is_cut_nothing_is_lost(#[case] way: Way) {
    let count = setting("REALIZE_TEST_CUTS", 300) / 2;
    let happened = each(way, count, &[5], |i, [mover, daemon], dice| {
        // Either end's bytes, from first to last, either kind in turn.
        let (from, length) = if i % 2 == 0 {
            (From::Mover, mover)
        } else {
            (From::Daemon, daemon)
        };
        let at = place(i, count, length, dice);
        if i % 4 < 2 {
            Fault::Close { from, at }
        } else {
            Fault::Reset { from, at }
        }
    });
    // A session may be shorter than the one that was measured.
    assert!(
        happened * 10 >= count * 9,
        "only {happened} cuts of {count}"
    );
}

#[rstest]
#[case(Way::ToNas)]
#[case(Way::FromNas)]
fn wherever_a_bit_is_changed_no_wrong_content_arrives(#[case] way: Way) {
    let count = setting("REALIZE_TEST_FLIPS", 100);
    // In the first words of a handshake, which are not enciphered yet, a change may pass for keys
    // that do not fit.
    let happened = each(way, count, &[4, 5], |i, [mover, daemon], dice| {
        let (from, length) = if i % 2 == 0 {
            (From::Mover, mover)
        } else {
            (From::Daemon, daemon)
        };
        let at = place(i, count, length, dice);
        let bit = u8::try_from(dice.below(8)).unwrap();
        Fault::Flip { from, at, bit }
    });
    assert!(
        happened * 10 >= count * 9,
        "only {happened} flips of {count}"
    );
}

#[rstest]
#[case(Way::ToNas, false)]
#[case(Way::FromNas, false)]
#[case(Way::ToNas, true)]
#[case(Way::FromNas, true)]
fn a_move_that_is_interrupted_once_goes_on_by_itself(#[case] way: Way, #[case] flips: bool) {
    let seed = seed("single faults");
    let (machines, _daemon, proxy) = over_a_line();
    // So that every session is as long as the one that is measured.
    machines.also_on_cam("[transports.tcp]\nlanes = 1\nfar_lanes = 1\n");
    let [mover, daemon] = lengths(&machines, &proxy, way, seed);
    for (from, length) in [(From::Mover, mover), (From::Daemon, daemon)] {
        for part in 1..4 {
            let ends = machines.ends(way);
            let planted = plant_little(&ends, &mut Dice(seed.wrapping_add(part << 8)));
            let at = length * part / 4;
            proxy.set_once(if flips {
                let bit = 0;
                Fault::Flip { from, at, bit }
            } else {
                Fault::Reset { from, at }
            });

            let outcome = machines.mover(way).run().expect(0);

            assert!(proxy.happened(), "no fault at {at} of {length}: {outcome}");
            planted.assert_moved(&ends, &outcome);
            machines.clear();
        }
    }
}

#[rstest]
#[case(Way::ToNas)]
#[case(Way::FromNas)]
fn a_session_that_hangs_is_not_in_the_way_of_the_next(#[case] way: Way) {
    let seed = seed("silence");
    let (machines, daemon, proxy) = over_a_line();
    let [_, length] = lengths(&machines, &proxy, way, seed);
    let ends = machines.ends(way);
    let planted = plant_little(&ends, &mut Dice(seed));
    proxy.set_once(Fault::Hold {
        from: From::Daemon,
        at: length / 2,
    });
    let mut running = machines.mover(way).spawn();
    assert!(running.reaches("silence", || proxy.happened()));
    // The daemon hears nothing of this: its end of the line stands.
    let outcome = running.kill().expect(137);
    planted.check(&ends, &format!("REALIZE_TEST_SEED={seed}"), &outcome);

    let mut next = machines.mover(way).spawn();
    wait_until("the next mover's end", Duration::from_secs(60), || {
        next.ended()
    });

    let outcome = next.wait();
    assert_eq!(outcome.code(), 0, "{outcome}\nthe daemon: {}", daemon.log());
    planted.assert_moved(&ends, &outcome);
}
