//! Other programs that have limits, each copying a file over the loopback.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::Failure;
use crate::count::Count;
use crate::proxy::Proxy;
use crate::table::Row;

/// What is copied, in bytes.
const SIZE: u64 = 64 << 20;

/// How long a server may take to listen.
const STARTS: Duration = Duration::from_secs(10);

/// How a program serves a directory at a port, and how it sends a file there under a limit.
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    serve: fn(&Path, u16) -> Result<Command, Failure>,
    send: fn(&Path, u16, &str) -> Command,
}

pub(crate) const ALL: [Rival; 2] = [
    Rival {
        name: "rsync",
        serve: rsync_daemon,
        send: rsync,
    },
    Rival {
        name: "rclone",
        serve: rclone_serve,
        send: rclone_copy,
    },
];

fn rsync_daemon(directory: &Path, port: u16) -> Result<Command, Failure> {
    let file = directory.join("rsyncd.conf");
    let shown = directory.join("there");
    // As root it would be nobody, who may not write there.
    let user = if rustix::process::geteuid().is_root() {
        "uid = 0\ngid = 0\n"
    } else {
        ""
    };
    let module = format!(
        "use chroot = no\n{user}[there]\npath = {}\nread only = no\n",
        shown.display()
    );
    std::fs::write(&file, module)?;
    let mut command = Command::new("rsync");
    command.args(["--daemon", "--no-detach", "--address=127.0.0.1"]);
    command.arg(format!("--port={port}"));
    command.arg("--config").arg(file);
    Ok(command)
}

fn rsync(directory: &Path, port: u16, limit: &str) -> Command {
    let mut command = Command::new("rsync");
    command.arg(format!("--bwlimit={limit}"));
    command.arg(directory.join("file"));
    command.arg(format!("rsync://127.0.0.1:{port}/there/"));
    command
}

fn rclone(directory: &Path) -> Command {
    let mut command = Command::new("rclone");
    command.arg("--config").arg(directory.join("rclone.conf"));
    command
}

fn rclone_serve(directory: &Path, port: u16) -> Result<Command, Failure> {
    let mut command = rclone(directory);
    command.args(["serve", "webdav", "--addr"]);
    command.arg(format!("127.0.0.1:{port}"));
    command.arg(directory.join("there"));
    Ok(command)
}

fn rclone_copy(directory: &Path, port: u16, limit: &str) -> Command {
    let mut command = rclone(directory);
    command.args(["copy", "--bwlimit", limit, "--webdav-url"]);
    command.arg(format!("http://127.0.0.1:{port}"));
    command.arg(directory.join("file")).arg(":webdav:");
    command
}

/// Has it copy a file, and counts what comes.
pub(crate) async fn measure(rival: &Rival, limit: NonZeroU64) -> Result<Row, Failure> {
    let directory = tempfile::tempdir()?;
    std::fs::create_dir(directory.path().join("there"))?;
    let mut content = File::create(directory.path().join("file"))?;
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(0x5a), SIZE),
        &mut content,
    )?;

    let port = free_port().await?;
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let _server = start((rival.serve)(directory.path(), port)?)?;
    reachable(at).await?;
    let count = Count::new(Instant::now());
    let proxy = Proxy::start(at, Arc::clone(&count)).await?;
    let limited = format!("{}M", limit.get() >> 20);
    let send = (rival.send)(directory.path(), proxy.address.port(), &limited);
    let ended = start(send)?.wait().await?;
    if !ended.success() || count.total() < SIZE {
        return Err(format!("it failed after {} bytes: {ended}", count.total()).into());
    }
    Ok(Row {
        name: format!("{} --bwlimit", rival.name),
        lanes: 1,
        direction: "up".to_owned(),
        limit,
        measured: count.measured_from_first_to_last(),
        lost: None,
        counts: false,
    })
}

/// Ends with what is returned.
fn start(mut command: Command) -> Result<Child, Failure> {
    command.kill_on_drop(true).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.spawn()?)
}

async fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    Ok(listener.local_addr()?.port())
}

async fn reachable(at: SocketAddr) -> Result<(), Failure> {
    let start = Instant::now();
    while let Err(error) = TcpStream::connect(at).await {
        if start.elapsed() > STARTS {
            return Err(error.into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
