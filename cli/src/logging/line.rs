//! A line: when, how grave, what happened, the fields of it, and those of the spans around it.

use std::fmt::{self, Write};
use std::time::SystemTime;

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::fields::{Fields, Value};
use super::spans::SpanFields;
use super::stamp::Stamp;
use super::{human, journal, json, logfmt};

/// The field that says what happened.
const EVENT: &str = "event";
/// The field that tracing puts a text into.
const MESSAGE: &str = "message";
/// How many fields of an event are remembered, so that no span says one again. Tracing lets one have
/// no more.
const MAX_FIELDS: usize = 32;

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Human {
        /// On a terminal that shows colours.
        colour: bool,
    },
    /// Names and values.
    Logfmt,
    /// An object.
    Json,
}

/// Writes lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) form: Form,
    /// Whether the journal reads the lines. It knows the time, and is told the level.
    pub(super) journal: bool,
    /// What time it is.
    pub(super) clock: fn() -> SystemTime,
}

impl Line {
    /// Writes the line about `fields`, which came from where `metadata` says, `around` which there
    /// may be spans.
    pub(super) fn write(
        &self,
        out: &mut dyn Write,
        metadata: &Metadata<'_>,
        fields: &dyn Fields,
        around: Option<&SpanFields>,
    ) -> fmt::Result {
        self.begin(out, metadata)?;
        let mut done = Ok(());
        let mut is_named = false;
        fields.each(&mut |name, value| {
            if name == EVENT && !is_named && done.is_ok() {
                is_named = true;
                done = self.event(out, value);
            }
        });
        done?;
        if !is_named && matches!(self.form, Form::Human { .. }) {
            // Else nobody would know what it is about.
            human::event(out, Value::Text(metadata.target()))?;
        }
        let mut said = [""; MAX_FIELDS];
        let mut names = said.iter_mut();
        let mut done = Ok(());
        fields.each(&mut |name, value| {
            if let Some(next) = names.next() {
                *next = name;
            }
            if name != EVENT && done.is_ok() {
                done = self.field(out, name, value);
            }
        });
        done?;
        if let Some(around) = around {
            for (name, value) in around.iter() {
                if !said.contains(&name) {
                    self.field(out, name, value)?;
                }
            }
        }
        out.write_str(if self.form == Form::Json { "}\n" } else { "\n" })
    }

    fn begin(&self, out: &mut dyn Write, metadata: &Metadata<'_>) -> fmt::Result {
        let level = *metadata.level();
        if self.journal {
            journal::begin(out, level)?;
        }
        let time = (!self.journal).then(|| Stamp::of((self.clock)()));
        let time = time.as_ref().map(Stamp::as_str);
        let target = Value::Text(metadata.target());
        match self.form {
            Form::Human { colour } => human::begin(out, colour, time, level),
            Form::Logfmt => {
                if let Some(time) = time {
                    out.write_str("time=")?;
                    out.write_str(time)?;
                    out.write_char(' ')?;
                }
                out.write_str("level=")?;
                out.write_str(name(level))?;
                logfmt::field(out, "target", target)
            }
            Form::Json => {
                out.write_char('{')?;
                if let Some(time) = time {
                    json::member(out, "time", Value::Text(time))?;
                    out.write_char(',')?;
                }
                json::member(out, "level", Value::Text(name(level)))?;
                json::field(out, "target", target)
            }
        }
    }

    fn event(&self, out: &mut dyn Write, value: Value<'_>) -> fmt::Result {
        match self.form {
            Form::Human { .. } => human::event(out, value),
            Form::Logfmt => logfmt::field(out, EVENT, value),
            Form::Json => json::field(out, EVENT, value),
        }
    }

    fn field(&self, out: &mut dyn Write, name: &str, value: Value<'_>) -> fmt::Result {
        let name = match name {
            MESSAGE if matches!(self.form, Form::Human { .. }) => {
                return human::message(out, value);
            }
            MESSAGE => "msg",
            // What a line has of its own, it has once.
            "time" => "time_",
            "level" => "level_",
            "target" => "target_",
            "msg" => "msg_",
            name => name.strip_prefix("r#").unwrap_or(name),
        };
        match self.form {
            Form::Human { .. } => human::field(out, name, value),
            Form::Logfmt => logfmt::field(out, name, value),
            Form::Json => json::field(out, name, value),
        }
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let span = context.parent_span();
        let extensions = span.as_ref().map(|span| span.extensions());
        let around = extensions.as_ref().and_then(|kept| kept.get());
        self.write(&mut writer, event.metadata(), event, around)
    }
}
