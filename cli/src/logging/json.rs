//! Lines of JSON: an object each, with the fields as its members.

use std::fmt::{self, Write};

use super::escape::Quoted;
use super::fields::Value;

/// Writes a member, after others.
pub(super) fn field(out: &mut dyn Write, name: &str, value: Value<'_>) -> fmt::Result {
    out.write_char(',')?;
    member(out, name, value)
}

/// Writes a member.
pub(super) fn member(out: &mut dyn Write, name: &str, value: Value<'_>) -> fmt::Result {
    out.write_char('"')?;
    Quoted(out).write_str(name)?;
    out.write_str("\":")?;
    if matches!(value, Value::Plain(_)) {
        return value.write(out);
    }
    out.write_char('"')?;
    value.write(&mut Quoted(out))?;
    out.write_char('"')
}
