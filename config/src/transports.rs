//! What concerns the transports: that a name is one's, and that each can read its table.

use realize_core::registry::{TransportRegistry, TransportTable};

use crate::error::ConfigError;
use crate::file::ConfigFile;
use crate::keys::TRANSPORTS;
use crate::nearest::unknown;

/// What to say of `name`, if no transport has it.
pub(crate) fn check_name(name: &str, transports: &TransportRegistry) -> Result<(), String> {
    match transports.get(name) {
        Some(_) => Ok(()),
        None => Err(unknown("transport", name, transports.names())),
    }
}

/// Checks the tables of a file, each by its transport, in use or not.
pub(crate) fn check_tables(
    file: &ConfigFile,
    transports: &TransportRegistry,
) -> Result<(), ConfigError> {
    for (name, span) in file.names_in(TRANSPORTS) {
        let Some(factory) = transports.get(&name) else {
            let message = unknown("transport", &name, transports.names());
            return Err(file.fault_at(span, message));
        };
        TransportTable::find(file.text(), &name)
            .and_then(|table| factory.check(&table))
            .map_err(|error| file.fault_at(error.span.unwrap_or(span), error.what))?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod double;
