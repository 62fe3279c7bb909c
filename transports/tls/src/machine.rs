//! This machine's key, for the transports that need it.

use realize_core::registry::{BuildError, TransportContext};

use crate::file::load_private_key;
use crate::key::PrivateKey;

/// The key of this machine, from the file that `context` names, for the transport called `name`.
///
/// # Errors
/// [`BuildError::Missing`] says how to get one, or why the one that is there cannot be used.
pub fn machine_key(context: &TransportContext, name: &str) -> Result<PrivateKey, BuildError> {
    let Some(file) = &context.key_file else {
        return Err(BuildError::Missing {
            what: format!(
                "{name} needs this machine's key: make one with `realize keygen FILE` and name it \
                 in [identity] key = ..."
            ),
            source: None,
        });
    };
    load_private_key(file).map_err(|error| BuildError::Missing {
        what: format!("{name} needs this machine's key, and cannot use the one of [identity]"),
        source: Some(Box::new(error)),
    })
}
