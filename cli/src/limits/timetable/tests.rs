use std::num::NonZeroU64;

use chrono_tz::{OffsetComponents, Tz};
use proptest::prelude::*;
use realize_config::{Days, Period};
use rstest::rstest;

use super::*;

const WEEK: [Day; 7] = [
    Day::Monday,
    Day::Tuesday,
    Day::Wednesday,
    Day::Thursday,
    Day::Friday,
    Day::Saturday,
    Day::Sunday,
];

fn rates(up: Option<u64>, down: Option<u64>) -> Rates {
    Rates {
        up: up.and_then(NonZeroU64::new),
        down: down.and_then(NonZeroU64::new),
    }
}

fn time(text: &str) -> TimeOfDay {
    let (hour, minute) = text.split_once(':').unwrap();
    TimeOfDay::new(hour.parse().unwrap(), minute.parse().unwrap()).unwrap()
}

/// A period that lets 2 up, of every day.
fn period(from: &str, to: &str) -> Period {
    Period {
        from: time(from),
        to: time(to),
        days: Days::ALL,
        rates: rates(Some(2), None),
    }
}

/// 1 up where no period says more.
fn throttle(schedule: Vec<Period>) -> Throttle {
    Throttle {
        rates: rates(Some(1), None),
        schedule,
    }
}

/// The moment that is written as `YYYY-MM-DDTHH:MM:SSZ`.
fn utc(text: &str) -> SystemTime {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().into()
}

fn offset_in(zone: Tz) -> impl Fn(SystemTime) -> i32 + Copy {
    move |at| {
        let at = chrono::DateTime::from_timestamp(second(at), 0).unwrap();
        let offset = chrono::TimeZone::offset_from_utc_datetime(&zone, &at.naive_utc());
        let ahead = offset.base_utc_offset() + offset.dst_offset();
        i32::try_from(ahead.num_seconds()).unwrap()
    }
}

/// The changes after `at`, up to `end`: when, and what is let up then.
fn changes(throttle: &Throttle, zone: Tz, at: &str, end: &str) -> Vec<(SystemTime, u64)> {
    let mut found = Vec::new();
    let mut now = in_force(throttle, utc(at), offset_in(zone));
    while let Some(until) = now.until.filter(|until| *until < utc(end)) {
        now = in_force(throttle, until, offset_in(zone));
        found.push((until, now.rates.up.unwrap().get()));
    }
    found
}

#[rstest]
#[case::over_midnight(
    period("23:00", "07:00"),
    ("2026-07-01T00:00:00Z", "2026-07-03T00:00:00Z"),
    &[("2026-07-01T05:00:00Z", 1), ("2026-07-01T21:00:00Z", 2),
      ("2026-07-02T05:00:00Z", 1), ("2026-07-02T21:00:00Z", 2)],
)]
#[case::to_midnight(
    period("23:00", "00:00"),
    ("2026-07-01T12:00:00Z", "2026-07-02T12:00:00Z"),
    &[("2026-07-01T21:00:00Z", 2), ("2026-07-01T22:00:00Z", 1)],
)]
#[case::begins_in_the_hour_that_is_skipped(
    period("02:30", "05:00"),
    ("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"),
    &[("2026-03-29T01:00:00Z", 2), ("2026-03-29T03:00:00Z", 1)],
)]
#[case::ends_in_the_hour_that_is_skipped(
    period("01:00", "02:30"),
    ("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"),
    &[("2026-03-29T00:00:00Z", 2), ("2026-03-29T01:00:00Z", 1)],
)]
#[case::lies_in_the_hour_that_is_skipped(
    period("02:15", "02:45"),
    ("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"),
    &[("2026-03-30T00:15:00Z", 2), ("2026-03-30T00:45:00Z", 1)],
)]
#[case::over_the_hour_that_is_skipped(
    period("23:00", "07:00"),
    ("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"),
    &[("2026-03-28T22:00:00Z", 2), ("2026-03-29T05:00:00Z", 1)],
)]
#[case::begins_in_the_hour_that_comes_twice(
    period("02:30", "05:00"),
    ("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"),
    &[("2026-10-25T00:30:00Z", 2), ("2026-10-25T01:00:00Z", 1),
      ("2026-10-25T01:30:00Z", 2), ("2026-10-25T04:00:00Z", 1)],
)]
#[case::ends_in_the_hour_that_comes_twice(
    period("01:00", "02:30"),
    ("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"),
    &[("2026-10-24T23:00:00Z", 2), ("2026-10-25T00:30:00Z", 1),
      ("2026-10-25T01:00:00Z", 2), ("2026-10-25T01:30:00Z", 1)],
)]
#[case::over_the_hour_that_comes_twice(
    period("23:00", "07:00"),
    ("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"),
    &[("2026-10-24T21:00:00Z", 2), ("2026-10-25T06:00:00Z", 1)],
)]
#[case::begins_on_a_saturday(
    Period { days: [Day::Saturday].into_iter().collect(), ..period("23:00", "07:00") },
    ("2026-07-01T00:00:00Z", "2026-07-15T00:00:00Z"),
    &[("2026-07-04T21:00:00Z", 2), ("2026-07-05T05:00:00Z", 1),
      ("2026-07-11T21:00:00Z", 2), ("2026-07-12T05:00:00Z", 1)],
)]
#[case::skipped_for_a_week(
    Period { days: [Day::Sunday].into_iter().collect(), ..period("02:15", "02:45") },
    ("2026-03-22T12:00:00Z", "2026-04-05T12:00:00Z"),
    &[("2026-04-05T00:15:00Z", 2), ("2026-04-05T00:45:00Z", 1)],
)]
fn a_period_holds_while_clocks_show_it(
    #[case] period: Period,
    #[case] (at, end): (&str, &str),
    #[case] expected: &[(&str, u64)],
) {
    let throttle = throttle(vec![period]);
    let expected: Vec<_> = expected.iter().map(|(at, up)| (utc(at), *up)).collect();
    assert_eq!(changes(&throttle, Tz::Europe__Berlin, at, end), expected);
}

#[test]
fn the_last_that_says_a_direction_has_its_way() {
    let late = Period {
        rates: rates(None, Some(3)),
        ..period("22:00", "23:00")
    };
    let throttle = throttle(vec![
        period("20:00", "06:00"),
        late,
        Period {
            rates: rates(Some(4), Some(5)),
            ..period("22:30", "22:45")
        },
    ]);
    let at = |text| in_force(&throttle, utc(text), |_| 0).rates;
    assert_eq!(at("2026-07-01T19:59:59Z"), rates(Some(1), None));
    assert_eq!(at("2026-07-01T20:00:00Z"), rates(Some(2), None));
    assert_eq!(at("2026-07-01T22:00:00Z"), rates(Some(2), Some(3)));
    assert_eq!(at("2026-07-01T22:30:00Z"), rates(Some(4), Some(5)));
    assert_eq!(at("2026-07-01T22:45:00Z"), rates(Some(2), Some(3)));
}

#[rstest]
#[case::no_periods(Vec::new())]
#[case::the_same_all_day(vec![period("00:00", "12:00"), period("12:00", "00:00")])]
#[case::what_holds_anyway(vec![Period { rates: rates(Some(1), None), ..period("07:00", "09:00") }])]
fn without_a_change_there_is_no_next_one(#[case] schedule: Vec<Period>) {
    let throttle = throttle(schedule);
    let now = in_force(&throttle, utc("2026-07-01T07:30:00Z"), |_| 3600);
    assert_eq!(now.until, None);
}

/// Days are those of the zone, and its clocks need not go by hours.
#[rstest]
#[case::half_an_hour_skipped(
    Tz::Australia__Lord_Howe,
    period("02:15", "02:20"),
    ("2026-10-03T00:00:00Z", "2026-10-04T12:00:00Z"),
    &[],
)]
#[case::a_date_skipped(
    Tz::Pacific__Apia,
    Period { days: [Day::Friday].into_iter().collect(), ..period("08:00", "09:00") },
    ("2011-12-27T00:00:00Z", "2012-01-06T12:00:00Z"),
    &[("2012-01-05T18:00:00Z", 2), ("2012-01-05T19:00:00Z", 1)],
)]
#[case::midnight_skipped(
    Tz::America__Santiago,
    period("00:00", "06:00"),
    ("2026-09-05T12:00:00Z", "2026-09-06T12:00:00Z"),
    &[("2026-09-06T04:00:00Z", 2), ("2026-09-06T09:00:00Z", 1)],
)]
fn zones_differ(
    #[case] zone: Tz,
    #[case] period: Period,
    #[case] (at, end): (&str, &str),
    #[case] expected: &[(&str, u64)],
) {
    let expected: Vec<_> = expected.iter().map(|(at, up)| (utc(at), *up)).collect();
    assert_eq!(changes(&throttle(vec![period]), zone, at, end), expected);
}

fn any_time() -> impl Strategy<Value = TimeOfDay> {
    // Often a time around a clock change.
    let hour = prop_oneof![0..24u8, 0..4u8];
    (hour, prop_oneof![0..60u8, Just(0), Just(30)])
        .prop_map(|(hour, minute)| TimeOfDay::new(hour, minute).unwrap())
}

fn any_period() -> impl Strategy<Value = Period> {
    let limit = || proptest::option::of(2..4u64);
    let days = proptest::sample::subsequence(WEEK.to_vec(), 1..=7);
    (any_time(), any_time(), days, limit(), limit())
        .prop_filter("a period has a length", |(from, to, ..)| from != to)
        .prop_map(|(from, to, days, up, down)| Period {
            from,
            to,
            days: days.into_iter().collect(),
            rates: rates(up, down),
        })
}

/// A zone, and a day on which its clocks are changed.
fn any_zone() -> impl Strategy<Value = (Tz, SystemTime)> {
    let zone = |zone, around: &str| (zone, utc(around));
    proptest::sample::select(vec![
        zone(Tz::UTC, "2026-03-29T01:00:00Z"),
        zone(Tz::Europe__Berlin, "2026-03-29T01:00:00Z"),
        zone(Tz::Europe__Berlin, "2026-10-25T01:00:00Z"),
        zone(Tz::America__New_York, "2026-03-08T07:00:00Z"),
        zone(Tz::America__New_York, "2026-11-01T06:00:00Z"),
        zone(Tz::America__Santiago, "2026-09-06T04:00:00Z"),
        zone(Tz::Australia__Lord_Howe, "2026-04-04T15:00:00Z"),
        zone(Tz::Australia__Lord_Howe, "2026-10-03T15:30:00Z"),
        zone(Tz::Pacific__Apia, "2011-12-30T10:00:00Z"),
    ])
}

proptest! {
    /// Nothing changes before the next change, and then something does.
    #[test]
    fn the_next_change_is_the_next(
        schedule in proptest::collection::vec(any_period(), 0..5),
        (zone, around) in any_zone(),
        before in 0..3 * DAY,
    ) {
        let throttle = throttle(schedule);
        let zone = offset_in(zone);
        let at = |second| in_force(&throttle, moment(second), zone).rates;
        let begin = second(around) + DAY - before;
        let now = in_force(&throttle, moment(begin), zone);
        let end = now.until.map(second);
        if let Some(end) = end {
            prop_assert!(end > begin);
            prop_assert_ne!(at(end), now.rates);
            prop_assert_eq!(at(end - 1), now.rates);
        }
        let mut minute = begin;
        while minute < end.unwrap_or(i64::MAX).min(begin + 4 * DAY) {
            // What clocks show then, by the other way to say it.
            let shown = Shown { second: minute, offset: i64::from(zone(moment(minute))) };
            prop_assert_eq!(shown.rates(&throttle), now.rates, "at {}", minute);
            minute += MINUTE - shown.local().rem_euclid(MINUTE);
        }
    }

    /// The day and the time are those that chrono says.
    #[test]
    fn clocks_show_the_day_and_the_time(second in 0..4_000_000_000i64, offset in -50_000..50_000i64) {
        use chrono::{Datelike, Timelike};
        let shown = Shown { second, offset };
        let date = chrono::DateTime::from_timestamp(second + offset, 0).unwrap();
        let day = WEEK[date.weekday().num_days_from_monday() as usize];
        prop_assert_eq!(shown.day(), day);
        let time = TimeOfDay::new(date.hour() as u8, date.minute() as u8).unwrap();
        let seconds = i64::from(date.second());
        prop_assert_eq!(shown.until(time), DAY - seconds);
        let throttle = throttle(vec![Period {
            days: [day].into_iter().collect(),
            to: TimeOfDay::new((time.hour() + 1) % 24, time.minute()).unwrap(),
            from: time,
            rates: rates(Some(2), None),
        }]);
        prop_assert_eq!(shown.rates(&throttle).up, NonZeroU64::new(2));
    }
}
