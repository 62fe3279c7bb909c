//! Limits on how fast bytes are sent.
//!
//! A [`Throttle`] is one limit on one direction: of a session, of a peer, of the whole program. All
//! who are under it share it. [`RateLimiter`] is the one that the programs use. [`Throttles`] are
//! those that bytes have to pass one after the other, and a [`RateLimitStream`] holds a connection's
//! stream to them: what it wraps knows nothing of limits. Which limits there are, and when they
//! change, is decided elsewhere.

mod bucket;
mod gate;
mod limiter;
mod stream;
#[cfg(test)]
mod tests;

use std::num::NonZeroU64;

use async_trait::async_trait;

pub use gate::Throttles;
pub use limiter::RateLimiter;
pub use stream::RateLimitStream;

/// The lowest limit, in bytes per second: with less, those who wait for their turn would count as
/// gone. One that is lower counts as this one.
pub const MIN_RATE: NonZeroU64 = match NonZeroU64::new(1024) {
    Some(rate) => rate,
    None => NonZeroU64::MIN,
};

/// The shortest and the longest slice, in bytes.
const SLICES: (u64, u64) = (512, 64 * 1024);

/// A limit on how many bytes a second pass in one direction, shared by all who hold it.
///
/// Whoever sends takes a permit for the bytes first and sends when it has it. Permits are granted in
/// the order in which they were asked for, a [`slice`](Self::slice) at most each, so that nobody
/// keeps the others waiting for long.
///
/// The limit may be set, changed and lifted while bytes flow, from any thread. It holds from then
/// on, for those too who wait already. A change grants no burst: what could be sent at once before,
/// and no more, can be sent at once after it.
#[async_trait]
pub trait Throttle: Send + Sync + std::fmt::Debug {
    /// Takes a permit for `bytes`, if there is no limit or it is to be had at once and nobody waits
    /// for one. False for more than a slice too; nothing has been taken then. Where there is no
    /// limit, it costs next to nothing.
    fn try_permit(&self, bytes: u64) -> bool;

    /// Waits until some of `bytes` may be sent, and says how many: all, or a slice if that is less.
    /// None only for none. Cancel safe: a future that is dropped no longer waits and has taken
    /// nothing, and those behind it move up; one that was granted and is dropped unread has taken
    /// its slice. A future that is kept but not polled holds nobody up.
    async fn permit(&self, bytes: u64) -> u64;

    /// Waits until all of `bytes` may be sent, any number of them. When the future is dropped, what
    /// was granted by then has been taken.
    async fn permit_all(&self, bytes: u64) {
        let mut left = bytes;
        while left > 0 {
            left = left.saturating_sub(self.permit(left).await);
        }
    }

    /// The limit in force, in bytes per second; `None` where there is none.
    fn rate(&self) -> Option<NonZeroU64>;

    /// Sets the limit, in bytes per second; `None` lifts it, and all who wait are let through.
    fn set_rate(&self, rate: Option<NonZeroU64>);

    /// The most that is granted at a time, so that those who share the limit take turns: about 5 ms
    /// of the rate in force, from 512 bytes to 64 KiB. `None` where there is no limit.
    fn slice(&self) -> Option<u64> {
        self.rate().map(slice)
    }
}

/// The slice at `rate`.
fn slice(rate: NonZeroU64) -> u64 {
    let (shortest, longest) = SLICES;
    (rate.get() / 200).clamp(shortest, longest)
}

/// How many bytes may be sent at once after a pause, at `rate`: two slices, or 10 ms of the rate if
/// that is more. Less, and what a timer is late could not be made up for.
fn burst(rate: NonZeroU64) -> u64 {
    (rate.get() / 100).max(2 * slice(rate))
}
