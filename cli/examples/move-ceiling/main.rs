//! How fast a move is beside a bare stream that does the same work: it reads files, hashes them, sends them
//! over TLS or QUIC, writes them, reads them back, compares the hashes, syncs them, and deletes the sources.
//!
//! ```sh
//! cargo build --release
//! cargo run --release -p realize-cli --example move-ceiling -- --dir /dev/shm
//! ```
//!
//! The bare streams have the settings of the transports, and no protocol: nothing resumes, nothing is
//! bounded, nobody else is served, and empty directories stay. They and the programs take turns; what is
//! printed are medians.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

mod bare;
mod carry;
mod model;
mod programs;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use bare::Bare;
use model::Model;
use programs::Programs;

pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures moves beside bare streams that do the same work.
#[derive(Parser)]
struct Arguments {
    /// The size of the file that is moved, in MiB.
    #[arg(long, default_value_t = 384)]
    mib: u64,
    /// So many small files are moved instead, of 4 to 16 KiB.
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["mib", "from"])]
    files: Option<u32>,
    /// Copies of the files of this directory are moved instead.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "mib")]
    from: Option<PathBuf>,
    /// How often each moves them.
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
    let model = directory.path().join("model");
    let model = match (&arguments.from, arguments.files) {
        (Some(from), _) => Model::of(from.clone())?,
        (None, Some(count)) => Model::small(model, count)?,
        (None, None) => Model::large(model, arguments.mib)?,
    };
    let bare = Bare::new()?;
    let (count, bytes) = model.size();
    let rounds = arguments.rounds;
    println!("{count} files, {} MiB, medians of {rounds}", bytes >> 20);
    println!("| | bare stream, s | realize, s | of the bare stream's speed |");
    println!("|---|--:|--:|--:|");
    for transport in ["tcp", "quic"] {
        let programs = Programs::start(transport, directory.path())?;
        let mut times = [const { Vec::new() }; 2];
        // The first round is not counted: it finds memory that nobody has used.
        for round in 0..=rounds {
            let [of_bare, of_realize] = &mut times;
            model.plant(&files)?;
            let began = Instant::now();
            match transport {
                "tcp" => bare.over_tls(&files).await?,
                _ => bare.over_quic(&files).await?,
            }
            let bare = began.elapsed();
            model.check(&files)?;
            model.plant(&files)?;
            let began = Instant::now();
            programs.move_files(&files)?;
            let realize = began.elapsed();
            model.check(&files)?;
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

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    median.as_secs_f64()
}
