//! Processes that end with whoever started them.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::Failure;

/// How long a server may take to listen.
const STARTS: Duration = Duration::from_secs(20);
/// How often it is asked whether it does.
const ASKS: Duration = Duration::from_millis(10);
/// How long a killed process is waited for.
const DIES: Duration = Duration::from_secs(5);

/// A process in a group of its own, what it prints in a file. Dropping it kills the group.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// None once it has ended: its number may be another's then.
    pid: Option<Pid>,
    printed: PathBuf,
}

impl Running {
    /// Starts it.
    pub(crate) fn start(mut command: Command, printed: PathBuf) -> io::Result<Self> {
        let file = File::create(&printed)?;
        command.stdin(Stdio::null()).stderr(file.try_clone()?);
        command.stdout(file).process_group(0).kill_on_drop(true);
        command.env("LC_ALL", "C").env_remove("RUST_LOG");
        let child = command.spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Self {
            child,
            pid: pid.and_then(Pid::from_raw),
            printed,
        })
    }

    /// Its number, while it runs.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// Waits for its end. Cancel safe.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.pid = None;
        Ok(status)
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> io::Result<bool> {
        let ended = self.child.try_wait()?.is_some();
        if ended {
            self.pid = None;
        }
        Ok(ended)
    }

    /// What it has printed.
    pub(crate) fn printed(&self) -> String {
        let bytes = fs::read(&self.printed).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last thing that it printed, on one line of bounded length.
    pub(crate) fn last_words(&self) -> String {
        let printed = self.printed();
        let last = printed
            .lines()
            .rev()
            .map(str::trim)
            .find(|line| !line.is_empty());
        last.unwrap_or("it said nothing")
            .chars()
            .take(200)
            .collect()
    }

    /// Waits until a server does what `listens` looks for.
    ///
    /// # Errors
    /// It ended, or does not do so in time.
    pub(crate) async fn ready<T>(
        &mut self,
        mut listens: impl AsyncFnMut(&Self) -> Option<T>,
    ) -> Result<T, Failure> {
        let start = Instant::now();
        loop {
            if let Some(found) = listens(self).await {
                return Ok(found);
            }
            if self.has_ended()? || start.elapsed() > STARTS {
                return Err(self.last_words().into());
            }
            tokio::time::sleep(ASKS).await;
        }
    }

    /// Waits until somebody listens at a port.
    pub(crate) async fn listens_at(&mut self, port: u16) -> Result<(), Failure> {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.ready(async |_| TcpStream::connect(at).await.ok().map(drop))
            .await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(pid) = self.pid else {
            return;
        };
        let _ = kill_process_group(pid, Signal::KILL);
        // Until it is gone, it may make files where they are being removed.
        let start = Instant::now();
        while !matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) && start.elapsed() < DIES {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A port of the loopback at which nobody listens.
pub(crate) async fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(listener.local_addr()?.port())
}

/// What a program says of its version, in its first line; `None` if it is not installed.
pub(crate) async fn version(program: impl AsRef<Path>, argument: &str) -> Option<String> {
    let mut command = Command::new(program.as_ref());
    command.arg(argument).stdin(Stdio::null());
    let output = command.output().await.ok()?;
    // ssh says it on standard error.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let first = said.lines().next()?;
    Some(first.split_whitespace().collect::<Vec<_>>().join(" "))
}
