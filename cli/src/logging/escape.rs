//! Writers that let nothing pass that steers a terminal, or ends a line.

use std::fmt::{self, Write};

use realize_core::path::is_printable;

/// Escapes as within the quotes of JSON, which logfmt reads too: `\n`, `\"`, `\u202e`. What is read is
/// what was written.
pub(super) struct Quoted<'a>(pub(super) &'a mut dyn Write);

impl Write for Quoted<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let plain = |byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        if text.bytes().all(plain) {
            return self.0.write_str(text);
        }
        escape(
            self.0,
            text,
            |c| matches!(c, '"' | '\\'),
            |out, c| match c {
                '"' => out.write_str("\\\""),
                '\\' => out.write_str("\\\\"),
                '\n' => out.write_str("\\n"),
                '\r' => out.write_str("\\r"),
                '\t' => out.write_str("\\t"),
                c => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        write!(out, "\\u{unit:04x}")?;
                    }
                    Ok(())
                }
            },
        )
    }
}

/// Escapes for people: what is printable stays, the rest is shown as `\n` or `\u{202e}`. A backslash
/// stays, for names have theirs escaped before.
pub(super) struct Printable<'a>(pub(super) &'a mut dyn Write);

impl Write for Printable<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return self.0.write_str(text);
        }
        escape(
            self.0,
            text,
            |_| false,
            |out, c| match c {
                '\n' => out.write_str("\\n"),
                '\r' => out.write_str("\\r"),
                '\t' => out.write_str("\\t"),
                c => write!(out, "\\u{{{:x}}}", u32::from(c)),
            },
        )
    }
}

/// Writes `text`, with what is not printable, or `also` not to stay, as `escaped` writes it.
fn escape(
    out: &mut dyn Write,
    text: &str,
    also: impl Fn(char) -> bool,
    escaped: impl Fn(&mut dyn Write, char) -> fmt::Result,
) -> fmt::Result {
    let mut written = 0;
    for (at, c) in text.char_indices() {
        if is_printable(c) && !also(c) {
            continue;
        }
        out.write_str(text.get(written..at).unwrap_or_default())?;
        escaped(out, c)?;
        written = at + c.len_utf8();
    }
    out.write_str(text.get(written..).unwrap_or_default())
}
