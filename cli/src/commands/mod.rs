//! The commands.

use std::time::Duration;

use realize_config::Config;

use crate::args::Command;
use crate::exit::Exit;

mod list;
mod transfer;
mod verify;

/// How long the end of what blocking threads have begun is waited for.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(10);

/// Runs a command to its end.
pub(crate) async fn run(command: &Command, config: Config) -> Result<(), Exit> {
    use realize_core::engine::Mode;
    match command {
        Command::Move(arguments) => transfer::run(Mode::Move, arguments, &config).await,
        Command::Copy(arguments) => transfer::run(Mode::Copy, arguments, &config).await,
        Command::Verify(arguments) => verify::run(arguments, &config).await,
        Command::List(arguments) => list::run(arguments, &config).await,
    }
}
