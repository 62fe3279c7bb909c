//! The part of the process's environment that concerns the configuration.
//!
//! `REALIZE_MOVE__ON_CONFLICT` is the key `move.on_conflict`: the prefix, then the path in upper
//! case with two underscores for each dot. A list is written with commas. `REALIZE_CONFIG` is
//! no key: it names the file. Lists of sections and the transports' tables cannot be said here.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::assignment::{Assignment, Given};
use crate::error::ConfigError;
use crate::keys::{self, Found, Shape};
use crate::place::Place;
use crate::text::split_at_commas;

const PREFIX: &str = "REALIZE_";
const FILE: &str = "REALIZE_CONFIG";
const DEFAULT_FILE: &str = "realize/realize.toml";

/// The variables that have a say: all that begin with `REALIZE_`, and the two that say where a
/// user's configuration is. The others are not kept.
///
/// Made from pairs of name and value, such as `std::env::vars_os()`.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        let concerns_us = |name: &OsStr| {
            let ours = name.as_encoded_bytes().starts_with(PREFIX.as_bytes());
            ours || name == "HOME" || name == "XDG_CONFIG_HOME"
        };
        Self(
            variables
                .into_iter()
                .filter(|(name, _)| concerns_us(name))
                .collect(),
        )
    }
}

impl Environment {
    /// The configuration file to use when the command line names none.
    ///
    /// That is the one that `REALIZE_CONFIG` names, whether it exists or not; otherwise
    /// `realize/realize.toml` in `$XDG_CONFIG_HOME` or `~/.config`, if there is one.
    pub fn file(&self) -> Option<PathBuf> {
        self.path(FILE).or_else(|| self.default_file())
    }

    /// Whether a variable says what `key` is to be, such as `throttle.up`.
    pub fn says(&self, key: &str) -> bool {
        let name = format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"));
        self.0.contains_key(OsStr::new(&name))
    }

    fn default_file(&self) -> Option<PathBuf> {
        // The XDG specification wants a relative path ignored.
        let home = self
            .path("XDG_CONFIG_HOME")
            .filter(|path| path.is_absolute());
        let home = home.or_else(|| Some(self.path("HOME")?.join(".config")))?;
        let file = home.join(DEFAULT_FILE);
        match file.symlink_metadata().map_err(|error| error.kind()) {
            Err(ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
            // One that is there and cannot be reached must not be passed over in silence.
            Ok(_) | Err(_) => Some(file),
        }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.0
            .get(OsStr::new(name))
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    }

    /// What the variables say, in the order of their names.
    pub(crate) fn assignments(&self) -> Result<Vec<Assignment>, ConfigError> {
        let ours =
            |name: &OsStr| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) && name != FILE;
        let variables = self.0.iter().filter(|(name, _)| ours(name));
        variables
            .map(|(name, value)| assignment(name, value))
            .collect()
    }
}

fn assignment(name: &OsStr, value: &OsStr) -> Result<Assignment, ConfigError> {
    let name = name.to_string_lossy();
    let key = name
        .strip_prefix(PREFIX)
        .unwrap_or(&name)
        .to_ascii_lowercase();
    let path: Vec<String> = key.split("__").map(str::to_owned).collect();
    let place = Place::Variable(name.to_string());

    let wrong = |message: String| {
        let (place, key) = (place.clone(), path.join("."));
        Err(ConfigError::Value {
            place,
            key,
            message,
        })
    };
    let Some(value) = value.to_str() else {
        return wrong("the value is not UTF-8".to_owned());
    };
    // Were both cases taken, two variables could name one key.
    if name.contains(|c: char| c.is_ascii_lowercase()) {
        return wrong(format!(
            "write the variable in upper case: {}",
            name.to_ascii_uppercase()
        ));
    }
    let value = match (keys::find(&path), value) {
        (Found::Key(Shape::List), _) => Given::List(
            split_at_commas(value)
                .into_iter()
                .map(str::to_owned)
                .collect(),
        ),
        (Found::Key(Shape::Switch), "true") => Given::Switch(true),
        (Found::Key(Shape::Switch), "false") => Given::Switch(false),
        _ => Given::typed(&path, value.to_owned()),
    };
    Ok(Assignment { path, value, place })
}

/// The variable that names `key`.
pub(crate) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::fs;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn keeps_only_what_concerns_us() {
        let kept = environment(&[("PATH", "/bin"), ("HOME", "/root"), ("REALIZED", "1")]);
        assert_eq!(kept.0.len(), 1);
    }

    #[test]
    fn a_named_file_need_not_exist() {
        let named = environment(&[("REALIZE_CONFIG", "/nowhere/x.toml"), ("HOME", "/nowhere")]);
        assert_eq!(named.file(), Some(PathBuf::from("/nowhere/x.toml")));
        assert!(named.assignments().unwrap().is_empty());
    }

    #[rstest]
    #[case::nothing(&[])]
    #[case::empty(&[("REALIZE_CONFIG", ""), ("HOME", "")])]
    #[case::absent(&[("HOME", "/nowhere"), ("XDG_CONFIG_HOME", "/nowhere")])]
    #[case::below_a_file(&[("HOME", "/dev/null")])]
    fn a_default_file_must_exist(#[case] variables: &[(&str, &str)]) {
        assert_eq!(environment(variables).file(), None);
    }

    #[test]
    fn the_default_file_is_in_the_home() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_str().unwrap();
        for directory in ["realize", ".config/realize"] {
            fs::create_dir_all(home.path().join(directory)).unwrap();
            fs::write(home.path().join(directory).join("realize.toml"), "").unwrap();
        }
        let default = home.path().join(".config/realize/realize.toml");
        let xdg = home.path().join("realize/realize.toml");
        for (variables, expected) in [
            (vec![("HOME", path)], default.clone()),
            (vec![("HOME", path), ("XDG_CONFIG_HOME", path)], xdg.clone()),
            (vec![("XDG_CONFIG_HOME", path)], xdg),
            (
                vec![("HOME", path), ("XDG_CONFIG_HOME", "relative")],
                default,
            ),
        ] {
            assert_eq!(environment(&variables).file(), Some(expected));
        }
    }
}
