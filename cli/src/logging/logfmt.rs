//! Lines of logfmt: `time=... level=info target=... event=peer.connected peer=cam reason="so and so"`.

use std::fmt::{self, Write};

use super::escape::Quoted;
use super::fields::{Short, Value};

/// Writes a field. A value of more than plain letters, digits and signs is in quotes, as is a long one.
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
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\');
    if !text.is_empty() && text.bytes().all(plain) {
        return out.write_str(text);
    }
    quoted(out, Value::Text(text))
}

fn quoted(out: &mut dyn Write, value: Value<'_>) -> fmt::Result {
    out.write_char('"')?;
    value.write(&mut Quoted(out))?;
    out.write_char('"')
}
