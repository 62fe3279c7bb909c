//! Logging: tracing to standard error, for people, as logfmt, or as JSON.

use std::fmt::Write as _;
use std::io::{IsTerminal, stderr};

use realize_config::{Log, LogFormat};
use realize_core::path::Escaped;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::args::Verbosity;
use crate::exit::Exit;

/// What the command logs unless it was said: what a person must know while it runs. Failures of
/// single files are not among it, for they follow the summary.
const COMMAND: &str = "warn,realize::file=off";
/// What the daemon logs unless it was said.
const DAEMON: &str = "info";
/// What is not asked for with a level alone: how calls travel, and what TLS is doing.
const NOT_MEANT: [&str; 3] = ["tarpc=error", "rustls=error", "opentelemetry=error"];

/// Who logs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Program {
    /// `realize`, with what was typed of how much is to be said.
    Command(Verbosity),
    /// `realized`.
    Daemon,
    /// `realized --stdio`, whose log is read at the other end.
    Stdio,
}

/// Starts logging for this process.
pub(crate) fn start(log: &Log, program: Program) -> Result<(), Exit> {
    let level = match (&log.level, program) {
        (_, Program::Command(Verbosity { verbose: 1, .. })) => "info",
        (_, Program::Command(Verbosity { verbose: 2.., .. })) => "debug",
        (Some(level), _) => level,
        (None, Program::Command(Verbosity { quiet: true, .. })) => "off",
        (None, Program::Command(_)) => COMMAND,
        (None, Program::Daemon) => DAEMON,
        (None, Program::Stdio) => "error",
    };
    // What is said of a target by name counts, whoever says it last.
    let filter = EnvFilter::try_new(format!("{},{level}", NOT_MEANT.join(",")))
        .map_err(|error| Exit::usage(format!("the log level `{level}`: {error}")))?;
    let terminal = stderr().is_terminal();
    let format = log.format.unwrap_or(if terminal {
        LogFormat::Human
    } else {
        LogFormat::Logfmt
    });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr);
    match format {
        LogFormat::Human => {
            let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
            builder.with_ansi(colour).init();
        }
        LogFormat::Logfmt => builder.event_format(Logfmt).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}

/// `time=... level=... target=... key=value ...`, a line for each event.
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut line = String::from("time=");
        SystemTime.format_time(&mut Writer::new(&mut line))?;
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        write!(line, " level={level}")?;
        event.record(&mut Pairs(&mut line));
        writeln!(writer, "{line}")
    }
}

struct Pairs<'a>(&'a mut String);

impl Pairs<'_> {
    fn pair(&mut self, field: &Field, value: &str) {
        let name = if field.name() == "message" {
            "msg"
        } else {
            field.name()
        };
        let plain = !value.is_empty()
            && value
                .bytes()
                .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'=' | b'\\'));
        // Writing to a String does not fail.
        let _ = if plain {
            write!(self.0, " {name}={value}")
        } else {
            write!(
                self.0,
                " {name}=\"{}\"",
                value.replace('\\', "\\\\").replace('"', "\\\"")
            )
        };
    }
}

impl Visit for Pairs<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.pair(field, &Escaped(value.as_bytes()).to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.pair(field, &format!("{value:?}"));
    }
}
