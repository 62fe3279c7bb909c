//! A time of day.

use std::fmt;

use super::FromText;

/// A time of day in local time, to the minute: 00:00 to 23:59.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    hour: u8,
    minute: u8,
}

impl TimeOfDay {
    /// `minute` minutes after `hour`; `None` if no clock shows that.
    pub fn new(hour: u8, minute: u8) -> Option<Self> {
        (hour < 24 && minute < 60).then_some(Self { hour, minute })
    }

    /// The hour, 0 to 23.
    pub fn hour(self) -> u8 {
        self.hour
    }

    /// The minute, 0 to 59.
    pub fn minute(self) -> u8 {
        self.minute
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl FromText for TimeOfDay {
    fn expected() -> String {
        r#"a time from "00:00" to "23:59""#.to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let number = |digits: &str| {
            let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| plain)
        };
        text.split_once(':')
            .and_then(|(hour, minute)| Self::new(number(hour)?, number(minute)?))
            .ok_or_else(String::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("00:00")]
    #[case("07:05")]
    #[case("23:59")]
    fn times(#[case] text: &str) {
        assert_eq!(TimeOfDay::from_text(text).unwrap().to_string(), text);
    }

    #[rstest]
    #[case("")]
    #[case("7:00")]
    #[case("24:00")]
    #[case("12:60")]
    #[case("+7:00")]
    #[case("12:00:00")]
    #[case("noon")]
    #[case("é7:00")]
    fn no_times(#[case] text: &str) {
        assert_eq!(TimeOfDay::from_text(text), Err(String::new()));
    }
}
