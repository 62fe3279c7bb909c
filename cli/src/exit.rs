//! How a run ends: the exit codes of the contract, and what a person is told.

use realize_config::{ConfigError, Place};
use realize_core::engine::{Report, Stopped};
use realize_core::path::Escaped;
use realize_core::{Error, ErrorKind};

/// The exit codes.
pub(crate) mod code {
    pub(crate) const OTHER: u8 = 1;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const CONFIGURATION: u8 = 3;
    pub(crate) const NOT_AUTHORISED: u8 = 4;
    pub(crate) const NETWORK: u8 = 5;
    pub(crate) const NOT_ALL_MOVED: u8 = 6;
    pub(crate) const VERIFICATION: u8 = 7;
    pub(crate) const FULL: u8 = 8;
    pub(crate) const TIME_RAN_OUT: u8 = 11;
    pub(crate) const HELD: u8 = 12;
}

/// An end that is not success.
#[derive(Debug)]
pub(crate) struct Exit {
    code: u8,
    /// What to say last; nothing where everything has been said.
    message: Option<String>,
    /// The line of the configuration file that it is about.
    line: Option<usize>,
}

impl Exit {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: Some(message.into()),
            line: None,
        }
    }

    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::new(code::OTHER, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(code::USAGE, message)
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::new(code::CONFIGURATION, message)
    }

    /// An end of which everything has been said.
    pub(crate) fn silent(code: u8) -> Self {
        Self {
            code,
            message: None,
            line: None,
        }
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// What is to be said last.
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// The line of the configuration file that it is about, from 1.
    pub(crate) fn line(&self) -> Option<usize> {
        self.line
    }

    /// Says what is left to say, as `program`.
    pub(crate) fn print(&self, program: &str) {
        if let Some(message) = &self.message {
            crate::output::say(&format!("{program}: {message}"));
        }
    }
}

impl From<ConfigError> for Exit {
    fn from(error: ConfigError) -> Self {
        let code = if error.is_from_flag() {
            code::USAGE
        } else {
            code::CONFIGURATION
        };
        let line = match error.place() {
            Some(Place::File(position)) => Some(position.line),
            _ => None,
        };
        Self {
            line,
            ..Self::new(code, chain(&error))
        }
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(&format!(": {error}"));
        cause = error.source();
    }
    message
}

/// An error that ended a command that moves nothing.
impl From<Error> for Exit {
    fn from(error: Error) -> Self {
        Self::of_error(&error, "", "")
    }
}

impl Exit {
    /// An error that ended a move or a copy, which had done by then what `report` says.
    pub(crate) fn of_broken(error: &Error, report: &Report) -> Self {
        let intact = match report.done {
            0 => "the sources are intact: ",
            _ => "the sources of all else are intact: ",
        };
        Self::of_error(error, intact, ", it goes on where it was")
    }

    /// Says what happened, and what to do; before that what is `intact`, and what doing the same
    /// again does.
    fn of_error(error: &Error, intact: &str, again: &str) -> Self {
        let code = match error.kind() {
            ErrorKind::Overlap | ErrorKind::NotFound | ErrorKind::Conflict => code::USAGE,
            ErrorKind::Busy => code::HELD,
            ErrorKind::Forbidden => code::NOT_AUTHORISED,
            ErrorKind::Network | ErrorKind::Timeout => code::NETWORK,
            ErrorKind::Full => code::FULL,
            _ => code::OTHER,
        };
        let advice = match error.kind() {
            ErrorKind::Network | ErrorKind::Timeout => format!("; {intact}run it again{again}"),
            ErrorKind::Busy => "; try again when it has ended".to_owned(),
            ErrorKind::Protocol => format!(
                "; {intact}see what listens there, and that both sides have the same version"
            ),
            kind @ (ErrorKind::Denied
            | ErrorKind::Forbidden
            | ErrorKind::Full
            | ErrorKind::SyncFailed
            | ErrorKind::Io) => format!("; {intact}{}", advice(kind)),
            _ => String::new(),
        };
        let path = error
            .path()
            .map(|path| format!("{path}: "))
            .unwrap_or_default();
        Self::new(code, format!("{path}{}{advice}", error.chain()))
    }
}

/// What made a run stop early, from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// A signal, by its number.
    Signal(u8),
    /// `--max-duration` ran out.
    TimeRanOut,
}

/// The end that a report means.
pub(crate) fn of_report(report: &Report, interrupted: Option<Interruption>) -> Result<(), Exit> {
    let code = match (report.stopped, interrupted) {
        (Some(Stopped::Cancelled), Some(Interruption::Signal(signal))) => 128 + signal,
        (Some(Stopped::Cancelled), _) => code::TIME_RAN_OUT,
        _ if report.has(ErrorKind::Mismatch) => code::VERIFICATION,
        _ if report.has(ErrorKind::Full) => code::FULL,
        _ if report.has(ErrorKind::Forbidden) => code::NOT_AUTHORISED,
        _ if report.failed > 0 || report.stopped.is_some() => code::NOT_ALL_MOVED,
        _ => return Ok(()),
    };
    Err(Exit::silent(code))
}

/// What a person can do about a failure.
pub(crate) fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Conflict => "see what is at the destination, or choose with --on-conflict",
        ErrorKind::Collision => "rename one of the two",
        ErrorKind::Mismatch => "check the destination's disk and memory, then run it again",
        ErrorKind::Full => "make room at the destination, then run it again",
        ErrorKind::Denied => "see to the permissions, then run it again",
        ErrorKind::Forbidden => "see to keys and rights on both sides, then run it again",
        ErrorKind::SyncFailed | ErrorKind::Io => "check the disks (dmesg), then run it again",
        ErrorKind::Unsupported => "move it by other means, or leave it out with --exclude",
        ErrorKind::Invalid => "rename it, then run it again",
        ErrorKind::Overlap => "leave it out with --exclude",
        _ => "run it again",
    }
}

/// A path of the command line, safe to print.
pub(crate) fn shown(path: &std::ffi::OsStr) -> String {
    Escaped(path.as_encoded_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use realize_core::engine::Failure;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(ErrorKind::Denied, code::NOT_ALL_MOVED)]
    #[case(ErrorKind::Mismatch, code::VERIFICATION)]
    #[case(ErrorKind::Full, code::FULL)]
    #[case(ErrorKind::Forbidden, code::NOT_AUTHORISED)]
    fn failures_decide_the_code(#[case] kind: ErrorKind, #[case] code: u8) {
        let error = Error::new(kind, "writing");
        let failure = Failure {
            path: b"a".to_vec(),
            error,
            copied: false,
        };
        let report = Report {
            failed: 1,
            failures: vec![failure],
            ..Report::default()
        };
        assert_eq!(of_report(&report, None).unwrap_err().code(), code);
    }

    /// Whoever asks for a limit has no sources; and a move that has moved something has changed something.
    #[test]
    fn what_is_said_is_of_what_was_done() {
        let fallen = || Error::new(ErrorKind::Network, "the connection broke");
        let asked = Exit::from(fallen());
        assert_eq!(asked.message(), "the connection broke; run it again");
        let said = |done, kind| {
            let report = Report {
                done,
                ..Report::default()
            };
            let error = Error::new(kind, "it failed");
            Exit::of_broken(&error, &report).message().to_owned()
        };
        assert_eq!(
            said(0, ErrorKind::Network),
            "it failed; the sources are intact: run it again, it goes on where it was"
        );
        assert_eq!(
            said(2, ErrorKind::Denied),
            "it failed; the sources of all else are intact: see to the permissions, then run it again"
        );
        assert!(said(0, ErrorKind::Full).contains("make room at the destination"));
    }

    #[test]
    fn an_interruption_decides_over_failures() {
        let report = |stopped| Report {
            failed: 1,
            stopped,
            ..Report::default()
        };
        let code = |report: &Report, why| of_report(report, why).unwrap_err().code();
        let cancelled = report(Some(Stopped::Cancelled));
        assert_eq!(code(&cancelled, Some(Interruption::Signal(2))), 130);
        assert_eq!(code(&cancelled, Some(Interruption::Signal(15))), 143);
        assert_eq!(
            code(&cancelled, Some(Interruption::TimeRanOut)),
            code::TIME_RAN_OUT
        );
        // It came when all was done.
        assert_eq!(
            code(&report(None), Some(Interruption::TimeRanOut)),
            code::NOT_ALL_MOVED
        );
        assert!(of_report(&Report::default(), None).is_ok());
    }
}
