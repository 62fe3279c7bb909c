//! `realize keygen`.

use std::path::PathBuf;

use realize_config::Config;
use realize_tls::PrivateKey;

use crate::args::KeygenArguments;
use crate::exit::{Exit, chain, shown};
use crate::output::{Data, say};

/// Makes a key, and prints what other machines are to know of it. A file that exists is left alone.
pub(crate) fn run(arguments: &KeygenArguments, config: &Config, data: &Data) -> Result<(), Exit> {
    let path = file(arguments, config)?;
    let name = shown(path.as_os_str());
    let key = PrivateKey::generate().map_err(|error| Exit::other(chain(&error)))?;
    realize_tls::save_private_key(&path, &key).map_err(|error| Exit::other(chain(&error)))?;
    say(&format!("made {name}; other machines are to know:"));
    data.print(&key.public_key().to_string());
    Ok(())
}

/// Where the key goes.
fn file(arguments: &KeygenArguments, config: &Config) -> Result<PathBuf, Exit> {
    let file = arguments.file.as_ref().or(config.identity.key.as_ref());
    file.cloned().ok_or_else(|| {
        Exit::usage("no file: give FILE, or set key in [identity] of the configuration")
    })
}
