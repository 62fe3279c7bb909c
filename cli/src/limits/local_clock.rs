//! The time as the clocks on the wall show it.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Local, Offset, TimeZone};
use realize_core::clock::{Clock, SystemClock};

/// The end of the year 9999: no zone is asked about later moments.
const LAST: i64 = 253_402_300_799;

/// Tells the time, and how far local time is from it.
pub(super) trait LocalClock: Clock {
    /// By how many seconds local time is ahead of UTC at `at`; negative where it is behind. The
    /// answer may change whenever it is asked, as the machine may be moved to another zone. Within
    /// one zone it differs at most once between two moments that are no more than a day apart.
    fn offset(&self, at: SystemTime) -> i32;
}

/// The zone is that of the variable `TZ` or of `/etc/localtime`.
impl LocalClock for SystemClock {
    fn offset(&self, at: SystemTime) -> i32 {
        let at = DateTime::from_timestamp(second(at).min(LAST), 0).unwrap_or_default();
        let offset = Local.offset_from_utc_datetime(&at.naive_utc());
        offset.fix().local_minus_utc()
    }
}

/// The second of `at`, counted as the system does. The first one for what was before.
pub(super) fn second(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_moment_is_too_far_for_the_machine() {
        let ends = [UNIX_EPOCH - Duration::from_secs(1 << 40), UNIX_EPOCH];
        let far = UNIX_EPOCH + Duration::from_secs(1 << 62);
        for at in ends.into_iter().chain([far, SystemClock.now()]) {
            assert!(SystemClock.offset(at).abs() < 24 * 60 * 60, "{at:?}");
        }
    }
}
