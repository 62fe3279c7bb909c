//! What the timetable says: the limits at a moment, and when they will be others.
//!
//! A period holds while the clocks on the wall show a time in it; nothing else counts. So a period
//! that begins in an hour that clocks skip begins when they are put forward, and one that lies in it
//! altogether does not hold on that day. A time that clocks show twice begins or ends a period twice:
//! of one that ends at 02:30, half an hour holds again after the clocks have been put back from
//! 03:00 to 02:00.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use realize_config::{Day, Rates, Throttle, TimeOfDay};

use super::local_clock::second;

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

/// How far is looked ahead. A timetable is the same every week; a clock change can make it skip one.
const AHEAD: i64 = 15 * DAY;

/// The limits at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InForce {
    /// What they are.
    pub(super) rates: Rates,
    /// The next moment at which they are others, on a whole second. `None` if there is none within
    /// fifteen days.
    pub(super) until: Option<SystemTime>,
}

/// The limits that `throttle` sets at `at`, where local time is ahead of UTC by as many seconds as
/// `offset` says of a moment, in the terms of [`LocalClock::offset`](super::LocalClock::offset).
///
/// Periods go over the plain rates in their order: of several that hold, the last one that says a
/// direction has its way there. A period that says one direction only leaves the other as it is.
/// A period over midnight belongs to the day on which it begins. That `from` and `to` differ is the
/// configuration's rule.
pub(super) fn in_force(
    throttle: &Throttle,
    at: SystemTime,
    offset: impl Fn(SystemTime) -> i32,
) -> InForce {
    let ahead = |second| i64::from(offset(moment(second)));
    let begin = second(at);
    let mut now = Shown {
        second: begin,
        offset: ahead(begin),
    };
    let rates = now.rates(throttle);
    while now.second - begin < AHEAD {
        let Some(next) = now.next(throttle, ahead) else {
            break;
        };
        if next.rates(throttle) != rates {
            let until = Some(moment(next.second));
            return InForce { rates, until };
        }
        now = next;
    }
    InForce { rates, until: None }
}

/// The beginning of a second.
fn moment(second: i64) -> SystemTime {
    let since = Duration::from_secs(u64::try_from(second).unwrap_or_default());
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

/// A second, and what clocks show then.
#[derive(Debug, Clone, Copy)]
struct Shown {
    second: i64,
    offset: i64,
}

impl Shown {
    /// The date and time of the clocks, in seconds.
    fn local(self) -> i64 {
        self.second.saturating_add(self.offset)
    }

    fn rates(self, throttle: &Throttle) -> Rates {
        let minutes = self.local().rem_euclid(DAY) / MINUTE;
        let part = |number: i64| u8::try_from(number).ok();
        let time = part(minutes / 60).zip(part(minutes % 60));
        let time = time.and_then(|(hour, minute)| TimeOfDay::new(hour, minute));
        // Clocks show no other time than one of the day.
        time.map_or(throttle.rates, |time| throttle.rates_at(self.day(), time))
    }

    fn day(self) -> Day {
        // The first day that the system counts was a Thursday.
        match self.local().div_euclid(DAY).rem_euclid(7) {
            0 => Day::Thursday,
            1 => Day::Friday,
            2 => Day::Saturday,
            3 => Day::Sunday,
            4 => Day::Monday,
            5 => Day::Tuesday,
            _ => Day::Wednesday,
        }
    }

    /// The next second, a day from here at most, at which the limits may be others: clocks show a
    /// time at which a period begins or ends, or they are changed. `None` if no period ever does.
    fn next(self, throttle: &Throttle, ahead: impl Fn(i64) -> i64) -> Option<Self> {
        let times = throttle.schedule.iter().flat_map(|p| [p.from, p.to]);
        let step = times.map(|time| self.until(time)).min()?;
        let at = |second| Self {
            second,
            offset: ahead(second),
        };
        let mut next = at(self.second.saturating_add(step));
        let mut before = self.second;
        while next.offset != self.offset && next.second - before > 1 {
            let middle = at(before + (next.second - before) / 2);
            if middle.offset == self.offset {
                before = middle.second;
            } else {
                next = middle;
            }
        }
        Some(next)
    }

    /// How many seconds it takes until clocks show `time`, unless they are changed: one to a day.
    fn until(self, time: TimeOfDay) -> i64 {
        let time = (i64::from(time.hour()) * 60 + i64::from(time.minute())) * MINUTE;
        let left = time.saturating_sub(self.local()).rem_euclid(DAY);
        if left == 0 { DAY } else { left }
    }
}

#[cfg(test)]
mod tests;
