//! What limits cost: a stream that is held to them, over a sink that takes everything at once.
//!
//! Without a limit in force, and with one so high that nobody waits, it is the cost of asking. At a
//! rate that is reached, the time is that of the limit: the throughput shown is to be the rate.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use divan::counter::BytesCount;
use divan::{Bencher, Divan};
use realize_core::throttle::{RateLimitStream, RateLimiter, Throttle, Throttles};
use tokio::io::{AsyncWriteExt, sink};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// What is written at a time, as a connection's writer does, in bytes.
const WRITE: usize = 64 << 10;
/// How much is written in all, by each lane, in bytes.
const TOTAL: usize = 16 << 20;
/// How many lanes share a limit.
const LANES: usize = 4;
/// A rate that no sink takes, in bytes per second.
const OUT_OF_REACH: u64 = 1 << 44;
/// A rate that is reached, in bytes per second.
const REACHED: u64 = 1 << 30;

fn main() {
    let benches = Divan::default().max_time(Duration::from_secs(2));
    benches.config_with_args().main();
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn limited(rate: Option<u64>) -> Throttles {
    let limiter: Arc<dyn Throttle> = Arc::new(RateLimiter::new(rate.and_then(NonZeroU64::new)));
    Throttles::new([limiter])
}

async fn write(throttles: Throttles) {
    let mut stream = RateLimitStream::new(sink(), throttles);
    let content = vec![0x5a; WRITE];
    for _ in 0..TOTAL / WRITE {
        stream.write_all(&content).await.unwrap();
    }
}

fn one_lane(bencher: Bencher<'_, '_>, throttles: &Throttles) {
    let runtime = runtime();
    let bencher = bencher.counter(BytesCount::new(TOTAL));
    bencher.bench_local(|| runtime.block_on(write(throttles.clone())));
}

/// The same stream with nothing to ask: what the others are to be compared with.
#[divan::bench]
fn no_throttle(bencher: Bencher<'_, '_>) {
    one_lane(bencher, &Throttles::default());
}

#[divan::bench]
fn a_lifted_limit(bencher: Bencher<'_, '_>) {
    one_lane(bencher, &limited(None));
}

#[divan::bench]
fn a_limit_out_of_reach(bencher: Bencher<'_, '_>) {
    one_lane(bencher, &limited(Some(OUT_OF_REACH)));
}

#[divan::bench(sample_count = 20)]
fn a_limit_of_1_gib_a_second(bencher: Bencher<'_, '_>) {
    one_lane(bencher, &limited(Some(REACHED)));
}

#[divan::bench(sample_count = 20)]
fn four_lanes_share_1_gib_a_second(bencher: Bencher<'_, '_>) {
    let (runtime, throttles) = (runtime(), limited(Some(REACHED)));
    let bencher = bencher.counter(BytesCount::new(TOTAL * LANES));
    bencher.bench_local(|| {
        runtime.block_on(async {
            let mut lanes = JoinSet::new();
            for _ in 0..LANES {
                lanes.spawn(write(throttles.clone()));
            }
            lanes.join_all().await;
        });
    });
}
