//! Running the real program: with a deadline, as another user, among other mounts.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::{NamedTempFile, TempDir};

mod outcome;

pub(crate) use outcome::Outcome;

/// How long a run may take before it counts as stuck.
const DEADLINE: Duration = Duration::from_secs(300);
/// A user that owns nothing.
pub(crate) const NOBODY: u32 = 65534;

/// `realize` with these arguments, ready to be changed and started.
pub(crate) fn realize<I, A>(arguments: I) -> Program
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    program(env!("CARGO_BIN_EXE_realize"), arguments)
}

/// `realized` with these arguments.
pub(crate) fn realized<I, A>(arguments: I) -> Program
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    program(env!("CARGO_BIN_EXE_realized"), arguments)
}

/// The example of that name of realize-cli, with these arguments. It was built with this test.
pub(crate) fn example<I, A>(name: &str, arguments: I) -> Program
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    program(example_file(name), arguments)
}

/// Where the example of that name is.
pub(crate) fn example_file(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_BIN_EXE_realize")).parent().unwrap();
    directory.join("examples").join(name)
}

fn program<I, A>(file: impl Into<OsString>, arguments: I) -> Program
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    Program {
        file: file.into(),
        variables: Vec::new(),
        arguments: arguments
            .into_iter()
            .map(|a| a.as_ref().to_owned())
            .collect(),
        nobody: false,
        journal: false,
        mounts: None,
        directory: None,
    }
}

/// A run that is prepared.
#[must_use]
pub(crate) struct Program {
    file: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    nobody: bool,
    journal: bool,
    mounts: Option<(String, Vec<OsString>)>,
    directory: Option<PathBuf>,
}

impl Program {
    /// More arguments, after those that are there.
    pub(crate) fn with<I, A>(mut self, more: I) -> Self
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        self.arguments
            .extend(more.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Options of every command, before the command.
    pub(crate) fn globally<I, A>(mut self, options: I) -> Self
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        self.arguments
            .splice(0..0, options.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Runs it as a user without any right, from a copy that this user can reach. The caller has
    /// asked [`can_change_user`].
    pub(crate) fn by_nobody(mut self) -> Self {
        self.nobody = true;
        self
    }

    /// Runs a shell script in a mount namespace of its own instead, with the program and its
    /// arguments as `"$@"` and these paths as `$A`, `$B` and so on. The caller has asked
    /// [`can_mount`].
    pub(crate) fn among_mounts(mut self, script: &str, paths: &[&Path]) -> Self {
        let paths = paths.iter().map(|p| p.as_os_str().to_owned()).collect();
        self.mounts = Some((format!("set -eu\n{script}"), paths));
        self
    }

    /// Runs it with this variable in its environment.
    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables
            .push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Runs it as systemd does, with standard error going to the journal.
    pub(crate) fn with_journal(mut self) -> Self {
        self.journal = true;
        self
    }

    /// Runs it in this directory.
    pub(crate) fn in_directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_path_buf());
        self
    }

    /// Starts it.
    pub(crate) fn spawn(self) -> Running {
        let mut line: Vec<OsString> = Vec::new();
        let mut copy = None;
        if self.mounts.is_some() {
            line.extend(["unshare", "--mount", "--propagation", "private"].map(OsString::from));
        }
        if self.nobody {
            line.push("setpriv".into());
            line.extend(
                [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")].map(OsString::from),
            );
            line.push("--clear-groups".into());
        }
        if let Some((script, _)) = &self.mounts {
            line.extend(["sh", "-c", script, "sh"].map(OsString::from));
        }
        if self.nobody {
            let (directory, program) = copy_for_everyone();
            copy = Some(directory);
            line.push(program.into());
        } else {
            line.push(self.file);
        }
        line.extend(self.arguments);

        let (stdout, stderr) = (NamedTempFile::new().unwrap(), NamedTempFile::new().unwrap());
        let mut command = Command::new(&line[0]);
        command
            .args(&line[1..])
            .stdin(Stdio::null())
            .stdout(stdout.reopen().unwrap())
            .stderr(stderr.reopen().unwrap())
            .env("HOME", "/nonexistent")
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .env_remove("JOURNAL_STREAM")
            .env_remove("RUST_LOG");
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"REALIZE_") {
                command.env_remove(name);
            }
        }
        command.envs(self.variables);
        if self.journal {
            let stat = stderr.as_file().metadata().unwrap();
            command.env("JOURNAL_STREAM", format!("{}:{}", stat.dev(), stat.ino()));
        }
        if let Some((_, paths)) = &self.mounts {
            for (letter, path) in ('A'..='Z').zip(paths) {
                command.env(letter.to_string(), path);
            }
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {line:?}: {e}"));
        Running {
            child,
            line,
            stdout,
            stderr,
            started: Instant::now(),
            _copy: copy,
        }
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Outcome {
        self.spawn().wait()
    }
}

/// The program where every user may run it: the build directory may lie below a private one.
fn copy_for_everyone() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(
        directory.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let program = directory.path().join("realize");
    // By another process: a copy that this one has open for writing could leak into a child that a
    // parallel test forks, and the kernel runs no program that is open for writing.
    let status = Command::new("install")
        .args(["-m", "755", env!("CARGO_BIN_EXE_realize")])
        .arg(&program)
        .status()
        .unwrap();
    assert!(status.success());
    (directory, program)
}

/// A run under way; dropping it kills it.
pub(crate) struct Running {
    child: Child,
    line: Vec<OsString>,
    stdout: NamedTempFile,
    stderr: NamedTempFile,
    started: Instant,
    _copy: Option<TempDir>,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        // That it is gone already is no error: whoever asks looks at the outcome.
        let _ = kill_process(pid, signal);
    }

    /// Stops it where it is; false if it ended first.
    pub(crate) fn pause(&mut self) -> bool {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.pid());
        let mut ended = false;
        wait_until("the program to stop", DEADLINE, || {
            ended = self.ended();
            // The state stands behind the name, which is in parentheses.
            let state = fs::read_to_string(&stat).unwrap_or_default();
            ended
                || state
                    .rsplit(") ")
                    .next()
                    .is_some_and(|rest| rest.starts_with('T'))
        });
        !ended
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// What it has written to standard output so far.
    pub(crate) fn stdout_so_far(&self) -> String {
        fs::read_to_string(self.stdout.path()).unwrap()
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr_so_far(&self) -> String {
        fs::read_to_string(self.stderr.path()).unwrap()
    }

    /// The file that its standard error goes to.
    pub(crate) fn stderr_path(&self) -> PathBuf {
        self.stderr.path().to_path_buf()
    }

    pub(crate) fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until `condition`; false if the program ended first.
    pub(crate) fn reaches(&mut self, what: &str, mut condition: impl FnMut() -> bool) -> bool {
        let mut reached = false;
        wait_until(what, DEADLINE, || {
            reached = condition();
            reached || self.ended()
        });
        reached
    }

    /// Kills it as a crash would, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Outcome {
        self.signal(Signal::KILL);
        self.wait_in_place()
    }

    pub(crate) fn wait(mut self) -> Outcome {
        self.wait_in_place()
    }

    fn wait_in_place(&mut self) -> Outcome {
        let deadline = self.started + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                self.child.kill().unwrap();
                let status = self.child.wait().unwrap();
                panic!("still running after {DEADLINE:?}: {}", self.outcome(status));
            }
            thread::park_timeout(Duration::from_millis(1));
        };
        self.outcome(status)
    }

    fn outcome(&self, status: ExitStatus) -> Outcome {
        Outcome {
            line: self.line.clone(),
            status,
            stdout: fs::read(self.stdout.path()).unwrap(),
            stderr: fs::read(self.stderr.path()).unwrap(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls until `condition` holds, and fails the test if that takes longer than `deadline`.
#[track_caller]
pub(crate) fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + deadline;
    while !condition() {
        assert!(Instant::now() < end, "waited {deadline:?} for {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// A number from the environment that makes a test larger, smaller or repeat itself.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|e| panic!("{name}={text}: {e}")),
        Err(_) => default,
    }
}

/// Whether tests may mount in a namespace of their own; says so if not.
pub(crate) fn can_mount() -> bool {
    may("mount", 21)
}

/// Whether tests may make device nodes; says so if not.
pub(crate) fn can_make_devices() -> bool {
    may("make devices", 27)
}

/// Whether tests may run the program as somebody else; says so if not.
pub(crate) fn can_change_user() -> bool {
    may("change the user", 6) && may("change the group", 7)
}

/// Only the missing right excuses a test: with it, whatever goes wrong is a failure.
fn may(what: &str, capability: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .unwrap();
    let effective = u64::from_str_radix(effective.trim(), 16).unwrap();
    let may = geteuid().is_root() && effective & (1 << capability) != 0;
    if !may {
        eprintln!("NOT TESTED: this test needs root with the right to {what}");
    }
    may
}
