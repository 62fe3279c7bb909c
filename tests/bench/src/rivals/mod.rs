//! The programs that move files, and how each is told to: as its own documentation says to do it
//! fast and without losing files.

mod rclone;
mod realize;
mod rsync;
mod ssh;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;

use rustix::process::Pid;
use tokio::process::Command;

use crate::Failure;
use crate::place::Place;
use crate::process::Running;
use crate::programs::Programs;
use crate::workloads::Kind;

/// A server that runs.
pub(crate) struct Server {
    running: Running,
    /// What has it forget what directories held, if it remembers that.
    forgets: Option<Box<dyn Fn() -> Command>>,
}

impl Server {
    /// One that remembers nothing.
    fn new(running: Running) -> Rc<Self> {
        let forgets = None;
        Rc::new(Self { running, forgets })
    }

    /// Its number, while it runs.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.running.pid()
    }
}

/// What is to be moved where.
#[derive(Debug)]
pub(crate) struct Job {
    /// The directory whose contents are moved.
    pub(crate) source: PathBuf,
    /// The directory below the one that is served, by its name.
    pub(crate) target: String,
    /// The same directory by its path.
    pub(crate) there: PathBuf,
    /// How fast it may go, in KiB per second.
    pub(crate) limit: Option<u64>,
}

type Commands = Box<dyn Fn(&Job) -> Vec<Command>>;

/// One way of moving files.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) server: Rc<Server>,
    /// Whether it is realize.
    pub(crate) own: bool,
    commands: Commands,
}

impl Contender {
    /// What moves the files, one command after the other.
    pub(crate) fn commands(&self, job: &Job) -> Vec<Command> {
        (self.commands)(job)
    }

    /// To be called after files were laid out behind the server's back.
    pub(crate) async fn forget(&self) -> Result<(), Failure> {
        if let Some(forgets) = &self.server.forgets {
            let output = forgets().stdin(Stdio::null()).output().await?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into());
            }
        }
        Ok(())
    }
}

/// A contender, or the name of one that is not there and why.
pub(crate) enum Entry {
    Ready(Contender),
    Absent(String, String),
}

/// The servers of all of them. Dropping it ends them.
pub(crate) struct Field {
    own: [realize::Realize; 2],
    rsync: Result<rsync::Daemon, String>,
    ssh: Result<ssh::Sshd, String>,
    rclone: Result<rclone::Rclone, String>,
    /// What each program says of its version.
    pub(crate) versions: Vec<String>,
}

impl Field {
    /// Starts those that are installed.
    ///
    /// # Errors
    /// realize does not start.
    pub(crate) async fn start(place: &Place, programs: &Programs) -> Result<Self, Failure> {
        let own = [
            realize::Realize::start(place, programs, "tcp").await?,
            realize::Realize::start(place, programs, "quic").await?,
        ];
        let (rsync, ssh) = (rsync::version().await, ssh::version().await);
        let rclone = rclone::version().await;
        let said = [
            realize::version(programs).await,
            rsync.clone(),
            ssh.clone(),
            rclone.clone(),
        ];
        let versions = said.into_iter().flatten().collect();
        let sshd = match (&rsync, ssh) {
            (Some(_), Some(_)) => ssh::Sshd::start(place).await.map_err(not_started),
            (None, _) => Err("rsync is not installed".to_owned()),
            (_, None) => Err("OpenSSH is not installed".to_owned()),
        };
        let rsync = match rsync {
            Some(version) => rsync::Daemon::start(place, &version)
                .await
                .map_err(not_started),
            None => Err(NOT_INSTALLED.to_owned()),
        };
        let rclone = match rclone {
            Some(_) => rclone::Rclone::start(place).await.map_err(not_started),
            None => Err(NOT_INSTALLED.to_owned()),
        };
        Ok(Self {
            own,
            rsync,
            ssh: sshd,
            rclone,
            versions,
        })
    }

    /// Who takes part in a workload of this kind, of one file or of `many`; realize over TCP first.
    pub(crate) fn entries(&self, kind: Kind, many: bool) -> Vec<Entry> {
        let mut entries: Vec<_> = self.own.iter().map(realize::Realize::contender).collect();
        entries.extend(listed(&self.rsync, "rsync", |daemon| {
            daemon.contenders(kind)
        }));
        entries.extend(listed(&self.ssh, "rsync over ssh", |sshd| {
            vec![sshd.contender(kind)]
        }));
        entries.extend(listed(&self.rclone, "rclone", |rclone| {
            vec![rclone.contender(kind, many)]
        }));
        entries
    }
}

const NOT_INSTALLED: &str = "it is not installed";

#[allow(clippy::needless_pass_by_value, reason = "it is mapped over errors")]
fn not_started(why: Failure) -> String {
    format!("its server did not start: {why}")
}

fn listed<S>(
    server: &Result<S, String>,
    name: &str,
    contenders: impl Fn(&S) -> Vec<Contender>,
) -> Vec<Entry> {
    match server {
        Ok(server) => contenders(server).into_iter().map(Entry::Ready).collect(),
        Err(why) => vec![Entry::Absent(name.to_owned(), why.clone())],
    }
}

/// A directory as programs take it that are to move what is in it.
fn contents(directory: &Path) -> PathBuf {
    directory.join("")
}
