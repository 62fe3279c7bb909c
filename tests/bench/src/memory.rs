//! The most memory that processes have taken, as the kernel keeps it.

use std::collections::HashMap;
use std::fs;

use rustix::process::Pid;

/// The most memory of the largest process of each side, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peaks {
    pub(crate) client: u64,
    pub(crate) server: u64,
}

/// Who is watched, and what was seen. Processes count with all that they start.
#[derive(Debug)]
pub(crate) struct Watch {
    server: Option<i32>,
    peaks: Peaks,
}

impl Watch {
    /// A watch whose server begins anew: what it took before does not count.
    pub(crate) fn new(server: Option<Pid>) -> Self {
        let server = server.map(|pid| pid.as_raw_nonzero().get());
        if let Some(pid) = server {
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
        }
        Self {
            server,
            peaks: Peaks::default(),
        }
    }

    /// Looks once. Processes that end meanwhile are left out: they were looked at before.
    pub(crate) fn look(&mut self, client: Option<Pid>) {
        let client = client.map(|pid| pid.as_raw_nonzero().get());
        let parents = parents();
        for &pid in parents.keys() {
            let side = if descends(pid, client, &parents) {
                &mut self.peaks.client
            } else if descends(pid, self.server, &parents) {
                &mut self.peaks.server
            } else {
                continue;
            };
            *side = (*side).max(peak(pid).unwrap_or_default());
        }
    }

    pub(crate) fn peaks(&self) -> Peaks {
        self.peaks
    }
}

/// Every process, and who started it.
fn parents() -> HashMap<i32, i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn descends(mut pid: i32, from: Option<i32>, parents: &HashMap<i32, i32>) -> bool {
    // No longer a way up than there are processes: what was read is not of one moment.
    for _ in 0..parents.len() {
        if from == Some(pid) {
            return true;
        }
        match parents.get(&pid) {
            Some(&parent) => pid = parent,
            None => return false,
        }
    }
    false
}

/// The most memory that a process has taken, in bytes.
fn peak(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
