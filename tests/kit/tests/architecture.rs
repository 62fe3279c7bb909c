//! What ARCHITECTURE.md says of the crates and modules, held by tests: which arrows exist between
//! them, and what stands nowhere, or in one place only.
//!
//! Sources are looked at as tokens, so that comments, texts and line breaks make no difference.
//! Where a check cannot tell, it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use serde_json::Value;

/// Which crates of the workspace a crate may need, other than for its tests.
const ARROWS: &[(&str, &[&str])] = &[
    ("realize-writers", &[]),
    ("realize-core", &["realize-writers"]),
    ("realize-channel", &["realize-core"]),
    ("realize-exec", &["realize-core"]),
    ("realize-rpc", &["realize-core"]),
    ("realize-tls", &["realize-core"]),
    ("realize-tcp", &["realize-core", "realize-tls"]),
    ("realize-quic", &["realize-core", "realize-tls"]),
    ("realize-config", &["realize-core"]),
    (
        "realize-cli",
        &[
            "realize-channel",
            "realize-config",
            "realize-core",
            "realize-exec",
            "realize-quic",
            "realize-rpc",
            "realize-tcp",
            "realize-tls",
        ],
    ),
    ("realize-bench", &[]),
    ("realize-conformance", &["realize-core", "realize-rpc"]),
    ("realize-test-kit", &["realize-core"]),
];

/// Which modules of core a module of core may name.
const MODULES: &[(&str, &[&str])] = &[
    (
        "access",
        &[
            "delta",
            "entry",
            "error",
            "hash",
            "path",
            "service",
            "transport",
        ],
    ),
    (
        "engine",
        &[
            "clock", "delta", "entry", "error", "hash", "metrics", "path", "range", "service",
        ],
    ),
    ("metrics", &[]),
    (
        "local",
        &[
            "buffers",
            "clock",
            "delta",
            "entry",
            "error",
            "hash",
            "path",
            "range",
            "service",
            "transport",
        ],
    ),
    (
        "subtree",
        &["delta", "entry", "error", "hash", "path", "service"],
    ),
    ("transport", &["path"]),
    ("known_peers", &["transport"]),
    ("number", &["registry"]),
    ("per_peer", &["transport"]),
    ("registry", &["known_peers", "transport"]),
    ("throttle", &[]),
];

/// The crates that carry bytes.
const TRANSPORTS: &[&str] = &[
    "realize-channel",
    "realize-exec",
    "realize-quic",
    "realize-tcp",
];

/// What core must not need, however far down: transports, wire formats, the command line, the
/// configuration.
const NOT_IN_CORE: &[&str] = &["clap", "config", "quinn", "rustls", "tarpc"];

/// The one crate with lints of its own.
const UNSAFE_CRATE: &str = "realize-writers";

/// Where messages become deletions and receipts.
const WIRE_FINISH: &str = "transports/rpc/src/wire/finish.rs";

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: &[&str] = &[
    "common", "helper", "helpers", "manager", "managers", "util", "utils",
];

/// The calls of `std::fs` that resolve a path, and may follow it anywhere.
const PATH_CALLS: &[&str] = &[
    "canonicalize",
    "copy",
    "create_dir",
    "create_dir_all",
    "exists",
    "hard_link",
    "metadata",
    "read",
    "read_dir",
    "read_link",
    "read_to_string",
    "remove_dir",
    "remove_dir_all",
    "remove_file",
    "rename",
    "set_permissions",
    "symlink_metadata",
    "write",
    "File::open",
    "File::create",
    "File::create_new",
    "OpenOptions::open",
];

/// A crate of the workspace.
struct Package {
    name: String,
    directory: PathBuf,
    /// The names of those of its dependencies that are in the workspace too, but for its tests.
    needs: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "cargo {}: {errors}",
        arguments.join(" ")
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The crates of the workspace.
fn packages() -> Vec<Package> {
    let text = cargo(&[
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let metadata: Value = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let needs = |dependency: &&Value| {
        dependency["path"].is_string() && dependency["kind"].as_str() != Some("dev")
    };
    let package = |package: &Value| Package {
        name: text(&package["name"]),
        directory: Path::new(package["manifest_path"].as_str().unwrap())
            .parent()
            .unwrap()
            .into(),
        needs: package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(needs)
            .map(|dependency| text(&dependency["name"]))
            .collect(),
    };
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.map(package).collect()
}

/// The Rust sources below `directory`.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The sources of what is shipped: all crates but the test kit, without their tests.
fn shipped() -> Vec<(PathBuf, Vec<String>)> {
    let of_users = |package: &Package| package.name != "realize-test-kit";
    let packages = packages().into_iter().filter(of_users);
    let paths = packages.flat_map(|package| sources(&package.directory.join("src")));
    let is_test = |path: &Path| {
        path.components()
            .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
    };
    let root = root();
    paths
        .map(|path| (path.strip_prefix(&root).unwrap().to_path_buf(), path))
        .filter(|(name, _)| !is_test(name))
        .map(|(name, path)| (name, without_tests(&tokens(&path))))
        .collect()
}

/// The shipped sources below `directory` of the repository.
fn shipped_in(directory: &str) -> Vec<(PathBuf, Vec<String>)> {
    let mut files = shipped();
    files.retain(|(path, _)| path.starts_with(directory));
    assert!(!files.is_empty(), "nothing found in {directory}");
    files
}

/// The tokens of a source, flat: brackets are tokens too, comments are none.
fn tokens(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let stream: TokenStream = text
        .parse()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut flat = Vec::new();
    flatten(stream, &mut flat);
    flat
}

fn flatten(stream: TokenStream, into: &mut Vec<String>) {
    for token in stream {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                into.push(open.to_owned());
                flatten(group.stream(), into);
                into.push(close.to_owned());
            }
            other => into.push(other.to_string()),
        }
    }
}

/// The same tokens without the items that are compiled for tests only.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if starts_with(&tokens[at..], "# [ cfg ( test ) ]") {
            while tokens[at] == "#" {
                at = closing(tokens, at + 1) + 1;
            }
            while !["{", ";"].contains(&&*tokens[at]) {
                at += 1;
            }
            at = closing(tokens, at) + 1;
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where the bracket at `at` closes; `at` itself if none is there.
fn closing(tokens: &[String], at: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(at) {
        match &**token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i;
        }
    }
    panic!("the brackets do not match")
}

fn starts_with(tokens: &[String], pattern: &str) -> bool {
    let mut tokens = tokens.iter();
    pattern
        .split(' ')
        .all(|wanted| tokens.next().is_some_and(|token| token == wanted))
}

/// Where `pattern`, tokens with spaces between them, occurs.
fn find(tokens: &[String], pattern: &str) -> Vec<usize> {
    let here = |at: &usize| starts_with(&tokens[*at..], pattern);
    (0..tokens.len()).filter(here).collect()
}

/// How often something is built by `name { .. }`. What takes one apart does not count: it ends with
/// `..`, or an equals sign or a bar comes after it. Nor does another type's variant, `name(..)`.
fn constructions(tokens: &[String], name: &str) -> usize {
    let builds = |at: &usize| {
        let open = at + name.split(' ').count();
        match tokens.get(open).map(String::as_str) {
            Some("{") => {}
            next => return next != Some("("),
        }
        let close = closing(tokens, open);
        let rest = tokens[..close].ends_with(&[".".to_owned(), ".".to_owned()]);
        let taken_apart = |next: &String| next == "=" || next == "|";
        !rest && !tokens.get(close + 1).is_some_and(taken_apart)
    };
    find(tokens, name).iter().filter(|at| builds(at)).count()
}

fn toml_file(path: &Path) -> toml::Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

#[test]
fn arrows_between_crates_point_one_way() {
    for package in packages() {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package.name) else {
            panic!(
                "{} is not among the crates that this test knows",
                package.name
            );
        };
        for needed in &package.needs {
            assert!(
                allowed.contains(&&**needed),
                "{} must not depend on {needed}",
                package.name
            );
        }
    }
}

#[test]
fn core_names_no_transport_wire_format_command_line_or_configuration() {
    let tree = cargo(&[
        "tree",
        "--package=realize-core",
        "--edges=normal,build",
        "--prefix=none",
        "--target=all",
        "--all-features",
        "--locked",
        "--offline",
    ]);
    let mut names: Vec<_> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.contains(&"tokio"), "no tree: {tree}");
    for name in NOT_IN_CORE {
        assert!(!names.contains(name), "realize-core depends on {name}");
    }
}

#[test]
fn arrows_between_modules_of_core_point_one_way() {
    for (module, allowed) in MODULES {
        for (path, tokens) in shipped_in("core/src") {
            let own = Path::new("core/src").join(module);
            if !path.starts_with(&own) && path != own.with_extension("rs") {
                continue;
            }
            for at in find(&tokens, "crate : :") {
                let named = &tokens[at + 3];
                // `pub(crate)` has no colons after it, so this is a path.
                assert!(
                    named == module || allowed.contains(&&**named),
                    "{} names crate::{named}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn transports_see_no_files() {
    for package in packages() {
        if !TRANSPORTS.contains(&&*package.name) {
            continue;
        }
        let directory = package.directory.strip_prefix(root()).unwrap().to_owned();
        for (path, tokens) in shipped_in(directory.to_str().unwrap()) {
            for name in ["RelPath", "LocalService", "FileSystem", "move_files"] {
                assert!(
                    find(&tokens, name).is_empty(),
                    "{} names {name}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn one_place_decides_a_deletion() {
    let decides = Path::new("core/src/engine/mod.rs");
    let defines = Path::new("core/src/service/finish.rs");
    // Where the source is another machine's, the mover's decision arrives there as a message, and is
    // put together again: nothing is decided.
    let receives = Path::new(WIRE_FINISH);
    for (path, tokens) in shipped() {
        let name = path.display();
        let built = constructions(&tokens, "Delete : : File");
        assert_eq!(
            built,
            usize::from(path == decides || path == receives),
            "{name} builds Delete::File"
        );
        if path == defines {
            assert_eq!(constructions(&tokens, "Self : : File"), 0, "{name}");
        }
        if path == receives {
            // The message, made of the mover's decision.
            assert_eq!(constructions(&tokens, "Self : : File"), 1, "{name}");
        }
        for renamed in ["Delete : : {", "Delete : : *", "Delete as", "DeleteName as"] {
            assert!(
                find(&tokens, renamed).is_empty(),
                "{name} hides Delete::File"
            );
        }
        // The other way to delete a source's name: what has its final one by a shortcut.
        let built = find(&tokens, "DeleteName {").len();
        let is_definition = usize::from(path == Path::new("core/src/service/shortcut.rs"));
        assert_eq!(
            built,
            usize::from(path == decides) + is_definition,
            "{name} builds DeleteName"
        );
        let asked = find(&tokens, "shortcut . delete (").len();
        assert_eq!(asked, usize::from(path == decides), "{name} deletes names");
        let asked = find(&tokens, "source . delete (").len();
        let directories = Path::new("core/src/engine/directories.rs");
        let allowed = usize::from(path == decides || path == directories);
        assert_eq!(asked, allowed, "{name} deletes at the source");
    }
}

#[test]
fn a_receipt_comes_from_the_end_of_a_finish_alone() {
    let issues = Path::new("core/src/local/install.rs");
    let relays = Path::new(WIRE_FINISH);
    for (path, tokens) in shipped() {
        let name = path.display();
        let issued = !find(&tokens, "Receipt : : issue").is_empty();
        assert_eq!(issued, path == issues, "{name} issues receipts");
        // That a file has two names is said once both are durable, and no message carries it.
        let links = Path::new("core/src/local/shortcut.rs");
        let issued = find(&tokens, "SameFile : : issue").len();
        assert_eq!(issued, usize::from(path == links), "{name} issues SameFile");
        let carried = path.starts_with("transports") && !find(&tokens, "SameFile").is_empty();
        assert!(!carried, "{name} carries SameFile");
        // A remote service's receipt becomes one where its message is received, and nowhere else.
        let relayed = find(&tokens, "Receipt : : relay").len();
        assert_eq!(
            relayed,
            usize::from(path == relays),
            "{name} hands on receipts"
        );
        for renamed in [
            "Receipt : : {",
            "Receipt : : *",
            "Receipt as",
            "SameFile as",
        ] {
            assert!(find(&tokens, renamed).is_empty(), "{name} hides Receipt");
        }
    }
}

/// [`ErrorKind`](realize_core::ErrorKind) may grow, so that the compiler does not say where a kind
/// has been left out: it would cross the wire as another one.
#[test]
fn every_kind_of_error_crosses_the_wire() {
    let root = root();
    let defined = tokens(&root.join("core/src/error.rs"));
    let carried = tokens(&root.join("transports/rpc/src/wire/error.rs"));
    let start = find(&defined, "enum ErrorKind {")[0] + 2;
    let body = &defined[start + 1..closing(&defined, start)];
    let mut kinds = 0;
    for (at, comma) in body.iter().enumerate().skip(1) {
        if comma == "," {
            let kind = &body[at - 1];
            // To a number, and back.
            let named = find(&carried, &format!("ErrorKind : : {kind}"));
            assert!(named.len() >= 2, "ErrorKind::{kind} does not cross");
            kinds += 1;
        }
    }
    assert!(kinds >= 18, "only {kinds} kinds found");
}

#[test]
fn storage_works_on_handles_alone() {
    let clippy = toml_file(&root().join("core/clippy.toml"));
    let banned = clippy["disallowed-methods"].as_array().unwrap();
    for call in PATH_CALLS {
        let path = format!("std::fs::{call}");
        let listed = banned
            .iter()
            .any(|entry| entry["path"].as_str() == Some(&path));
        assert!(listed, "core/clippy.toml does not ban {path}");
    }
    for (path, tokens) in shipped_in("core/src") {
        let name = path.display();
        assert!(
            find(&tokens, "disallowed_methods").is_empty(),
            "{name} lifts the ban"
        );
        assert!(find(&tokens, "tokio : : fs").is_empty(), "{name}");
        let machine = path == Path::new("core/src/local/os.rs");
        for at in find(&tokens, "std : : fs") {
            let open_file = starts_with(&tokens[at..], "std : : fs : : File ,");
            assert!(machine && open_file, "{name} uses std::fs");
        }
        for at in find(&tokens, "std : : {") {
            let group = &tokens[at..closing(&tokens, at + 3)];
            assert!(find(group, "fs").is_empty(), "{name} uses std::fs");
        }
        // The working directory, from which the user's own path to the root is resolved; and the
        // kernel's name of an open file, which is to get another one.
        let uses = find(&tokens, "CWD ,").len();
        assert!(uses <= usize::from(machine) * 3, "{name} opens paths");
        let linked = find(
            &tokens,
            "linkat ( CWD , open , & self . fd , name , flags )",
        )
        .len();
        assert_eq!(linked, usize::from(machine), "{name} links paths");
        let open = "let open = format ! ( \"/proc/self/fd/{}\" , file . as_raw_fd ( ) ) ;";
        assert_eq!(find(&tokens, open).len(), usize::from(machine), "{name}");
    }
}

#[test]
fn every_queue_is_bounded() {
    for (path, tokens) in shipped() {
        for unbounded in ["unbounded_channel", "unbounded", "std : : sync : : mpsc"] {
            assert!(
                find(&tokens, unbounded).is_empty(),
                "{} has a queue without a bound",
                path.display()
            );
        }
    }
}

#[test]
fn there_is_no_global_state() {
    let inner = [
        "Cell", "Lock", "Mutex", "Once", "Atomic", "Condvar", "Registry", "mut",
    ];
    for (path, tokens) in shipped() {
        let name = path.display();
        for macro_name in ["thread_local", "lazy_static"] {
            assert!(find(&tokens, macro_name).is_empty(), "{name}: {macro_name}");
        }
        for at in find(&tokens, "static") {
            // A lifetime is a quote and a name.
            if at > 0 && tokens[at - 1] == "'" {
                continue;
            }
            let kind = tokens[at..].iter().take_while(|token| *token != "=");
            let changes = kind
                .into_iter()
                .any(|token| inner.iter().any(|part| token.contains(part)));
            assert!(!changes, "{name} has a static that changes");
        }
    }
}

#[test]
fn unsafe_code_is_in_one_crate() {
    let manifest = toml_file(&root().join("Cargo.toml"));
    let level = manifest["workspace"]["lints"]["rust"]["unsafe_code"].as_str();
    assert_eq!(level, Some("forbid"));
    let mut allowed = Vec::new();
    for package in packages() {
        let manifest = toml_file(&package.directory.join("Cargo.toml"));
        let inherits = manifest["lints"].get("workspace").and_then(|w| w.as_bool());
        let exempt = package.name == UNSAFE_CRATE;
        assert_eq!(
            inherits == Some(true),
            !exempt,
            "{}: [lints] is to be the workspace's",
            package.name
        );
        if exempt {
            allowed.push(package.directory);
        }
    }
    for path in sources(&root()) {
        if !allowed.iter().any(|directory| path.starts_with(directory)) {
            let found = find(&tokens(&path), "unsafe");
            assert!(found.is_empty(), "{} has unsafe code", path.display());
        }
    }
}

#[test]
fn names_of_files_say_what_they_hold() {
    let root = root();
    for path in sources(&root) {
        for part in path.strip_prefix(&root).unwrap().with_extension("").iter() {
            assert!(
                !EMPTY_NAMES.contains(&part.to_str().unwrap()),
                "{} says nothing",
                path.display()
            );
        }
    }
}

/// Each block of Rust in the documents stands, line for line, in some source.
#[test]
fn the_pages_quote_code_that_is_there() {
    let root = root();
    let lines = |text: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("\n")
    };
    let all: Vec<String> = sources(&root)
        .iter()
        .map(|path| lines(&fs::read_to_string(path).unwrap()))
        .collect();
    let mut quoted = 0;
    for entry in fs::read_dir(root.join("docs")).unwrap() {
        let page = entry.unwrap().path();
        if page.is_dir() {
            continue;
        }
        let text = fs::read_to_string(&page).unwrap();
        for block in text.split("```rust\n").skip(1) {
            let block = lines(block.split("```").next().unwrap());
            let there = all.iter().any(|source| source.contains(&block));
            assert!(there, "{} quotes what is nowhere:\n{block}", page.display());
            quoted += 1;
        }
    }
    assert!(quoted > 0, "nothing is quoted");
}

/// Paths exist, from the root or from core's sources; names occur in some source.
#[test]
fn the_code_map_names_what_exists() {
    let root = root();
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let known: HashSet<String> = sources(&root)
        .iter()
        .flat_map(|path| tokens(path))
        .collect();
    let is_name = |text: &str| {
        let name = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        text.split("::").flat_map(|part| part.split('.')).all(name)
    };
    // Between an odd and an even backtick; fenced blocks have no single ones.
    let spans: Vec<_> = page
        .lines()
        .filter(|line| !line.starts_with("```"))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect();
    assert!(spans.len() > 100, "only {} names", spans.len());
    for span in spans {
        if span.ends_with(".rs") || span.ends_with('/') {
            let exists = [&root, &root.join("core/src")].map(|above| above.join(span).exists());
            assert!(exists.contains(&true), "there is no {span}");
        } else if is_name(span) {
            for part in span.split("::").flat_map(|part| part.split('.')) {
                assert!(known.contains(part), "nothing is called {span}");
            }
        }
    }
}

/// The tests above would pass if nothing were ever found.
#[test]
fn the_checks_find_what_they_look_for() {
    let parse = |text: &str| {
        let mut flat = Vec::new();
        flatten(text.parse().unwrap(), &mut flat);
        flat
    };
    let built = |text| constructions(&parse(text), "Delete : : File");
    assert_eq!(built("f(Delete::File { path, version: v, receipt })"), 1);
    assert_eq!(built("f(crate::service::Delete::File { ..other })"), 1);
    assert_eq!(built("use service::Delete::File;"), 1);
    assert_eq!(
        built("let Delete::File { version, .. } = d else { return };"),
        0
    );
    assert_eq!(
        built("match d { Delete::File { path, version, receipt } => {} }"),
        0
    );
    assert_eq!(built("// Delete::File {}\nlet s = \"Delete::File {}\";"), 0);
    let tests = parse(
        "fn a() {} #[cfg(test)] #[path = \"x\"] mod tests { fn b() {} } #[cfg(test)] mod c; fn d() {}",
    );
    assert_eq!(without_tests(&tests), parse("fn a() {} fn d() {}"));
    assert_eq!(
        find(
            &parse("self\n.source // here\n.delete(x)"),
            "source . delete ("
        )
        .len(),
        1
    );
    let lifetime = parse("fn f(x: &'static str)");
    let at = find(&lifetime, "static")[0];
    assert_eq!(lifetime[at - 1], "'");
}
