//! What a move is asked to do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::clock::{Clock, SystemClock};
use crate::path::RelPath;

/// Whether the source is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Files are deleted at the source when they are safe at the destination.
    Move,
    /// The source is left as it is.
    Copy,
}

/// What happens to a file whose name the destination has for other content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// The file replaces it.
    #[default]
    Replace,
    /// Both stay where they are, and the file counts as failed.
    Keep,
    /// The file gets a name of its own, made of its hash.
    Rename,
    /// The move stops.
    Fail,
}

/// What to move, and how.
#[derive(Clone, Debug)]
pub struct MoveOptions {
    /// Whether the source is left alone.
    pub mode: Mode,
    /// Only this file, or what is in this directory; everything where it is `None`.
    pub within: Option<RelPath>,
    /// Which files are meant.
    pub filter: Filter,
    /// Files that changed less than this ago are left for the next run.
    pub min_age: Duration,
    /// What happens to a file whose name the destination has for other content.
    pub on_conflict: OnConflict,
    /// Whether directories that are empty, or became so, stay at the source.
    pub keep_directories: bool,
    /// Who runs the move, for whoever finds source or destination taken.
    pub holder: String,
    /// What the source is called, in the log and where partials are told apart by their [`Origin`]: the
    /// same in every run.
    ///
    /// [`Origin`]: crate::service::Origin
    pub source: String,
    /// What the destination is called in the log.
    pub destination: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl MoveOptions {
    /// The defaults of a move or a copy.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            within: None,
            filter: Filter::default(),
            min_age: Duration::ZERO,
            on_conflict: OnConflict::default(),
            keep_directories: false,
            holder: String::new(),
            source: String::new(),
            destination: String::new(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// Which files are meant: those that some include pattern matches, if there are any, and no exclude
/// pattern does.
///
/// A pattern without a slash is matched against every name in a path, one with a slash against the
/// path from its beginning; a directory that matches stands for all in it. `*` and `?` match no
/// slash, `**` does.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    include: Option<GlobSet>,
    exclude: Option<GlobSet>,
}

/// A pattern that is none.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{pattern}` is not a pattern")]
pub struct InvalidPattern {
    /// The pattern.
    pub pattern: String,
    /// Why.
    #[source]
    pub source: globset::Error,
}

impl Filter {
    /// A filter of these patterns.
    ///
    /// # Errors
    /// [`InvalidPattern`] for the first that is none.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, InvalidPattern> {
        Ok(Self {
            include: set(include)?,
            exclude: set(exclude)?,
        })
    }

    /// Whether it means every file.
    pub fn is_everything(&self) -> bool {
        self.include.is_none() && self.exclude.is_none()
    }

    /// Whether it means the file or directory at `path`.
    pub fn matches(&self, path: &RelPath) -> bool {
        self.matches_bytes(path.as_bytes())
    }

    fn matches_bytes(&self, path: &[u8]) -> bool {
        self.include.as_ref().is_none_or(|set| is_match(set, path)) && !self.excludes(path)
    }

    /// Whether the file or directory at `path`, and all in it, is excluded. A directory that is
    /// not may hold files that are meant, whether it matches an include pattern or not.
    pub(crate) fn excludes(&self, path: &[u8]) -> bool {
        self.exclude.as_ref().is_some_and(|set| is_match(set, path))
    }
}

fn set(patterns: &[String]) -> Result<Option<GlobSet>, InvalidPattern> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let mut builder = GlobSetBuilder::new();
    let invalid = |pattern: &str, source| InvalidPattern {
        pattern: pattern.to_owned(),
        source,
    };
    for pattern in patterns {
        let plain = pattern.trim_end_matches('/');
        let anchored = match plain.strip_prefix('/') {
            Some(rest) => rest.to_owned(),
            None if plain.contains('/') => plain.to_owned(),
            None => format!("**/{plain}"),
        };
        let glob = GlobBuilder::new(&anchored).literal_separator(true).build();
        builder.add(glob.map_err(|error| invalid(pattern, error))?);
    }
    builder
        .build()
        .map(Some)
        .map_err(|error| invalid(&patterns.join(" "), error))
}

/// Whether a pattern matches the path or a directory above it.
fn is_match(set: &GlobSet, path: &[u8]) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    path.ancestors()
        .any(|part| !part.as_os_str().is_empty() && set.is_match(part))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[], &[], "a/b", true)]
    #[case(&["*.jpg"], &[], "a/b.jpg", true)]
    #[case(&["*.jpg"], &[], "a/b.png", false)]
    #[case(&["a/*.jpg"], &[], "a/b.jpg", true)]
    #[case(&["a/*.jpg"], &[], "c/a/b.jpg", false)]
    #[case(&["/b.jpg"], &[], "a/b.jpg", false)]
    #[case(&["a/*"], &[], "a/x/y", true)]
    #[case(&["a*y"], &[], "ax/by", false)]
    #[case(&[], &["tmp"], "a/tmp/b/c", false)]
    #[case(&[], &["tmp/"], "tmp", false)]
    #[case(&[], &["**/x/*.o"], "a/b/x/c.o", false)]
    #[case(&["*.jpg"], &["a"], "a/b.jpg", false)]
    fn patterns(
        #[case] include: &[&str],
        #[case] exclude: &[&str],
        #[case] path: &str,
        #[case] meant: bool,
    ) {
        let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let filter = Filter::new(&strings(include), &strings(exclude)).unwrap();
        assert_eq!(filter.matches(&RelPath::new(path).unwrap()), meant);
    }

    #[test]
    fn bytes_that_are_no_text_match_too() {
        let filter = Filter::new(&["*.jpg".to_owned()], &[]).unwrap();
        assert!(filter.matches(&RelPath::new(&b"\xff.jpg"[..]).unwrap()));
        let error = Filter::new(&["a[".to_owned()], &[]).unwrap_err();
        assert_eq!(error.to_string(), "`a[` is not a pattern");
    }
}
