//! How fast realize moves files on this machine, beside rsync and rclone where they are installed.
//!
//! ```sh
//! cargo build --release && cargo run --release -p realize-bench
//! ```
//!
//! The same seeded files are moved by each program in turn, over the loopback, and the times are
//! printed as tables in Markdown. docs/performance says what is measured and how to read them. The
//! exit status is 1 if one of realize's own runs failed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

mod data;
mod loopback;
mod machine;
mod memory;
mod place;
mod process;
mod programs;
mod rivals;
mod rounds;
mod run;
mod table;
mod tree;
mod workloads;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use place::Place;
use programs::Programs;
use rivals::Field;
use workloads::{Sizes, Workload};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures how fast realize, rsync and rclone move files on this machine.
#[derive(Parser)]
#[command(name = "realize-bench")]
struct Arguments {
    /// Where the files are; what is measured includes the medium [default: the system's temporary
    /// directory].
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
    /// Only this workload; may be given more than once.
    #[arg(long, value_name = "NAME")]
    only: Vec<Workload>,
    /// How often each program does each workload.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Small files and few of them, and no untimed round: shows that all works, and no more.
    #[arg(long)]
    quick: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Whoever is dropped ends its processes and removes its files, so that this is all that an
    // interruption takes.
    tokio::select! {
        biased;
        code = interrupted() => {
            eprintln!("realize-bench: interrupted; its processes are ended and its files are gone");
            ExitCode::from(code)
        }
        ended = measure_all(&arguments) => match ended {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("realize-bench: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

/// The exit code for the signal that came.
async fn interrupted() -> u8 {
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    }
}

/// Prints a table for each workload. Whether all of realize's runs went well.
async fn measure_all(arguments: &Arguments) -> Result<bool, Failure> {
    let programs = Programs::find()?;
    let sizes = if arguments.quick {
        Sizes::quick()
    } else {
        Sizes::full()
    };
    // Dropped in reverse: the servers end before the files go.
    let place = Place::new(arguments.dir.as_deref())?;
    let field = Field::start(&place, &programs).await?;
    if cfg!(debug_assertions) {
        println!("NOT A RELEASE BUILD: these figures say nothing of how fast realize is.\n");
    }
    println!("{}", machine::describe(&place, &field)?);
    let wanted =
        |workload: &Workload| arguments.only.is_empty() || arguments.only.contains(workload);
    let mut went_well = true;
    for workload in Workload::ALL.into_iter().filter(wanted) {
        let base = workload.prepare(&place, &sizes)?;
        let rows = if workload == Workload::Memory {
            rounds::peaks(&place, &field, &base).await?
        } else {
            let runs = arguments.runs;
            rounds::timed(&place, &field, workload, &base, runs, arguments.quick).await?
        };
        went_well &= rows.iter().all(table::Row::is_well);
        println!("{}", table::show(workload, &base, &rows));
        base.remove()?;
    }
    drop(field);
    place.close()?;
    Ok(went_well)
}
