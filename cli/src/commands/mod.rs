//! The commands.

use std::time::Duration;

use realize_config::Config;
use realize_core::engine::Mode;
use realize_core::registry::TransportRegistry;

use crate::args::Command;
use crate::exit::Exit;
use crate::network::Network;
use crate::output::{Data, Screen};

mod check;
mod completions;
mod keygen;
mod limit;
mod list;
mod transfer;
mod transports;
mod verify;

pub(crate) use transfer::About;

/// How long the end of what blocking threads have begun is waited for.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(10);

/// Runs a command to its end.
pub(crate) async fn run(
    command: &Command,
    config: &Config,
    transports: &TransportRegistry,
    screen: &Screen,
) -> Result<(), Exit> {
    let network = || Network::new(config, transports);
    let data = Data::default();
    let ended = match command {
        Command::Move(arguments) => {
            transfer::run(Mode::Move, arguments, config, &network()?, screen, &data).await
        }
        Command::Copy(arguments) => {
            transfer::run(Mode::Copy, arguments, config, &network()?, screen, &data).await
        }
        Command::Verify(arguments) => verify::run(arguments, config, &network()?, &data).await,
        Command::List(arguments) => list::run(arguments, config, &network()?, &data).await,
        Command::Limit(arguments) => limit::run(arguments, config, &network()?, &data).await,
        Command::Keygen(arguments) => keygen::run(arguments, config, &data),
        Command::Check => check::run(config, transports, &data).await,
        Command::Transports => {
            transports::run(transports, &data);
            Ok(())
        }
        Command::Completions(arguments) => {
            completions::run(arguments.shell, &data);
            Ok(())
        }
    };
    ended.and_then(|()| data.written())
}
