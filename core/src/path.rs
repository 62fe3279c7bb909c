//! Relative paths: the only kind of path that reaches storage.

use std::fmt;

/// The longest path, in bytes (Linux's `PATH_MAX` less its NUL).
pub const MAX_PATH_LEN: usize = 4095;
/// The longest name of one component, in bytes (Linux's `NAME_MAX`).
pub const MAX_NAME_LEN: usize = 255;

/// A validated path below some root: one or more names joined by `/`.
///
/// Names are bytes. None is empty, `.`, `..`, longer than [`MAX_NAME_LEN`], holds a NUL, or is
/// [reserved](is_reserved) for realize's own files. `Display` escapes control and bidirectional
/// characters and bytes that are not UTF-8, so that a hostile name cannot speak to a terminal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Box<[u8]>);

/// Why some bytes are no [`RelPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// Nothing at all.
    #[error("the path is empty")]
    Empty,
    /// Longer than [`MAX_PATH_LEN`].
    #[error("the path is longer than {MAX_PATH_LEN} bytes")]
    TooLong,
    /// A component is longer than [`MAX_NAME_LEN`].
    #[error("a name in the path is longer than {MAX_NAME_LEN} bytes")]
    NameTooLong,
    /// An empty component: a leading, trailing or doubled slash.
    #[error("the path has a leading, trailing or doubled slash")]
    EmptyName,
    /// A component is `.` or `..`.
    #[error("the path has a component that is . or ..")]
    Dots,
    /// A NUL byte.
    #[error("the path has a NUL byte")]
    Nul,
    /// A component is a name that realize keeps for itself.
    #[error("the path has a name that is reserved for files under construction")]
    Reserved,
}

impl RelPath {
    /// Validates `bytes`.
    ///
    /// # Errors
    /// [`InvalidPath`] says which rule they break.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, InvalidPath> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Err(InvalidPath::Empty);
        }
        if bytes.len() > MAX_PATH_LEN {
            return Err(InvalidPath::TooLong);
        }
        for name in bytes.split(|&b| b == b'/') {
            check_name(name)?;
        }
        Ok(Self(bytes.into()))
    }

    /// The path of `name` in the directory `parent`; of `name` in the root where that is `None`.
    ///
    /// # Errors
    /// As [`RelPath::new`].
    pub fn join(parent: Option<&Self>, name: &[u8]) -> Result<Self, InvalidPath> {
        check_name(name)?;
        let Some(parent) = parent else {
            return Ok(Self(name.into()));
        };
        let mut bytes = Vec::with_capacity(parent.0.len() + 1 + name.len());
        bytes.extend_from_slice(&parent.0);
        bytes.push(b'/');
        bytes.extend_from_slice(name);
        if bytes.len() > MAX_PATH_LEN {
            return Err(InvalidPath::TooLong);
        }
        Ok(Self(bytes.into()))
    }

    /// The path of what is at `inner` below this one.
    ///
    /// # Errors
    /// [`InvalidPath::TooLong`].
    pub fn append(&self, inner: &Self) -> Result<Self, InvalidPath> {
        let bytes = [&*self.0, b"/", &*inner.0].concat();
        if bytes.len() > MAX_PATH_LEN {
            return Err(InvalidPath::TooLong);
        }
        Ok(Self(bytes.into()))
    }

    /// What is left of the path below `directory`; `None` where it does not lie in it.
    pub fn below(&self, directory: &Self) -> Option<Self> {
        let rest = self.0.strip_prefix(&*directory.0)?;
        rest.strip_prefix(b"/").map(|inner| Self(inner.into()))
    }

    /// The bytes of the path.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The names, outermost first.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/')
    }

    /// The last name.
    pub fn file_name(&self) -> &[u8] {
        self.names().next_back().unwrap_or(&self.0)
    }

    /// The directory that holds it; `None` where that is the root.
    pub fn parent(&self) -> Option<Self> {
        let slash = self.0.iter().rposition(|&b| b == b'/')?;
        self.0.get(..slash).map(|parent| Self(parent.into()))
    }
}

fn check_name(name: &[u8]) -> Result<(), InvalidPath> {
    match name {
        [] => Err(InvalidPath::EmptyName),
        b"." | b".." => Err(InvalidPath::Dots),
        _ if name.len() > MAX_NAME_LEN => Err(InvalidPath::NameTooLong),
        _ if name.contains(&0) => Err(InvalidPath::Nul),
        // `join` takes one name, which may hold no slash; `new` has split them away.
        _ if name.contains(&b'/') => Err(InvalidPath::EmptyName),
        _ if is_reserved(name) => Err(InvalidPath::Reserved),
        _ => Ok(()),
    }
}

/// What every reserved name starts with.
pub(crate) const RESERVED_PREFIX: &[u8] = b".realize-";
/// How many hexadecimal digits stand in the reserved names that have some.
pub(crate) const RESERVED_DIGITS: usize = 32;
/// The endings of the reserved names with digits.
pub(crate) const RESERVED_ENDINGS: [&[u8]; 4] = [b".part", b".state", b".source", b".destination"];
/// The reserved names without digits.
pub(crate) const RESERVED_NAMES: [&[u8]; 3] = [
    b".realize-source.lease",
    b".realize-destination.lease",
    b".realize-deleting",
];

/// What stands before the name of a source file between its rename and its end, where there is no room
/// for the directory that holds such files.
pub(crate) const RESERVED_ASIDE: &[u8] = b".realize-deleting-";

/// Whether `name` is one that realize keeps for its own files: `.realize-`, 32 hexadecimal digits
/// and `.part`, `.state`, `.source` or `.destination`; or one of the two lease files; or the
/// directory `.realize-deleting`, or that with `-` and a name behind it. No peer can address them; a
/// user's own `.realize-notes` is not one of them.
pub fn is_reserved(name: &[u8]) -> bool {
    if RESERVED_NAMES.contains(&name) {
        return true;
    }
    name.starts_with(RESERVED_ASIDE) || is_numbered(name)
}

/// Whether `name` is a reserved one with digits.
pub(crate) fn is_numbered(name: &[u8]) -> bool {
    let Some(rest) = name.strip_prefix(RESERVED_PREFIX) else {
        return false;
    };
    let Some((digits, ending)) = rest.split_at_checked(RESERVED_DIGITS) else {
        return false;
    };
    digits
        .iter()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && RESERVED_ENDINGS.contains(&ending)
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0).fmt(f)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelPath({self})")
    }
}

impl TryFrom<&str> for RelPath {
    type Error = InvalidPath;
    fn try_from(text: &str) -> Result<Self, InvalidPath> {
        Self::new(text)
    }
}

/// Bytes as text that is safe to print: UTF-8 stays as far as [`is_printable`], everything else is
/// written as `\n`, `\u{202e}` or `\xff`, and a backslash is doubled.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\';
        if self.0.iter().all(plain) {
            // Which almost all names are.
            return f.write_str(str::from_utf8(self.0).unwrap_or_default());
        }
        for chunk in self.0.utf8_chunks() {
            let text = chunk.valid();
            let mut written = 0;
            for (at, c) in text.char_indices() {
                if is_printable(c) && c != '\\' {
                    continue;
                }
                f.write_str(text.get(written..at).unwrap_or_default())?;
                written = at + c.len_utf8();
                match c {
                    '\\' => f.write_str("\\\\")?,
                    '\n' => f.write_str("\\n")?,
                    '\r' => f.write_str("\\r")?,
                    '\t' => f.write_str("\\t")?,
                    c => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                }
            }
            f.write_str(text.get(written..).unwrap_or_default())?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether `c` shows as itself: it neither steers a terminal, nor breaks or reorders a line, nor is
/// there without being seen.
///
/// Control characters do not, nor those of Unicode's category Cf (bidirectional controls, zero-width
/// characters, the soft hyphen, tags), line and paragraph separators, and fillers without width.
/// Variation selectors do: they change how the character before them looks.
pub fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    !c.is_control()
        && !matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{600}'..='\u{605}'
                | '\u{61c}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{890}'..='\u{891}'
                | '\u{8e2}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{110bd}'
                | '\u{110cd}'
                | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"", InvalidPath::Empty)]
    #[case(b"/etc/passwd", InvalidPath::EmptyName)]
    #[case(b"a//b", InvalidPath::EmptyName)]
    #[case(b"a/", InvalidPath::EmptyName)]
    #[case(b"..", InvalidPath::Dots)]
    #[case(b"a/../b", InvalidPath::Dots)]
    #[case(b"./a", InvalidPath::Dots)]
    #[case(b"a\0b", InvalidPath::Nul)]
    #[case(b".realize-deleting/x", InvalidPath::Reserved)]
    #[case(b"d/.realize-deleting-x", InvalidPath::Reserved)]
    #[case(
        b"d/.realize-0123456789abcdef0123456789abcdef.part",
        InvalidPath::Reserved
    )]
    #[case(b"d/.realize-source.lease", InvalidPath::Reserved)]
    fn refused(#[case] bytes: &[u8], #[case] why: InvalidPath) {
        assert_eq!(RelPath::new(bytes), Err(why));
    }

    #[rstest]
    #[case(b"a")]
    #[case(b"a/b c/\xff\n")]
    #[case(b"...")]
    #[case(b".x.part")]
    #[case(b".realize-notes")]
    #[case(b".realize-0123456789ABCDEF0123456789abcdef.part")]
    fn accepted(#[case] bytes: &[u8]) {
        let path = RelPath::new(bytes).unwrap();
        assert_eq!(path.as_bytes(), bytes);
    }

    #[test]
    fn length_bounds() {
        assert!(RelPath::new(vec![b'a'; 255]).is_ok());
        assert_eq!(RelPath::new(vec![b'a'; 256]), Err(InvalidPath::NameTooLong));
        let long = "a/".repeat(2047) + "b";
        assert_eq!(long.len(), MAX_PATH_LEN);
        let long = RelPath::new(long).unwrap();
        assert_eq!(RelPath::join(Some(&long), b"c"), Err(InvalidPath::TooLong));
        assert_eq!(RelPath::join(None, b"a/b"), Err(InvalidPath::EmptyName));
    }

    #[rstest]
    #[case("a", "b/c")]
    #[case("a/b", "c")]
    fn what_was_appended_is_below(#[case] directory: &str, #[case] inner: &str) {
        let path = |text: &str| RelPath::new(text).unwrap();
        let whole = path(directory).append(&path(inner)).unwrap();
        assert_eq!(whole, path("a/b/c"));
        assert_eq!(whole.below(&path(directory)), Some(path(inner)));
    }

    #[test]
    fn what_only_begins_alike_is_not_below() {
        let path = |text: &str| RelPath::new(text).unwrap();
        for other in ["a", "ab", "ab/c", "b/a/c"] {
            assert_eq!(path(other).below(&path("a")), None);
        }
        let long = path(&("a/".repeat(2046) + "b"));
        assert!(long.append(&path("c")).is_ok());
        assert_eq!(long.append(&path("cde")), Err(InvalidPath::TooLong));
    }

    #[test]
    fn hostile_names_are_escaped() {
        let name = "a\u{1b}[31m\u{202e}gpj.exe\n\\".as_bytes();
        assert_eq!(
            Escaped(name).to_string(),
            "a\\u{1b}[31m\\u{202e}gpj.exe\\n\\\\"
        );
        assert_eq!(Escaped(b"\xff\xc3\xa9").to_string(), "\\xff\u{e9}");
    }

    #[rstest]
    #[case::c1('\u{9b}')]
    #[case::delete('\u{7f}')]
    #[case::soft_hyphen('\u{ad}')]
    #[case::arabic_letter_mark('\u{61c}')]
    #[case::zero_width_space('\u{200b}')]
    #[case::left_to_right_mark('\u{200e}')]
    #[case::right_to_left_mark('\u{200f}')]
    #[case::line_separator('\u{2028}')]
    #[case::embedding('\u{202a}')]
    #[case::override_('\u{202e}')]
    #[case::word_joiner('\u{2060}')]
    #[case::isolate('\u{2066}')]
    #[case::pop_isolate('\u{2069}')]
    #[case::filler('\u{3164}')]
    #[case::byte_order_mark('\u{feff}')]
    #[case::annotation('\u{fff9}')]
    #[case::tag('\u{e0041}')]
    fn what_is_not_seen_is_written_out(#[case] c: char) {
        let shown = format!("a\\u{{{:x}}}b", u32::from(c));
        assert_eq!(Escaped(format!("a{c}b").as_bytes()).to_string(), shown);
    }

    #[test]
    fn what_is_seen_stays() {
        let text = "naïve Ελλάδα 日本 \u{2764}\u{fe0f} ~ \u{fffd}";
        assert_eq!(Escaped(text.as_bytes()).to_string(), text);
    }

    proptest! {
        #[test]
        fn no_accepted_path_leaves_its_root(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(path) = RelPath::new(bytes.clone()) {
                for name in path.names() {
                    prop_assert!(!name.is_empty() && name != b".." && name != b"." && !name.contains(&0));
                }
                let rebuilt = path.names().try_fold(None, |parent: Option<RelPath>, name| {
                    RelPath::join(parent.as_ref(), name).map(Some)
                });
                prop_assert_eq!(rebuilt.unwrap().unwrap(), path);
            }
        }
    }
}
