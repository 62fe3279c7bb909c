//! The configuration as programs see it: complete, every value of the type that it has.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use realize_core::transport::{Endpoint, PeerId};

use crate::error::ConfigError;
use crate::origins::Origins;
use crate::text::{Compression, Day, Days, LogFormat, OnConflict, Progress, Right, TimeOfDay};

/// The transport where none is named.
pub const DEFAULT_TRANSPORT: &str = "tcp";

/// Everything that can be configured, with defaults for what nobody said.
///
/// Two are equal if they mean the same: who said it, and what is in the transports' tables, makes
/// no difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file that it was loaded from, as it was named. None if there was no file.
    pub file: Option<PathBuf>,
    /// `transport`: the name of the default transport; [`DEFAULT_TRANSPORT`] by default. If
    /// somebody said it, it exists.
    pub transport: String,
    /// `[identity]`: who this machine is.
    pub identity: Identity,
    /// `[listen]`: where the daemon listens, in the order in which it was written; no address
    /// twice.
    pub listen: Vec<Listen>,
    /// `[directories]`: the directories of this machine that have short names, by name.
    pub directories: BTreeMap<String, Directory>,
    /// `[peers]`: the other machines, by name. Of two with the same key each has an address
    /// of its own.
    pub peers: BTreeMap<String, Peer>,
    /// `[move]`: what is moved, and how.
    pub r#move: Move,
    /// `[throttle]`: how fast.
    pub throttle: Throttle,
    /// `[metrics]`: who gets to see the counters.
    pub metrics: Metrics,
    /// `[log]`: what is logged, and how.
    pub log: Log,
    pub(crate) origins: Origins,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            file: None,
            transport: DEFAULT_TRANSPORT.to_owned(),
            identity: Identity::default(),
            listen: Vec::new(),
            directories: BTreeMap::new(),
            peers: BTreeMap::new(),
            r#move: Move::default(),
            throttle: Throttle::default(),
            metrics: Metrics::default(),
            log: Log::default(),
            origins: Origins::default(),
        }
    }
}

impl Config {
    /// What is in the file, from which transports are made; empty if there was no file.
    pub fn text(&self) -> &str {
        self.origins.text()
    }

    /// Whether the transports' tables hold the same as those of `other`.
    pub fn same_transport_tables(&self, other: &Self) -> bool {
        transport_tables(self.text()) == transport_tables(other.text())
    }

    /// The error that the value of `key` is wrong, which only a program could find out: a key
    /// that its transport refuses, for instance. It says where the value was given.
    ///
    /// The path of `key` is given name by name; an item of a list is the last of them, as its
    /// number, from 0. For a key that nobody gave the place is that of the innermost section around it.
    #[must_use]
    pub fn fault(&self, key: &[&str], message: String) -> ConfigError {
        self.origins.fault(key, message)
    }
}

fn transport_tables(text: &str) -> Option<toml::Value> {
    // A text that is no TOML was never loaded.
    text.parse::<toml::Table>().ok()?.remove("transports")
}

/// `[identity]`: who this machine is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The file with its private key; absolute if a file said it. None by default.
    pub key: Option<PathBuf>,
}

/// An item of `listen.addresses`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The name of the transport; it exists.
    pub transport: String,
    /// Where to listen, in the words of that transport.
    pub endpoint: Endpoint,
}

/// `[directories.NAME]`: a directory with a short name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Where it is; absolute if a file said it.
    pub path: PathBuf,
    /// What each peer may do in it, by the peer's name, which is in [`Config::peers`]. Nobody may
    /// do anything by default.
    pub allow: BTreeMap<String, Vec<Right>>,
}

/// `[peers.NAME]`: another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// What proves that it is that machine.
    pub key: PeerKey,
    /// Where to dial it. None by default: it is not dialled.
    pub address: Option<Endpoint>,
    /// The name of the transport that dials it; [`Config::transport`] by default. It exists, if
    /// there is an address or somebody said it.
    pub transport: String,
    /// How fast, to and from this peer; no limits by default.
    pub throttle: Rates,
    /// Whether it may change the daemon's limits; it may not by default.
    pub control: bool,
}

/// A peer's public key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PeerKey {
    /// `key`: the key itself.
    Id(PeerId),
    /// `key_file`: a file that holds it; absolute if a file said it.
    File(PathBuf),
}

/// `[move]`: what is moved, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// What to move: `PEER:DIRECTORY`, the name of a directory, or a path. A peer is in
    /// [`Config::peers`]. A path is absolute if a file said it, otherwise as it was typed. None by
    /// default.
    pub source: Option<OsString>,
    /// Where to, in the same forms. None by default.
    pub destination: Option<OsString>,
    /// Globs, of which a file must match one; no globs (the default) match every file.
    pub include: Vec<String>,
    /// Globs, of which a file must match none; empty by default.
    pub exclude: Vec<String>,
    /// A file younger than this is left for a later run; zero by default.
    pub min_age: Duration,
    /// After this time the move ends, done or not; no limit by default.
    pub max_duration: Option<Duration>,
    /// What to do with a file whose name is taken; [`OnConflict::Replace`] by default.
    pub on_conflict: OnConflict,
    /// How content is compressed on its way between two machines; [`Compression::None`] by default.
    pub compress: Compression,
    /// Whether directories that the move emptied stay at the source; they do not by default.
    pub keep_directories: bool,
    /// How progress is shown; [`Progress::Auto`] by default.
    pub progress: Progress,
    /// Whether the report is JSON; it is not by default.
    pub json: bool,
    /// How often a move that lost the connection is tried again, 0 to 1000; 10 by default.
    pub retries: u32,
    /// How long before the first retry; it doubles each time. One second by default.
    pub retry_delay: Duration,
    /// What the delay grows to, and never below [`retry_delay`](Self::retry_delay). One minute by
    /// default.
    pub retry_max_delay: Duration,
    /// Where the counters can be fetched while it runs: not `metrics.listen`, which is the daemon's,
    /// for both programs may read one file. None by default.
    pub metrics_listen: Option<SocketAddr>,
    /// The file that what was moved is recorded in, before it is deleted. Absolute if a file said
    /// it, otherwise as it was typed. None by default.
    pub receipts: Option<PathBuf>,
}

impl Default for Move {
    fn default() -> Self {
        Self {
            source: None,
            destination: None,
            include: Vec::new(),
            exclude: Vec::new(),
            min_age: Duration::ZERO,
            max_duration: None,
            on_conflict: OnConflict::default(),
            compress: Compression::default(),
            keep_directories: false,
            progress: Progress::default(),
            json: false,
            retries: 10,
            retry_delay: Duration::from_secs(1),
            retry_max_delay: Duration::from_secs(60),
            metrics_listen: None,
            receipts: None,
        }
    }
}

/// Limits on how fast bytes are sent, in bytes per second; none by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// What this machine sends.
    pub up: Option<NonZeroU64>,
    /// What it receives.
    pub down: Option<NonZeroU64>,
}

/// `[throttle]`: how fast.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Throttle {
    /// The limits where no period has any.
    pub rates: Rates,
    /// Periods of the day with other limits; empty by default.
    pub schedule: Vec<Period>,
}

impl Throttle {
    /// The limits at `time` of `day`. A period that does not say one of the two leaves that one as
    /// it is; of periods that overlap, the last one has its way.
    pub fn rates_at(&self, day: Day, time: TimeOfDay) -> Rates {
        let periods = self.schedule.iter();
        let periods = periods.filter(|period| period.holds(day, time));
        periods.fold(self.rates, |rates, period| Rates {
            up: period.rates.up.or(rates.up),
            down: period.rates.down.or(rates.down),
        })
    }
}

/// `[[throttle.schedule]]`: a period of some days or of every day, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The minute that it begins with.
    pub from: TimeOfDay,
    /// The minute that it ends before; on the next day, if that is earlier than `from`. The two
    /// differ.
    pub to: TimeOfDay,
    /// The days on which it begins; every day by default.
    pub days: Days,
    /// The limits, at least one.
    pub rates: Rates,
}

impl Period {
    fn holds(&self, day: Day, time: TimeOfDay) -> bool {
        let begun = |day| self.days.contains(day);
        if self.from < self.to {
            begun(day) && self.from <= time && time < self.to
        } else {
            begun(day) && self.from <= time || begun(day.before()) && time < self.to
        }
    }
}

/// `[metrics]`: who gets to see the counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Where those of the daemon can be fetched. None by default.
    pub listen: Option<SocketAddr>,
    /// Where a move sends its own to when it ends: a [`PushUrl`](crate::PushUrl). It may hold a
    /// password. None by default.
    pub push: Option<String>,
}

/// `[log]`: what is logged, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// A level, or a filter as `tracing_subscriber::EnvFilter` reads it. None by default: each
    /// program has its own.
    pub level: Option<String>,
    /// How a line is written. None by default: that depends on where it goes.
    pub format: Option<LogFormat>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::before((8, 59), (Some(1), Some(2)))]
    #[case::first_minute((9, 0), (Some(3), Some(2)))]
    #[case::last_minute((16, 59), (Some(3), Some(2)))]
    #[case::after((17, 0), (Some(1), Some(2)))]
    #[case::evening((23, 0), (Some(1), Some(4)))]
    #[case::over_midnight((0, 0), (Some(1), Some(4)))]
    #[case::last_of_two((5, 0), (Some(6), Some(5)))]
    #[case::morning((7, 0), (Some(1), Some(2)))]
    fn a_period_goes_over_the_rates(
        #[case] (hour, minute): (u8, u8),
        #[case] (up, down): (Option<u64>, Option<u64>),
    ) {
        let rates = |up: Option<u64>, down: Option<u64>| Rates {
            up: up.and_then(NonZeroU64::new),
            down: down.and_then(NonZeroU64::new),
        };
        let time = |hour, minute| TimeOfDay::new(hour, minute).unwrap();
        let period = |from, to, rates| Period {
            from: time(from, 0),
            to: time(to, 0),
            days: Days::ALL,
            rates,
        };
        let throttle = Throttle {
            rates: rates(Some(1), Some(2)),
            schedule: vec![
                period(9, 17, rates(Some(3), None)),
                period(23, 7, rates(None, Some(4))),
                period(5, 6, rates(Some(6), Some(5))),
            ],
        };
        let now = throttle.rates_at(Day::Monday, time(hour, minute));
        assert_eq!(now, rates(up, down));
    }

    #[rstest]
    #[case::before(Day::Saturday, 22, false)]
    #[case::evening(Day::Saturday, 23, true)]
    #[case::over_midnight(Day::Sunday, 6, true)]
    #[case::after(Day::Sunday, 7, false)]
    #[case::evening_of_the_next_day(Day::Sunday, 23, false)]
    #[case::morning_of_the_day(Day::Saturday, 6, false)]
    fn a_day_is_the_one_that_a_period_begins_on(
        #[case] day: Day,
        #[case] hour: u8,
        #[case] holds: bool,
    ) {
        let time = |hour| TimeOfDay::new(hour, 0).unwrap();
        let period = Period {
            from: time(23),
            to: time(7),
            days: Days::from_iter([Day::Saturday]),
            rates: Rates::default(),
        };
        assert_eq!(period.holds(day, time(hour)), holds);
    }
}
