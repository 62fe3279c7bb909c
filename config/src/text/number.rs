//! Values that are numbers.

use std::fmt;
use std::num::NonZeroU64;

use realize_core::throttle::MIN_RATE;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use super::FromText;

/// A limit on how fast bytes are sent, in bytes per second.
#[derive(Debug)]
pub(crate) struct Rate(pub(crate) NonZeroU64);

impl FromText for Rate {
    fn expected() -> String {
        r#"bytes per second such as "512K" or "20M""#.to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let parser = parse_size::Config::new().with_binary();
        match parser.parse_size(text).map(NonZeroU64::new) {
            Ok(Some(rate)) if rate < MIN_RATE => {
                Err(": less than 1K, which is the lowest limit".to_owned())
            }
            Ok(Some(rate)) => Ok(Self(rate)),
            Ok(None) => Err(": nothing would be sent; for no limit, leave the key out".to_owned()),
            Err(parse_size::Error::PosOverflow) => Err(": too large".to_owned()),
            Err(_) => Err(String::new()),
        }
    }
}

/// The limit that `text` says, in bytes per second, as the configuration has it: `512K` is 524288.
///
/// # Errors
/// What was expected, as the end of a sentence.
pub fn parse_rate(text: &str) -> Result<NonZeroU64, String> {
    let Rate(rate) =
        Rate::from_text(text).map_err(|more| format!("expected {}{more}", Rate::expected()))?;
    Ok(rate)
}

/// How often something is tried again.
#[derive(Debug)]
pub(crate) struct Retries(pub(crate) u32);

impl Retries {
    const MAX: u32 = 1000;
}

impl<'de> Deserialize<'de> for Retries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(RetriesVisitor)
    }
}

struct RetriesVisitor;

impl Visitor<'_> for RetriesVisitor {
    type Value = Retries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an integer from 0 to {}", Retries::MAX)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Retries, E> {
        let retries = u32::try_from(number).ok().filter(|n| *n <= Retries::MAX);
        let retries = retries.map(Retries);
        retries.ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Retries, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("4096", 4096)]
    #[case("4K", 4096)]
    #[case("4k", 4096)]
    #[case("4KB", 4096)]
    #[case("512K", 512 * 1024)]
    #[case("1M", 1024 * 1024)]
    #[case("1.5M", 3 * 512 * 1024)]
    #[case("20MiB", 20 * 1024 * 1024)]
    #[case("2G", 2 * 1024 * 1024 * 1024)]
    fn rates(#[case] text: &str, #[case] bytes: u64) {
        assert_eq!(Rate::from_text(text).unwrap().0.get(), bytes);
    }

    #[rstest]
    #[case("")]
    #[case("fast")]
    #[case("-1")]
    #[case("1M/s")]
    fn no_rates(#[case] text: &str) {
        assert_eq!(Rate::from_text(text).unwrap_err(), "");
    }

    #[rstest]
    #[case("0", ": nothing would be sent; for no limit, leave the key out")]
    #[case("0.0001K", ": nothing would be sent; for no limit, leave the key out")]
    #[case("16E", ": too large")]
    #[case("20", ": less than 1K, which is the lowest limit")]
    #[case("1023", ": less than 1K, which is the lowest limit")]
    fn wrong_rates(#[case] text: &str, #[case] more: &str) {
        assert_eq!(Rate::from_text(text).unwrap_err(), more);
    }

    proptest! {
        #[test]
        fn no_rate_makes_it_panic(text in r"[-+]?[0-9_ ]{0,30}\.?[0-9]{0,30}([eE][-+]?[0-9]{0,12})?[kKmMgGtTpPeEiIbB]{0,3}") {
            let _ = Rate::from_text(&text);
        }
    }
}
