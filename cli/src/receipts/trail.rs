//! Reading receipts back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use realize_core::RelPath;
use realize_core::engine::Expected;

use super::{FINISHED, Line};

/// How long a line may be: more than the longest path takes, each byte of it escaped.
const MAX_LINE: u64 = 64 << 10;

/// A file that is no audit trail.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrailError {
    /// It cannot be read.
    #[error("reading the receipts")]
    Read(#[from] io::Error),
    /// A line, counted from 1, is no receipt.
    #[error("line {line} of the receipts is none: {why}")]
    Line {
        /// Which.
        line: u64,
        /// Why.
        why: String,
    },
}

/// What each file was when it was last finished.
type Files = HashMap<RelPath, Expected>;

/// What receipts say of a destination.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// What each file was when it was last finished.
    pub(crate) expected: Vec<Expected>,
    /// The destinations that there are receipts of.
    pub(crate) destinations: BTreeSet<String>,
}

/// What the receipts at `path` say of `destination`; if they are of one alone, that is it, whatever it
/// was called then. A line that was cut off, by a crash or a full disk, was followed by no deletion, and
/// is left out.
///
/// # Errors
/// It cannot be read, or is no audit trail.
pub(crate) fn read(path: &Path, destination: &str) -> Result<Trail, TrailError> {
    // The lines that name no destination are of versions that did not: they may be of any.
    let mut of_any = Files::new();
    let mut of: BTreeMap<String, Files> = BTreeMap::new();
    let mut text = BufReader::new(File::open(path)?);
    let mut number = 0;
    loop {
        let mut line = Vec::new();
        let read = text.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        number += 1;
        let fault = |why: &dyn std::fmt::Display| TrailError::Line {
            line: number,
            why: why.to_string(),
        };
        match serde_json::from_slice::<Line>(line.strip_suffix(b"\n").unwrap_or(&line)) {
            Ok(line) if line.event == FINISHED => {
                let expected = expected(&line).ok_or_else(|| fault(&"path or hash"))?;
                let files = match line.destination {
                    Some(destination) => of.entry(destination).or_default(),
                    None => &mut of_any,
                };
                files.insert(expected.path.clone(), expected);
            }
            Ok(_) => {}
            Err(error) if error.is_eof() => {}
            Err(error) => return Err(fault(&error)),
        }
    }
    let destinations: BTreeSet<String> = of.keys().cloned().collect();
    let meant = match of.len() {
        1 => of.pop_first().map(|(_, files)| files),
        _ => of.remove(destination),
    };
    of_any.extend(meant.unwrap_or_default());
    Ok(Trail {
        expected: of_any.into_values().collect(),
        destinations,
    })
}

fn expected(line: &Line) -> Option<Expected> {
    let path = match (&line.path, &line.path_hex) {
        (Some(path), None) => path.as_bytes().to_vec(),
        (None, Some(hex)) => unhex(hex)?,
        _ => return None,
    };
    Some(Expected {
        path: RelPath::new(path).ok()?,
        bytes: line.bytes,
        hash: line.hash.parse().ok()?,
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn line(path: &str, hash: &str) -> String {
        format!(
            r#"{{"time":"t","event":"file.finished",{path},"bytes":1,"hash":"{hash}","peer":"p","directory":"d","run":"r"}}"#
        )
    }

    const HASH: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn read_text(text: &str) -> Result<Vec<Expected>, TrailError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path(), "nas:inbox").map(|trail| trail.expected)
    }

    #[test]
    fn the_last_word_on_a_file_counts() {
        let later = HASH.replace('a', "b");
        let text = [line(r#""path":"f""#, HASH), line(r#""path":"f""#, &later)].join("\n");
        let read = read_text(&text).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].hash.to_string(), later);
    }

    #[rstest]
    #[case::no_json("moved everything")]
    #[case::no_path(&line(r#""source":"f""#, HASH))]
    #[case::two_paths(&line(r#""path":"f","path_hex":"66""#, HASH))]
    #[case::odd_hex(&line(r#""path_hex":"666""#, HASH))]
    #[case::no_hex(&line(r#""path_hex":"6g""#, HASH))]
    #[case::a_path_upwards(&line(r#""path":"../f""#, HASH))]
    #[case::short_hash(&line(r#""path":"f""#, "aa"))]
    fn what_is_no_receipt_is_refused_with_its_line(#[case] text: &str) {
        let good = line(r#""path":"f""#, HASH);
        let error = read_text(&format!("{good}\n{text}\n{good}\n")).unwrap_err();
        assert!(error.to_string().starts_with("line 2 "), "{error}");
    }

    #[test]
    fn receipts_of_several_destinations_are_told_apart() {
        let to = |destination: &str, hash: &str| {
            let at = format!(r#""destination":"{destination}","path":"f""#);
            line(&at, hash)
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        let hashes = |destination| {
            let trail = read(file.path(), destination).unwrap();
            let hashes = trail.expected.iter().map(|file| file.hash.to_string());
            hashes.collect::<Vec<_>>()
        };
        // It may be called otherwise by now.
        std::fs::write(file.path(), to("nas:inbox", HASH)).unwrap();
        assert_eq!(hashes("/mnt/inbox"), [HASH]);
        let other = HASH.replace('a', "b");
        let text = [to("nas:inbox", HASH), to("nas:logs", &other)].join("\n");
        std::fs::write(file.path(), text).unwrap();
        assert_eq!(hashes("nas:inbox"), [HASH]);
        assert_eq!(hashes("nas:logs"), [other]);
        assert!(hashes("/mnt/inbox").is_empty());
    }

    #[test]
    fn a_line_has_a_bound() {
        let long = "x".repeat(1 << 20);
        let error = read_text(&line(&format!(r#""path":"{long}""#), HASH)).unwrap_err();
        assert!(matches!(error, TrailError::Line { .. }), "{error}");
    }
}
