//! When something happened, in RFC 3339.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike, Timelike};

/// A time of the years 0 to 9999 in UTC, to the microsecond: `2026-11-23T12:00:00.000000Z`. A time
/// that is none of these is the beginning of 1970.
pub(super) struct Stamp([u8; 27]);

impl Stamp {
    pub(super) fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
        let date = DateTime::from_timestamp(seconds, since.subsec_nanos());
        let date = date.filter(|date| date.year() <= 9999).unwrap_or_default();
        let mut bytes = *b"0000-00-00T00:00:00.000000Z";
        let year = date.year().unsigned_abs();
        for (at, number) in [
            (0..4, year),
            (5..7, date.month()),
            (8..10, date.day()),
            (11..13, date.hour()),
            (14..16, date.minute()),
            (17..19, date.second()),
            // A leap second has more than a second of nanoseconds.
            (20..26, (date.nanosecond() / 1000).min(999_999)),
        ] {
            let mut rest = number;
            for digit in bytes.get_mut(at).unwrap_or_default().iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        Self(bytes)
    }

    pub(super) fn as_str(&self) -> &str {
        // It is all digits and signs.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, 0, "1970-01-01T00:00:00.000000Z")]
    #[case(951_782_399, 999_999_999, "2000-02-28T23:59:59.999999Z")]
    #[case(951_782_400, 1_000, "2000-02-29T00:00:00.000001Z")]
    #[case(1_795_435_200, 120_000_000, "2026-11-23T12:00:00.120000Z")]
    #[case(253_402_300_799, 0, "9999-12-31T23:59:59.000000Z")]
    #[case(253_402_300_800, 0, "1970-01-01T00:00:00.000000Z")]
    #[case(i64::MAX as u64, 0, "1970-01-01T00:00:00.000000Z")]
    fn times(#[case] seconds: u64, #[case] nanos: u32, #[case] shown: &str) {
        let time = UNIX_EPOCH + Duration::new(seconds, nanos);
        assert_eq!(Stamp::of(time).as_str(), shown);
    }

    #[test]
    fn a_time_before_1970_is_shown_as_1970() {
        let time = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Stamp::of(time).as_str(), "1970-01-01T00:00:00.000000Z");
    }
}
