//! What holds whatever the rates, the writes, the lanes and the changes are.

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures::future::join_all;
use proptest::prelude::*;
use tokio::time::{Instant, sleep, timeout_at};

use super::*;

/// One stretch of time under one limit.
#[derive(Clone, Debug)]
struct Stretch {
    rate: u64,
    /// In slices of the rate.
    length: u32,
    /// A pause before it in which nobody sends, in milliseconds.
    pause: u64,
}

impl Stretch {
    fn time(&self) -> Duration {
        let slice = super::super::slice(rate(self.rate).unwrap());
        let slices = u64::from(self.length) * slice * 1_000_000_000 / self.rate;
        Duration::from_nanos(slices).max(Duration::from_millis(20))
    }
}

/// 16 KiB/s to 4 GiB/s, each order of magnitude as likely as the others, seldom round.
fn rates() -> impl Strategy<Value = u64> {
    (14u32..32, 0.0f64..1.0).prop_map(|(power, more)| {
        let floor = 1u64 << power;
        floor + (more * floor as f64) as u64
    })
}

fn stretches() -> impl Strategy<Value = Vec<Stretch>> {
    let stretch =
        (rates(), 10u32..60, prop_oneof![Just(0), 1u64..100]).prop_map(|(rate, length, pause)| {
            Stretch {
                rate,
                length,
                pause,
            }
        });
    proptest::collection::vec(stretch, 1..5)
}

fn lanes() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(prop_oneof![1u64..600, 1u64..300_000], 1..6)
}

/// What was granted when, in bytes, and which rate was in force, since the start.
#[derive(Default)]
struct Record {
    granted: BTreeMap<Duration, u64>,
    /// Begin, end and rate.
    stretches: Vec<(Duration, Duration, u64)>,
    /// How often each lane was granted something, for each stretch, but for its first fifth and
    /// last tick. What is there at its begin is of whoever comes first, and at its end the first
    /// ones stop.
    turns: Vec<Vec<u64>>,
}

impl Record {
    /// What the rates bring until `time`. Pauses bring what the rate before them does.
    fn brought(&self, time: Duration) -> f64 {
        let begins = self.stretches.iter().map(|stretch| stretch.0);
        let ends = begins.skip(1).chain([Duration::MAX]);
        let parts = self
            .stretches
            .iter()
            .zip(ends)
            .map(|(&(begin, _, rate), end)| {
                let time = time.min(end).saturating_sub(begin);
                time.as_secs_f64() * rate as f64
            });
        parts.sum()
    }

    /// The most by which any window has more than its rates bring.
    fn excess(&self) -> f64 {
        let (mut before, mut least, mut most) = (0.0, f64::MAX, 0.0f64);
        for (time, bytes) in &self.granted {
            let brought = self.brought(*time);
            least = least.min(before - brought);
            before += *bytes as f64;
            most = most.max(before - brought - least);
        }
        most
    }

    /// What was granted from one time to another.
    fn within(&self, from: Duration, to: Duration) -> u64 {
        self.granted.range(from..to).map(|(_, bytes)| bytes).sum()
    }
}

/// Has `lanes` send pieces of their sizes as fast as they may, while the limit changes. Who sends
/// does so in a task of its own, on one thread, on paused time.
fn record(stretches: &[Stretch], lanes: &[u64]) -> Record {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let limiter = limited(stretches[0].rate);
        drain(&*limiter);
        let record = Arc::new(Mutex::new(Record::default()));
        let start = Instant::now();
        for stretch in stretches {
            // Nobody sends in the pause; the limit is the one before it.
            sleep(Duration::from_millis(stretch.pause)).await;
            limiter.set_rate(rate(stretch.rate));
            let begin = start.elapsed();
            let settled = Instant::now() + stretch.time() / 5;
            let end = Instant::now() + stretch.time();
            let send = |piece| {
                let (limiter, record) = (Arc::clone(&limiter), Arc::clone(&record));
                async move {
                    let mut turns = 0;
                    let sending = async {
                        loop {
                            let granted = limiter.permit(piece).await;
                            let mut record = record.lock().unwrap();
                            *record.granted.entry(start.elapsed()).or_default() += granted;
                            if settled < Instant::now() && Instant::now() + TICK < end {
                                turns += 1;
                            }
                        }
                    };
                    assert!(timeout_at(end, sending).await.is_err());
                    turns
                }
            };
            let tasks: Vec<_> = lanes
                .iter()
                .map(|piece| tokio::spawn(send(*piece)))
                .collect();
            let turns = join_all(tasks)
                .await
                .into_iter()
                .map(|turns| turns.unwrap())
                .collect();
            let mut record = record.lock().unwrap();
            record.turns.push(turns);
            record
                .stretches
                .push((begin, start.elapsed(), stretch.rate));
        }
        std::mem::take(&mut *record.lock().unwrap())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn no_window_has_more_than_its_rate_and_a_burst(stretches in stretches(), lanes in lanes()) {
        let record = record(&stretches, &lanes);
        let burst = stretches.iter().map(|stretch| burst(stretch.rate)).max().unwrap();
        let excess = record.excess();
        prop_assert!(excess <= burst as f64 + 1.0, "{excess} above {burst}");
    }

    /// While there is something to send, from any time in a stretch to its end: all but two in a
    /// hundred, and the slice that is being waited for.
    #[test]
    fn no_rate_is_left_unused(stretches in stretches(), lanes in lanes()) {
        let record = record(&stretches, &lanes);
        for (begin, end, bytes) in &record.stretches {
            for part in 0..4 {
                let from = *begin + (*end - *begin) / 4 * part;
                let right = brought(*bytes, (*end - from).saturating_sub(2 * TICK)) as f64;
                let slice = super::super::slice(rate(*bytes).unwrap());
                let granted = record.within(from, *end) as f64;
                prop_assert!(
                    granted + slice as f64 >= 0.98 * right,
                    "{granted} of {right} at {bytes} per second"
                );
            }
        }
    }

    /// Each lane has its turn as often as the others, however much it asks for.
    #[test]
    fn no_lane_starves(stretches in stretches(), lanes in lanes()) {
        let record = record(&stretches, &lanes);
        for turns in &record.turns {
            let (least, most) = (turns.iter().min().unwrap(), turns.iter().max().unwrap());
            prop_assert!(most - least <= 2, "{turns:?}");
        }
    }
}

/// Each case sends thousands of pieces.
fn cases() -> u32 {
    ProptestConfig::default().cases / 2
}
