//! What the documents at the top and in `docs` tell a user to type and to write is typed and written.
//!
//! A fenced block may have a comment in the line before it:
//!
//! - `<!-- file on nas: realize.toml -->`: the block is written to that file of that machine;
//! - `<!-- run on cam -->`: its lines are run there, in order, by `sh -eu`, in that machine's own
//!   directory with the programs on the path. A line `realized ... &` is started, and runs to the
//!   end of the document.
//!
//! In both, `NAS_KEY` and `CAM_KEY` stand for what `realize keygen` printed on that machine, and
//! `NAS_ADDRESS`, like `0.0.0.0:9771`, for an address at which a daemon can listen here;
//! `127.0.0.1:9772` is another one, for metrics. A machine has `docs` in its directory, as a checkout
//! has, and units of systemd name the programs that are tested. All other blocks in TOML are read as configurations, and of all others every line that runs one of the
//! programs is parsed, or run.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rstest::rstest;
use tempfile::TempDir;

use crate::program::{Running, realize, realized, wait_until};

/// Stands for a key where none has been made.
const SOME_KEY: &str = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
/// Where tests are.
const TESTS: &[&str] = &[
    "tests",
    "tests/kit/tests",
    "transports/rpc/tests",
    "transports/tcp/tests",
];
/// The document about programs with a transport of one's own, which has a test of its own.
const OF_ANOTHER: &str = "docs/custom-transport.md";
/// How many seconds one block may run.
const SECONDS: &str = "60";
/// How long a daemon may take to listen.
const LISTENING: Duration = Duration::from_secs(30);

/// Two machines, in the form that is told of above.
const SAMPLE: &str = "\
<!-- run on nas -->
```
mkdir inbox
realize keygen nas.key
```
<!-- run on cam -->
```
realize keygen cam.key
mkdir recordings && echo hello > recordings/hello
```
<!-- file on nas: realize.toml -->
```toml
[identity]
key = \"nas.key\"
[listen]
addresses = [\"0.0.0.0:9771\"]
[directories.inbox]
path = \"inbox\"
allow = { cam = [\"write\"] }
[peers.cam]
key = \"CAM_KEY\"
```
<!-- run on nas -->
```
realized --config realize.toml &
```
<!-- file on cam: cam.toml -->
```toml
[identity]
key = \"cam.key\"
[peers.nas]
key = \"NAS_KEY\"
address = \"NAS_ADDRESS\"
```
<!-- run on cam -->
```
realize --config cam.toml check
realize --config cam.toml move ./recordings nas:inbox   # hello goes
test ! -e recordings/hello
```
<!-- run on nas -->
```
test \"$(cat inbox/hello)\" = hello
```
";

/// A fenced block of a document.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// What the comment before it says.
    comment: Option<String>,
    language: String,
    body: String,
}

impl Block {
    /// Its lines as commands: without comments, empty ones and prompts, and joined where they go on.
    fn lines(&self) -> Vec<String> {
        let joined = self.body.replace("\\\n", " ");
        let lines = joined.lines().map(|line| {
            let line = line.split(" #").next().unwrap_or_default().trim();
            line.strip_prefix("$ ").unwrap_or(line).to_owned()
        });
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect()
    }

    fn is_marked(&self) -> bool {
        let marks = ["run on ", "file on "];
        let comment = self.comment.as_deref().unwrap_or_default();
        marks.iter().any(|mark| comment.starts_with(mark))
    }
}

/// The blocks of a document.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut comment = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let body: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block {
                comment: comment.take(),
                language: language.to_owned(),
                body: body.iter().map(|line| format!("{line}\n")).collect(),
            });
        } else if let Some(said) = line.strip_prefix("<!-- ") {
            comment = said.strip_suffix(" -->").map(str::to_owned);
        } else if !line.is_empty() {
            comment = None;
        }
    }
    blocks
}

/// Where the project is.
fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every document at the top, in `docs` and in `docs/performance`, by its path from the top.
fn documents() -> BTreeMap<String, String> {
    let names = ["", "docs/", "docs/performance/"]
        .iter()
        .flat_map(|directory| {
            let entries = fs::read_dir(top().join(directory)).unwrap();
            entries.map(move |entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                format!("{directory}{name}")
            })
        });
    let documents = names.filter(|name| name.ends_with(".md") && name != OF_ANOTHER);
    documents
        .map(|name| {
            let text = fs::read_to_string(top().join(&name)).unwrap();
            (name, text)
        })
        .collect()
}

#[test]
fn blocks_are_found_with_what_stands_before_them() {
    let found = blocks(SAMPLE);
    assert_eq!(found.len(), 7);
    assert_eq!(found[0].comment.as_deref(), Some("run on nas"));
    assert_eq!(found[0].lines(), ["mkdir inbox", "realize keygen nas.key"]);
    assert_eq!(found[2].language, "toml");
    let readme = &documents()["README.md"];
    assert_eq!(blocks(readme).len() * 2, readme.matches("```").count());
}

/// What loads a configuration and does nothing with it.
fn assert_understood(text: &str, code: i32, of: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("realize.toml");
    let text = text
        .replace("NAS_KEY", SOME_KEY)
        .replace("CAM_KEY", SOME_KEY);
    fs::write(&file, text.replace("NAS_ADDRESS", "127.0.0.1:9771")).unwrap();
    let loading = realize(["--config".as_ref(), file.as_os_str(), "transports".as_ref()]);
    let outcome = loading.run();
    assert_eq!(outcome.code(), code, "{of}: {outcome}");
}

#[test]
fn every_configuration_is_understood() {
    let mut seen = 0;
    for (name, text) in documents() {
        for block in blocks(&text)
            .iter()
            .filter(|block| block.language == "toml")
        {
            assert_understood(&block.body, 0, &name);
            // One key more, of the kind that a document that was left behind would have.
            assert_understood(&format!("obsolete = 1\n{}", block.body), 3, &name);
            seen += 1;
        }
    }
    assert!(seen > 0);
}

/// Unknown flags and commands are found by the programs themselves: `--help` comes last.
#[test]
fn every_command_line_can_be_typed() {
    let mut seen = 0;
    for (name, text) in documents() {
        for block in blocks(&text)
            .iter()
            .filter(|block| block.language != "toml")
        {
            for line in block.lines() {
                let line = line.replace("cargo run --release --bin realize -- ", "realize ");
                for command in line.split("&&").map(str::trim) {
                    let mut words = command.trim_end_matches('&').split_whitespace();
                    let program = match words.next() {
                        Some("realize") => realize(words),
                        Some("realized") => realized(words),
                        _ => continue,
                    };
                    let outcome = program.with(["--help"]).run();
                    assert_eq!(outcome.code(), 0, "{name}: {line}: {outcome}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen >= 5, "{seen}");
}

/// What `cargo` is to build and test exists.
#[test]
fn every_package_and_test_that_is_named_exists() {
    let top = top();
    let lock = fs::read_to_string(top.join("Cargo.lock")).unwrap();
    let mut seen = 0;
    for (name, text) in documents() {
        for line in blocks(&text).iter().flat_map(Block::lines) {
            let Some(at) = line.find("cargo ") else {
                continue;
            };
            let words: Vec<_> = line[at..].split_whitespace().collect();
            for pair in words.windows(2) {
                let exists = match pair[0] {
                    "-p" => lock.contains(&format!("name = {:?}", pair[1])),
                    "--bin" => top.join(format!("cli/src/bin/{}.rs", pair[1])).is_file(),
                    "--test" => TESTS.iter().any(|at| {
                        let at = top.join(at).join(pair[1]);
                        at.join("main.rs").is_file() || at.with_extension("rs").is_file()
                    }),
                    _ => continue,
                };
                assert!(exists, "{name}: {} in {line}", pair[1]);
                seen += 1;
            }
        }
    }
    assert!(seen >= 5, "{seen}");
}

/// The blocks of the README that need one machine, in order, in an empty directory.
#[test]
fn the_first_steps_of_the_readme_work() {
    let machine = Machine::new();
    let archive = machine.home.join("archive").display().to_string();
    let mut ran = 0;
    for block in blocks(&documents()["README.md"]) {
        let is_shell = block.language.is_empty() || block.language == "sh";
        let lines = block.lines().join("\n");
        let lines = lines.replace("cargo run --release --bin realize --", "realize");
        let is_ours = lines.contains("realize ") && !lines.contains("cargo");
        let is_alone = !lines.contains("nas:");
        if is_shell && is_ours && is_alone && !block.is_marked() {
            machine.run(&lines.replace("/mnt/archive", &archive));
            ran += 1;
        }
    }
    assert!(ran > 0);
    let moved = fs::read_to_string(machine.home.join("archive/hello")).unwrap();
    assert_eq!(moved, "hello\n");
    assert!(!machine.home.join("inbox/hello").exists());
}

#[rstest]
#[case::a_sample("SAMPLE")]
#[case::the_readme("README.md")]
#[case::watching("docs/watching.md")]
fn two_machines_do_what_the_document_says(#[case] name: &str) {
    let text = if name == "SAMPLE" {
        SAMPLE.to_owned()
    } else {
        documents().remove(name).unwrap()
    };
    let machines = BTreeMap::from([("nas", Machine::new()), ("cam", Machine::new())]);
    let (address, metrics) = (free_address(), free_address());
    let mut keys = BTreeMap::new();
    let mut daemons = Vec::new();
    for block in blocks(&text).iter().filter(|block| block.is_marked()) {
        let (what, rest) = block
            .comment
            .as_deref()
            .unwrap()
            .split_once(" on ")
            .unwrap();
        let (machine, file) = rest.split_once(": ").unwrap_or((rest, ""));
        let at = machines
            .get(machine)
            .unwrap_or_else(|| panic!("no machine {machine}"));
        let here = |text: &str| {
            let text = text
                .replace("NAS_ADDRESS", &address)
                .replace("0.0.0.0:9771", &address)
                .replace("127.0.0.1:9772", &metrics)
                .replace("/usr/local/bin", &programs().display().to_string());
            keys.iter()
                .fold(text, |text, (name, key): (&String, &String)| {
                    text.replace(name, key)
                })
        };
        if what == "file" {
            fs::write(at.home.join(file), here(&block.body)).unwrap();
            continue;
        }
        let (daemon, lines): (Vec<_>, Vec<_>) = block
            .lines()
            .into_iter()
            .partition(|line| line.starts_with("realized ") && line.ends_with('&'));
        let said = at.run(&here(&lines.join("\n")));
        if let Some(key) = said.lines().find(|line| line.starts_with("ed25519:")) {
            keys.insert(format!("{}_KEY", machine.to_uppercase()), key.to_owned());
        }
        for line in daemon {
            daemons.push(at.start(line.trim_end_matches('&')));
        }
    }
    for daemon in daemons {
        daemon.signal(rustix::process::Signal::TERM);
        daemon.wait().expect(0);
    }
    if name == "SAMPLE" {
        assert_eq!(keys.len(), 2);
    }
}

/// Where the programs are that are tested.
fn programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_realize")).parent().unwrap()
}

/// A directory of its own, for one who types there.
struct Machine {
    home: PathBuf,
    _directory: TempDir,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(top().join("docs"), directory.path().join("docs")).unwrap();
        Self {
            home: directory.path().to_path_buf(),
            _directory: directory,
        }
    }

    /// Runs `lines`, which must all end well, and gives what they print.
    fn run(&self, lines: &str) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("timeout");
        shell.args([SECONDS, "sh", "-eu", "-c", lines]);
        shell.current_dir(&self.home).env("HOME", &self.home);
        shell.env("PATH", format!("{}:{path}", programs().display()));
        shell.env_remove("XDG_CONFIG_HOME").env_remove("RUST_LOG");
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"REALIZE_") {
                shell.env_remove(name);
            }
        }
        let output = shell.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{lines}\n----\n{said}\n----\n{errors}"
        );
        said
    }

    /// Starts the daemon of a line, and waits until it listens.
    fn start(&self, line: &str) -> Running {
        let daemon = realized(line.split_whitespace().skip(1)).in_directory(&self.home);
        let mut running = daemon.variable("HOME", &self.home).spawn();
        wait_until("the daemon to listen", LISTENING, || {
            assert!(!running.ended(), "{line}: {}", running.stderr_so_far());
            running.stdout_so_far().contains("listening on ")
        });
        running
    }
}

/// An address of this machine where nobody listens.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
