//! The two ends of a move, and what must be true of them whatever happened.

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use realize_test_kit::odd_tree::{Tree, diff, remains, reserved_names, snapshot};
use tempfile::TempDir;

use crate::program::{NOBODY, Outcome, Program, realize};

/// An empty source, and the name of a destination that does not exist yet, in a directory that
/// holds nothing else.
pub(crate) struct Ends {
    pub(crate) source: PathBuf,
    pub(crate) destination: PathBuf,
    /// What lies around both.
    around: PathBuf,
    _directory: Option<TempDir>,
}

impl Ends {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("realize-e2e-")
            .tempdir()
            .unwrap();
        let source = directory.path().join("source");
        let destination = directory.path().join("destination");
        fs::create_dir(&source).unwrap();
        Self {
            source,
            destination,
            around: directory.path().to_path_buf(),
            _directory: Some(directory),
        }
    }

    /// Two directories that somebody else keeps, below `around`.
    pub(crate) fn of(source: &Path, destination: &Path, around: &Path) -> Self {
        Self {
            source: source.to_path_buf(),
            destination: destination.to_path_buf(),
            around: around.to_path_buf(),
            _directory: None,
        }
    }

    /// New ones, with these files at the source.
    pub(crate) fn with(files: &[(&str, &[u8])]) -> Self {
        let ends = Self::new();
        files
            .iter()
            .for_each(|(path, content)| ends.write(path, content));
        ends
    }

    /// Gives a source file another name, outside: what has several is carried instead of linked.
    pub(crate) fn name_outside(&self, path: &str) {
        let name = format!("another name of {}", path.replace('/', " "));
        fs::hard_link(self.source.join(path), self.outside(&name)).unwrap();
    }

    /// Where tests may put more.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.around.join(name)
    }

    /// Writes a file at the source, and the directories above it.
    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        write_below(&self.source, path, content);
    }

    /// Writes a file at the destination, and the directories above it.
    pub(crate) fn write_at_destination(&self, path: &str, content: &[u8]) {
        write_below(&self.destination, path, content);
    }

    pub(crate) fn at_source(&self, path: &str) -> Option<Vec<u8>> {
        content(&self.source.join(path))
    }

    pub(crate) fn at_destination(&self, path: &str) -> Option<Vec<u8>> {
        content(&self.destination.join(path))
    }

    /// `realize move SOURCE DESTINATION`.
    pub(crate) fn mover(&self) -> Program {
        self.program("move")
    }

    /// `realize COMMAND SOURCE DESTINATION`.
    pub(crate) fn program(&self, command: &str) -> Program {
        realize([command]).with([&self.source, &self.destination])
    }

    /// Gives the source to a user without rights and lets this user write beside it.
    pub(crate) fn give_to_nobody(&self) {
        fs::set_permissions(&self.around, fs::Permissions::from_mode(0o777)).unwrap();
        give(&self.source);
    }

    /// Lets a user without rights write beside the source, which stays root's.
    pub(crate) fn open_to_nobody(&self) {
        fs::set_permissions(&self.around, fs::Permissions::from_mode(0o777)).unwrap();
    }

    /// Holds a move that ended well to what it promises: `before` is at the destination, whole, and
    /// nothing else; the source is there and empty; no file under construction is left.
    #[track_caller]
    pub(crate) fn assert_moved(&self, before: &Tree, outcome: &Outcome) {
        self.assert_source_empty(outcome);
        self.assert_destination_is(before, outcome);
    }

    #[track_caller]
    pub(crate) fn assert_source_empty(&self, outcome: &Outcome) {
        assert_eq!(
            remains(&self.source).unwrap(),
            [""; 0],
            "left at the source: {outcome}"
        );
    }

    #[track_caller]
    pub(crate) fn assert_destination_is(&self, before: &Tree, outcome: &Outcome) {
        assert_same(before, &self.destination, outcome);
        self.assert_no_partials(outcome);
    }

    #[track_caller]
    pub(crate) fn assert_source_is(&self, before: &Tree, outcome: &Outcome) {
        assert_same(before, &self.source, outcome);
    }

    #[track_caller]
    pub(crate) fn assert_no_partials(&self, outcome: &Outcome) {
        for end in [&self.source, &self.destination] {
            if end.is_dir() {
                let left = reserved_names(end).unwrap();
                assert!(
                    left.is_empty(),
                    "reserved names are left, {left:?}: {outcome}"
                );
            }
        }
    }
}

#[track_caller]
pub(crate) fn assert_same(before: &Tree, after: &Path, outcome: &Outcome) {
    let differences = diff(before, &snapshot(after).unwrap());
    assert!(
        differences.is_empty(),
        "in {after:?}:\n{}\n{outcome}",
        differences.join("\n")
    );
}

fn write_below(root: &Path, path: &str, content: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn content(path: &Path) -> Option<Vec<u8>> {
    match fs::read(path) {
        Ok(content) => Some(content),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{path:?}: {error}"),
    }
}

/// Gives `path` and everything below it to a user without rights.
pub(crate) fn give(path: &Path) {
    lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}
