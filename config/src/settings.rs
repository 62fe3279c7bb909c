//! The configuration as programs see it: complete, every value of the type that it has.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::text::{LogFormat, OnConflict, Progress};

/// Everything that can be configured, with defaults for what nobody said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// `[directories]`: the directories of this machine that have short names, by name.
    pub directories: BTreeMap<String, Directory>,
    /// `[move]`: what is moved, and how.
    pub r#move: Move,
    /// `[log]`: what is logged, and how.
    pub log: Log,
}

/// `[directories.NAME]`: a directory with a short name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Where it is; absolute if a file said it.
    pub path: PathBuf,
}

/// `[move]`: what is moved, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Move {
    /// What to move: `PEER:DIRECTORY`, the name of a directory, or a path. A path is absolute if
    /// a file said it, otherwise as it was typed. None by default.
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
    /// Whether directories that the move emptied stay at the source; they do not by default.
    pub keep_directories: bool,
    /// How progress is shown; [`Progress::Auto`] by default.
    pub progress: Progress,
    /// Whether the report is JSON; it is not by default.
    pub json: bool,
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
