//! A move whose connections are cut goes on where it was, and nothing is lost.

use std::sync::Arc;

use super::moves::{Serving, Way, carry};
use crate::content::Random;
use crate::cutter::{Cut, Cutter, From};
use crate::failure::{During, Failure, Outcome, ensure};
use crate::tree::{kept, moved, plant};
use crate::world::World;

/// Sets the seed, so that a failure can be had again.
const SEED: &str = "REALIZE_TEST_SEED";
/// How often each move is cut, at most.
const CUTS: usize = 4;

pub(crate) async fn goes_on(world: &World) -> Outcome {
    let seed = match std::env::var(SEED) {
        Ok(text) => text.parse().during(format!("{SEED}={text}"))?,
        Err(_) => Random::seed()?,
    };
    let cutting = cut_again_and_again(world, seed).await;
    cutting.during(format!("{SEED}={seed}"))
}

async fn cut_again_and_again(world: &World, seed: u64) -> Outcome {
    let mut random = Random(seed);
    let (listener, at) = world.listen().await?;
    let there = tempfile::tempdir().during("making a directory")?;
    let _serving = Serving::new(listener, there.path());
    let here = tempfile::tempdir().during("making a directory")?;
    let cutter = Arc::new(Cutter::new(world.dialler.transport.clone()));

    // How many bytes each end sends in a move that is not cut.
    let before = plant(here.path(), &mut random)?;
    let mut totals = Vec::new();
    for way in [Way::Push, Way::Pull] {
        cutter.set(None);
        carry(world, cutter.clone(), &at, here.path(), way).await?;
        totals.push((way, cutter.passed()));
    }

    for (way, [from_dialler, from_listener]) in totals {
        let (source, destination) = match way {
            Way::Push => (&here, &there),
            Way::Pull => (&there, &here),
        };
        let mut cuts = Vec::new();
        for _ in 0..CUTS {
            let (from, total) = match random.below(2) {
                0 => (From::Dialler, from_dialler),
                _ => (From::Listener, from_listener),
            };
            // So early that the first one happens, and several may.
            let cut = Cut {
                from,
                after: random.below(total / 2),
            };
            cutter.set(Some(cut));
            let outcome = carry(world, cutter.clone(), &at, here.path(), way).await;
            if !cutter.happened() {
                outcome.during(format!("{way:?}, and the cut {cut:?} did not happen"))?;
                break;
            }
            cuts.push(cut);
            let kept = kept(&before, source.path(), destination.path());
            kept.during(format!("{way:?}, after {cuts:?}"))?;
        }
        ensure(!cuts.is_empty(), || "nothing was cut".to_owned())?;

        cutter.set(None);
        let during = format!("{way:?}, without a cut after {cuts:?}");
        let report = carry(world, cutter.clone(), &at, here.path(), way).await;
        let report = report.during(&during)?;
        if !report.is_clean() {
            return Err(Failure::new(format!(
                "{during}: not everything has moved: {report:?}"
            )));
        }
        moved(&before, source.path(), destination.path()).during(during)?;
    }
    Ok(())
}
