//! What may be written: the keys and sections, each value still as its writer left it.
//!
//! The structs say what each value must be; [`KEYS`] says the same keys as paths, which is what
//! an unknown one is compared to, and what the environment needs to know to read a variable.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use crate::environment;
use crate::error::ConfigError;
use crate::nearest::nearest;
use crate::place::Place;
use crate::text::{Filter, Glob, Location, LogFormat, Name, OnConflict, Progress, Text};

/// All that can be said. Every key is optional, as another party may say it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Schema {
    pub(crate) directories: BTreeMap<Text<Name>, DirectorySection>,
    pub(crate) r#move: MoveSection,
    pub(crate) log: LogSection,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DirectorySection {
    pub(crate) path: Option<Text<Location>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveSection {
    pub(crate) source: Option<Text<Location>>,
    pub(crate) destination: Option<Text<Location>>,
    pub(crate) include: Option<Vec<Text<Glob>>>,
    pub(crate) exclude: Option<Vec<Text<Glob>>>,
    pub(crate) min_age: Option<Text<Duration>>,
    pub(crate) max_duration: Option<Text<Duration>>,
    pub(crate) on_conflict: Option<Text<OnConflict>>,
    pub(crate) keep_directories: Option<bool>,
    pub(crate) progress: Option<Text<Progress>>,
    pub(crate) json: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogSection {
    pub(crate) level: Option<Text<Filter>>,
    pub(crate) format: Option<Text<LogFormat>>,
}

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    List,
    Switch,
}

/// Stands in a path for any name.
const ANY: &str = "*";

/// Every key with the path of sections that leads to it.
pub(crate) const KEYS: &[(&[&str], Shape)] = &[
    (&["directories", ANY, "path"], Shape::Text),
    (&["log", "format"], Shape::Text),
    (&["log", "level"], Shape::Text),
    (&["move", "destination"], Shape::Text),
    (&["move", "exclude"], Shape::List),
    (&["move", "include"], Shape::List),
    (&["move", "json"], Shape::Switch),
    (&["move", "keep_directories"], Shape::Switch),
    (&["move", "max_duration"], Shape::Text),
    (&["move", "min_age"], Shape::Text),
    (&["move", "on_conflict"], Shape::Text),
    (&["move", "progress"], Shape::Text),
    (&["move", "source"], Shape::Text),
];

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Key(Shape),
    Section,
    Nothing,
}

/// What `path` leads to.
pub(crate) fn find<S: AsRef<str>>(path: &[S]) -> Found {
    match below(path).next() {
        Some(([], shape)) => Found::Key(shape),
        Some(_) => Found::Section,
        None => Found::Nothing,
    }
}

/// The keys that `path` leads to, each as what is left of its own path.
fn below<S: AsRef<str>>(path: &[S]) -> impl Iterator<Item = (&'static [&'static str], Shape)> {
    KEYS.iter().filter_map(move |(key, shape)| {
        let (start, rest) = key.split_at_checked(path.len())?;
        let matches = |(known, given): (&&str, &S)| [ANY, given.as_ref()].contains(known);
        start
            .iter()
            .zip(path)
            .all(matches)
            .then_some((rest, *shape))
    })
}

/// The error for a path that leads to nothing.
pub(crate) fn unknown<S: AsRef<str>>(place: Place, path: &[S]) -> ConfigError {
    let path: Vec<&str> = path.iter().map(S::as_ref).collect();

    // The longest part of the path that is a section, and the name that is missing in it.
    let mut split = path.len().saturating_sub(1);
    let (section, stray) = loop {
        let (section, rest) = path.split_at(split.min(path.len()));
        if split == 0 || find(section) == Found::Section {
            break (section, rest);
        }
        split -= 1;
    };
    let known: BTreeSet<&str> = below(section)
        .filter_map(|(rest, _)| rest.first().copied())
        .collect();

    // A section cannot be named but in a file.
    let is_candidate = |path: &[&str]| match find(path) {
        Found::Key(_) => true,
        Found::Section => matches!(place, Place::File(_)),
        Found::Nothing => false,
    };
    let sibling = stray.split_first().and_then(|(stray, tail)| {
        let name = nearest(stray, known.iter().copied())?;
        let path = [section, &[name], tail].concat();
        is_candidate(&path).then_some(path)
    });
    let nearest = match (&place, sibling) {
        (Place::File(_), Some(path)) => path.last().map(|name| (*name).to_owned()),
        (Place::Flag(_), Some(path)) => Some(path.join(".")),
        (Place::Variable(_), Some(path)) => Some(environment::variable(&path.join("."))),
        (Place::Variable(_), None) => elsewhere(&path).map(|key| environment::variable(&key)),
        (_, None) => elsewhere(&path),
    };
    ConfigError::UnknownKey {
        key: path.join("."),
        section: section.join("."),
        known: known.into_iter().map(str::to_owned).collect(),
        nearest,
        place,
    }
}

/// The key of another section that was meant: one of the same name, or one whose path is near,
/// as that of `log.level` is to `log_level`.
fn elsewhere(path: &[&str]) -> Option<String> {
    let readable = |key: &[&str]| key.join(".").replace(ANY, "NAME");
    if let Some((key, _)) = KEYS.iter().find(|(key, _)| key.last() == path.last()) {
        return Some(readable(key));
    }
    let [alone] = path else { return None };
    let keys: Vec<String> = KEYS.iter().map(|(key, _)| readable(key)).collect();
    nearest(alone, keys.iter().map(String::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(&["move", "json"], Found::Key(Shape::Switch))]
    #[case(&["directories", "inbox", "path"], Found::Key(Shape::Text))]
    #[case(&["directories", "inbox"], Found::Section)]
    #[case(&["directories"], Found::Section)]
    #[case(&[], Found::Section)]
    #[case(&["directories", "inbox", "pth"], Found::Nothing)]
    #[case(&["move", "json", "deeper"], Found::Nothing)]
    #[case(&["mvoe"], Found::Nothing)]
    fn finds(#[case] path: &[&str], #[case] expected: Found) {
        assert_eq!(find(path), expected);
    }

    /// Both spellings of the schema know the same keys.
    #[test]
    fn keys_and_structs_agree() {
        for (path, shape) in KEYS {
            let value = match shape {
                Shape::Text => "\"\"",
                Shape::List => "[]",
                Shape::Switch => "true",
            };
            let key = path.join(".").replace(ANY, "a");
            if let Err(error) = toml::from_str::<Schema>(&format!("{key} = {value}")) {
                assert!(!error.message().contains("unknown field"), "{key}: {error}");
                assert!(!error.message().contains("invalid type"), "{key}: {error}");
            }
        }
        for section in ["directories.a", "log", "move"] {
            let text = format!("{section}.nothing = 0");
            let error = toml::from_str::<Schema>(&text).unwrap_err();
            let path: Vec<&str> = section.split('.').collect();
            let fields = error.message().matches('`').count() / 2 - 1;
            assert_eq!(fields, below(&path).count(), "{}", error.message());
        }
    }
}
