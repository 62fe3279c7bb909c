//! One limiter, and those who wait for it.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use futures::future::{join_all, poll_immediate};
use rstest::rstest;
use tokio::task::yield_now;
use tokio::time::{Instant, advance, sleep, timeout};

use super::*;

/// Sends pieces of `piece` bytes for `time`, and says how many bytes came through.
async fn send_for(throttle: &dyn Throttle, piece: u64, time: Duration) -> u64 {
    let mut sent = 0;
    let sending = async {
        loop {
            sent += throttle.permit(piece).await;
        }
    };
    assert!(timeout(time, sending).await.is_err());
    sent
}

/// How far `sent` is off what a limit of `bytes` allows in `time`, in thousandths of it.
fn off(sent: u64, bytes: u64, time: Duration) -> f64 {
    let right = brought(bytes, time) as f64;
    (sent as f64 - right) / right * 1000.0
}

#[rstest]
#[case(16 * KIB, 200)]
#[case(64 * KIB, 200)]
#[case(1_000_003, 50)]
#[case(MIB, 50)]
#[case(8 * MIB, 20)]
#[case(100_000_000, 10)]
#[case(300_000_000, 10)]
#[case(GIB, 2)]
#[case(4 * GIB, 1)]
#[tokio::test(start_paused = true)]
async fn a_rate_is_exact(#[case] bytes: u64, #[case] seconds: u64) {
    let time = Duration::from_secs(seconds);
    let limiter = limited(bytes);
    assert!(drain(&*limiter) <= burst(bytes));
    let slices = send_for(&*limiter, u64::MAX, time).await;
    let slices = off(slices, bytes, time);
    println!("{bytes} bytes per second: {slices:+.3} thousandths off");
    assert!((-1.0..=0.0).contains(&slices), "{slices}");
}

/// A cell that was begun is used up: otherwise three bytes would cost as much as a cell.
#[rstest]
#[case(16 * KIB)]
#[case(MIB)]
#[case(100_000_000)]
#[tokio::test(start_paused = true)]
async fn small_permits_are_counted_to_the_byte(#[case] bytes: u64) {
    let time = Duration::from_secs(10 * MIB / bytes.max(MIB)).max(Duration::from_millis(100));
    let limiter = limited(bytes);
    drain(&*limiter);
    let sent = send_for(&*limiter, 3, time).await;
    let off = off(sent, bytes, time);
    // A slice is not waited for: what the last tick brought may be missing.
    let tick = TICK.as_secs_f64() / time.as_secs_f64() * 1000.0;
    assert!((-0.1 - tick..=0.0).contains(&off), "{off}");
}

#[rstest]
#[case(1)]
#[case(1000)]
#[case(16 * KIB)]
#[case(MIB)]
#[case(4 * GIB)]
#[tokio::test(start_paused = true)]
async fn a_burst_comes_at_once_and_no_more(#[case] bytes: u64) {
    let limiter = limited(bytes);
    for _ in 0..2 {
        let taken = drain(&*limiter);
        assert!(taken <= burst(bytes), "{taken}");
        assert!(taken as f64 >= 0.99 * burst(bytes) as f64, "{taken}");
        // However long the pause.
        advance(Duration::from_secs(4000)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn slices_are_five_milliseconds_of_the_rate_within_bounds() {
    let slice = |bytes| limited(bytes).slice();
    assert_eq!(slice(1), Some(512));
    assert_eq!(slice(200 * KIB), Some(KIB));
    assert_eq!(slice(4 * GIB), Some(64 * KIB));
    assert_eq!(RateLimiter::new(None).slice(), None);
}

#[tokio::test(start_paused = true)]
async fn more_than_the_burst_takes_its_time() {
    let limiter = limited(MIB);
    assert!(!limiter.try_permit(burst(MIB) + 1));
    let start = Instant::now();
    limiter.permit_all(10 * MIB).await;
    let time = start.elapsed();
    assert!(time >= Duration::from_millis(9_985), "{time:?}");
    assert!(time <= Duration::from_millis(10_010), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_nothing_waits() {
    let limiter = RateLimiter::new(None);
    let start = Instant::now();
    assert!(limiter.try_permit(u64::MAX));
    assert_eq!(limiter.permit(u64::MAX).await, u64::MAX);
    limiter.permit_all(u64::MAX).await;
    assert_eq!(limiter.rate(), None);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_granted_without_waiting() {
    let limiter = limited(1);
    drain(&*limiter);
    assert_eq!(limiter.permit(0).await, 0);
    limiter.permit_all(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_lifted_limit_lets_all_through_at_once() {
    let limiter = limited(1);
    drain(&*limiter);
    let start = Instant::now();
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let limiter = Arc::clone(&limiter);
            tokio::spawn(async move { limiter.permit_all(GIB).await })
        })
        .collect();
    sleep(Duration::from_millis(50)).await;
    limiter.set_rate(None);
    join_all(waiting).await;
    assert_eq!(start.elapsed(), Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn a_raised_limit_shortens_what_waits_already() {
    let limiter = limited(KIB);
    drain(&*limiter);
    let start = Instant::now();
    let waiting = tokio::spawn({
        let limiter = Arc::clone(&limiter);
        async move { limiter.permit(512).await }
    });
    sleep(Duration::from_millis(10)).await;
    limiter.set_rate(rate(MIB));
    assert_eq!(waiting.await.unwrap(), 512);
    assert!(
        start.elapsed() <= Duration::from_millis(11),
        "{:?}",
        start.elapsed()
    );
}

/// Whoever waits for a slice of the old rate gets one of the new rate, not the old one's in time.
#[tokio::test(start_paused = true)]
async fn a_lowered_limit_holds_for_what_waits_already() {
    let limiter = limited(GIB);
    drain(&*limiter);
    let waiting = tokio::spawn({
        let limiter = Arc::clone(&limiter);
        async move { limiter.permit(64 * KIB).await }
    });
    yield_now().await;
    limiter.set_rate(rate(16 * KIB));
    let start = Instant::now();
    assert_eq!(waiting.await.unwrap(), 512);
    let time = start.elapsed();
    assert!(
        time >= Duration::from_millis(31) && time <= Duration::from_millis(33),
        "{time:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_grants_no_burst() {
    let limiter = limited(MIB);
    drain(&*limiter);
    let mut taken = 0;
    for change in 0..1000 {
        // The same, others, and none.
        limiter.set_rate(rate(MIB));
        limiter.set_rate(rate(MIB + change));
        limiter.set_rate(rate(GIB));
        limiter.set_rate(rate(16 * KIB));
        limiter.set_rate(None);
        limiter.set_rate(rate(MIB));
        taken += drain(&*limiter);
    }
    assert_eq!(taken, 0);
}

/// The bytes that can be sent at once are the same before and after.
#[rstest]
#[case(MIB, GIB)]
#[case(MIB, MIB + 1)]
#[case(8 * MIB, 7 * MIB)]
#[case(100_000_000, 4 * GIB)]
#[case(16 * KIB, 1_000_003)]
#[tokio::test(start_paused = true)]
async fn a_change_takes_nothing_away(#[case] from: u64, #[case] to: u64) {
    let limiter = limited(from);
    drain(&*limiter);
    advance(Duration::from_millis(7)).await;
    limiter.set_rate(rate(to));
    limiter.set_rate(rate(from));
    limiter.set_rate(rate(to));
    let right = brought(from, Duration::from_millis(7));
    let taken = drain(&*limiter);
    assert!(taken <= right, "{taken} of {right}");
    // A nanosecond or two at each change, and a cell that is not whole yet.
    let late = 3 * (to / 1_000_000_000 + 1) + 2 + to / (64 * KIB);
    assert!(taken + late >= right, "{taken} of {right}");
}

/// The rate that is set again, or one beside it, every 10 ms.
#[rstest]
#[case(16 * KIB, 0)]
#[case(16 * KIB, 1)]
#[case(MIB, 0)]
#[case(MIB, 100)]
#[case(100_000_000, 0)]
#[case(100_000_000, 1000)]
#[case(4 * GIB, 1)]
#[tokio::test(start_paused = true)]
async fn a_rate_set_again_and_again_is_the_same_rate(#[case] bytes: u64, #[case] beside: u64) {
    let limiter = limited(bytes);
    drain(&*limiter);
    let setting = tokio::spawn({
        let limiter = Arc::clone(&limiter);
        async move {
            for round in 0.. {
                sleep(Duration::from_millis(10)).await;
                limiter.set_rate(rate(bytes + beside * (round % 2)));
            }
        }
    });
    let time = Duration::from_secs(if bytes > GIB { 1 } else { 10 });
    let sent = send_for(&*limiter, u64::MAX, time).await;
    setting.abort();
    let off = off(sent, bytes, time);
    println!("{bytes} bytes per second, set every 10 ms: {off:+.3} thousandths off");
    assert!((-5.0..=0.1).contains(&off), "{off}");
}

#[rstest]
#[case(MIB, 2)]
#[case(16 * KIB, 8)]
#[case(GIB, 3)]
#[tokio::test(start_paused = true)]
async fn lanes_share_alike(#[case] bytes: u64, #[case] lanes: usize) {
    let limiter = limited(bytes);
    drain(&*limiter);
    let time = Duration::from_secs(if bytes < MIB { 60 } else { 3 });
    let sending = (0..lanes).map(|_| {
        let limiter = Arc::clone(&limiter);
        tokio::spawn(async move { send_for(&*limiter, u64::MAX, time).await })
    });
    let sent = join_all(sending.collect::<Vec<_>>()).await;
    let sent: Vec<_> = sent.into_iter().map(|sent| sent.unwrap()).collect();
    let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
    // In the last tick the first ones stop first.
    let near = brought(bytes, TICK).max(limiter.slice().unwrap());
    assert!(most - least <= near, "{sent:?}");
    assert!(off(sent.iter().sum(), bytes, time).abs() < 15.0, "{sent:?}");
}

/// Permits for gigabytes do not keep those for some bytes waiting.
#[tokio::test(start_paused = true)]
async fn a_small_permit_waits_for_a_slice_of_each_at_most() {
    let limiter = limited(MIB);
    for _ in 0..3 {
        let limiter = Arc::clone(&limiter);
        tokio::spawn(async move { limiter.permit_all(GIB).await });
    }
    sleep(Duration::from_secs(1)).await;
    for _ in 0..100 {
        let start = Instant::now();
        limiter.permit_all(10).await;
        assert!(start.elapsed() <= 4 * Duration::from_millis(5) + TICK);
    }
}

#[tokio::test(start_paused = true)]
async fn who_came_first_is_served_first() {
    let limiter = limited(100 * KIB);
    drain(&*limiter);
    let turn = AtomicU64::new(0);
    let senders = [512, 1, 300, 512, 7].map(|bytes| {
        let (limiter, turn) = (&limiter, &turn);
        async move {
            limiter.permit(bytes).await;
            turn.fetch_add(1, Ordering::Relaxed)
        }
    });
    assert_eq!(join_all(senders).await, [0, 1, 2, 3, 4]);
    // Nor does anybody overtake who asks only for what is there.
    let mut first = pin!(limiter.permit(512));
    assert_eq!(poll_immediate(&mut first).await, None);
    advance(Duration::from_millis(3)).await;
    assert!(!limiter.try_permit(1));
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_costs_the_others_nothing() {
    let limiter = limited(MIB);
    drain(&*limiter);
    let start = Instant::now();
    let slice = limiter.slice().unwrap();
    let mut given_up = Vec::new();
    for _ in 0..20 {
        let mut permit = Box::pin(limiter.permit(slice));
        assert_eq!(poll_immediate(&mut permit).await, None);
        given_up.push(permit);
    }
    let waiting = tokio::spawn({
        let limiter = Arc::clone(&limiter);
        async move { limiter.permit(slice).await }
    });
    sleep(Duration::from_millis(1)).await;
    drop(given_up);
    waiting.await.unwrap();
    assert!(
        start.elapsed() <= Duration::from_millis(5) + TICK,
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_not_polled_holds_nobody_up() {
    let limiter = limited(MIB);
    drain(&*limiter);
    let slice = limiter.slice().unwrap();
    let mut stalled = Box::pin(limiter.permit(slice));
    // Its timer wakes nobody.
    let nobody = &mut Context::from_waker(Waker::noop());
    assert!(stalled.as_mut().poll(nobody).is_pending());
    let start = Instant::now();
    let time = Duration::from_secs(1);
    let sent = send_for(&*limiter, slice, time).await;
    let off = off(sent + slice, MIB, time);
    assert!((-6.0..=0.0).contains(&off), "{off}");
    // What it had asked for is there when it comes back.
    assert_eq!(stalled.await, slice);
    assert_eq!(start.elapsed(), time);
}

#[test]
fn a_limit_is_set_from_any_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build();
    let runtime = runtime.unwrap();
    let limiter = limited(1);
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let limiter = Arc::clone(&limiter);
            runtime.spawn(async move { limiter.permit_all(GIB).await })
        })
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for bytes in 1..500 {
                    limiter.set_rate(rate(bytes));
                }
            });
        }
    });
    limiter.set_rate(None);
    runtime.block_on(join_all(waiting));
}
