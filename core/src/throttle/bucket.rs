//! What may be sent at one rate: governor's algorithm, on tokio's time, in cells that fit the rate.
//!
//! Governor counts cells, and the time for each in whole nanoseconds. With a byte to a cell that is
//! far off at high rates. Here a cell takes 15 microseconds or more, so that a nanosecond is less
//! than a hundredth of a percent of it. It is rounded up: a limit is never exceeded. Of a cell that
//! was begun, the rest is kept for the bytes that come next, so that small permits are counted
//! exactly.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use governor::Quota;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use tokio::time::Instant;

const SECOND: u128 = 1_000_000_000;

/// How many cells a second has at least, where the rate has as many bytes.
const CELLS: u64 = 64 * 1024;

type Governor = governor::RateLimiter<NotKeyed, InMemoryState, Elapsed, NoOpMiddleware<Nanos>>;

/// The time since a bucket was made, as tokio tells it, so that tests may pause it.
#[derive(Clone, Copy, Debug)]
struct Elapsed(Instant);

impl Clock for Elapsed {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

/// What can be sent at one rate, at once and as time goes by.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: NonZeroU64,
    cells: Cells,
    governor: Governor,
    clock: Elapsed,
    /// Bytes that the last cell taken is still good for.
    rest: u64,
}

/// How a rate is cut into cells.
#[derive(Clone, Copy, Debug)]
struct Cells {
    /// Bytes of one.
    bytes: u64,
    /// Nanoseconds until there is another.
    interval: u64,
    /// How many can be there at once.
    burst: NonZeroU32,
}

impl Cells {
    fn of(rate: NonZeroU64) -> Self {
        let bytes = rate.get().div_ceil(CELLS);
        let interval = (u128::from(bytes) * SECOND).div_ceil(u128::from(rate.get()));
        // The rest of a cell that was begun can be there besides them.
        let burst = super::burst(rate).saturating_sub(bytes - 1) / bytes;
        Self {
            bytes,
            interval: u64::try_from(interval).unwrap_or(u64::MAX),
            burst: u32::try_from(burst)
                .ok()
                .and_then(NonZeroU32::new)
                .unwrap_or(NonZeroU32::MIN),
        }
    }

    /// How long it takes until all cells are there, in nanoseconds.
    fn full(self) -> u128 {
        u128::from(self.interval) * u128::from(self.burst.get())
    }

    /// How long `bytes` take, in nanoseconds.
    fn time(self, bytes: u64) -> u128 {
        u128::from(bytes) * u128::from(self.interval) / u128::from(self.bytes)
    }
}

impl Bucket {
    /// One from which a burst can be taken at once.
    pub(super) fn full(rate: NonZeroU64) -> Self {
        Self::with_credit(rate, u128::MAX)
    }

    /// One from which nothing can be taken yet.
    pub(super) fn empty(rate: NonZeroU64) -> Self {
        Self::with_credit(rate, 0)
    }

    /// This one at another rate: the bytes that could be taken at once can be taken still, as far as
    /// the new rate's burst goes.
    pub(super) fn at(self, rate: NonZeroU64) -> Self {
        let (old, new) = (self.cells, Cells::of(rate));
        let now = self.clock.now().as_u64();
        let full_at = self.governor.into_state_store();
        let full_at = full_at.measure_and_replace(&NotKeyed::NonKey, Err::<((), _), _>);
        let full_at = full_at.err().flatten().map_or(0, |at| at.as_u64());
        let missing = u128::from(full_at.saturating_sub(now));
        let credit = old.full().saturating_sub(missing) + old.time(self.rest);
        // The same bytes at the other rate. Each factor is below 2^50, two of them below 2^40.
        let credit = credit * u128::from(old.bytes) * u128::from(new.interval)
            / (u128::from(old.interval) * u128::from(new.bytes));
        Self::with_credit(rate, credit)
    }

    /// One from which what `credit` nanoseconds bring can be taken at once.
    fn with_credit(rate: NonZeroU64, credit: u128) -> Self {
        let cells = Cells::of(rate);
        let missing = cells.full().saturating_sub(credit);
        let state = InMemoryState::default();
        // Governor knows when all cells will be there again. Nobody else has this state yet, so it
        // is replaced at once.
        let full_at = Nanos::from(u64::try_from(missing).unwrap_or(u64::MAX));
        let _: Result<(), ()> = state.measure_and_replace(&NotKeyed::NonKey, |_| Ok(((), full_at)));
        let interval = Duration::from_nanos(cells.interval.max(1));
        let quota = Quota::with_period(interval)
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(cells.burst);
        let clock = Elapsed(Instant::now());
        Self {
            rate,
            cells,
            governor: Governor::new(quota, state, clock),
            clock,
            rest: 0,
        }
    }

    pub(super) fn rate(&self) -> NonZeroU64 {
        self.rate
    }

    /// Takes `bytes`, a slice at most.
    ///
    /// # Errors
    /// When they can be taken; none has been taken now.
    pub(super) fn take(&mut self, bytes: u64) -> Result<(), Instant> {
        let cells = bytes.saturating_sub(self.rest).div_ceil(self.cells.bytes);
        if cells > 0 {
            let wanted = u32::try_from(cells).ok().and_then(NonZeroU32::new);
            match wanted.map(|wanted| self.governor.check_n(wanted)) {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(until))) => {
                    return Err(self.clock.0 + Duration::from(until.earliest_possible()));
                }
                // More than a burst, which a slice is not.
                Some(Err(_)) | None => return Err(Instant::now() + self.time(bytes)),
            }
        }
        self.rest = (self.rest + cells * self.cells.bytes).saturating_sub(bytes);
        Ok(())
    }

    /// How long `bytes` take.
    pub(super) fn time(&self, bytes: u64) -> Duration {
        Duration::from_nanos(u64::try_from(self.cells.time(bytes)).unwrap_or(u64::MAX))
    }
}
