//! What lets a shell complete the command.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::args::Arguments;
use crate::output::Data;

/// Prints it on standard output.
pub(crate) fn run(shell: Shell, data: &Data) {
    let mut script = Vec::new();
    generate(shell, &mut Arguments::command(), "realize", &mut script);
    data.print(&String::from_utf8_lossy(&script));
}
