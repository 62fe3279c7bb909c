//! Days of the week.

use super::{FromText, did_you_mean};
use crate::nearest::listed;

choice! {
    /// A day of the week.
    #[derive(Hash, PartialOrd, Ord)]
    Day {
        /// Monday.
        Monday = "mon",
        /// Tuesday.
        Tuesday = "tue",
        /// Wednesday.
        Wednesday = "wed",
        /// Thursday.
        Thursday = "thu",
        /// Friday.
        Friday = "fri",
        /// Saturday.
        Saturday = "sat",
        /// Sunday.
        Sunday = "sun",
    }
}

impl Day {
    /// The day before.
    #[must_use]
    pub fn before(self) -> Self {
        match self {
            Self::Monday => Self::Sunday,
            Self::Tuesday => Self::Monday,
            Self::Wednesday => Self::Tuesday,
            Self::Thursday => Self::Wednesday,
            Self::Friday => Self::Thursday,
            Self::Saturday => Self::Friday,
            Self::Sunday => Self::Saturday,
        }
    }
}

/// Some days of the week, in no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Days(u8);

impl Days {
    /// All seven.
    pub const ALL: Self = Self(0x7f);

    /// Whether `day` is one of them.
    pub fn contains(self, day: Day) -> bool {
        self.0 & bit(day) != 0
    }
}

impl FromIterator<Day> for Days {
    fn from_iter<I: IntoIterator<Item = Day>>(days: I) -> Self {
        Self(days.into_iter().fold(0, |days, day| days | bit(day)))
    }
}

fn bit(day: Day) -> u8 {
    1 << day as u8
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_set_has_what_it_was_made_of() {
        assert_eq!(Days::ALL, WEEK.into_iter().collect());
        let ends: Days = [Day::Sunday, Day::Saturday, Day::Sunday]
            .into_iter()
            .collect();
        for day in WEEK {
            assert!(Days::ALL.contains(day));
            let ends_week = matches!(day, Day::Saturday | Day::Sunday);
            assert_eq!(ends.contains(day), ends_week, "{day:?}");
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        for (day, next) in WEEK.into_iter().zip(WEEK.into_iter().cycle().skip(1)) {
            assert_eq!(next.before(), day);
        }
    }
}
