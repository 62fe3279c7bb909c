//! The programs of the release build, one of which serves while the other moves.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{Fallible, Files};

/// A daemon and what is needed to reach it.
pub(crate) struct Programs {
    realize: PathBuf,
    configuration: PathBuf,
    daemon: Child,
}

impl Programs {
    /// Starts a daemon that serves `directory`.
    pub(crate) fn start(transport: &str, directory: &Path) -> Fallible<Self> {
        // An example lies in a directory beside the programs.
        let example = std::env::current_exe()?;
        let built = example.ancestors().nth(2).ok_or("no directory above")?;
        let (realize, realized) = (built.join("realize"), built.join("realized"));
        if !realize.exists() || !realized.exists() {
            return Err("the programs are not built: cargo build --release".into());
        }
        let state = directory.join(transport);
        fs::create_dir(&state)?;
        let keygen = |name: &str| -> Fallible<String> {
            let made = Command::new(&realize)
                .arg("keygen")
                .arg(state.join(name))
                .output()?;
            let shown = String::from_utf8(made.stdout)?;
            let mut words = shown.split_whitespace();
            let key = words.find(|word| word.starts_with("ed25519:"));
            Ok(key.ok_or("keygen printed no key")?.to_owned())
        };
        let (here, there) = (keygen("here.key")?, keygen("there.key")?);
        let serving = state.join("there.toml");
        fs::write(
            &serving,
            format!(
                "transport = \"{transport}\"\n\
                 [identity]\nkey = \"there.key\"\n\
                 [listen]\naddresses = [\"127.0.0.1:0\"]\n\
                 [directories.files]\npath = {directory:?}\n\
                 allow = {{ here = [\"list\", \"read\", \"write\", \"replace\", \"delete\"] }}\n\
                 [peers.here]\nkey = \"{here}\"\n"
            ),
        )?;
        let mut daemon = Command::new(realized)
            .arg("--config")
            .arg(&serving)
            .stdout(Stdio::piped())
            .stderr(File::create(state.join("log"))?)
            .spawn()?;
        let address = listening(&mut daemon);
        let programs = Self {
            realize,
            configuration: state.join("here.toml"),
            daemon,
        };
        let address = address?;
        fs::write(
            &programs.configuration,
            format!(
                "transport = \"{transport}\"\n\
                 [identity]\nkey = \"here.key\"\n\
                 [peers.there]\nkey = \"{there}\"\naddress = \"{address}\"\n"
            ),
        )?;
        Ok(programs)
    }

    /// Moves the files.
    pub(crate) fn move_files(&self, files: &Files) -> Fallible<()> {
        let destination = files.destination.file_name().ok_or("no name")?;
        let moved = Command::new(&self.realize)
            .arg("--config")
            .arg(&self.configuration)
            .args(["move", "--progress", "none"])
            .arg(&files.source)
            .arg(format!("there:files/{}", destination.display()))
            .output()?;
        if moved.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&moved.stderr).into_owned().into())
        }
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Where the daemon listens, which it says first.
fn listening(daemon: &mut Child) -> Fallible<String> {
    let output = daemon.stdout.take().ok_or("no output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some(address) = line.strip_prefix("listening on ") {
            // The transport, and where.
            let address = address.split_whitespace().nth(1).unwrap_or_default();
            return Ok(address.to_owned());
        }
    }
    Err("the daemon did not start".into())
}
