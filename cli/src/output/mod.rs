//! What a person or a program gets to see: data on standard output, messages on standard error.
//!
//! That nobody reads them is no reason to stop a move; but data that could not be written is an error
//! in the end, unless its reader has closed the pipe.

use std::io::Write as _;
use std::time::Duration;

mod data;
pub(crate) mod files;
pub(crate) mod progress;
mod screen;
pub(crate) mod summary;

pub(crate) use data::Data;
pub(crate) use screen::Screen;

/// Writes a line to standard error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A size for people: `0 B`, `1.5 MiB`; units are powers of 1024.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut scaled = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        // What would round up to 1024 is one of the next unit.
        if scaled < 1023.95 {
            break;
        }
        scaled /= 1024.0;
        unit = next;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{scaled:.1} {unit}")
    }
}

/// How long something took, for people: `0.2s`, `12m`, `3h 5m`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        _ => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// A number of things, for people: `1 file`, `2 files`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    if number == 1 {
        format!("1 {thing}")
    } else {
        format!("{number} {thing}s")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 B")]
    #[case(1023, "1023 B")]
    #[case(1024, "1.0 KiB")]
    #[case(1536, "1.5 KiB")]
    #[case((1 << 20) - 1, "1.0 MiB")]
    #[case(u64::MAX, "16.0 EiB")]
    fn sizes(#[case] bytes: u64, #[case] shown: &str) {
        assert_eq!(size(bytes), shown);
    }

    #[rstest]
    #[case(150, "0.1s")]
    #[case(59_999, "59s")]
    #[case(720_000, "12m")]
    #[case(725_000, "12m 5s")]
    #[case(11_100_000, "3h 5m")]
    fn durations(#[case] millis: u64, #[case] shown: &str) {
        assert_eq!(duration(Duration::from_millis(millis)), shown);
    }
}
