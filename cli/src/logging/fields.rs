//! What an event or a span holds, as names and values.

use std::fmt::{self, Debug, Display};

use realize_core::path::Escaped;
use tracing::Event;
use tracing::field::{Field, Visit};

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// What is a text once it is written.
    Shown(&'a dyn Debug),
    /// A number, or a yes or no: the same in every form, and without quotes.
    Plain(&'a dyn Display),
}

impl Value<'_> {
    /// Writes it as it is: whoever takes it escapes.
    pub(super) fn write(self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Text(text) => out.write_str(text),
            Self::Shown(value) => write!(out, "{value:?}"),
            Self::Plain(value) => write!(out, "{value}"),
        }
    }
}

/// How long a text may be for whoever looks at it before it is written, in bytes.
const SHORT: usize = 128;

/// A short text.
pub(super) struct Short {
    bytes: [u8; SHORT],
    len: usize,
}

impl Short {
    /// The text of a value, if it is a short one.
    pub(super) fn of(value: Value<'_>) -> Option<Self> {
        let mut short = Self {
            bytes: [0; SHORT],
            len: 0,
        };
        value.write(&mut short).ok().map(|()| short)
    }

    pub(super) fn as_str(&self) -> &str {
        let written = self.bytes.get(..self.len).unwrap_or_default();
        str::from_utf8(written).unwrap_or_default()
    }
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Names, each with a value.
pub(super) trait Fields {
    /// Shows each to `see`, in order.
    fn each(&self, see: &mut dyn FnMut(&'static str, Value<'_>));
}

impl Fields for Event<'_> {
    fn each(&self, see: &mut dyn FnMut(&'static str, Value<'_>)) {
        self.record(&mut Seen(see));
    }
}

/// Hands on what tracing shows.
pub(super) struct Seen<'a>(pub(super) &'a mut dyn FnMut(&'static str, Value<'_>));

impl Visit for Seen<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // Infinity and the like are no numbers to most readers.
        (self.0)(
            field.name(),
            if value.is_finite() {
                Value::Plain(&value)
            } else {
                Value::Shown(&value)
            },
        );
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        (self.0)(field.name(), Value::Plain(&value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        (self.0)(field.name(), Value::Plain(&value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        (self.0)(field.name(), Value::Plain(&value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        (self.0)(field.name(), Value::Plain(&value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        (self.0)(field.name(), Value::Plain(&value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        (self.0)(field.name(), Value::Text(value));
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        (self.0)(
            field.name(),
            Value::Shown(&format_args!("{}", Escaped(value))),
        );
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        (self.0)(field.name(), Value::Shown(value));
    }
}
