//! The benchmark as a reader runs it, with small files.
//!
//! It measures the programs beside it, which a test of the whole workspace builds. Of a test of this
//! package alone they have to be built first: `cargo build`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say what they could not test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before it counts as stuck.
const DEADLINE: Duration = Duration::from_secs(120);

/// The headings, one for each workload.
const WORKLOADS: [&str; 8] = [
    "### One large file\n",
    "### Many small files\n",
    "### Files of all sizes\n",
    "### A newer version, 1% of its 64 KiB blocks changed\n",
    "### A newer version, 1,000 bytes inserted near its start\n",
    "### Killed at half, and run again\n",
    "### A limit of 8 MiB a second\n",
    "### Peak memory\n",
];

fn bench(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_realize-bench"));
    command.args(arguments).arg("--dir").arg(directory);
    command.stdin(Stdio::null());
    command
}

fn output(child: Child) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// The processes that name this directory in their command line.
fn processes(directory: &Path) -> Vec<String> {
    let name = directory.to_str().unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(name)).collect()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// That it moves every file, and that nothing stays, it checks itself after each run: a run in which
/// it finds otherwise is a row that says so, and its exit status is 1.
#[test]
fn every_workload_has_its_rows() {
    let directory = TempDir::new().unwrap();
    let mut command = bench(directory.path(), &["--quick", "--runs", "1"]);
    let running = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let (code, tables, errors) = output(running.unwrap());
    assert_eq!(code, Some(0), "{tables}\n----\n{errors}");
    let sections: Vec<_> = tables.split("\n### ").skip(1).collect();
    assert_eq!(sections.len(), WORKLOADS.len(), "{tables}");
    for (section, heading) in sections.iter().zip(WORKLOADS) {
        let section = format!("### {section}");
        assert!(section.starts_with(heading), "{section}");
        let rows: Vec<_> = section.lines().filter(|l| l.starts_with("| ")).collect();
        let cells = rows[0].matches('|').count();
        for own in ["| realize, tcp |", "| realize, quic |"] {
            let row = rows.iter().find(|row| row.starts_with(own));
            let row = row.unwrap_or_else(|| panic!("no {own} in {section}"));
            assert_eq!(row.matches('|').count(), cells, "{row}");
        }
        // Whoever is not installed has a row too.
        for rival in ["| rsync", "| rsync over ssh |", "| rclone"] {
            assert!(rows.iter().any(|row| row.starts_with(rival)), "{section}");
        }
    }
    assert_eq!(entries(directory.path()), Vec::<PathBuf>::new());
    assert_eq!(processes(directory.path()), Vec::<String>::new());
}

#[test]
fn an_interruption_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let only = ["--quick", "--only", "throttle", "--runs", "1000"];
    let mut command = bench(directory.path(), &only);
    let running = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let running = running.unwrap();
    // Its servers listen, and a program is moving files.
    let start = Instant::now();
    while !processes(directory.path())
        .iter()
        .any(|line| line.contains(" move "))
    {
        assert!(start.elapsed() < DEADLINE, "nothing was moved");
        std::thread::yield_now();
    }
    let pid = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let (code, _, errors) = output(running);
    assert_eq!(code, Some(130), "{errors}");
    assert_eq!(entries(directory.path()), Vec::<PathBuf>::new());
    assert_eq!(processes(directory.path()), Vec::<String>::new());
}
