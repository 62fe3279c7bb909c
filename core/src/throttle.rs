//! Limits on how fast bytes are sent.

use std::num::NonZeroU64;

use async_trait::async_trait;

/// A limit on how many bytes a second pass in one direction, shared by all who hold it.
///
/// Whoever sends takes a permit for the bytes first and sends when it has it. The limit may be set,
/// changed and lifted while bytes flow; a change grants no burst beyond the one that the limit
/// allows by itself.
#[async_trait]
pub trait Throttle: Send + Sync + std::fmt::Debug {
    /// Waits until `bytes` more may be sent. Any number is allowed, above the burst too. Cancel
    /// safe: a future that is dropped has taken nothing, or what it took is lost to the sender's
    /// disadvantage only.
    async fn permit(&self, bytes: u64);

    /// The limit in force, in bytes per second; `None` where there is none.
    fn rate(&self) -> Option<NonZeroU64>;

    /// Sets the limit, in bytes per second; `None` lifts it.
    fn set_rate(&self, rate: Option<NonZeroU64>);
}
