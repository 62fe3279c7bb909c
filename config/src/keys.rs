//! The keys as paths: what an unknown one is compared to, and what the environment and the flags
//! need to know to read a value.

use std::collections::BTreeSet;

use crate::environment;
use crate::error::ConfigError;
use crate::nearest::nearest;
use crate::place::Place;

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    List,
    Switch,
    Integer,
    /// A section that a transport reads.
    Table,
}

/// Stands in a path for any name.
const ANY: &str = "*";

/// Stands in a path for any section of a list of them. It is not shown.
pub(crate) const EACH: &str = "[]";

/// The section that holds the transports' tables.
pub(crate) const TRANSPORTS: &str = "transports";

/// Every key with the path of sections that leads to it.
pub(crate) const KEYS: &[(&[&str], Shape)] = &[
    (&["directories", ANY, "allow", ANY], Shape::List),
    (&["directories", ANY, "path"], Shape::Text),
    (&["identity", "key"], Shape::Text),
    (&["listen", "addresses"], Shape::List),
    (&["log", "format"], Shape::Text),
    (&["log", "level"], Shape::Text),
    (&["metrics", "listen"], Shape::Text),
    (&["metrics", "push"], Shape::Text),
    (&["move", "compress"], Shape::Text),
    (&["move", "destination"], Shape::Text),
    (&["move", "exclude"], Shape::List),
    (&["move", "include"], Shape::List),
    (&["move", "json"], Shape::Switch),
    (&["move", "keep_directories"], Shape::Switch),
    (&["move", "max_duration"], Shape::Text),
    (&["move", "metrics_listen"], Shape::Text),
    (&["move", "min_age"], Shape::Text),
    (&["move", "on_conflict"], Shape::Text),
    (&["move", "progress"], Shape::Text),
    (&["move", "receipts"], Shape::Text),
    (&["move", "retries"], Shape::Integer),
    (&["move", "retry_delay"], Shape::Text),
    (&["move", "retry_max_delay"], Shape::Text),
    (&["move", "source"], Shape::Text),
    (&["peers", ANY, "address"], Shape::Text),
    (&["peers", ANY, "key"], Shape::Text),
    (&["peers", ANY, "key_file"], Shape::Text),
    (&["peers", ANY, "rights"], Shape::List),
    (&["peers", ANY, "throttle", "down"], Shape::Text),
    (&["peers", ANY, "throttle", "up"], Shape::Text),
    (&["peers", ANY, "transport"], Shape::Text),
    (&["throttle", "down"], Shape::Text),
    (&["throttle", "schedule", EACH, "days"], Shape::List),
    (&["throttle", "schedule", EACH, "down"], Shape::Text),
    (&["throttle", "schedule", EACH, "from"], Shape::Text),
    (&["throttle", "schedule", EACH, "to"], Shape::Text),
    (&["throttle", "schedule", EACH, "up"], Shape::Text),
    (&["throttle", "up"], Shape::Text),
    (&["transport"], Shape::Text),
    (&[TRANSPORTS, ANY], Shape::Table),
];

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Key(Shape),
    Section,
    /// A list of sections.
    Sections,
    Nothing,
}

/// What `path` leads to.
pub(crate) fn find<S: AsRef<str>>(path: &[S]) -> Found {
    match below(path).next() {
        Some(([], shape)) => Found::Key(shape),
        Some(([EACH, ..], _)) => Found::Sections,
        Some(_) => Found::Section,
        None => Found::Nothing,
    }
}

/// Whether `path` leads to, or through, what has no form but in a file.
pub(crate) fn is_for_files<S: AsRef<str>>(path: &[S]) -> bool {
    (1..=path.len()).any(|length| {
        let (start, _) = path.split_at(length.min(path.len()));
        matches!(find(start), Found::Sections | Found::Key(Shape::Table))
    })
}

/// `path` as it is shown.
pub(crate) fn dotted<S: AsRef<str>>(path: &[S]) -> String {
    let names: Vec<&str> = path.iter().map(S::as_ref).filter(|n| *n != EACH).collect();
    names.join(".")
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
    let is_candidate = |path: &[&str]| match (find(path), &place) {
        (Found::Nothing, _) => false,
        (_, Place::File(_)) => true,
        (found, _) => matches!(found, Found::Key(_)) && !is_for_files(path),
    };
    let sibling = stray.split_first().and_then(|(stray, tail)| {
        let names = known.iter().copied().filter(|name| *name != ANY);
        let path = [section, &[nearest(stray, names)?], tail].concat();
        is_candidate(&path).then_some(path)
    });
    let elsewhere = || elsewhere(&path, is_candidate);
    let nearest = match (&place, sibling) {
        (Place::File(_), Some(path)) => path.last().map(|name| (*name).to_owned()),
        (Place::Variable(_), Some(path)) => Some(environment::variable(&path.join("."))),
        (Place::Variable(_), None) => elsewhere().map(|key| environment::variable(&key)),
        (_, Some(path)) => Some(dotted(&path)),
        (_, None) => elsewhere(),
    };
    ConfigError::UnknownKey {
        key: dotted(&path),
        section: dotted(section),
        known: known.into_iter().map(readable).collect(),
        nearest,
        place,
    }
}

/// The key of another section that was meant: one of the same name, or one whose path is near,
/// as that of `log.level` is to `log_level`.
fn elsewhere(path: &[&str], is_candidate: impl Fn(&[&str]) -> bool) -> Option<String> {
    let candidates = || {
        KEYS.iter()
            .map(|(key, _)| *key)
            .filter(|key| is_candidate(key))
    };
    let named = candidates().filter(|key| key.last() == path.last());
    if let Some(key) = named.min_by_key(|key| key.len()) {
        return Some(readable(&dotted(key)));
    }
    let [alone] = path else { return None };
    let keys: Vec<String> = candidates().map(|key| readable(&dotted(key))).collect();
    nearest(alone, keys.iter().map(String::as_str)).map(str::to_owned)
}

/// `name` for a person: NAME stands for any.
fn readable(name: &str) -> String {
    name.replace(ANY, "NAME")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;
    use rstest::rstest;

    #[rstest]
    #[case(&["move", "json"], Found::Key(Shape::Switch))]
    #[case(&["move", "retries"], Found::Key(Shape::Integer))]
    #[case(&["directories", "inbox", "path"], Found::Key(Shape::Text))]
    #[case(&["directories", "inbox"], Found::Section)]
    #[case(&["directories", "inbox", "allow"], Found::Section)]
    #[case(&["directories", "inbox", "allow", "cam"], Found::Key(Shape::List))]
    #[case(&["directories"], Found::Section)]
    #[case(&["peers", "cam", "throttle"], Found::Section)]
    #[case(&["throttle", "schedule"], Found::Sections)]
    #[case(&["throttle", "schedule", EACH], Found::Section)]
    #[case(&["throttle", "schedule", "from"], Found::Nothing)]
    #[case(&["transports"], Found::Section)]
    #[case(&["transports", "quic"], Found::Key(Shape::Table))]
    #[case(&[], Found::Section)]
    #[case(&["directories", "inbox", "pth"], Found::Nothing)]
    #[case(&["move", "json", "deeper"], Found::Nothing)]
    #[case(&["mvoe"], Found::Nothing)]
    fn finds(#[case] path: &[&str], #[case] expected: Found) {
        assert_eq!(find(path), expected);
    }

    #[rstest]
    #[case(&["transports", "quic", "congestion"], true)]
    #[case(&["throttle", "schedule"], true)]
    #[case(&["throttle", "schedule", EACH, "from"], true)]
    #[case(&["throttle", "up"], false)]
    #[case(&["transport"], false)]
    #[case(&[], false)]
    fn some_have_no_form_but_in_a_file(#[case] path: &[&str], #[case] expected: bool) {
        assert_eq!(is_for_files(path), expected);
    }

    /// Both spellings of the schema know the same keys.
    #[test]
    fn keys_and_structs_agree() {
        for (path, shape) in KEYS {
            let value = match shape {
                Shape::Text => "\"\"",
                Shape::List => "[]",
                Shape::Switch => "true",
                Shape::Integer => "1",
                Shape::Table => continue,
            };
            let key = path.join(".").replace(ANY, "a");
            let text = match key.split_once(".[].") {
                Some((list, name)) => format!("[[{list}]]\n{name} = {value}"),
                None => format!("{key} = {value}"),
            };
            if let Err(error) = toml::from_str::<Schema>(&text) {
                assert!(!error.message().contains("unknown field"), "{key}: {error}");
                assert!(!error.message().contains("invalid type"), "{key}: {error}");
            }
        }
        let every: BTreeSet<&[&str]> = KEYS
            .iter()
            .flat_map(|(key, _)| (0..key.len()).map(|length| &key[..length]))
            .filter(|path| {
                find(path) == Found::Section && find(&[path, &[ANY][..]].concat()) == Found::Nothing
            })
            .collect();
        assert!(every.len() > 8, "{every:?}");
        for section in every {
            let mut expected: BTreeSet<&str> = below(section)
                .filter_map(|(rest, _)| rest.first().copied())
                .collect();
            expected.remove(TRANSPORTS);
            let text = match section {
                [] => "nothing = 0".to_owned(),
                [list @ .., EACH] => format!("[[{}]]\nnothing = 0", list.join(".")),
                _ => format!("{}.nothing = 0", section.join(".").replace(ANY, "a")),
            };
            let error = toml::from_str::<Schema>(&text).unwrap_err();
            let fields: BTreeSet<&str> = error
                .message()
                .split('`')
                .skip(1)
                .step_by(2)
                .skip(1)
                .collect();
            assert_eq!(fields, expected, "{section:?}: {}", error.message());
        }
    }
}
