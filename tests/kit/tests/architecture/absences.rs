//! What stands nowhere, or in one place only.

use std::path::Path;

use crate::tokens::{closing, constructions, find, starts_with, tokens};
use crate::workspace::{packages, root, shipped, shipped_in, sources, toml_file};

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

#[test]
fn one_place_decides_a_deletion() {
    let decides = Path::new("core/src/engine/deletions.rs");
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
        let name = path.display();
        for unbounded in ["unbounded_channel", "unbounded"] {
            assert!(
                find(&tokens, unbounded).is_empty(),
                "{name} has a queue without a bound"
            );
        }
        // Of its two kinds of channels one has no bound.
        for at in find(&tokens, "std : : sync : : mpsc") {
            assert!(
                starts_with(&tokens[at..], "std : : sync : : mpsc : : sync_channel ;"),
                "{name} has a queue that may have no bound"
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
