//! Loading: hears file, environment and flags, checks each, merges them and resolves the result.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use config::FileFormat;

use crate::assignment::Assignment;
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::file::ConfigFile;
use crate::overrides::Overrides;
use crate::schema::Schema;
use crate::settings::{Config, Directory, Log, Move};
use crate::text::{Filter, Glob, Location, Name, Text};

impl Config {
    /// Loads the configuration from `file`, if there is one, under what `environment` and, over
    /// both, `overrides` say.
    ///
    /// A list is replaced as a whole by a stronger party; a section is merged key by key.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place. A file that is named must exist.
    pub fn load(
        file: Option<&Path>,
        environment: &Environment,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let file = file.map(ConfigFile::read).transpose()?;
        load(file.as_ref(), environment, overrides)
    }
}

fn load(
    file: Option<&ConfigFile>,
    environment: &Environment,
    overrides: &Overrides,
) -> Result<Config, ConfigError> {
    let mut merged = config::Config::builder();
    if let Some(file) = file {
        file.check()?;
        merged = merged.add_source(config::File::from_str(file.text(), FileFormat::Toml));
    }
    // The builder keeps the last value that a key is given: flags after variables.
    let assignments: Vec<Assignment> = environment
        .assignments()?
        .into_iter()
        .chain(overrides.assignments())
        .collect();
    for assignment in &assignments {
        assignment.check()?;
        let value = config::ValueKind::from(assignment.value.clone());
        merged = merged.set_override(assignment.key(), value)?;
    }
    let schema: Schema = merged.build()?.try_deserialize()?;
    resolve(
        schema,
        &Origins {
            file,
            assignments: &assignments,
        },
    )
}

/// Who said what, for what the merged values do not tell.
struct Origins<'a> {
    file: Option<&'a ConfigFile>,
    assignments: &'a [Assignment],
}

impl Origins<'_> {
    /// What `path` means to the one who gave it as the value of `key`.
    fn resolve(&self, key: &str, path: String) -> PathBuf {
        match self.file {
            Some(file) if !self.assignments.iter().any(|given| given.key() == key) => {
                file.resolve(&path)
            }
            _ => path.into(),
        }
    }

    fn missing(&self, section: &[&str], key: &'static str) -> ConfigError {
        let name = section.join(".");
        match self.file.and_then(|file| file.place_of(section)) {
            Some(place) => ConfigError::Missing {
                place,
                section: name,
                key,
            },
            None => config::ConfigError::NotFound(format!("{name}.{key}")).into(),
        }
    }
}

fn resolve(schema: Schema, origins: &Origins<'_>) -> Result<Config, ConfigError> {
    let mut directories = BTreeMap::new();
    for (Text(Name(name)), section) in schema.directories {
        let Some(Text(Location(path))) = section.path else {
            return Err(origins.missing(&["directories", &name], "path"));
        };
        let path = origins.resolve(&format!("directories.{name}.path"), path);
        directories.insert(name, Directory { path });
    }

    let end = |key: &str, given: Option<Text<Location>>| -> Option<OsString> {
        let Text(Location(text)) = given?;
        Some(match is_path(&text, &directories) {
            true => origins.resolve(key, text).into_os_string(),
            false => text.into(),
        })
    };
    let said = schema.r#move;
    let r#move = Move {
        source: end("move.source", said.source),
        destination: end("move.destination", said.destination),
        include: globs(said.include),
        exclude: globs(said.exclude),
        min_age: said.min_age.map(value).unwrap_or_default(),
        max_duration: said.max_duration.map(value),
        on_conflict: said.on_conflict.map(value).unwrap_or_default(),
        keep_directories: said.keep_directories.unwrap_or_default(),
        progress: said.progress.map(value).unwrap_or_default(),
        json: said.json.unwrap_or_default(),
    };

    let said = schema.log;
    let log = Log {
        level: said.level.map(|Text(Filter(level))| level),
        format: said.format.map(value),
    };
    Ok(Config {
        directories,
        r#move,
        log,
    })
}

/// Whether `text` is a path, and neither `PEER:DIRECTORY` nor the name of a directory.
fn is_path(text: &str, directories: &BTreeMap<String, Directory>) -> bool {
    match text.chars().find(|c| matches!(c, ':' | '/')) {
        Some(separator) => separator == '/',
        None => !directories.contains_key(text),
    }
}

fn globs(given: Option<Vec<Text<Glob>>>) -> Vec<String> {
    given
        .unwrap_or_default()
        .into_iter()
        .map(|Text(Glob(glob))| glob)
        .collect()
}

fn value<T>(Text(value): Text<T>) -> T {
    value
}

#[cfg(test)]
mod tests;
