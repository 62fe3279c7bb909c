//! Who said what: for what the merged values do not tell.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::assignment::Assignment;
use crate::error::ConfigError;
use crate::file::{ConfigFile, Part, Spot};
use crate::place::Place;

/// The parties, each with what it said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins {
    file: Option<Arc<ConfigFile>>,
    assignments: Vec<Assignment>,
}

/// Who said it makes no difference to what a configuration means.
impl PartialEq for Origins {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origins {}

impl Origins {
    /// In `assignments` the later goes over the earlier, and all of them over `file`.
    pub(crate) fn new(file: Option<ConfigFile>, assignments: Vec<Assignment>) -> Self {
        let file = file.map(Arc::new);
        Self { file, assignments }
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path())
    }

    pub(crate) fn text(&self) -> &str {
        self.file.as_ref().map_or("", |file| file.text())
    }

    /// What `path` means to the one who gave it as the value of `key`.
    pub(crate) fn resolve(&self, key: &[&str], path: String) -> PathBuf {
        match &self.file {
            Some(file) if self.assignment(key).is_none() => file.resolve(&path),
            _ => path.into(),
        }
    }

    /// Whether anybody gave `key`.
    pub(crate) fn have(&self, key: &[&str]) -> bool {
        let in_file = || self.file.as_ref()?.spot(key, Part::Name);
        self.assignment(key).is_some() || in_file().is_some()
    }

    /// The value of `key`, which may be an item of a list, is wrong.
    pub(crate) fn fault(&self, key: &[&str], message: String) -> ConfigError {
        self.fault_in(Part::Value, key, message)
    }

    /// The last name of `key` is wrong.
    pub(crate) fn misnamed(&self, key: &[&str], message: String) -> ConfigError {
        self.fault_in(Part::Name, key, message)
    }

    fn fault_in(&self, part: Part, key: &[&str], message: String) -> ConfigError {
        let (place, key) = match self.spot(key, part) {
            Some(spot) => (spot.place, spot.key),
            None => (self.around(key), key.join(".")),
        };
        ConfigError::Value {
            place,
            key,
            message,
        }
    }

    /// `section` has none of `keys`.
    pub(crate) fn missing(&self, section: &[&str], keys: &'static [&'static str]) -> ConfigError {
        let spot = self.spot(section, Part::Name);
        ConfigError::Missing {
            section: spot.map_or_else(|| section.join("."), |spot| spot.key),
            place: self.around(section),
            keys,
        }
    }

    fn spot(&self, key: &[&str], part: Part) -> Option<Spot> {
        if let Some(assignment) = self.assignment(key) {
            return Some(Spot {
                place: assignment.place.clone(),
                key: assignment.key(),
            });
        }
        self.file.as_ref()?.spot(key, part)
    }

    /// The one that gave `key`, or the list that it is an item of.
    fn assignment(&self, key: &[&str]) -> Option<&Assignment> {
        let gave = |given: &&Assignment| {
            let start = key.get(..given.path.len()).unwrap_or_default();
            !start.is_empty() && given.path == start
        };
        self.assignments.iter().rfind(gave)
    }

    /// The innermost section around `key`, or at it, that somebody named.
    fn around(&self, key: &[&str]) -> Place {
        let sections = (1..=key.len()).rev().filter_map(|length| key.get(..length));
        let mut places = sections.filter_map(|section| {
            let in_file = || Some(self.file.as_ref()?.spot(section, Part::Name)?.place);
            let named = |given: &&Assignment| {
                given
                    .path
                    .get(..section.len())
                    .is_some_and(|s| s == section)
            };
            let elsewhere = || Some(self.assignments.iter().rfind(named)?.place.clone());
            in_file().or_else(elsewhere)
        });
        places.next().unwrap_or(Place::Default)
    }
}
