//! Two machines in one temporary directory: `nas`, which runs the daemon, and `cam`, which dials it.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use realize_test_kit::odd_tree::{Tree, diff, is_reserved, remains, reserved_names, snapshot};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::ends::{Ends, assert_same};
use crate::program::{Outcome, Program, Running, realize, realized, wait_until};

/// Every right.
pub(crate) const EVERYTHING: &[&str] = &["list", "read", "write", "replace", "delete"];
/// How long the daemon may take to listen.
const LISTENING: Duration = Duration::from_secs(30);

/// From which machine to which files are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the cam to the nas.
    ToNas,
    /// From the nas to the cam.
    FromNas,
}

impl Way {
    /// One after the other.
    pub(crate) const BOTH: [Self; 2] = [Self::ToNas, Self::FromNas];
}

/// The two machines. The nas serves `inbox` and, without any right for the cam, `private`.
pub(crate) struct Machines {
    directory: TempDir,
    nas_key: String,
    cam_key: String,
}

impl Machines {
    /// Keys and directories; no daemon runs yet.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["nas", "cam", "inbox", "private", "source"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let key = |name: &str| {
            let file = directory.path().join(name).join("key.pem");
            let made = realize(["keygen"]).with([file]).run().expect(0);
            made.stdout_text().trim().to_owned()
        };
        let (nas_key, cam_key) = (key("nas"), key("cam"));
        Self {
            directory,
            nas_key,
            cam_key,
        }
    }

    /// A path in the directory that holds everything.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What the nas serves to the cam.
    pub(crate) fn inbox(&self) -> PathBuf {
        self.path("inbox")
    }

    /// A directory of the cam.
    pub(crate) fn source(&self) -> PathBuf {
        self.path("source")
    }

    /// The public key of the nas.
    pub(crate) fn nas_key(&self) -> &str {
        &self.nas_key
    }

    /// The public key of the cam.
    pub(crate) fn cam_key(&self) -> &str {
        &self.cam_key
    }

    /// The configuration file of the nas.
    pub(crate) fn nas_config(&self) -> PathBuf {
        self.path("nas/realize.toml")
    }

    /// The two directories that a move of the cam is about.
    pub(crate) fn ends(&self, way: Way) -> Ends {
        let (near, far) = (self.source(), self.inbox());
        match way {
            Way::ToNas => Ends::of(&near, &far, self.directory.path()),
            Way::FromNas => Ends::of(&far, &near, self.directory.path()),
        }
    }

    /// `realize move` on the cam, between these two directories.
    pub(crate) fn mover(&self, way: Way) -> Program {
        let (near, far) = (self.source().into_os_string(), "nas:inbox".into());
        self.cam(["move"]).with(match way {
            Way::ToNas => [near, far],
            Way::FromNas => [far, near],
        })
    }

    /// Empties both directories.
    pub(crate) fn clear(&self) {
        for directory in [self.source(), self.inbox()] {
            for entry in fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                let is_directory = path.symlink_metadata().unwrap().is_dir();
                if is_directory {
                    fs::remove_dir_all(path).unwrap();
                } else {
                    fs::remove_file(path).unwrap();
                }
            }
        }
    }

    /// Holds the directory that the cam has no right to to being empty.
    #[track_caller]
    pub(crate) fn assert_private_untouched(&self, outcome: &Outcome) {
        let found = fs::read_dir(self.path("private")).unwrap().count();
        assert_eq!(found, 0, "in a directory that is no peer's: {outcome}");
    }

    /// Writes the configuration of the nas, with these rights for the cam in `inbox`.
    pub(crate) fn configure_nas(&self, listen: &str, rights: &[&str]) {
        let quoted: Vec<_> = rights.iter().map(|right| format!("{right:?}")).collect();
        let allow = format!("cam = [{}]", quoted.join(", "));
        let cam = format!("[peers.cam]\nkey = \"{}\"\n", self.cam_key);
        self.write_nas(listen, &allow, &cam);
    }

    /// Writes the configuration of the nas: what it listens at, who may do what in `inbox`, the
    /// peers' sections.
    pub(crate) fn write_nas(&self, listen: &str, allow: &str, peers: &str) {
        let mut text = String::new();
        writeln!(text, "[identity]\nkey = \"key.pem\"").unwrap();
        writeln!(text, "[listen]\naddresses = [\"{listen}\"]").unwrap();
        writeln!(text, "[directories.inbox]\npath = \"../inbox\"").unwrap();
        writeln!(text, "allow = {{ {allow} }}").unwrap();
        writeln!(text, "[directories.private]\npath = \"../private\"").unwrap();
        text.push_str(peers);
        fs::write(self.nas_config(), text).unwrap();
    }

    /// Starts the daemon at a port of the system's choice, with these rights for the cam, and has
    /// the cam know it.
    pub(crate) fn start(&self, rights: &[&str]) -> Daemon {
        self.configure_nas("127.0.0.1:0", rights);
        let daemon = self.daemon();
        self.configure_cam(&daemon.address, self.nas_key());
        daemon
    }

    /// Starts the daemon with the configuration that is there.
    pub(crate) fn daemon(&self) -> Daemon {
        Daemon::start(&self.nas_config())
    }

    /// Writes the configuration of the cam: where the nas is, and which key it must have.
    pub(crate) fn configure_cam(&self, address: &str, key: &str) {
        let text = format!(
            "[identity]\nkey = \"key.pem\"\n[peers.nas]\nkey = \"{key}\"\naddress = \"{address}\"\n\
             [move]\nsource = \"../source\"\ndestination = \"nas:inbox\"\nretry_delay = \"100ms\"\n"
        );
        fs::write(self.path("cam/realize.toml"), text).unwrap();
    }

    /// Adds to the configuration of the nas; sections only, for the file ends in one.
    pub(crate) fn also_on_nas(&self, text: &str) {
        append(&self.nas_config(), text);
    }

    /// Adds to the configuration of the cam; sections only.
    pub(crate) fn also_on_cam(&self, text: &str) {
        append(&self.path("cam/realize.toml"), text);
    }

    /// `realize` on the cam.
    pub(crate) fn cam<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(&self, arguments: I) -> Program {
        let config = self.path("cam/realize.toml");
        realize(arguments).globally(["--config".as_ref(), config.as_os_str()])
    }
}

fn append(path: &Path, text: &str) {
    let mut whole = fs::read_to_string(path).unwrap();
    whole.push_str(text);
    fs::write(path, whole).unwrap();
}

/// Writes a file below `root`, and the directories above it.
pub(crate) fn write(root: &Path, path: &str, content: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Holds a move that ended well to what it promises: `before` is at `to`, whole, and nothing else;
/// `from` is there and empty; no file under construction is left.
#[track_caller]
pub(crate) fn assert_moved(before: &Tree, from: &Path, to: &Path, outcome: &Outcome) {
    assert_eq!(
        remains(from).unwrap(),
        [""; 0],
        "left at the source: {outcome}"
    );
    assert_same(before, to, outcome);
    assert_no_partials(&[from, to], outcome);
}

/// Holds a run to leaving no name that realize keeps for itself.
#[track_caller]
pub(crate) fn assert_no_partials(ends: &[&Path], outcome: &Outcome) {
    for end in ends {
        let left = reserved_names(end).unwrap();
        assert!(
            left.is_empty(),
            "reserved names are left, {left:?}: {outcome}"
        );
    }
}

/// What `dir` holds for its owner: without the names that realize keeps for itself, such as the
/// lease of a run that did not end in order.
pub(crate) fn seen(dir: &Path) -> Tree {
    let mut tree = snapshot(dir).unwrap();
    tree.retain(|path, _| {
        let mut names = path.split(|byte| *byte == b'/');
        !names.any(|name| is_reserved(OsStr::from_bytes(name)))
    });
    tree
}

/// Holds what `dir` has for its owner to being `before`.
#[track_caller]
pub(crate) fn assert_seen(before: &Tree, dir: &Path, outcome: &Outcome) {
    let differences = diff(before, &seen(dir));
    assert!(
        differences.is_empty(),
        "in {dir:?}:\n{}\n{outcome}",
        differences.join("\n")
    );
}

/// A daemon that runs; dropping it kills it.
pub(crate) struct Daemon {
    pub(crate) running: Running,
    /// Where it listens, with its real port.
    pub(crate) address: String,
}

impl Daemon {
    /// Starts `realized` and waits until it listens.
    pub(crate) fn start(config: &Path) -> Self {
        let mut running = realized(["--config".as_ref(), config.as_os_str()]).spawn();
        let mut address = None;
        wait_until("the daemon to listen", LISTENING, || {
            let said = running.stdout_so_far();
            let line = said.lines().next().filter(|_| said.ends_with('\n'));
            address = line.map(|line| {
                let at = line.strip_prefix("listening on tcp ");
                at.unwrap_or_else(|| panic!("not what a daemon says: {line}"))
                    .to_owned()
            });
            assert!(!running.ended(), "{}", running.stderr_so_far());
            address.is_some()
        });
        Self {
            running,
            address: address.unwrap(),
        }
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        self.running.stderr_so_far()
    }

    /// Waits until its log holds `text`.
    pub(crate) fn logs(&self, text: &str) {
        wait_until(text, LISTENING, || self.log().contains(text));
    }

    /// Has it read its configuration again, and waits until its log holds `text`.
    pub(crate) fn reloads(&self, text: &str) {
        self.running.signal(Signal::HUP);
        self.logs(text);
    }

    /// Ends it in order.
    pub(crate) fn stop(self) -> Outcome {
        self.running.signal(Signal::TERM);
        self.running.wait()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(self) -> Outcome {
        self.running.kill()
    }
}
