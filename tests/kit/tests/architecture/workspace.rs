//! The crates of the workspace, and their sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::tokens::{tokens, without_tests};

/// A crate of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    /// The names of those of its dependencies that are in the workspace too, but for its tests.
    pub(crate) needs: Vec<String>,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

pub(crate) fn cargo(arguments: &[&str]) -> String {
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
pub(crate) fn packages() -> Vec<Package> {
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
pub(crate) fn sources(directory: &Path) -> Vec<PathBuf> {
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
pub(crate) fn shipped() -> Vec<(PathBuf, Vec<String>)> {
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
pub(crate) fn shipped_in(directory: &str) -> Vec<(PathBuf, Vec<String>)> {
    let mut files = shipped();
    files.retain(|(path, _)| path.starts_with(directory));
    assert!(!files.is_empty(), "nothing found in {directory}");
    files
}

pub(crate) fn toml_file(path: &Path) -> toml::Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}
