//! Logging: events of tracing as lines on standard error.
//!
//! `line` puts a line together: `human`, `logfmt` and `json` are the three forms of it, `escape` keeps
//! what a name or a peer may hold from steering a terminal or making two lines of one. `fields` reads
//! what an event holds, `spans` keeps what the spans around it do, `stamp` writes the time. `journal`
//! finds out whether systemd's journal reads the lines. `sampling` counts warnings that come again and
//! again.
//!
//! Whoever logs says what happened in the field `event`, and the rest in fields of their own: bytes and
//! seconds as numbers, paths as [`Escaped`](realize_core::path::Escaped).

use std::io::{IsTerminal, Write as _, stderr};
use std::sync::Arc;
use std::time::SystemTime;

use realize_config::{Log, LogFormat};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

use crate::args::Verbosity;
use crate::exit::Exit;
use crate::output::Screen;

mod escape;
mod fields;
mod human;
mod journal;
mod json;
mod line;
mod logfmt;
mod sampling;
mod spans;
mod stamp;
#[cfg(test)]
mod tests;

use fields::Fields;
use line::{Form, Line};
use sampling::{Sampler, Sampling};
use spans::Spans;

/// What the command logs unless it was said: what a person must know while it runs. Failures of
/// single files are not among it, for they follow the summary.
const COMMAND: &str = "warn,realize::file=off";
/// What the daemon logs unless it was said.
const DAEMON: &str = "info";
/// What is not asked for with a level alone: how calls travel, and what TLS is doing.
const NOT_MEANT: [&str; 3] = ["tarpc=error", "rustls=error", "opentelemetry=error"];
/// What the targets of realize's own code begin with. Their spans are heeded whatever the level.
const OWN: &str = "realize";

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

/// The log of this process. What sampling has left out is said at the latest when it is dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct Logging(Arc<Sampler>);

impl Logging {
    /// Says what sampling has left out, each time that its minute is over, for as long as it is
    /// polled. It never ends.
    pub(crate) fn keep_counting(&self) -> impl Future<Output = ()> + Send + use<> {
        let sampler = Arc::clone(&self.0);
        async move { sampler.keep_counting().await }
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.0.say_everything();
    }
}

/// Starts logging for this process, on `screen`.
///
/// # Errors
/// A level that is none.
pub(crate) fn start(log: &Log, program: Program, screen: &Screen) -> Result<Logging, Exit> {
    let level = match (&log.level, program) {
        (said, Program::Command(Verbosity { verbose: 1, .. })) => at_least("info", said.as_deref()),
        (said, Program::Command(Verbosity { verbose: 2.., .. })) => {
            at_least("debug", said.as_deref())
        }
        (_, Program::Command(Verbosity { quiet: true, .. })) => "off",
        (Some(level), _) => level,
        (None, Program::Command(_)) => COMMAND,
        (None, Program::Daemon) => DAEMON,
        (None, Program::Stdio) => "error",
    };
    // What is said of a target by name counts, whoever says it last.
    let filter = EnvFilter::try_new(format!("{},{level}", NOT_MEANT.join(",")))
        .map_err(|error| Exit::usage(format!("the log level `{level}`: {error}")))?;
    let journal = journal::reads(stderr(), std::env::var_os("JOURNAL_STREAM").as_deref());
    let terminal = stderr().is_terminal();
    let form = match log.format {
        Some(LogFormat::Human) | None if terminal => Form::Human {
            colour: std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        },
        Some(LogFormat::Human) => Form::Human { colour: false },
        Some(LogFormat::Logfmt) | None => Form::Logfmt,
        Some(LogFormat::Json) => Form::Json,
    };
    let line = Line {
        form,
        journal,
        clock: SystemTime::now,
    };
    let (subscriber, logging) = subscriber(filter, line, screen.clone());
    subscriber.init();
    Ok(logging)
}

/// The level of a flag, or what is `said` besides if that is a level that logs more.
fn at_least<'a>(flag: &'a str, said: Option<&'a str>) -> &'a str {
    const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
    let rank = |level: &str| LEVELS.iter().position(|l| l.eq_ignore_ascii_case(level));
    said.filter(|said| rank(said) > rank(flag)).unwrap_or(flag)
}

/// What takes events: those that `filter` lets pass, each written to `writer` as a line.
fn subscriber<W>(filter: EnvFilter, line: Line, writer: W) -> (impl Subscriber, Logging)
where
    W: for<'w> MakeWriter<'w> + Clone + Send + Sync + 'static,
{
    let count_writer = writer.clone();
    let say = move |metadata: &'static Metadata<'static>, fields: &dyn Fields| {
        let mut text = String::new();
        if line.write(&mut text, metadata, fields, None).is_ok() {
            // Who cannot be written to cannot be told so.
            let mut writer = count_writer.make_writer_for(metadata);
            let _ = writer.write_all(text.as_bytes());
        }
    };
    let sampler = Arc::new(Sampler::new(Box::new(say)));
    let is_own_span =
        |metadata: &Metadata<'_>| metadata.is_span() && metadata.target().starts_with(OWN);
    let wanted = filter.or(filter_fn(is_own_span).with_max_level_hint(LevelFilter::INFO));
    // It keeps a buffer for each thread, and writes each line at once. What it would keep of spans,
    // `Spans` does.
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(debug_fn(|_, _, _| Ok(())))
        .event_format(line)
        .with_writer(writer);
    let layers = Spans
        .and_then(Sampling(Arc::clone(&sampler)))
        .and_then(lines);
    let subscriber = Registry::default().with(layers.with_filter(wanted));
    (subscriber, Logging(sampler))
}
