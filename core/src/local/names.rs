//! The reserved names that storage gives its own files.

use crate::path::{
    MAX_NAME_LEN, RESERVED_ASIDE, RESERVED_DIGITS, RESERVED_PREFIX, RelPath, is_numbered,
};
use crate::service::{Role, RunId};

/// The directory that holds a source file between its rename and its end.
pub(crate) const DELETING: &[u8] = b".realize-deleting";
/// The name of a source file between its rename and its end where there is no such directory; `None` if
/// that would be too long.
pub(crate) fn aside(name: &[u8]) -> Option<Vec<u8>> {
    let aside = [RESERVED_ASIDE, name].concat();
    (aside.len() <= MAX_NAME_LEN).then_some(aside)
}

/// The name that a file had before it got the name `aside`.
pub(crate) fn before_aside(aside: &[u8]) -> Option<&[u8]> {
    aside
        .strip_prefix(RESERVED_ASIDE)
        .filter(|name| !matches!(*name, b"" | b"." | b".."))
}

/// The lock of a source.
pub(crate) const SOURCE_LEASE: &[u8] = b".realize-source.lease";
/// The lock of a destination.
pub(crate) const DESTINATION_LEASE: &[u8] = b".realize-destination.lease";

/// What the names of partials end with, and those of their states.
const CONTENT: &[u8] = b".part";
const STATE: &[u8] = b".state";

/// How many digits of a partial's name stand for the peer, and how many for the path. A peer that
/// looked for a key with the digits of another's would have to try some 2^64.
const PEER_DIGITS: usize = 16;
const PATH_DIGITS: usize = RESERVED_DIGITS - PEER_DIGITS;

/// The names of one peer's partials.
#[derive(Clone, Debug)]
pub(crate) struct PartialNames {
    prefix: Vec<u8>,
}

impl PartialNames {
    pub(crate) fn of(peer: &str) -> Self {
        let mut prefix = RESERVED_PREFIX.to_vec();
        prefix.extend_from_slice(&hex(peer.as_bytes(), PEER_DIGITS));
        Self { prefix }
    }

    /// The name of the content under construction for `path`.
    pub(crate) fn content(&self, path: &RelPath) -> Vec<u8> {
        self.name(path, CONTENT)
    }

    /// The name of what is known about that content.
    pub(crate) fn state(&self, path: &RelPath) -> Vec<u8> {
        self.name(path, STATE)
    }

    fn name(&self, path: &RelPath, ending: &[u8]) -> Vec<u8> {
        [&self.prefix, &*hex(path.as_bytes(), PATH_DIGITS), ending].concat()
    }

    /// Whether `name` is that of a partial, or of its state, of this peer.
    pub(crate) fn is_own(&self, name: &[u8]) -> bool {
        name.starts_with(&self.prefix) && Pair::of(name).is_some()
    }
}

/// The names of one partial, of whatever peer: of its content, and of what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) content: Vec<u8>,
    pub(crate) state: Vec<u8>,
}

impl Pair {
    /// The pair that has `name`, if it is the name of one.
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        if !is_numbered(name) {
            return None;
        }
        let content = name.strip_suffix(CONTENT);
        let stem = content.or_else(|| name.strip_suffix(STATE))?;
        Some(Self {
            content: [stem, CONTENT].concat(),
            state: [stem, STATE].concat(),
        })
    }
}

/// The name of the probe that a run's end in `role` leaves in its root.
pub(crate) fn probe(run: RunId, role: Role) -> Vec<u8> {
    [
        RESERVED_PREFIX,
        run.to_string().as_bytes(),
        probe_ending(role),
    ]
    .concat()
}

/// What the probes of a role end with.
pub(crate) fn probe_ending(role: Role) -> &'static [u8] {
    if role == Role::Destination {
        b".destination"
    } else {
        b".source"
    }
}

fn hex(seed: &[u8], digits: usize) -> Vec<u8> {
    blake3::hash(seed).to_hex().bytes().take(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::is_reserved;

    #[test]
    fn every_name_is_reserved_and_short() {
        let names = PartialNames::of("local:");
        let path = RelPath::new("d/".to_owned() + &"n".repeat(255)).unwrap();
        let run = RunId::from_bytes([7; 16]);
        for name in [
            names.content(&path),
            names.state(&path),
            probe(run, Role::Source),
            DELETING.to_vec(),
            SOURCE_LEASE.to_vec(),
            DESTINATION_LEASE.to_vec(),
        ] {
            assert!(
                is_reserved(&name) && name.len() < 64,
                "{}",
                String::from_utf8_lossy(&name)
            );
        }
        assert_ne!(probe(run, Role::Source), probe(run, Role::Destination));
        assert!(names.is_own(&names.state(&path)));
        assert!(!names.is_own(&probe(run, Role::Source)));
        assert!(!PartialNames::of("ed25519:x").is_own(&names.content(&path)));
    }

    #[test]
    fn a_partial_is_found_by_either_of_its_names() {
        let names = PartialNames::of("local:");
        let path = RelPath::new("d/f").unwrap();
        let pair = Pair {
            content: names.content(&path),
            state: names.state(&path),
        };
        assert_eq!(Pair::of(&pair.content), Some(pair.clone()));
        assert_eq!(Pair::of(&pair.state), Some(pair));
        for other in [DELETING, SOURCE_LEASE, b".x.part", b".realize-notes.state"] {
            assert_eq!(Pair::of(other), None);
        }
        // A user's file on its way out, whatever it is called.
        for name in [&b"x.part"[..], b"x.state"] {
            assert_eq!(Pair::of(&aside(name).unwrap()), None);
        }
    }
}
