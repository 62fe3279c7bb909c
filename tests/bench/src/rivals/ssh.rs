//! rsync over ssh, to a server of OpenSSH with keys of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tokio::process::Command;

use super::{Contender, Job, Server, contents, rsync};
use crate::Failure;
use crate::place::Place;
use crate::process::{self, Running, free_port};
use crate::workloads::Kind;

/// Where the server is: it must be started by its full path.
const PLACES: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];

/// The server.
pub(crate) struct Sshd {
    server: Rc<Server>,
    /// The command that reaches it, as rsync takes it.
    shell: String,
}

pub(super) async fn version() -> Option<String> {
    process::version("ssh", "-V").await
}

/// Makes a key without a password, and gives the file of its public part.
async fn key(file: &Path) -> Result<PathBuf, Failure> {
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(file);
    let output = command.output().await?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(file.with_extension("pub"))
}

impl Sshd {
    pub(super) async fn start(place: &Place) -> Result<Self, Failure> {
        let found = PLACES.iter().find(|path| Path::new(path).is_file());
        let program = found.ok_or("there is no sshd")?;
        let (host, client) = (place.state("ssh-host"), place.state("ssh-client"));
        let host_public = fs::read_to_string(key(&host).await?)?;
        let authorized = key(&client).await?;
        let port = free_port().await?;
        let known = place.state("ssh-known");
        fs::write(&known, format!("[127.0.0.1]:{port} {host_public}"))?;
        let configuration = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\n\
             PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\n",
            host.display(),
            authorized.display()
        );
        let file = place.state("sshd.conf");
        fs::write(&file, configuration)?;
        let mut command = Command::new(program);
        command.args(["-D", "-e", "-f"]).arg(file);
        let mut running = Running::start(command, place.state("sshd.log"))?;
        running.listens_at(port).await?;
        let shell = format!(
            "ssh -F none -p {port} -i '{}' -o 'UserKnownHostsFile={}' \
             -o StrictHostKeyChecking=yes -o BatchMode=yes -o LogLevel=ERROR",
            client.display(),
            known.display()
        );
        let sshd = Self {
            server: Server::new(running),
            shell,
        };
        sshd.try_login().await?;
        Ok(sshd)
    }

    /// Whether this user is let in at all.
    async fn try_login(&self) -> Result<(), Failure> {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("{} 127.0.0.1 true", self.shell));
        let output = command.output().await?;
        if output.status.success() {
            Ok(())
        } else {
            let errors = String::from_utf8_lossy(&output.stderr);
            Err(errors.lines().last().unwrap_or("no login").into())
        }
    }

    pub(super) fn contender(&self, kind: Kind) -> Contender {
        let shell = self.shell.clone();
        let commands = move |job: &Job| {
            let mut command = rsync::rsync(rsync::plain(kind), job);
            command.arg(format!("--rsh={shell}"));
            command.arg(contents(&job.source));
            command.arg(format!("127.0.0.1:{}/", job.there.display()));
            vec![command]
        };
        Contender {
            name: "rsync over ssh".to_owned(),
            server: Rc::clone(&self.server),
            own: false,
            commands: Box::new(commands),
        }
    }
}
