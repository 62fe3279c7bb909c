//! Which arrows exist between crates, and between the modules of core.

use std::path::Path;

use crate::tokens::find;
use crate::workspace::{cargo, packages, root, shipped_in};

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
