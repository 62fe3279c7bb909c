//! What lets a shell complete the command.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::args::Arguments;
use crate::output::print;

/// Prints it on standard output.
pub(crate) fn run(shell: Shell) {
    let mut script = Vec::new();
    generate(shell, &mut Arguments::command(), "realize", &mut script);
    print(&String::from_utf8_lossy(&script));
}
