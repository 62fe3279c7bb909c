//! Numbers in a transport's table: whole, within a range, and refused with that range.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use crate::registry::TransportOption;

/// What an option that is a number may be.
pub trait Range {
    /// The option's key.
    const NAME: &'static str;
    /// The smallest.
    const MIN: u64;
    /// The largest; 2^63 - 1 is the largest that TOML has.
    const MAX: u64;
    /// What holds where nothing is said.
    const DEFAULT: u64;
    /// What is counted: `bytes`, `seconds`.
    const UNIT: &'static str;
    /// What the option is, for people.
    const WHAT: &'static str;
}

/// A number of the range `R`. In a table it is an integer; anything else is an error that says the
/// range and the unit.
pub struct Number<R>(u64, PhantomData<fn() -> R>);

impl<R: Range> Number<R> {
    /// The number; `None` outside the range.
    pub fn new(number: u64) -> Option<Self> {
        (R::MIN..=R::MAX)
            .contains(&number)
            .then_some(Self(number, PhantomData))
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The number as a count: at least 1, at most what the machine can count to.
    pub fn count(self) -> NonZeroUsize {
        let count = usize::try_from(self.0).unwrap_or(usize::MAX);
        NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
    }

    /// The option, for people.
    pub fn option() -> TransportOption {
        TransportOption {
            name: R::NAME,
            default: R::DEFAULT.to_string(),
            what: format!("{}, {} to {} {}", R::WHAT, R::MIN, R::MAX, R::UNIT),
        }
    }
}

impl<R: Range> Default for Number<R> {
    fn default() -> Self {
        Self(R::DEFAULT, PhantomData)
    }
}

impl<R> Clone for Number<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Number<R> {}

impl<R> PartialEq for Number<R> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<R> Eq for Number<R> {}

impl<R> fmt::Debug for Number<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

struct NumberVisitor<R>(PhantomData<R>);

impl<R: Range> Visitor<'_> for NumberVisitor<R> {
    type Value = Number<R>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an integer of {} to {} {}", R::MIN, R::MAX, R::UNIT)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Number<R>, E> {
        let number = u64::try_from(value).ok().and_then(Number::new);
        number.ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Number<R>, E> {
        Number::new(value).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
    }
}

impl<'de, R: Range> Deserialize<'de> for Number<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(NumberVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::registry::{TableError, TransportTable};

    struct Eggs;

    impl Range for Eggs {
        const NAME: &'static str = "eggs";
        const MIN: u64 = 1;
        const MAX: u64 = 16;
        const DEFAULT: u64 = 6;
        const UNIT: &'static str = "eggs";
        const WHAT: &'static str = "how many for breakfast";
    }

    #[derive(Default, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Options {
        eggs: Number<Eggs>,
    }

    fn options(line: &str) -> Result<u64, (TableError, String)> {
        let text = format!("[transports.hen]\n{line}\n");
        let table = TransportTable::find(&text, "hen").unwrap();
        let parsed = table.parse::<Options>();
        parsed.map(|o| o.eggs.get()).map_err(|error| {
            let place = text[error.span.clone().unwrap()].to_owned();
            (error, place)
        })
    }

    #[rstest]
    #[case("", 6)]
    #[case("eggs = 1", 1)]
    #[case("eggs = 16", 16)]
    fn what_is_within_the_range_is_taken(#[case] line: &str, #[case] eggs: u64) {
        assert_eq!(options(line).unwrap(), eggs);
    }

    #[rstest]
    #[case("0")]
    #[case("17")]
    #[case("-1")]
    #[case("9223372036854775808")]
    #[case("\"2\"")]
    #[case("1.5")]
    fn what_is_not_is_refused_with_the_range(#[case] value: &str) {
        let (error, place) = options(&format!("eggs = {value}")).unwrap_err();
        let range = "expected an integer of 1 to 16 eggs";
        assert!(error.what.contains(range), "{}", error.what);
        assert_eq!(place, value);
    }

    #[test]
    fn the_option_says_what_the_type_is() {
        let option = Number::<Eggs>::option();
        assert_eq!((option.name, option.default.as_str()), ("eggs", "6"));
        assert_eq!(option.what, "how many for breakfast, 1 to 16 eggs");
    }
}
