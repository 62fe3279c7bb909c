//! Values that are written as text: what each accepts, and what it says when it does not.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use globset::GlobSet;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use tracing_subscriber::EnvFilter;

use crate::nearest::{listed, nearest};
use crate::place::{NAME, masked, shown};

pub use day::{Day, Days};
pub use metrics::{InvalidPushUrl, PushUrl};
pub(crate) use metrics::{MetricsAddress, PushText};
pub(crate) use network::{ListenAddress, TransportName};
pub use number::parse_rate;
pub(crate) use number::{Rate, Retries};
pub(crate) use rights::Control;
pub use rights::Right;
pub use time_of_day::TimeOfDay;

/// The longest text, in bytes: no path is longer, and parsers of globs and filters recurse.
const MAX_TEXT: usize = 4096;

/// A value that is read from text.
pub(crate) trait FromText: Sized {
    /// What to write instead, to follow the word "expected".
    fn expected() -> String;

    /// The value, or what more can be said about the mistake: empty, or the rest of a sentence
    /// with the punctuation that joins it.
    fn from_text(text: &str) -> Result<Self, String>;
}

/// Gives every [`FromText`] the same way in from TOML.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text<T>(pub(crate) T);

impl<'de, T: FromText> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<T>(PhantomData<T>);

        impl<T: FromText> Visitor<'_> for TextVisitor<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&T::expected())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let value = match text.len() {
                    ..=MAX_TEXT => T::from_text(text),
                    _ => Err(format!(": over {MAX_TEXT} bytes")),
                };
                value.map(Text).map_err(|more| {
                    let found = shown(&masked(text), NAME);
                    E::custom(format!(
                        "expected {}, found \"{found}\"{more}",
                        T::expected()
                    ))
                })
            }
        }

        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

/// Declares an enum whose variants have names in the configuration.
macro_rules! choice {
    ($(#[$about:meta])* $choice:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $choice { $($(#[$doc])* $variant,)+ }

        impl $choice {
            /// The names of all variants, as they are written.
            pub const NAMES: &[&str] = &[$($name),+];

            /// The name of this one.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }

        impl FromText for $choice {
            fn expected() -> String {
                format!("one of {}", listed(Self::NAMES.iter().copied()))
            }

            fn from_text(text: &str) -> Result<Self, String> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(did_you_mean(text, Self::NAMES.iter().copied())),
                }
            }
        }
    };
}

mod day;
mod metrics;
mod network;
mod number;
mod rights;
mod time_of_day;

/// The rest of a sentence about `text`, if one of `names` was probably meant.
pub(crate) fn did_you_mean<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(text, names).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

choice! {
    /// What to do with a source file whose name is taken at the destination, by other content.
    #[derive(Default)]
    OnConflict {
        /// The source is the newer version: it replaces the other.
        #[default]
        Replace = "replace",
        /// Both stay where they are.
        Keep = "keep",
        /// It is moved under a name made from its own and its content.
        Rename = "rename",
        /// The move stops.
        Fail = "fail",
    }
}

choice! {
    /// How content is compressed on its way between two machines.
    #[derive(Default)]
    Compression {
        /// Not at all.
        #[default]
        None = "none",
        /// With zstd, where the peer can and it gains something.
        Zstd = "zstd",
    }
}

choice! {
    /// How progress is shown.
    #[derive(Default)]
    Progress {
        /// A bar on a terminal, otherwise plain lines.
        #[default]
        Auto = "auto",
        /// A bar.
        Bar = "bar",
        /// A line now and then.
        Plain = "plain",
        /// Not at all.
        None = "none",
    }
}

choice! {
    /// How a line of the log is written.
    #[derive(Default)]
    LogFormat {
        /// For people.
        #[default]
        Human = "human",
        /// `key=value` pairs.
        Logfmt = "logfmt",
        /// One JSON object.
        Json = "json",
    }
}

/// The longest duration: more than anyone waits, and far from where clocks overflow.
const MAX_DURATION: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

impl FromText for Duration {
    fn expected() -> String {
        r#"a duration such as "5m" or "1h 30m""#.to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match humantime::parse_duration(text) {
            Ok(duration) if duration > MAX_DURATION => Err(": over a century".to_owned()),
            Ok(duration) => Ok(duration),
            Err(error) => Err(format!(": {error}")),
        }
    }
}

/// The short name of a directory or of a peer.
///
/// Lower case only: a variable says names in upper case, and must be able to name each.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(pub(crate) String);

impl FromText for Name {
    fn expected() -> String {
        "a name of lower-case letters, digits, - and _".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_');
        if !text.is_empty() && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(String::new())
        }
    }
}

/// A path, or whatever else names a source or a destination.
#[derive(Debug)]
pub(crate) struct Location(pub(crate) String);

impl FromText for Location {
    fn expected() -> String {
        "a path".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            return Err(String::new());
        }
        Ok(Self(text.to_owned()))
    }
}

/// A pattern of file names.
#[derive(Debug)]
pub(crate) struct Glob(pub(crate) String);

impl FromText for Glob {
    fn expected() -> String {
        r#"a glob such as "*.tmp""#.to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(String::new());
        }
        // Some mistakes show only when the set is built.
        let built = globset::Glob::new(text).and_then(|glob| GlobSet::builder().add(glob).build());
        match built {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!(": {}", error.kind())),
        }
    }
}

/// What is logged: a level, or a filter with levels per target.
#[derive(Debug)]
pub(crate) struct Filter(pub(crate) String);

const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace", "off"];

impl FromText for Filter {
    fn expected() -> String {
        let levels = listed(LEVELS.iter().copied());
        format!(r#"one of {levels}, or a filter such as "info,realize_core=debug""#)
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split(',').map(str::trim).collect();
        for word in words.iter().filter(|word| !word.contains('[')) {
            // The filter's own parser takes a misspelt level for a target, and all others are
            // silenced.
            let level = word
                .rsplit_once('=')
                .map_or(*word, |(_target, level)| level);
            if !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
                return Err(did_you_mean(level, LEVELS.iter().copied()));
            }
        }
        let filter = words.join(",");
        match EnvFilter::builder().parse(&filter) {
            Ok(_) => Ok(Self(filter)),
            Err(error) => Err(format!(": {error}")),
        }
    }
}

/// The parts of `text` between commas, trimmed, without empty ones.
///
/// A comma inside of brackets or braces, where it belongs to a glob, or after a backslash,
/// separates nothing.
pub(crate) fn split_at_commas(text: &str) -> Vec<&str> {
    let (mut depth, mut escaped) = (0_usize, false);
    text.split(move |c| {
        let literal = std::mem::replace(&mut escaped, false);
        match c {
            _ if literal => false,
            '\\' => {
                escaped = true;
                false
            }
            '[' | '{' => {
                depth += 1;
                false
            }
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                false
            }
            ',' => depth == 0,
            _ => false,
        }
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", &[])]
    #[case("*.tmp", &["*.tmp"])]
    #[case(" *.tmp, *.part ,", &["*.tmp", "*.part"])]
    #[case("*.{a,b},c[,]d", &["*.{a,b}", "c[,]d"])]
    #[case(r"a\,b,c", &[r"a\,b", "c"])]
    #[case("a],b", &["a]", "b"])]
    fn commas_separate(#[case] text: &str, #[case] parts: &[&str]) {
        assert_eq!(split_at_commas(text), parts);
    }

    #[rstest]
    #[case("info")]
    #[case("INFO")]
    #[case("off")]
    #[case("info,realize_core::engine=debug")]
    #[case("warn, realize=trace")]
    #[case("[move{peer=cam}]=debug,error")]
    fn filters(#[case] text: &str) {
        assert!(Filter::from_text(text).is_ok());
    }

    #[rstest]
    #[case::empty("", "")]
    #[case::slip("inof", "; did you mean `info`?")]
    #[case::slip_among_others("warn,debgu", "; did you mean `debug`?")]
    #[case::target_without_level("realize_core", "")]
    #[case::slip_for_a_target("realize=trase", "; did you mean `trace`?")]
    #[case::no_level("realize=loud", "")]
    #[case::empty_word("info,", "")]
    #[case::no_filter("[a=info", ": invalid filter directive")]
    fn wrong_filters(#[case] text: &str, #[case] more: &str) {
        assert_eq!(Filter::from_text(text).unwrap_err(), more);
    }

    #[rstest]
    #[case("0s", Duration::ZERO)]
    #[case("0", Duration::ZERO)]
    #[case("250ms", Duration::from_millis(250))]
    #[case("1h 30m", Duration::from_secs(5400))]
    #[case("1 year", Duration::from_secs(31_557_600))]
    fn durations(#[case] text: &str, #[case] expected: Duration) {
        assert_eq!(Duration::from_text(text).unwrap(), expected);
    }

    #[rstest]
    #[case("", ": value was empty")]
    #[case("5", ": time unit needed, for example 5sec or 5ms")]
    #[case("-5m", ": expected number at 0")]
    #[case("101 years", ": over a century")]
    fn wrong_durations(#[case] text: &str, #[case] more: &str) {
        assert_eq!(Duration::from_text(text).unwrap_err(), more);
    }

    #[rstest]
    #[case(OnConflict::NAMES, OnConflict::default().name(), "replace")]
    #[case(Compression::NAMES, Compression::default().name(), "none")]
    #[case(Progress::NAMES, Progress::default().name(), "auto")]
    #[case(LogFormat::NAMES, LogFormat::default().name(), "human")]
    fn defaults_have_names(#[case] names: &[&str], #[case] default: &str, #[case] expected: &str) {
        assert_eq!(default, expected);
        assert!(names.contains(&default));
    }

    /// The longest text is short enough for the stack of a thread.
    #[test]
    fn the_deepest_glob() {
        let half = MAX_TEXT / 2;
        assert!(Glob::from_text(&("{".repeat(half) + &"}".repeat(half))).is_ok());
        assert!(Glob::from_text(&"{".repeat(MAX_TEXT)).is_err());
    }

    #[rstest]
    #[case("inbox", true)]
    #[case("0-a_b", true)]
    #[case("", false)]
    #[case("Inbox", false)]
    #[case("a.b", false)]
    #[case("é", false)]
    fn names(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(Name::from_text(text).is_ok(), valid);
    }
}
