//! The transport exec over a real OpenSSH server on this machine, with keys made for the test.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use realize_test_kit::odd_tree::{bytes, remains, snapshot};
use rustix::process::geteuid;
use tempfile::TempDir;

use crate::ends::assert_same;
use crate::program::{Program, realize, wait_until};

/// Where Debian has the server; it must be started by its full path.
const SSHD: &str = "/usr/sbin/sshd";

/// A server that runs; dropping it ends it.
struct Server {
    root: TempDir,
    port: u16,
    process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn key(file: &Path) -> String {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(file)
        .status()
        .unwrap();
    assert!(made.success());
    let public = fs::read_to_string(file.with_extension("pub")).unwrap();
    public.trim().to_owned()
}

impl Server {
    /// Starts one that lets a key in to run `realized --stdio`, and nothing else. None where there
    /// is no OpenSSH, or this user may not run it.
    fn start() -> Option<Self> {
        if !Path::new(SSHD).exists() || !geteuid().is_root() {
            eprintln!("NOT TESTED: this test needs root, and OpenSSH's server and client");
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        // The server looks at who may write to the way to its files.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        for name in ["inbox", "source"] {
            fs::create_dir(path(name)).unwrap();
        }
        let host = key(&path("host"));
        let client = key(&path("client"));
        key(&path("stranger"));
        fs::write(
            path("nas.toml"),
            "[directories.inbox]\npath = \"inbox\"\n\
             allow = { cam = [\"list\", \"read\", \"write\", \"replace\", \"delete\"] }\n\
             [peers.cam]\nkey = \"exec:cam\"\n",
        )
        .unwrap();
        let command = format!(
            "{} --config {} --stdio --peer cam",
            env!("CARGO_BIN_EXE_realized"),
            path("nas.toml").display()
        );
        let authorized = format!("restrict,command=\"{command}\" {client}\n");
        fs::write(path("authorized"), authorized).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        fs::write(path("known_hosts"), format!("[127.0.0.1]:{port} {host}\n")).unwrap();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\n\
             PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\n",
            path("host").display(),
            path("authorized").display()
        );
        fs::write(path("sshd_config"), config).unwrap();
        let process = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(path("sshd_config"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("sshd to listen", Duration::from_secs(20), || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(Self {
            root,
            port,
            process,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// `realize` with a configuration that reaches the server by ssh with this key.
    fn cam(&self, key: &str, arguments: &[&str]) -> Program {
        let known_hosts = format!("UserKnownHostsFile={}", self.path("known_hosts").display());
        let port = self.port.to_string();
        let identity = self.path(key).display().to_string();
        let words = [
            "ssh",
            "-F",
            "none",
            "-i",
            &identity,
            "-p",
            &port,
            "-o",
            &known_hosts,
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "BatchMode=yes",
            "-o",
            "LogLevel=ERROR",
            "{address}",
        ];
        let text = format!(
            "transport = \"exec\"\n[peers.nas]\nkey = \"exec:nas\"\naddress = \"root@127.0.0.1\"\n\
             [transports.exec]\ncommand = {words:?}\n"
        );
        let config = self.path("cam.toml");
        fs::write(&config, text).unwrap();
        realize(arguments).globally(["--config".as_ref(), config.as_os_str()])
    }
}

fn plant(source: &Path) {
    for i in 0..50 {
        fs::write(source.join(format!("f{i}")), bytes(i, 3_000)).unwrap();
    }
    fs::write(source.join("large"), bytes(77, 6_000_000)).unwrap();
}

#[test]
fn files_move_over_ssh_both_ways() {
    let Some(server) = Server::start() else {
        return;
    };
    let (source, inbox) = (server.path("source"), server.path("inbox"));
    plant(&source);
    let before = snapshot(&source).unwrap();
    let outcome = server
        .cam("client", &["move"])
        .with([source.as_os_str(), "nas:inbox".as_ref()])
        .run()
        .expect(0);
    assert_same(&before, &inbox, &outcome);
    assert_eq!(remains(&source).unwrap(), [""; 0], "{outcome}");
    let outcome = server
        .cam("client", &["move", "nas:inbox"])
        .with([&source])
        .run()
        .expect(0);
    assert_same(&before, &source, &outcome);
}

#[test]
fn what_ssh_says_is_in_the_error() {
    let Some(server) = Server::start() else {
        return;
    };
    let source = server.path("source");
    plant(&source);
    let before = snapshot(&source).unwrap();
    let outcome = server
        .cam("stranger", &["move", "--retries", "0"])
        .with([source.as_os_str(), "nas:inbox".as_ref()])
        .run()
        .expect(5)
        .says(&[
            "Permission denied",
            "exit status: 255",
            "the sources are intact",
        ]);
    assert_same(&before, &source, &outcome);
}
