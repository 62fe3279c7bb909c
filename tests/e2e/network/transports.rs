//! Every transport at either end of a move, with the programs of the custom-transport example,
//! which have one more than the others.

use std::fs;
use std::path::Path;
use std::time::Duration;

use realize_test_kit::odd_tree::{bytes, remains, snapshot};
use rstest::rstest;
use tempfile::TempDir;

use crate::ends::assert_same;
use crate::program::{Running, example, example_file, wait_until};

/// A transport, as the configuration names it.
#[derive(Clone, Copy, Debug)]
enum Over {
    Tcp,
    Quic,
    Exec,
    /// The example's.
    Unix,
}

impl Over {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
            Self::Exec => "exec",
            Self::Unix => "unix",
        }
    }
}

/// A machine that serves a directory, and what the mover has to know of it.
struct Machine {
    /// The section of the mover's configuration.
    section: String,
    /// Its daemon, where there is one.
    _daemon: Option<Running>,
}

fn keygen(directory: &Path) -> String {
    let made = example("custom-realize", ["keygen"]).with([directory.join("key.pem")]);
    made.run().expect(0).stdout_text().trim().to_owned()
}

/// A machine named `name`, whose directory `files` the mover may do everything in.
fn machine(root: &Path, name: &str, over: Over, mover_key: &str) -> Machine {
    let directory = root.join(name);
    fs::create_dir_all(directory.join("files")).unwrap();
    let own_key = keygen(&directory);
    let user = format!("unix:uid={}", rustix::process::geteuid().as_raw());
    let socket = directory.join("socket");
    let (listen, mover, key) = match over {
        Over::Tcp | Over::Quic => (
            format!("{}://127.0.0.1:0", over.name()),
            mover_key.to_owned(),
            own_key,
        ),
        Over::Unix => (format!("unix://{}", socket.display()), user.clone(), user),
        Over::Exec => (
            String::new(),
            "exec:mover".to_owned(),
            format!("exec:{name}"),
        ),
    };
    let listen = if listen.is_empty() {
        listen
    } else {
        format!("[listen]\naddresses = [\"{listen}\"]\n")
    };
    let config = directory.join("realize.toml");
    let text = format!(
        "[identity]\nkey = \"key.pem\"\n{listen}\
         [directories.files]\npath = \"files\"\n\
         allow = {{ mover = [\"list\", \"read\", \"write\", \"replace\", \"delete\"] }}\n\
         [peers.mover]\nkey = \"{mover}\"\nrights = [\"control\"]\n"
    );
    fs::write(&config, text).unwrap();
    let (daemon, address) = match over {
        Over::Exec => (None, config.display().to_string()),
        Over::Tcp | Over::Quic | Over::Unix => {
            let mut daemon =
                example("custom-realized", ["--config".as_ref(), config.as_os_str()]).spawn();
            let mut address = None;
            wait_until("the daemon to listen", Duration::from_secs(30), || {
                let said = daemon.stdout_so_far();
                address = said
                    .strip_prefix(&format!("listening on {} ", over.name()))
                    .and_then(|rest| rest.strip_suffix('\n'))
                    .map(str::to_owned);
                assert!(!daemon.ended(), "{}", daemon.stderr_so_far());
                address.is_some()
            });
            (Some(daemon), address.unwrap())
        }
    };
    let section = format!(
        "[peers.{name}]\nkey = \"{key}\"\naddress = \"{address}\"\ntransport = \"{}\"\n",
        over.name()
    );
    Machine {
        section,
        _daemon: daemon,
    }
}

/// A mover, and a machine at either end of what it moves.
fn set_up(from: Over, to: Over) -> (TempDir, [Machine; 2]) {
    let root = tempfile::tempdir().unwrap();
    let mover = root.path().join("mover");
    fs::create_dir(&mover).unwrap();
    let mover_key = keygen(&mover);
    let machines = [("from", from), ("to", to)]
        .map(|(name, over)| machine(root.path(), name, over, &mover_key));
    let realized = example_file("custom-realized");
    let text = format!(
        "[identity]\nkey = \"key.pem\"\n{}{}[transports.exec]\n\
         command = [{realized:?}, \"--config\", \"{{address}}\", \"--stdio\", \"--peer\", \"mover\"]\n",
        machines[0].section, machines[1].section
    );
    fs::write(mover.join("realize.toml"), text).unwrap();
    (root, machines)
}

fn plant(directory: &Path) {
    for i in 0..40 {
        let file = directory.join(format!("d{}/f{i}", i % 3));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes(i, 700 * usize::try_from(i).unwrap())).unwrap();
    }
    fs::write(directory.join("large"), bytes(99, 5_000_000)).unwrap();
    std::os::unix::fs::symlink("large", directory.join("link")).unwrap();
}

#[rstest]
fn a_tree_moves_from_one_to_another(
    #[values(Over::Tcp, Over::Quic, Over::Exec, Over::Unix)] from: Over,
    #[values(Over::Tcp, Over::Quic, Over::Exec, Over::Unix)] to: Over,
) {
    let (root, _machines) = set_up(from, to);
    let (source, destination) = (root.path().join("from/files"), root.path().join("to/files"));
    plant(&source);
    let before = snapshot(&source).unwrap();

    let config = root.path().join("mover/realize.toml");
    let outcome = example("custom-realize", ["--config".as_ref(), config.as_os_str()])
        .with(["move", "from:files", "to:files"])
        .run()
        .expect(0);

    assert_same(&before, &destination, &outcome);
    assert_eq!(remains(&source).unwrap(), [""; 0], "{outcome}");
}

#[rstest]
#[case(Over::Tcp, &[])]
#[case(Over::Quic, &[])]
#[case(Over::Unix, &[])]
#[case(Over::Tcp, &["--up", "1M"])]
#[case(Over::Quic, &["--up", "1M"])]
fn what_is_asked_of_a_daemon_is_answered(#[case] over: Over, #[case] change: &[&str]) {
    let (root, _machines) = set_up(over, over);
    let config = root.path().join("mover/realize.toml");
    let ask = |words: &[&str]| {
        let asking = example("custom-realize", ["--config".as_ref(), config.as_os_str()]);
        asking.with(words).run()
    };
    for _ in 0..5 {
        let outcome = ask(&["check"]).expect(0);
        assert!(outcome.stdout_text().contains("peer to"), "{outcome}");
        let outcome = ask(&[&["limit", "to"], change].concat()).expect(0);
        let up = if change.is_empty() {
            "up none"
        } else {
            "up 1048576"
        };
        assert!(outcome.stdout_text().contains(up), "{outcome}");
    }
}

#[rstest]
fn a_tree_moves_in_process() {
    let root = tempfile::tempdir().unwrap();
    let (source, destination) = (root.path().join("source"), root.path().join("destination"));
    fs::create_dir(&source).unwrap();
    plant(&source);
    let before = snapshot(&source).unwrap();
    let outcome = crate::program::realize(["--transport", "channel", "move"])
        .with([&source, &destination])
        .run()
        .expect(0);
    assert_same(&before, &destination, &outcome);
    assert_eq!(remains(&source).unwrap(), [""; 0], "{outcome}");
}
