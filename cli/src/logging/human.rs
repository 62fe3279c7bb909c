//! Lines for people: `2026-11-23T12:00:00.000000Z  INFO peer.connected peer=cam transport=tcp`.

use std::fmt::{self, Write};

use tracing::Level;

use super::escape::Printable;
use super::fields::{Short, Value};

/// Faint, and back to normal.
const FAINT: [&str; 2] = ["\x1b[2m", "\x1b[0m"];

/// Begins a line.
pub(super) fn begin(
    out: &mut dyn Write,
    colour: bool,
    time: Option<&str>,
    level: Level,
) -> fmt::Result {
    if let Some(time) = time {
        let [faint, normal] = if colour { FAINT } else { [""; 2] };
        write!(out, "{faint}{time}{normal} ")?;
    }
    let [painted, normal] = if colour { paint(level) } else { [""; 2] };
    write!(out, "{painted}{:>5}{normal}", level.as_str())
}

fn paint(level: Level) -> [&'static str; 2] {
    let painted = match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    };
    [painted, "\x1b[0m"]
}

/// Writes what happened.
pub(super) fn event(out: &mut dyn Write, value: Value<'_>) -> fmt::Result {
    out.write_char(' ')?;
    value.write(&mut Printable(out))
}

/// Writes a message, after what happened or where.
pub(super) fn message(out: &mut dyn Write, value: Value<'_>) -> fmt::Result {
    out.write_str(": ")?;
    value.write(&mut Printable(out))
}

/// Writes a field. A value that could be taken for more than one is in quotes, as is a long one.
pub(super) fn field(out: &mut dyn Write, name: &str, value: Value<'_>) -> fmt::Result {
    out.write_char(' ')?;
    out.write_str(name)?;
    out.write_char('=')?;
    match value {
        Value::Plain(_) => value.write(out),
        Value::Text(text) => bare_or_quoted(out, text),
        Value::Shown(_) => match Short::of(value) {
            Some(short) => bare_or_quoted(out, short.as_str()),
            None => quoted(out, value),
        },
    }
}

fn bare_or_quoted(out: &mut dyn Write, text: &str) -> fmt::Result {
    let misleads = |byte: u8| byte.is_ascii_whitespace() || byte == b'"';
    if text.is_empty() || text.bytes().any(misleads) {
        return quoted(out, Value::Text(text));
    }
    Printable(out).write_str(text)
}

fn quoted(out: &mut dyn Write, value: Value<'_>) -> fmt::Result {
    out.write_char('"')?;
    value.write(&mut Printable(&mut QuotesEscaped(out)))?;
    out.write_char('"')
}

/// Puts a backslash before each quote.
struct QuotesEscaped<'a>(&'a mut dyn Write);

impl Write for QuotesEscaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (number, part) in text.split('"').enumerate() {
            if number > 0 {
                self.0.write_str("\\\"")?;
            }
            self.0.write_str(part)?;
        }
        Ok(())
    }
}
