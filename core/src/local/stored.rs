//! Under which name something is stored: file systems may find it under others too, in another case or
//! another spelling of the same letters.

use std::io;

use rustix::io::Errno;
use unicode_normalization::UnicodeNormalization as _;

use super::fs::{Directory, Stat};
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::path::MAX_NAME_LEN;

/// The name that is stored for what was found as `name`, if it is another one. That can only be
/// where a look-up takes two names for one: where another of the ways to write `name` finds the
/// same. `stat` is of what was found.
pub(super) fn stored_name(
    directory: &dyn Directory,
    name: &[u8],
    stat: impl FnOnce() -> Result<Stat>,
) -> Result<Option<Vec<u8>>> {
    let mut stat = Some(stat);
    let mut found = None;
    for other in alike(name) {
        let other = match directory.stat(&other) {
            Err(error) if is_nowhere(&error) => continue,
            other => other.doing("looking at a similar name")?,
        };
        // Most often there is none, and nothing to be asked.
        if let Some(stat) = stat.take() {
            found = Some(stat()?);
        }
        if let Some(found) = found.as_ref().filter(|found| is_same(found, &other)) {
            return scan(directory, name, found);
        }
    }
    Ok(None)
}

/// Whether nothing can have the name that was looked for.
fn is_nowhere(error: &io::Error) -> bool {
    let nowhere = [Errno::NOENT, Errno::NAMETOOLONG, Errno::INVAL, Errno::ILSEQ];
    Errno::from_io_error(error).is_some_and(|errno| nowhere.contains(&errno))
}

/// The name of `stat` in `directory`, unless it is `name`.
fn scan(directory: &dyn Directory, name: &[u8], stat: &Stat) -> Result<Option<Vec<u8>>> {
    let mut stored = None;
    for entry in directory.entries().doing("comparing names")? {
        let entry = entry.doing("comparing names")?;
        if entry.name == name {
            return Ok(None);
        }
        let other = directory.stat(&entry.name);
        if other.is_ok_and(|other| is_same(stat, &other)) {
            stored = Some(entry.name);
        }
    }
    Ok(stored)
}

fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.device, one.inode) == (other.device, other.inode)
}

/// That what was found is stored under another name, which is another file's.
pub(super) fn collision(stored: &[u8]) -> Error {
    let stored = crate::path::Escaped(stored);
    let what = format!("the destination takes its name for that of another, {stored}");
    Error::new(ErrorKind::Collision, what)
}

/// Other ways to write `name`, of which a file system that takes some names for the same takes one
/// for `name`: with the case of its letters turned, and in the normal forms of Unicode (UAX 15).
fn alike(name: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let text = std::str::from_utf8(name)
        .ok()
        .filter(|text| !text.is_ascii())
        .unwrap_or_default();
    let forms: [String; 4] = match text {
        "" => Default::default(),
        text => [
            text.nfc().collect(),
            text.nfd().collect(),
            text.nfkc().collect(),
            text.nfkd().collect(),
        ],
    };
    let forms = forms.into_iter().map(String::into_bytes);
    let forms = forms.filter(|form| !form.is_empty());
    let name = name.to_vec();
    let turned = turn_case(&name);
    turned
        .into_iter()
        .chain(forms)
        .filter(move |other| *other != name && is_name(other))
}

/// Whether it is one name, whatever it may be reserved for: compatible forms of some characters are
/// slashes and dots.
fn is_name(name: &[u8]) -> bool {
    let is_path = name.contains(&b'/') || name.contains(&0);
    !is_path && name.len() <= MAX_NAME_LEN && !matches!(name, b"" | b"." | b"..")
}

/// `name` with the case of its letters turned; `None` if that is `name` itself. Of a name with letters
/// of ASCII it is those alone: whatever takes two cases for one does so with them, while with others
/// each file system has rules of its own.
fn turn_case(name: &[u8]) -> Option<Vec<u8>> {
    if name.iter().any(u8::is_ascii_alphabetic) {
        let turn = |byte: &u8| match byte.is_ascii_lowercase() {
            true => byte.to_ascii_uppercase(),
            false => byte.to_ascii_lowercase(),
        };
        return Some(name.iter().map(turn).collect());
    }
    let text = std::str::from_utf8(name).ok()?;
    let turn = |c: char| -> String {
        if c.is_lowercase() {
            c.to_uppercase().collect()
        } else {
            c.to_lowercase().collect()
        }
    };
    let turned: String = text.chars().map(turn).collect();
    (turned != text).then(|| turned.into_bytes())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn case_is_turned() {
        assert_eq!(turn_case(b"aB1").unwrap(), b"Ab1");
        assert_eq!(turn_case("éß.TXT".as_bytes()).unwrap(), "éß.txt".as_bytes());
        assert_eq!(turn_case(b"a\xff").unwrap(), b"A\xff");
        assert_eq!(turn_case("é".as_bytes()).unwrap(), "É".as_bytes());
        assert_eq!(turn_case(b"123"), None);
        assert_eq!(turn_case(b"\xff"), None);
    }

    #[rstest]
    #[case::of_ascii("a.txt", &["A.TXT"])]
    #[case::of_nothing("123", &[])]
    #[case::composed("1\u{e9}", &["1\u{c9}", "1e\u{301}"])]
    #[case::decomposed("1e\u{301}", &["1E\u{301}", "1\u{e9}"])]
    #[case::a_compatible_one("\u{fb01}", &["FI", "fi"])]
    #[case::a_longer_one(&"\u{e9}".repeat(127), &[&*"\u{c9}".repeat(127)])]
    #[case::reserved(".REALIZE-DELETING", &[".realize-deleting"])]
    #[case::slashes("\u{ff0f}", &[])]
    #[case::upwards("\u{ff0e}\u{ff0e}\u{ff0f}etc", &["\u{ff0e}\u{ff0e}\u{ff0f}ETC"])]
    #[case::dots("\u{2025}", &[])]
    fn other_ways_to_write_a_name(#[case] name: &str, #[case] expected: &[&str]) {
        let mut found: Vec<_> = alike(name.as_bytes()).collect();
        found.dedup();
        let expected: Vec<_> = expected.iter().map(|name| name.as_bytes()).collect();
        assert_eq!(found, expected);
    }
}
