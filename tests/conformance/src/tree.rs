//! Files to move, and what is found of them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::content::Random;
use crate::failure::{During, Outcome, ensure};

/// How large the large file is.
const LARGE: usize = 5_000_001;

/// Files and links by their paths, with content or target.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Small files in directories, an empty one, odd names, a link, and one file that is large.
pub(crate) fn plant(root: &Path, random: &mut Random) -> Outcome<Files> {
    let mut planting = || -> io::Result<()> {
        for number in 0..60 {
            let directory = root.join(format!("d{}/e", number % 4));
            fs::create_dir_all(&directory)?;
            fs::write(
                directory.join(number.to_string()),
                random.bytes(number * 311),
            )?;
        }
        fs::write(root.join("empty"), b"")?;
        fs::write(root.join(OsStr::from_bytes(b"\xff\n odd")), b"odd")?;
        fs::write(root.join("large"), random.bytes(LARGE))?;
        std::os::unix::fs::symlink("nowhere", root.join("link"))
    };
    planting().during("making files")?;
    files(root)
}

/// All files and links below `root`. One that goes while this looks is not among them.
pub(crate) fn files(root: &Path) -> Outcome<Files> {
    let mut found = Files::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        let Some(entries) = there(fs::read_dir(directory))? else {
            continue;
        };
        for entry in entries {
            let entry = entry.during("looking at files")?;
            let path = entry.path();
            let Some(kind) = there(entry.file_type())? else {
                continue;
            };
            let content = if kind.is_dir() {
                left.push(path);
                continue;
            } else if kind.is_symlink() {
                let target = there(fs::read_link(&path))?;
                target.map(|target| target.into_os_string().into_encoded_bytes())
            } else {
                there(fs::read(&path))?
            };
            let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
            found.extend(content.map(|content| (name, content)));
        }
    }
    Ok(found)
}

/// What was found, unless it is gone.
fn there<T>(found: io::Result<T>) -> Outcome<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some).during("looking at files"),
    }
}

/// That everything has moved: all of it is there, and nothing is left here.
pub(crate) fn moved(before: &Files, here: &Path, there: &Path) -> Outcome {
    let found = files(there)?;
    for (path, content) in before {
        let same = found.get(path) == Some(content);
        ensure(same, || {
            format!("{} is not at the destination as it was", path.display())
        })?;
    }
    let more = found.keys().find(|path| !before.contains_key(*path));
    ensure(more.is_none(), || {
        format!("{more:?} is at the destination too")
    })?;
    let left = fs::read_dir(here).during("looking at the source")?.count();
    ensure(left == 0, || {
        format!("{left} entries are left at the source")
    })
}

/// That every file is, whole, at one end or the other. What was under way when the connection broke
/// may still go on: a file is at the destination before it goes at the source, so that is looked at
/// first.
pub(crate) fn kept(before: &Files, here: &Path, there: &Path) -> Outcome {
    let source = files(here)?;
    let destination = files(there)?;
    for (path, content) in before {
        let whole = [&source, &destination].map(|end| end.get(path) == Some(content));
        ensure(whole.contains(&true), || {
            format!("{} is lost", path.display())
        })?;
        let partial = destination.get(path).is_some_and(|found| found != content);
        ensure(!partial, || {
            format!("{} is at the destination, and not whole", path.display())
        })?;
    }
    Ok(())
}
