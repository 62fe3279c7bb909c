//! rclone to servers of its own: over WebDAV, which is its fastest way for one large file, and over
//! SFTP, which is its fastest for many, with as many transfers at once as help it.

use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use tokio::process::Command;

use super::{Contender, Job, Server};
use crate::Failure;
use crate::place::Place;
use crate::process::{self, Running, free_port};
use crate::workloads::Kind;

/// The servers.
pub(crate) struct Rclone {
    configuration: PathBuf,
    webdav: Protocol,
    sftp: Protocol,
}

/// A server, and the options that reach it.
struct Protocol {
    name: &'static str,
    server: Rc<Server>,
    options: Vec<String>,
}

pub(super) async fn version() -> Option<String> {
    process::version("rclone", "version").await
}

/// rclone with a configuration, and where it may keep things.
fn rclone(configuration: &PathBuf) -> Command {
    let mut command = Command::new("rclone");
    command.arg("--config").arg(configuration);
    let cache = configuration.with_extension("cache");
    command.arg("--cache-dir").arg(cache);
    command
}

/// Starts a server of a protocol, with options of its own, at a port.
async fn serve(
    place: &Place,
    configuration: &PathBuf,
    protocol: &str,
    options: &[&str],
    port: u16,
) -> Result<Rc<Server>, Failure> {
    let control = free_port().await?;
    let mut command = rclone(configuration);
    command.args(["serve", protocol, "--addr"]);
    command.arg(format!("127.0.0.1:{port}")).args(options);
    command
        .arg("--rc")
        .arg(format!("--rc-addr=127.0.0.1:{control}"));
    command.arg(place.there());
    let log = place.state(&format!("rclone-{protocol}.log"));
    let mut running = Running::start(command, log)?;
    running.listens_at(port).await?;
    running.listens_at(control).await?;
    // It remembers for minutes what directories held. A move that is told of files that are gone
    // deletes their sources.
    let configuration = configuration.clone();
    let forgets = move || {
        let mut command = rclone(&configuration);
        command
            .arg("rc")
            .arg(format!("--url=http://127.0.0.1:{control}/"));
        command.arg("vfs/forget");
        command
    };
    Ok(Rc::new(Server {
        running,
        forgets: Some(Box::new(forgets)),
    }))
}

/// A password as rclone wants it on its command line. The server asks for none.
async fn any_password(configuration: &PathBuf) -> Result<String, Failure> {
    let output = rclone(configuration)
        .args(["obscure", "any"])
        .output()
        .await?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

impl Rclone {
    pub(super) async fn start(place: &Place) -> Result<Self, Failure> {
        let configuration = place.state("rclone.conf");
        fs::write(&configuration, "")?;
        let port = free_port().await?;
        let webdav = Protocol {
            name: "webdav",
            server: serve(place, &configuration, "webdav", &[], port).await?,
            options: vec![format!("--webdav-url=http://127.0.0.1:{port}")],
        };
        let port = free_port().await?;
        let password = any_password(&configuration).await?;
        let sftp = Protocol {
            name: "sftp",
            server: serve(place, &configuration, "sftp", &["--no-auth"], port).await?,
            options: vec![
                "--sftp-host=127.0.0.1".to_owned(),
                format!("--sftp-port={port}"),
                "--sftp-user=any".to_owned(),
                format!("--sftp-pass={password}"),
            ],
        };
        Ok(Self {
            configuration,
            webdav,
            sftp,
        })
    }

    /// How it moves one file, or `many`.
    pub(super) fn contender(&self, kind: Kind, many: bool) -> Contender {
        let Protocol {
            name,
            server,
            options,
        } = if many { &self.sftp } else { &self.webdav };
        let (name, options) = (*name, options.clone());
        let configuration = self.configuration.clone();
        let commands = move |job: &Job| {
            let mut command = rclone(&configuration);
            command.args(["move", "--retries", "1"]);
            command.args(["--transfers", "16", "--checkers", "16"]);
            // Over WebDAV it knows of sizes alone: it would take a newer version of the same size
            // for the older one, and delete it.
            if kind == Kind::Newer {
                command.arg("--ignore-times");
            }
            if let Some(limit) = job.limit {
                command.arg(format!("--bwlimit={limit}K"));
            }
            command.args(&options).arg(&job.source);
            command.arg(format!(":{name}:{}", job.target));
            vec![command]
        };
        Contender {
            name: format!("rclone, {name}"),
            server: Rc::clone(server),
            own: false,
            commands: Box::new(commands),
        }
    }
}
