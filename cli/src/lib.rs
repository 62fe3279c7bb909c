//! The command line of realize, as a library: [`main`] is all that its binary calls.
//!
//! `args` is what may be typed; `location` says what SOURCE and DESTINATION stand for; `commands`
//! carries out; `output` is what a person or a program gets to see; `exit` maps every end to the
//! code that the contract names; `logging` sets up tracing.

use std::process::ExitCode;

use clap::Parser;
use realize_channel::ChannelFactory;
use realize_config::{Config, Environment, Overrides};
use realize_core::registry::TransportRegistry;

use args::{Arguments, Command, MoveArguments, Selection};
use exit::Exit;

mod args;
mod commands;
mod exit;
mod location;
mod logging;
mod mounts;
mod output;

/// Runs the command that the process was started with, to its end.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output and are no error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            exit.print();
            ExitCode::from(exit.code())
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Exit> {
    let environment: Environment = std::env::vars_os().collect();
    let file = arguments.config.clone().or_else(|| environment.file());
    let overrides = overrides(&arguments);
    let transports = TransportRegistry::new()
        .register(ChannelFactory)
        .map_err(|error| Exit::other(error.to_string()))?;
    let config = Config::load(file.as_deref(), &environment, &overrides, &transports)?;
    logging::start(&config.log, arguments.verbosity())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::other(format!("starting the runtime: {error}")))?;
    let ended = runtime.block_on(commands::run(&arguments.command, config));
    // What a blocking thread has begun, it ends; but a sync that hangs holds up no signal.
    runtime.shutdown_timeout(commands::SHUTDOWN);
    ended
}

/// What the flags say about the configuration.
fn overrides(arguments: &Arguments) -> Overrides {
    let overrides = Overrides::new()
        .text("log.level", "--log-level", arguments.log_level.clone())
        .text("log.format", "--log-format", arguments.log_format.clone());
    match &arguments.command {
        Command::Move(command) | Command::Copy(command) => move_overrides(overrides, command),
        Command::Verify(command) => selection(overrides, &command.selection).switch(
            "move.json",
            "--json",
            command.json.then_some(true),
        ),
        Command::List(command) => {
            overrides.switch("move.json", "--json", command.json.then_some(true))
        }
    }
}

fn move_overrides(overrides: Overrides, command: &MoveArguments) -> Overrides {
    selection(overrides, &command.selection)
        .text("move.min_age", "--min-age", command.min_age.clone())
        .text(
            "move.max_duration",
            "--max-duration",
            command.max_duration.clone(),
        )
        .text(
            "move.on_conflict",
            "--on-conflict",
            command.on_conflict.clone(),
        )
        .text("move.progress", "--progress", command.progress.clone())
        .switch(
            "move.keep_directories",
            "--keep-directories",
            command.keep_directories.then_some(true),
        )
        .switch("move.json", "--json", command.json.then_some(true))
}

fn selection(overrides: Overrides, selection: &Selection) -> Overrides {
    overrides
        .list("move.include", "--include", selection.include.clone())
        .list("move.exclude", "--exclude", selection.exclude.clone())
}
