//! How fast a move is beside a bare stream that does the same work: it reads a file, hashes it, sends it
//! over TLS or QUIC, writes it, reads it back, compares the hashes, syncs it, and deletes the source.
//!
//! ```sh
//! cargo build --release
//! cargo run --release -p realize-cli --example move-ceiling -- --dir /dev/shm
//! ```
//!
//! The bare streams have the settings of the transports, and no protocol: nothing resumes, nothing is
//! bounded, nobody else is served. They and the programs take turns; what is printed are medians.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

mod bare;
mod content;
mod programs;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use bare::Bare;
use programs::Programs;

pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const MIB: u64 = 1 << 20;

/// Measures moves beside bare streams that do the same work.
#[derive(Parser)]
struct Arguments {
    /// The size of the file that is moved, in MiB.
    #[arg(long, default_value_t = 384)]
    mib: u64,
    /// How often each moves it.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Where the files are: a directory in memory, or on a disk.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
}

/// The files of one measurement.
pub(crate) struct Files {
    pub(crate) source: PathBuf,
    pub(crate) destination: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match measure(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("move-ceiling: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Fallible<()> {
    let directory = tempfile::tempdir_in(&arguments.dir)?;
    let files = Files {
        source: directory.path().join("source"),
        destination: directory.path().join("destination"),
    };
    let bare = Bare::new()?;
    println!("{} MiB, medians of {}", arguments.mib, arguments.rounds);
    println!("| | bare stream, s | realize, s | of the bare stream's speed |");
    println!("|---|--:|--:|--:|");
    for transport in ["tcp", "quic"] {
        let programs = Programs::start(transport, directory.path())?;
        let mut times = [const { Vec::new() }; 2];
        // The first round is not counted: it finds memory that nobody has used.
        for round in 0..=arguments.rounds {
            let [of_bare, of_realize] = &mut times;
            plant(&files, arguments.mib)?;
            let began = Instant::now();
            match transport {
                "tcp" => bare.over_tls(&files).await?,
                _ => bare.over_quic(&files).await?,
            }
            let bare = began.elapsed();
            check(&files, arguments.mib)?;
            plant(&files, arguments.mib)?;
            let began = Instant::now();
            programs.move_files(&files)?;
            let realize = began.elapsed();
            check(&files, arguments.mib)?;
            if round > 0 {
                of_bare.push(bare);
                of_realize.push(realize);
            }
        }
        let [bare, realize] = times.map(median);
        println!(
            "| {transport} | {bare:.3} | {realize:.3} | {:.0} % |",
            bare / realize * 100.0
        );
    }
    Ok(())
}

/// Makes the source, and nothing at the destination.
fn plant(files: &Files, mib: u64) -> Fallible<()> {
    for directory in [&files.source, &files.destination] {
        if directory.exists() {
            std::fs::remove_dir_all(directory)?;
        }
        std::fs::create_dir(directory)?;
    }
    content::write(&file_in(&files.source), mib * MIB)
}

/// The file is at the destination, as it was, and not at the source.
fn check(files: &Files, mib: u64) -> Fallible<()> {
    if file_in(&files.source).exists() {
        return Err("the source was left".into());
    }
    content::compare(&file_in(&files.destination), mib * MIB)
}

/// The file that is moved.
pub(crate) fn file_in(directory: &Path) -> PathBuf {
    directory.join("file")
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    median.as_secs_f64()
}
