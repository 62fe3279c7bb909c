//! What may be typed.
//!
//! Values that the configuration knows too stay texts here: flag, variable and file accept the same
//! and say the same about a mistake.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// Moves files, unattended, without ever losing one.
///
/// A source file is deleted only when its copy has been read back, has the same hash, and is
/// durable. What is interrupted goes on where it was.
#[derive(Debug, Parser)]
#[command(
    name = "realize",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    /// The configuration file [default: $REALIZE_CONFIG, or ~/.config/realize/realize.toml if it
    /// exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or per target as in `warn,realize_core=debug`
    #[arg(long, global = true, value_name = "L")]
    pub(crate) log_level: Option<String>,
    /// How to log: human, logfmt or json [default: human on a terminal, otherwise logfmt]
    #[arg(long, global = true, value_name = "F")]
    pub(crate) log_format: Option<String>,
    /// Which transport to dial peers with that have none of their own [default: tcp]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) transport: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Move files: delete each at the source once its copy is verified and durable
    Move(MoveArguments),
    /// Copy files, with the same care, and leave the source alone
    Copy(MoveArguments),
    /// Compare both sides by content; change nothing
    Verify(VerifyArguments),
    /// List what a directory holds
    List(ListArguments),
    /// Read the limits of a running daemon, in all, or change them until its timetable says otherwise
    Limit(LimitArguments),
    /// Make this machine's key, and print what other machines are to know of it
    Keygen(KeygenArguments),
    /// Try the keys, directories and peers of the configuration and both ends of its move, and say
    /// what would fail, and why
    Check,
    /// List the transports of this program, and the options of each
    Transports,
    /// Print what lets a shell complete this command
    Completions(CompletionsArguments),
}

/// Which files are meant.
#[derive(Debug, Default, Args)]
pub(crate) struct Selection {
    /// Only files that match; may be given several times. A pattern with a slash is matched from
    /// the top, one without at any depth; `**` crosses slashes
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// No files that match; may be given several times, and wins over --include
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
}

/// The two ends.
#[derive(Debug, Default, Args)]
pub(crate) struct Ends {
    /// A directory, whose contents are meant, or one file: a path, PEER:DIRECTORY[/SUBPATH], or a
    /// name of [directories] [default: source of [move] in the configuration]
    pub(crate) source: Option<OsString>,
    /// The directory where they go, in the same forms; made if it does not exist [default:
    /// destination of [move]]
    pub(crate) destination: Option<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct MoveArguments {
    #[command(flatten)]
    pub(crate) ends: Ends,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Leave files that changed less than this ago for the next run, as in 30s or 5m
    #[arg(long, value_name = "D", allow_hyphen_values = true)]
    pub(crate) min_age: Option<String>,
    /// Stop after this time; the next run goes on from there
    #[arg(long, value_name = "D", allow_hyphen_values = true)]
    pub(crate) max_duration: Option<String>,
    /// What to do when the destination has other content under a file's name: replace, keep,
    /// rename or fail [default: replace]
    #[arg(long, value_name = "WHAT")]
    pub(crate) on_conflict: Option<String>,
    /// Compress content on its way from or to a peer: zstd or none [default: none]
    #[arg(long, value_name = "HOW")]
    pub(crate) compress: Option<String>,
    /// How often to try again when the connection is lost, unless something got done in between
    /// [default: 10]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) retries: Option<String>,
    /// Send at most so much a second, in either direction, as in 512K or 1M (1M = 1024K = 1048576
    /// bytes)
    #[arg(long, value_name = "R", allow_hyphen_values = true)]
    pub(crate) throttle: Option<String>,
    /// Send at most so much a second from here to the destination
    #[arg(long, value_name = "R", allow_hyphen_values = true)]
    pub(crate) throttle_up: Option<String>,
    /// Have the source send at most so much a second to here
    #[arg(long, value_name = "R", allow_hyphen_values = true)]
    pub(crate) throttle_down: Option<String>,
    /// Leave directories at the source that are empty, or became so
    #[arg(long)]
    pub(crate) keep_directories: bool,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How to show progress: auto, bar, plain or none [default: auto, a bar on a terminal]
    #[arg(long, value_name = "HOW")]
    pub(crate) progress: Option<String>,
    /// Print an object for each file, and a summary, on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Serve metrics for Prometheus while it runs, as in 127.0.0.1:9773, or 9773 for this machine
    /// alone
    #[arg(long, value_name = "ADDR", allow_hyphen_values = true)]
    pub(crate) metrics_listen: Option<String>,
    /// Send metrics to a Pushgateway when it ends, as in http://monitor.lan:9091
    #[arg(long, value_name = "URL", allow_hyphen_values = true)]
    pub(crate) metrics_push: Option<String>,
    /// Record every file in this file, a line of JSON each, before it is deleted at the source
    #[arg(long, value_name = "FILE")]
    pub(crate) receipts: Option<String>,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    pub(crate) ends: Ends,
    /// Compare the destination with what moves recorded there, instead of a source; the one place
    /// given is then the destination
    #[arg(long, value_name = "FILE", conflicts_with_all = ["destination", "include", "exclude"])]
    pub(crate) receipts: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Print an object for each file, and a summary, on standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// A path, PEER:DIRECTORY[/SUBPATH], or a name of [directories]
    #[arg(value_name = "WHERE")]
    pub(crate) location: OsString,
    /// Print an object for each entry
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LimitArguments {
    /// The daemon: a name of [peers], which lets this machine control it
    pub(crate) peer: String,
    /// What it sends at most, in all, as in 512K or 1M a second; none lifts the limit
    #[arg(long, value_name = "R", allow_hyphen_values = true)]
    pub(crate) up: Option<String>,
    /// What it receives at most, in all, likewise
    #[arg(long, value_name = "R", allow_hyphen_values = true)]
    pub(crate) down: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct KeygenArguments {
    /// The file for the private key; it must not exist [default: key of [identity] in the
    /// configuration]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// For which shell
    pub(crate) shell: Shell,
}

/// How much is said.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Verbosity {
    /// Say nothing but failures
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Log more: every file, or with -vv every decision
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl Arguments {
    pub(crate) fn verbosity(&self) -> Verbosity {
        match &self.command {
            Command::Move(command) | Command::Copy(command) => command.verbosity,
            Command::Verify(command) => command.verbosity,
            Command::List(_)
            | Command::Limit(_)
            | Command::Keygen(_)
            | Command::Check
            | Command::Transports
            | Command::Completions(_) => Verbosity::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }
}
