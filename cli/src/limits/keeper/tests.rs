use std::future::Future;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use realize_config::{Days, Period, TimeOfDay};
use realize_core::clock::Clock;
use tokio::time::{Instant, advance};
use tokio_util::task::AbortOnDropHandle;

use super::*;

/// Goes with tokio's time, from a beginning that can be moved, in a zone that can be changed.
#[derive(Debug)]
struct SetClock {
    start: Instant,
    /// What it shows at the start, in seconds.
    begin: AtomicI64,
    offset: AtomicI64,
}

impl SetClock {
    /// One that shows `hour` in UTC.
    fn at(hour: i64) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            begin: AtomicI64::new(hour * 3600),
            offset: AtomicI64::new(0),
        })
    }

    fn shift(&self, hours: i64) {
        self.begin.fetch_add(hours * 3600, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> SystemTime {
        let begin = u64::try_from(self.begin.load(Ordering::Relaxed)).unwrap();
        SystemTime::UNIX_EPOCH + Duration::from_secs(begin) + self.start.elapsed()
    }
}

impl LocalClock for SetClock {
    fn offset(&self, _: SystemTime) -> i32 {
        i32::try_from(self.offset.load(Ordering::Relaxed)).unwrap()
    }
}

fn rates(up: u64) -> Rates {
    Rates {
        up: NonZeroU64::new(up),
        down: None,
    }
}

/// 2 from nine to five, otherwise 1.
fn throttle() -> Throttle {
    let period = Period {
        from: TimeOfDay::new(9, 0).unwrap(),
        to: TimeOfDay::new(17, 0).unwrap(),
        days: Days::ALL,
        rates: rates(2),
    };
    Throttle {
        rates: rates(1),
        schedule: vec![period],
    }
}

/// A call: how long after the start, and with which limit.
type Called = Arc<Mutex<Vec<(Duration, u64)>>>;

/// Keeps to the timetable until it is dropped.
fn keeping(clock: &Arc<SetClock>) -> (AbortOnDropHandle<Infallible>, Called) {
    let called = Called::default();
    let (clock, into) = (Arc::clone(clock), Arc::clone(&called));
    let task = tokio::spawn(async move {
        let start = clock.start;
        let set = |rates: Rates| {
            let up = rates.up.unwrap().get();
            into.lock().unwrap().push((start.elapsed(), up));
        };
        keep(&throttle(), &*clock, set).await
    });
    (AbortOnDropHandle::new(task), called)
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

fn nearly(called: &Called, expected: &[(Duration, u64)]) {
    let called = called.lock().unwrap();
    let limits = |calls: &[(Duration, u64)]| calls.iter().map(|(_, up)| *up).collect::<Vec<_>>();
    assert_eq!(limits(&called), limits(expected), "{called:?}");
    for ((at, _), (expected, _)) in called.iter().zip(expected) {
        let late = at.checked_sub(*expected);
        let is_soon = late.is_some_and(|late| late <= Duration::from_millis(2));
        assert!(is_soon, "{called:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_calls_at_once_and_at_every_change() {
    let (_keeping, called) = keeping(&SetClock::at(8));
    tokio::time::sleep(hours(26)).await;
    nearly(
        &called,
        &[(hours(0), 1), (hours(1), 2), (hours(9), 1), (hours(25), 2)],
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_is_noticed_within_a_minute() {
    let clock = SetClock::at(4);
    let (_keeping, called) = keeping(&clock);
    tokio::time::sleep(hours(1)).await;
    // Suspended for six hours: tokio's time stood still.
    clock.shift(6);
    tokio::time::sleep(LONGEST * 2).await;
    clock.shift(-6);
    tokio::time::sleep(LONGEST * 2).await;
    let called = called.lock().unwrap();
    assert_eq!(called.iter().map(|c| c.1).collect::<Vec<_>>(), [1, 2, 1]);
    let late = Duration::from_millis(100);
    assert!(called[1].0 <= hours(1) + LONGEST + late, "{called:?}");
    assert!(called[2].0 <= hours(1) + LONGEST * 3 + late, "{called:?}");
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_is_set_is_noticed_within_a_minute() {
    let clock = SetClock::at(8);
    let (_keeping, called) = keeping(&clock);
    tokio::time::sleep(LONGEST).await;
    clock.offset.store(2 * 3600, Ordering::Relaxed);
    tokio::time::sleep(LONGEST * 2).await;
    assert_eq!(called.lock().unwrap().last().unwrap().1, 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_set_stays_when_it_is_dropped() {
    let clock = SetClock::at(8);
    let up = std::cell::Cell::new(None);
    let throttle = throttle();
    let mut keeping = Box::pin(keep(&throttle, &*clock, |rates| up.set(rates.up)));
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    assert!(keeping.as_mut().poll(&mut context).is_pending());
    assert_eq!(up.get(), NonZeroU64::new(1));
    drop(keeping);
    advance(hours(2)).await;
    assert_eq!(up.get(), NonZeroU64::new(1));
}
