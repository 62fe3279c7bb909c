//! The limit that the programs use: a bucket, and those who wait for it, in order.
//!
//! Whoever waits has an entry in the queue and a timer. That of the first goes off when there is
//! something for it; it grants what there is to all, in order, and wakes them. No lock and no turn
//! is held across an await: if the first does not do it, because it is not polled, the next does. So
//! a sender that has stopped polling costs the others nothing but the bytes that it had asked for.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::num::NonZeroU64;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, Sleep, sleep_until};

use super::bucket::Bucket;
use super::{MIN_RATE, Throttle};

/// How long after its turn one that is not first sees to it itself. Before that it is woken, in
/// order, by the first: timers that fall due together would go off in any order.
const GRACE: Duration = Duration::from_millis(2);

/// A [`Throttle`] for rates from some bytes to some gigabytes a second. Waiting needs tokio's timer.
#[derive(Debug)]
pub struct RateLimiter {
    /// The rate of the bucket, zero where there is none: what those who are not limited look at.
    rate: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bucket: Option<Bucket>,
    queue: VecDeque<Waiting>,
    /// The number given last; none is zero.
    last: u64,
    /// The one whose timer has the time of its turn.
    first: u64,
    /// Those to wake when the lock is free again.
    woken: Vec<Waker>,
}

/// A permit that is being waited for, or was granted and not picked up yet.
#[derive(Debug)]
struct Waiting {
    number: u64,
    bytes: u64,
    granted: Option<u64>,
    waker: Option<Waker>,
}

/// Has everything run that is ready to, in its order: tokio's own yielding turns that round.
async fn let_others_run() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A place in the queue, which is left when it is dropped.
struct Place<'a> {
    limiter: &'a RateLimiter,
    number: u64,
}

impl RateLimiter {
    /// A limiter of `rate` bytes per second; without one, everything passes.
    pub fn new(rate: Option<NonZeroU64>) -> Self {
        let rate = rate.map(|rate| rate.max(MIN_RATE));
        Self {
            rate: AtomicU64::new(rate.map_or(0, NonZeroU64::get)),
            state: Mutex::new(State {
                bucket: rate.map(Bucket::full),
                ..State::default()
            }),
        }
    }

    /// Works on the state, and wakes those that have to look at it again.
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // No change of it stops halfway, so it is sound even if a holder panicked.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = work(&mut state);
        let woken = std::mem::take(&mut state.woken);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        answer
    }
}

#[async_trait]
impl Throttle for RateLimiter {
    fn try_permit(&self, bytes: u64) -> bool {
        self.rate().is_none_or(|rate| {
            bytes <= super::slice(rate) && self.with(|state| state.take_now(bytes))
        })
    }

    async fn permit(&self, bytes: u64) -> u64 {
        if bytes == 0 || self.try_permit(bytes) {
            return bytes;
        }
        let (number, overtakes) = self.with(|state| state.enter(bytes));
        let place = Place {
            limiter: self,
            number,
        };
        if overtakes {
            let_others_run().await;
        }
        let mut timer = pin!(sleep_until(Instant::now()));
        poll_fn(|context| place.poll(context, timer.as_mut())).await
    }

    fn rate(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.rate.load(Ordering::Relaxed))
    }

    fn set_rate(&self, rate: Option<NonZeroU64>) {
        let rate = rate.map(|rate| rate.max(MIN_RATE));
        self.with(|state| {
            state.set_rate(rate);
            self.rate
                .store(rate.map_or(0, NonZeroU64::get), Ordering::Relaxed);
        });
    }
}

impl State {
    /// Takes `bytes`, a slice at most, if they are there and nobody else is in the queue.
    fn take_now(&mut self, bytes: u64) -> bool {
        self.grant();
        if !self.queue.is_empty() {
            return false;
        }
        let fits = |bucket: &Bucket| bytes <= super::slice(bucket.rate());
        let bucket = self.bucket.as_mut();
        bucket.is_none_or(|bucket| fits(bucket) && bucket.take(bytes).is_ok())
    }

    /// A place at the end of the queue. And whether others should run first: they were granted
    /// something and have not picked it up, so that they are not back in the queue yet. At high
    /// rates a timer brings many slices at once. Without this, whoever runs first had them all.
    fn enter(&mut self, bytes: u64) -> (u64, bool) {
        let overtakes = self.queue.iter().any(|w| w.granted.is_some());
        self.last = self.last.wrapping_add(1);
        let number = self.last;
        self.queue.push_back(Waiting {
            number,
            bytes,
            granted: None,
            waker: None,
        });
        (number, overtakes)
    }

    /// Grants what there is, in order. Says when there is something for the first of those that
    /// still wait; `None` if nobody does.
    fn grant(&mut self) -> Option<Instant> {
        for waiting in self.queue.iter_mut().filter(|w| w.granted.is_none()) {
            let mut bytes = waiting.bytes;
            if let Some(bucket) = &mut self.bucket {
                bytes = bytes.min(super::slice(bucket.rate()));
                if let Err(until) = bucket.take(bytes) {
                    if self.first != waiting.number {
                        self.first = waiting.number;
                        self.woken.extend(waiting.waker.take());
                    }
                    return Some(until);
                }
            }
            waiting.granted = Some(bytes);
            self.woken.extend(waiting.waker.take());
        }
        None
    }

    /// What has been granted to `number`.
    ///
    /// # Errors
    /// When its turn comes, if it has to wait.
    fn look(&mut self, number: u64, waker: &Waker) -> Result<u64, Instant> {
        if let Some(waiting) = self.queue.iter_mut().find(|w| w.number == number) {
            // It is running: if it is granted now, there is nobody to wake.
            waiting.waker = None;
        }
        let mut turn = self.grant().unwrap_or_else(Instant::now);
        let bucket = self.bucket.as_ref();
        let slice = bucket.map_or(u64::MAX, |bucket| super::slice(bucket.rate()));
        let mut ahead = 0;
        for waiting in &mut self.queue {
            match waiting.granted {
                Some(granted) if waiting.number == number => return Ok(granted),
                Some(_) => continue,
                None => {}
            }
            // The first one's turn is known; each comes after those before it.
            if ahead > 0 {
                let time = bucket.map(|bucket| bucket.time(waiting.bytes.min(slice)));
                turn += time.unwrap_or_default();
            }
            if waiting.number == number {
                waiting.waker = Some(waker.clone());
                return Err(if ahead > 0 { turn + GRACE } else { turn });
            }
            ahead += 1;
        }
        Ok(0)
    }

    /// Gives up the place of `number`.
    fn leave(&mut self, number: u64) {
        let at = self.queue.iter().position(|w| w.number == number);
        let left = at.and_then(|at| self.queue.remove(at));
        if left.is_some_and(|left| left.granted.is_none()) {
            self.wake_all();
        }
    }

    fn set_rate(&mut self, rate: Option<NonZeroU64>) {
        self.bucket = match (self.bucket.take(), rate) {
            (Some(bucket), Some(rate)) if bucket.rate() == rate => Some(bucket),
            (Some(bucket), Some(rate)) => Some(bucket.at(rate)),
            // What was sent without a limit was a burst enough.
            (None, Some(rate)) => Some(Bucket::empty(rate)),
            (_, None) => None,
        };
        self.wake_all();
    }

    /// Has those who wait look when their turn comes.
    fn wake_all(&mut self) {
        self.grant();
        let wakers = self.queue.iter_mut().filter_map(|w| w.waker.take());
        self.woken.extend(wakers);
    }
}

impl Place<'_> {
    /// Ready when something has been granted. The timer goes off when it is this one's turn.
    fn poll(&self, context: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<u64> {
        loop {
            let waker = context.waker();
            match self.limiter.with(|state| state.look(self.number, waker)) {
                Ok(granted) => return Poll::Ready(granted),
                Err(turn) => timer.as_mut().reset(turn),
            }
            ready!(timer.as_mut().poll(context));
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.limiter.with(|state| state.leave(self.number));
    }
}
