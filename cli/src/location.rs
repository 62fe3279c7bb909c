//! What SOURCE, DESTINATION and WHERE stand for.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use realize_config::{Config, listed, nearest};
use realize_core::RelPath;
use realize_core::path::Escaped;

use crate::exit::{Exit, shown};

/// A place, here or on a peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// A path of this machine.
    Path(PathBuf),
    /// A place on a peer.
    Peer(PeerPlace),
}

/// `PEER:DIRECTORY[/SUBPATH]`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PeerPlace {
    /// The name of a peer, which is one of the configuration's.
    pub(crate) peer: String,
    /// What the peer calls the directory.
    pub(crate) directory: String,
    /// What is meant in it; everything where it is `None`.
    pub(crate) within: Option<RelPath>,
}

impl Location {
    /// What `text` stands for. A colon before the first slash makes it a peer's; a name without
    /// slash may be that of a configured directory; a slash at the end changes nothing.
    pub(crate) fn parse(text: &OsStr, config: &Config) -> Result<Self, Exit> {
        let bytes = text.as_bytes();
        let head = bytes.split(|&b| b == b'/').next().unwrap_or_default();
        if let Some(colon) = head.iter().position(|&b| b == b':') {
            let (peer, rest) = bytes.split_at_checked(colon).unwrap_or((bytes, &[]));
            return peer_path(peer, rest.get(1..).unwrap_or_default(), text, config);
        }
        if bytes.is_empty() {
            let names = listed(config.directories.keys().map(String::as_str));
            let named = if names.is_empty() {
                names
            } else {
                format!(" (there are {names})")
            };
            return Err(Exit::usage(format!(
                "an empty path; give a path or a directory's name{named}"
            )));
        }
        if let Some(directory) = text.to_str().and_then(|name| config.directories.get(name)) {
            return Ok(Self::Path(directory.path.clone()));
        }
        // The root itself keeps its slash.
        let path = match without_slashes(bytes) {
            [] => bytes.get(..1).unwrap_or(bytes),
            path => path,
        };
        Ok(Self::Path(PathBuf::from(OsString::from_vec(path.to_vec()))))
    }
}

fn peer_path(peer: &[u8], rest: &[u8], text: &OsStr, config: &Config) -> Result<Location, Exit> {
    let known = config.peers.keys().map(String::as_str);
    let name = std::str::from_utf8(peer).ok();
    let Some(name) = name.filter(|name| config.peers.contains_key(*name)) else {
        let shown_peer = Escaped(peer).to_string();
        let there_are = match listed(known.clone()) {
            none if none.is_empty() => "none is configured".to_owned(),
            names => format!("there are {names}"),
        };
        let meant = nearest(&shown_peer, known)
            .map(|near| format!(", did you mean {near}?"))
            .unwrap_or_default();
        let path = shown(text);
        let what =
            format!("`{shown_peer}` is no peer: {there_are}{meant}; write ./{path} for a file");
        return Err(Exit::usage(what));
    };
    let slash = rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
    let (directory, within) = rest.split_at_checked(slash).unwrap_or((rest, &[]));
    let directory = std::str::from_utf8(directory)
        .ok()
        .filter(|directory| !directory.is_empty())
        .ok_or_else(|| Exit::usage(format!("`{}`: write PEER:DIRECTORY[/SUBPATH]", shown(text))))?;
    let within = match without_slashes(within.get(1..).unwrap_or_default()) {
        [] => None,
        within => Some(
            RelPath::new(within)
                .map_err(|error| Exit::usage(format!("`{}`: {error}", shown(text))))?,
        ),
    };
    Ok(Location::Peer(PeerPlace {
        peer: name.to_owned(),
        directory: directory.to_owned(),
        within,
    }))
}

/// `bytes` without the slashes at their end.
fn without_slashes(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .rposition(|&b| b != b'/')
        .map_or(0, |at| at + 1);
    bytes.get(..end).unwrap_or(bytes)
}

/// The directory that holds `path`.
pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) => PathBuf::from("."),
        None => PathBuf::from("/"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// What `text` stands for where there is a directory `inbox` and a peer `nas`.
    fn parse(text: &str) -> Result<Location, String> {
        let mut config = Config::default();
        let path = PathBuf::from("/srv/inbox");
        let allow = std::collections::BTreeMap::new();
        let directory = realize_config::Directory { path, allow };
        config.directories.insert("inbox".to_owned(), directory);
        let id = realize_core::transport::PeerId::new("x:1").map_err(|error| error.to_string())?;
        let peer = realize_config::Peer {
            key: realize_config::PeerKey::Id(id),
            address: None,
            transport: "tcp".to_owned(),
            throttle: realize_config::Rates::default(),
            control: false,
        };
        config.peers.insert("nas".to_owned(), peer);
        Location::parse(OsStr::new(text), &config).map_err(|exit| exit.message().to_owned())
    }

    #[rstest]
    #[case("inbox", "/srv/inbox")]
    #[case("inbox/", "inbox")]
    #[case("./inbox", "./inbox")]
    #[case("./a:b", "./a:b")]
    #[case("a/b:c", "a/b:c")]
    #[case("/x//", "/x")]
    #[case("/", "/")]
    #[case("//", "/")]
    fn paths(#[case] text: &str, #[case] path: &str) {
        assert_eq!(parse(text), Ok(Location::Path(PathBuf::from(path))));
    }

    #[rstest]
    #[case("nas:x", "x", None)]
    #[case("nas:x/", "x", None)]
    #[case("nas:x/a/b", "x", Some("a/b"))]
    #[case("nas:x/a//", "x", Some("a"))]
    fn places_of_peers(#[case] text: &str, #[case] directory: &str, #[case] within: Option<&str>) {
        let expected = PeerPlace {
            peer: "nas".to_owned(),
            directory: directory.to_owned(),
            within: within.map(|path| RelPath::new(path).unwrap()),
        };
        assert_eq!(parse(text), Ok(Location::Peer(expected)));
    }

    #[rstest]
    #[case("", "an empty path")]
    #[case("nas:", "PEER:DIRECTORY")]
    #[case("nas:/x", "PEER:DIRECTORY")]
    #[case("nas:x/../y", "`nas:x/../y`")]
    #[case("nas:x/a//b", "`nas:x/a//b`")]
    #[case("nsa:x", "there are nas, did you mean nas?; write ./nsa:x for a file")]
    #[case(":x", "`` is no peer")]
    fn what_stands_for_nothing(#[case] text: &str, #[case] expected: &str) {
        let message = parse(text).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
}
