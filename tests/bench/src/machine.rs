//! What machine, medium and programs the figures are of.

use std::fs;
use std::path::Path;
use std::thread;

use crate::Failure;
use crate::place::Place;
use crate::rivals::Field;

/// A few lines in Markdown.
pub(crate) fn describe(place: &Place, field: &Field) -> Result<String, Failure> {
    let processors = thread::available_parallelism()?;
    let kernel = first_line("/proc/sys/kernel/osrelease");
    let congestion = first_line("/proc/sys/net/ipv4/tcp_congestion_control");
    let gib = value("/proc/meminfo", "MemTotal")
        .and_then(|kib| kib.split_whitespace().next()?.parse::<f64>().ok())
        .map_or_else(
            || "?".to_owned(),
            |kib| format!("{:.0}", kib / (1u64 << 20) as f64),
        );
    let processor = value("/proc/cpuinfo", "model name").unwrap_or_else(|| "?".to_owned());
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let system = system.unwrap_or("Linux").trim_matches('"').to_owned();
    let (kind, mounted) = file_system(place.root());
    Ok(format!(
        "- Machine: {processor}, {processors} processors, {gib} GiB; {system}, Linux {kernel}, TCP {congestion}\n\
         - Medium: {kind}, mounted at {mounted}\n\
         - Programs: {}\n",
        field.versions.join("; ")
    ))
}

fn first_line(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().next().unwrap_or("?").to_owned()
}

/// What stands behind the first `name:` of a table.
fn value(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(key, _)| key.trim() == name)?;
    Some(value.trim().to_owned())
}

/// The kind of the file system that holds `path`, and where it is mounted.
fn file_system(path: &Path) -> (String, String) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    // Of several at one place the last one is seen.
    let holds = mounts.filter(|(at, _)| path.starts_with(at));
    let found = holds.max_by_key(|(at, _)| at.len());
    let (at, kind) = found.unwrap_or(("?", "an unknown file system"));
    (kind.to_owned(), at.to_owned())
}
