//! Loading: hears file, environment and flags, checks each, merges them and resolves the result.

use std::path::Path;

use config::FileFormat;
use realize_core::registry::TransportRegistry;

use crate::assignment::Assignment;
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::file::ConfigFile;
use crate::origins::Origins;
use crate::overrides::Overrides;
use crate::resolve::resolve;
use crate::schema::Schema;
use crate::settings::Config;
use crate::transports;

impl Config {
    /// Loads the configuration from `file`, if there is one, under what `environment` and, over
    /// both, `overrides` say. A transport that is named must be one of `transports`, and each of
    /// these looks at its table in the file, in use or not.
    ///
    /// A list is replaced as a whole by a stronger party; a section is merged key by key.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place. A file that is named must exist.
    pub fn load(
        file: Option<&Path>,
        environment: &Environment,
        overrides: &Overrides,
        transports: &TransportRegistry,
    ) -> Result<Self, ConfigError> {
        let file = file.map(ConfigFile::read).transpose()?;
        load(file, environment, overrides, transports)
    }
}

fn load(
    file: Option<ConfigFile>,
    environment: &Environment,
    overrides: &Overrides,
    transports: &TransportRegistry,
) -> Result<Config, ConfigError> {
    let mut merged = config::Config::builder();
    if let Some(file) = &file {
        file.check()?;
        transports::check_tables(file, transports)?;
        let text = file.text_without_transports()?;
        merged = merged.add_source(config::File::from_str(&text, FileFormat::Toml));
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
    resolve(schema, Origins::new(file, assignments), transports)
}

#[cfg(test)]
mod tests;
