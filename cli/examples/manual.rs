//! Writes the manual pages of `realize`, of each of its commands, and of `realized`.
//!
//! ```text
//! cargo run -p realize-cli --example manual -- DIRECTORY
//! ```

use std::io::{Error, ErrorKind, Result};
use std::path::PathBuf;

fn main() -> Result<()> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "DIRECTORY?"))?;
    std::fs::create_dir_all(&directory)?;
    realize_cli::command_lines()
        .into_iter()
        .try_for_each(|command| clap_mangen::generate_to(command, &directory))
}
