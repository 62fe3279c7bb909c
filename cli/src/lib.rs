//! The programs of realize, as a library: [`main_with`] and [`daemon_with`] are all that their
//! binaries call, with the transports that they are to have.
//!
//! `args` is what may be typed; `location` says what SOURCE and DESTINATION stand for, `ends` opens
//! them, `network` knows the peers and the transports; `commands` carries out, `retry` says when to
//! try again; `output` is what a person or a program gets to see; `exit` maps every end to the code
//! that the contract names; `limits` says how fast; `logging` sets up tracing; `receipts` is the audit trail; `metrics` is how counters
//! leave the program. `daemon` is the other program.
//!
//! Whoever has written a transport of their own makes both programs with it in a few lines:
//!
//! ```no_run
//! use realize_channel::ChannelFactory as MyFactory;
//! use realize_core::registry::TransportRegistry;
//!
//! fn main() -> std::process::ExitCode {
//!     let transports = TransportRegistry::new().register(MyFactory);
//!     match transports {
//!         Ok(transports) => realize_cli::main_with(&transports),
//!         Err(_) => std::process::ExitCode::FAILURE,
//!     }
//! }
//! ```

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use realize_config::{Config, Environment, Overrides};
use realize_core::registry::TransportRegistry;

use args::{Arguments, Command, MoveArguments, Selection};
use exit::Exit;
use logging::Program;
use output::Screen;

mod args;
mod commands;
mod daemon;
mod ends;
mod exit;
mod in_process;
mod limits;
mod location;
mod logging;
mod metrics;
mod mounts;
mod network;
mod output;
mod receipts;
mod retry;
mod runtime;

pub use daemon::daemon_with;

/// What may be typed of either program, for whoever makes manual pages of it.
pub fn command_lines() -> [clap::Command; 2] {
    [Arguments::command(), daemon::command_line()]
}

/// The transports that come with realize.
pub fn default_transports() -> TransportRegistry {
    TransportRegistry::new()
        .with(realize_channel::ChannelFactory)
        .with(realize_exec::ExecFactory)
        .with(realize_quic::QuicFactory)
        .with(realize_tcp::TcpFactory)
}

/// Runs the command that the process was started with, to its end.
pub fn main_with(transports: &TransportRegistry) -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    match run(arguments, transports) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            exit.print("realize");
            ExitCode::from(exit.code())
        }
    }
}

/// Says what is wrong with what was typed; help and version go to standard output and are no error.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn run(arguments: Arguments, transports: &TransportRegistry) -> Result<(), Exit> {
    let environment: Environment = std::env::vars_os().collect();
    let file = arguments.config.clone().or_else(|| environment.file());
    let overrides = overrides(&arguments);
    let mut config = match &arguments.command {
        // A shell that starts has no use for what is wrong with it.
        Command::Completions(_) => Config::default(),
        _ => Config::load(file.as_deref(), &environment, &overrides, transports)?,
    };
    if let Command::Move(command) | Command::Copy(command) = &arguments.command {
        let both = command.throttle.is_some();
        let (up, down) = (&command.throttle_up, &command.throttle_down);
        let up = both || up.is_some() || environment.says("throttle.up");
        let down = both || down.is_some() || environment.says("throttle.down");
        limits::said_over(&mut config.throttle, up, down);
    }
    let screen = Screen::default();
    let program = Program::Command(arguments.verbosity());
    let logging = logging::start(&config.log, program, &screen)?;
    let runtime = runtime::start()?;
    runtime.spawn(logging.keep_counting());
    let ended = runtime.block_on(commands::run(
        &arguments.command,
        &config,
        transports,
        &screen,
    ));
    // What a blocking thread has begun, it ends; but a sync that hangs holds up no signal.
    runtime.shutdown_timeout(commands::SHUTDOWN);
    ended
}

/// What the flags say about the configuration.
fn overrides(arguments: &Arguments) -> Overrides {
    let overrides = Overrides::new()
        .text("log.level", "--log-level", arguments.log_level.clone())
        .text("log.format", "--log-format", arguments.log_format.clone())
        .text("transport", "--transport", arguments.transport.clone());
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
        Command::Limit(_)
        | Command::Keygen(_)
        | Command::Check
        | Command::Transports
        | Command::Completions(_) => overrides,
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
        .text("move.compress", "--compress", command.compress.clone())
        .text("move.progress", "--progress", command.progress.clone())
        .text(
            "move.metrics_listen",
            "--metrics-listen",
            command.metrics_listen.clone(),
        )
        .text(
            "metrics.push",
            "--metrics-push",
            command.metrics_push.clone(),
        )
        .text("move.receipts", "--receipts", command.receipts.clone())
        .text("move.retries", "--retries", command.retries.clone())
        .text("throttle.up", "--throttle", command.throttle.clone())
        .text("throttle.down", "--throttle", command.throttle.clone())
        .text("throttle.up", "--throttle-up", command.throttle_up.clone())
        .text(
            "throttle.down",
            "--throttle-down",
            command.throttle_down.clone(),
        )
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
