//! realize: `realize move` to `realized`, encrypted, with keys of its own.

use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use tokio::process::Command;

use super::{Contender, Entry, Job, Server};
use crate::Failure;
use crate::place::Place;
use crate::process::{self, Running};
use crate::programs::Programs;

/// A daemon, and how to reach it.
pub(crate) struct Realize {
    server: Rc<Server>,
    transport: &'static str,
    program: PathBuf,
    configuration: PathBuf,
}

pub(super) async fn version(programs: &Programs) -> Option<String> {
    process::version(&programs.realize, "--version").await
}

/// Makes a key, and gives its public part.
async fn key(programs: &Programs, file: PathBuf) -> Result<String, Failure> {
    let mut command = Command::new(&programs.realize);
    let output = command.arg("keygen").arg(&file).output().await?;
    let said = String::from_utf8(output.stdout)?;
    let words = said.split_whitespace();
    let key = words.into_iter().find(|word| word.starts_with("ed25519:"));
    let errors = String::from_utf8_lossy(&output.stderr);
    Ok(key
        .ok_or_else(|| format!("realize keygen: {errors}"))?
        .to_owned())
}

impl Realize {
    pub(super) async fn start(
        place: &Place,
        programs: &Programs,
        transport: &'static str,
    ) -> Result<Self, Failure> {
        let state = |name: &str| place.state(&format!("{transport}-{name}"));
        let here = key(programs, state("here.key")).await?;
        let there = key(programs, state("there.key")).await?;
        let served = place.there();
        let (here_file, there_file) = (state("here.toml"), state("there.toml"));
        fs::write(
            &there_file,
            format!(
                "transport = {transport:?}\n\
                 [identity]\nkey = \"{transport}-there.key\"\n\
                 [listen]\naddresses = [\"127.0.0.1:0\"]\n\
                 [directories.bench]\npath = {served:?}\n\
                 allow = {{ here = [\"read\", \"write\", \"replace\"] }}\n\
                 [peers.here]\nkey = {here:?}\n"
            ),
        )?;
        let mut command = Command::new(&programs.realized);
        command.arg("--config").arg(&there_file);
        let mut running = Running::start(command, state("log"))?;
        let listening = running.ready(async |running| {
            let printed = running.printed();
            let mut lines = printed.lines();
            let line = lines.find_map(|line| line.strip_prefix("listening on "))?;
            Some(line.split_once(' ')?.1.trim().to_owned())
        });
        let listening = listening.await;
        let address = listening.map_err(|error| format!("realized over {transport}: {error}"))?;
        fs::write(
            &here_file,
            format!(
                "transport = {transport:?}\n\
                 [identity]\nkey = \"{transport}-here.key\"\n\
                 [peers.there]\nkey = {there:?}\naddress = {address:?}\n"
            ),
        )?;
        Ok(Self {
            server: Server::new(running),
            transport,
            program: programs.realize.clone(),
            configuration: here_file,
        })
    }

    pub(super) fn contender(&self) -> Entry {
        let (program, configuration) = (self.program.clone(), self.configuration.clone());
        let commands = move |job: &Job| {
            let mut command = Command::new(&program);
            command.arg("--config").arg(&configuration);
            command.args(["move", "--progress", "none"]);
            if let Some(limit) = job.limit {
                command.arg(format!("--throttle-up={limit}K"));
            }
            command.arg(&job.source);
            command.arg(format!("there:bench/{}", job.target));
            vec![command]
        };
        Entry::Ready(Contender {
            name: format!("realize, {}", self.transport),
            server: Rc::clone(&self.server),
            own: true,
            commands: Box::new(commands),
        })
    }
}
