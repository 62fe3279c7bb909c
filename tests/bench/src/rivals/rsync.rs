//! rsync to a daemon of its own: neither encrypted nor, in one pass, read back.

use std::fs;
use std::rc::Rc;

use tokio::process::Command;

use super::{Contender, Job, Server, contents};
use crate::Failure;
use crate::place::Place;
use crate::process::{self, Running, free_port};
use crate::workloads::Kind;

/// The options of all runs.
const ALWAYS: &[&str] = &["--archive"];
/// What makes a copy a move.
const MOVES: &str = "--remove-source-files";

/// The daemon.
pub(crate) struct Daemon {
    server: Rc<Server>,
    port: u16,
    knows_fsync: bool,
}

/// A way of using it: its name, and the options of each pass.
type Way = (&'static str, &'static [&'static [&'static str]]);

pub(super) async fn version() -> Option<String> {
    process::version("rsync", "--version").await
}

/// The options that suit a kind of workload, for one pass.
pub(super) fn plain(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Whole | Kind::Limited => &["--whole-file", MOVES],
        Kind::Newer => &["--no-whole-file", MOVES],
        Kind::Resumed => &["--no-whole-file", "--partial", MOVES],
    }
}

impl Daemon {
    pub(super) async fn start(place: &Place, version: &str) -> Result<Self, Failure> {
        // As root it would be nobody, who may not write there.
        let user = if rustix::process::geteuid().is_root() {
            "uid = 0\ngid = 0\n"
        } else {
            ""
        };
        // Without TCP_NODELAY small files that are moved in one pass take forty times as long.
        let configuration = format!(
            "use chroot = no\nmunge symlinks = no\nsocket options = TCP_NODELAY\n{user}\
             [bench]\npath = {}\nread only = no\n",
            place.there().display()
        );
        let file = place.state("rsyncd.conf");
        fs::write(&file, configuration)?;
        let port = free_port().await?;
        let mut command = Command::new("rsync");
        command.args(["--daemon", "--no-detach", "--address=127.0.0.1"]);
        command.arg(format!("--port={port}"));
        command.arg("--config").arg(file);
        let mut running = Running::start(command, place.state("rsyncd.log"))?;
        running.listens_at(port).await?;
        Ok(Self {
            server: Server::new(running),
            port,
            knows_fsync: knows_fsync(version),
        })
    }

    pub(super) fn contenders(&self, kind: Kind) -> Vec<Contender> {
        let ways: &[Way] = match kind {
            Kind::Whole => &[
                ("rsync", &[&["--whole-file", MOVES]]),
                (
                    "rsync, a second pass that reads again",
                    &[&["--whole-file"], &["--whole-file", "--checksum", MOVES]],
                ),
                ("rsync --fsync", &[&["--whole-file", "--fsync", MOVES]]),
            ],
            Kind::Newer => &[
                ("rsync", &[&["--no-whole-file", MOVES]]),
                (
                    "rsync --inplace",
                    &[&["--no-whole-file", "--inplace", MOVES]],
                ),
            ],
            Kind::Resumed => &[
                (
                    "rsync --partial",
                    &[&["--no-whole-file", "--partial", MOVES]],
                ),
                ("rsync --append-verify", &[&["--append-verify", MOVES]]),
            ],
            Kind::Limited => &[("rsync --bwlimit", &[&["--whole-file", MOVES]])],
        };
        let known = |way: &&Way| self.knows_fsync || !way.0.contains("fsync");
        let contender = |(name, passes): &Way| {
            let (port, passes) = (self.port, *passes);
            let commands = move |job: &Job| {
                let target = format!("rsync://127.0.0.1:{port}/bench/{}/", job.target);
                let pass = |options: &&[&str]| {
                    let mut command = rsync(options, job);
                    command.arg("--sockopts=TCP_NODELAY");
                    command.arg(contents(&job.source)).arg(&target);
                    command
                };
                passes.iter().map(pass).collect()
            };
            Contender {
                name: (*name).to_owned(),
                server: Rc::clone(&self.server),
                own: false,
                commands: Box::new(commands),
            }
        };
        ways.iter().filter(known).map(contender).collect()
    }
}

/// rsync with these options, without its ends.
pub(super) fn rsync(options: &[&str], job: &Job) -> Command {
    let mut command = Command::new("rsync");
    command.args(ALWAYS).args(options);
    if let Some(limit) = job.limit {
        command.arg(format!("--bwlimit={limit}"));
    }
    command
}

/// Whether a version has `--fsync`: from 3.2.4 on.
fn knows_fsync(version: &str) -> bool {
    let number = version.split_whitespace().nth(2).unwrap_or_default();
    let parts = number.split('.').map(|part| part.parse().unwrap_or(0));
    parts.take(3).collect::<Vec<u32>>() >= vec![3, 2, 4]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_with_fsync_are_told() {
        assert!(knows_fsync("rsync version 3.2.7 protocol version 31"));
        assert!(knows_fsync("rsync version 3.5.0 protocol version 32"));
        assert!(!knows_fsync("rsync version 3.2.3 protocol version 31"));
        assert!(!knows_fsync("openrsync"));
    }
}
