//! What a line of the log costs: microseconds for an event at info, to a file, in each format.
//!
//! ```sh
//! cargo run --release -p realize-cli --example log-cost
//! ```
//!
//! It runs itself as `realize`, with one transport more. That one, when it is made, logs [`EVENTS`]
//! times that a file was finished, and then says how long it took: so what is measured is the log as
//! the programs start it. The status is 1 if an event took more than [`MOST`].

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use realize_core::path::Escaped;
use realize_core::registry::{
    BuildError, TransportContext, TransportFactory, TransportOption, TransportRegistry,
    TransportTable,
};
use realize_core::transport::Transport;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How many events are logged, after a tenth of that to warm up.
const EVENTS: u32 = 200_000;

/// The most that one may take.
const MOST: Duration = Duration::from_micros(3);

const FORMATS: [&str; 3] = ["human", "logfmt", "json"];

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        return match TransportRegistry::new().register(Events) {
            Ok(transports) => realize_cli::main_with(&transports),
            Err(_) => ExitCode::FAILURE,
        };
    }
    match measure() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures each format, and prints a table; answers whether all were fast enough.
fn measure() -> Result<bool, Failure> {
    let directory = tempfile::tempdir()?;
    let config = directory.path().join("realize.toml");
    let peer = "[peers.log]\nkey = \"unix:uid=0\"\naddress = \"here\"\ntransport = \"events\"\n";
    fs::write(&config, peer)?;
    println!("| format | µs per event | of which writing | bytes per line |");
    println!("|---|---|---|---|");
    let mut fast = true;
    for format in FORMATS {
        let log = directory.path().join(format);
        let child = Command::new(std::env::current_exe()?)
            .arg("--config")
            .arg(&config)
            .args(["--log-level", "info", "--log-format", format])
            .args(["list", "log:events"])
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()?;
        let output = child.wait_with_output()?;
        let said = String::from_utf8(output.stdout)?;
        let nanos: Vec<u64> = said.lines().map(str::parse).collect::<Result<_, _>>()?;
        let [event, write] = nanos[..] else {
            return Err(format!("it said {said:?}").into());
        };
        let text = fs::read_to_string(&log)?;
        let mut finished = text.lines().filter(|line| line.contains("file.finished"));
        let line = finished.next().ok_or("nothing was logged")?;
        if finished.count() as u32 + 1 != EVENTS + EVENTS / 10 {
            return Err("not every event was logged".into());
        }
        let (event, write) = (Duration::from_nanos(event), Duration::from_nanos(write));
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let (shown, of_which) = (micros(event), micros(write));
        println!("| {format} | {shown:.2} | {of_which:.2} | {} |", line.len());
        fast &= event <= MOST;
    }
    Ok(fast)
}

/// The transport that logs.
struct Events;

impl TransportFactory for Events {
    fn name(&self) -> &'static str {
        "events"
    }

    fn options(&self) -> Vec<TransportOption> {
        Vec::new()
    }

    fn check(&self, _: &TransportTable<'_>) -> Result<(), realize_core::registry::TableError> {
        Ok(())
    }

    /// Logs, prints how long an event took and how long to write a line of its length, in
    /// nanoseconds, and makes no transport.
    fn build(
        &self,
        _: &TransportTable<'_>,
        _: &TransportContext,
    ) -> Result<Arc<dyn Transport>, BuildError> {
        log(EVENTS / 10);
        let event = log(EVENTS);
        let line = [b"x".repeat(300), b"\n".to_vec()].concat();
        let started = Instant::now();
        for _ in 0..EVENTS {
            // Were it to fail, lines would be missing.
            let _ = io::stderr().write_all(&line);
        }
        let write = started.elapsed() / EVENTS;
        println!("{}\n{}", event.as_nanos(), write.as_nanos());
        Err(BuildError::Missing {
            what: "it is there to be measured".to_owned(),
            source: None,
        })
    }
}

/// Logs so many events, each with what is said of a file that is finished; answers the time for one.
fn log(count: u32) -> Duration {
    let run = "0123456789abcdef0123456789abcdef";
    let _span = tracing::info_span!(target: "realize", "run", run).entered();
    let hash = blake3::hash(b"content");
    let path = b"2026/11/23/camera-4/recording-2026-11-23T12-00-00.mp4";
    let started = Instant::now();
    for number in 0..count {
        tracing::info!(
            target: "realize::file",
            event = "file.finished",
            path = %Escaped(path),
            bytes = u64::from(number) << 20,
            hash = %hash,
            peer = "nas"
        );
    }
    started.elapsed() / count
}
