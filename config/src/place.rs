//! Where a value was written, and how to show that on a terminal.
//!
//! What a file or a variable holds is echoed in messages, and may come from anywhere, so
//! everything that is echoed is bounded in length and has its control characters escaped.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Where a key or a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a configuration file.
    File(Box<Position>),
    /// In the environment variable of this name.
    Variable(String),
    /// On the command line, by the flag of this name (as typed: `--on-conflict`).
    Flag(String),
    /// Nowhere: nobody said it, nor anything around it.
    Default,
}

impl Place {
    /// The line and its carets, on lines of their own; nothing outside a file.
    pub(crate) fn excerpt(&self) -> String {
        match self {
            Self::File(position) => format!("\n{}", position.excerpt),
            Self::Variable(_) | Self::Flag(_) | Self::Default => String::new(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(position) => position.fmt(f),
            Self::Variable(name) => write!(f, "environment variable {}", shown(name, NAME)),
            Self::Flag(name) => write!(f, "flag {}", shown(name, NAME)),
            Self::Default => f.write_str("by default"),
        }
    }
}

/// A position in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The file, as it was named to [`Config::load`](crate::Config::load).
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    excerpt: String,
}

impl Position {
    /// The position of `span`, in bytes, in the content of `file`.
    pub(crate) fn of(file: &Path, content: &[u8], span: Range<usize>) -> Self {
        let (before, _) = content.split_at(span.start.min(content.len()));
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let line = content.get(line_start..).unwrap_or_default();
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);

        let (prefix, rest) = line.split_at((before.len() - line_start).min(line.len()));
        let (marked, suffix) = rest.split_at(span.len().min(rest.len()));
        let [prefix, marked, suffix] = [prefix, marked, suffix].map(String::from_utf8_lossy);
        let shown = masked(&[&*prefix, &*marked, &*suffix].concat());
        let mut shown = shown.chars();
        let mut next =
            |like: &str| -> String { shown.by_ref().take(like.chars().count()).collect() };
        let [prefix, marked, suffix] = [next(&prefix), next(&marked), next(&suffix)];

        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self {
            file: file.to_owned(),
            line,
            column: 1 + prefix.chars().count(),
            excerpt: excerpt(line, &prefix, &marked, &suffix),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = shown_path(&self.file);
        write!(f, "{file}: line {}, column {}", self.line, self.column)
    }
}

/// How many characters of a name, of a whole message, and of a line on either side of what is
/// marked in it, are shown.
pub(crate) const NAME: usize = 80;
pub(crate) const MESSAGE: usize = 400;
const AROUND: usize = 50;

/// The line with its number, and carets below the marked part.
fn excerpt(line: usize, prefix: &str, marked: &str, suffix: &str) -> String {
    let hidden = prefix.chars().count().saturating_sub(AROUND);
    let mut before: String = prefix.chars().skip(hidden).flat_map(escape).collect();
    if hidden > 0 {
        before.insert(0, '…');
    }
    let (marked, after) = (shown(marked, AROUND), shown(suffix, AROUND));
    let gutter = format!("{line} | ");
    format!(
        "{gutter}{before}{marked}{after}\n{space:indent$}{carets}",
        space = "",
        indent = gutter.len() + before.chars().count(),
        carets = "^".repeat(marked.chars().count().max(1)),
    )
}

/// `text` with asterisks in the place of a user and a password in a URL, be it a wrong one: all
/// between the first `://`, or else colon, and the last `@`, for a password may hold anything. It has
/// as many characters as before.
pub(crate) fn masked(text: &str) -> String {
    let start = text.find("://").map(|at| at + 3);
    let start = start.or_else(|| text.find(':').map(|at| at + 1));
    let parts = start.zip(text.rfind('@'));
    let parts = parts.and_then(|(start, end)| {
        let secret = text.get(start..end)?;
        Some((text.get(..start)?, secret, text.get(end..)?))
    });
    match parts {
        Some((before, secret, after)) => {
            let hidden = "*".repeat(secret.chars().count());
            format!("{before}{hidden}{after}")
        }
        None => text.to_owned(),
    }
}

/// `text` with at most `limit` of its characters, none of which a terminal obeys.
pub(crate) fn shown(text: &str, limit: usize) -> String {
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(limit).flat_map(escape).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// A path for a message.
pub(crate) fn shown_path(path: &Path) -> String {
    // A path is bounded by the system, and its end is what tells it from others.
    shown(&path.to_string_lossy(), usize::MAX)
}

/// What cannot be seen, or changes how its neighbours are seen, is written out.
fn escape(char: char) -> impl Iterator<Item = char> {
    let (plain, escaped) = match char {
        '\t' => (Some(' '), None),
        '"' | '\'' | '\\' => (Some(char), None),
        _ => (None, Some(char.escape_debug())),
    };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn position(content: &str, span: Range<usize>) -> Position {
        Position::of(Path::new("f.toml"), content.as_bytes(), span)
    }

    #[rstest]
    #[case::first("ab = 1\n", 0..2, 1, 1, "1 | ab = 1\n    ^^")]
    #[case::later("x = 1\r\nab = 1\r\n", 12..13, 2, 6, "2 | ab = 1\n         ^")]
    #[case::characters_not_bytes("é = 1", 5..6, 1, 5, "1 | é = 1\n        ^")]
    #[case::at_the_end("x = ", 4..4, 1, 5, "1 | x = \n        ^")]
    #[case::after_the_last_line("x\n", 2..2, 2, 1, "2 | \n    ^")]
    #[case::beyond("x", 9..12, 1, 2, "1 | x\n     ^")]
    #[case::over_lines("a\nb", 0..3, 1, 1, "1 | a\n    ^")]
    #[case::tab("\tx", 1..2, 1, 2, "1 |  x\n     ^")]
    #[case::hostile("\u{1b}[J\u{202e}x", 6..7, 1, 5, "1 | \\u{1b}[J\\u{202e}x\n                    ^")]
    fn points_at_the_span(
        #[case] content: &str,
        #[case] span: Range<usize>,
        #[case] line: usize,
        #[case] column: usize,
        #[case] excerpt: &str,
    ) {
        let position = position(content, span);
        assert_eq!((position.line, position.column), (line, column));
        assert_eq!(position.excerpt, excerpt);
    }

    #[rstest]
    #[case("http://monitor/x", "http://monitor/x")]
    #[case("me@monitor", "me@monitor")]
    #[case("me@monitor:1", "me@monitor:1")]
    #[case("user:p@monitor:1", "user:*@monitor:1")]
    #[case("http://é:p@monitor/x", "http://***@monitor/x")]
    #[case("http://u:a@b/c \"://@monitor/x", "http://************@monitor/x")]
    fn what_may_be_a_password_is_not_shown(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(masked(text), expected);
        let marked = position(text, 5..text.len()).excerpt;
        assert!(
            marked.starts_with(&format!("1 | {expected}\n         ^^")),
            "{marked}"
        );
    }

    #[test]
    fn a_long_line_is_cut_on_both_sides() {
        let content = format!("{}bad{}", "a".repeat(1000), "b".repeat(1000));
        assert_eq!(
            position(&content, 1000..1003).excerpt,
            format!(
                "1 | …{a}bad{b}…\n{space}^^^",
                a = "a".repeat(50),
                b = "b".repeat(50),
                space = " ".repeat(55)
            )
        );
    }
}
