//! What a reload changes, for the log.

use std::collections::BTreeMap;

use realize_config::Config;
use realize_core::transport::PeerId;

/// What is different in a configuration that takes the place of another.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) peers: Names,
    pub(super) directories: Names,
    /// Whether any limit is another one, of all peers together or of one.
    pub(super) limits: bool,
}

/// Names of one section, each list with commas between them; `None` where there are none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) added: Option<String>,
    pub(super) removed: Option<String>,
    pub(super) changed: Option<String>,
}

impl Changes {
    /// What is different in `new`. The keys of the peers come with either, for a file that holds one
    /// may have another content.
    pub(super) fn between(
        old: (&Config, &BTreeMap<String, PeerId>),
        new: (&Config, &BTreeMap<String, PeerId>),
    ) -> Self {
        let ((old, old_keys), (new, new_keys)) = (old, new);
        let of_a_peer = new.peers.iter().any(|(name, peer)| {
            let before = old.peers.get(name);
            before.is_some_and(|before| before.throttle != peer.throttle)
        });
        Self {
            peers: Names::between(&old.peers, &new.peers, |name| {
                old_keys.get(name) == new_keys.get(name)
            }),
            directories: Names::between(&old.directories, &new.directories, |_| true),
            limits: of_a_peer || old.throttle != new.throttle,
        }
    }
}

impl Names {
    /// What is different in `new`; what is the same in it is also to be so `otherwise`.
    fn between<T: PartialEq>(
        old: &BTreeMap<String, T>,
        new: &BTreeMap<String, T>,
        otherwise: impl Fn(&str) -> bool,
    ) -> Self {
        let without = |some: &BTreeMap<String, T>, others: &BTreeMap<String, T>| {
            comma_separated(some.keys().filter(|name| !others.contains_key(*name)))
        };
        let differs = |(name, section): &(&String, &T)| {
            let before = old.get(*name);
            before.is_some_and(|before| before != *section || !otherwise(name))
        };
        Self {
            added: without(new, old),
            removed: without(old, new),
            changed: comma_separated(new.iter().filter(differs).map(|(name, _)| name)),
        }
    }
}

/// The names, with commas between them; names have none.
pub(super) fn comma_separated<'a>(names: impl Iterator<Item = &'a String>) -> Option<String> {
    let names: Vec<&str> = names.map(String::as_str).collect();
    (!names.is_empty()).then(|| names.join(","))
}

#[cfg(test)]
mod tests {
    use realize_config::{Environment, Overrides};
    use rstest::rstest;

    use super::*;
    use crate::default_transports;
    use crate::network::peers;

    const BEFORE: &str = "
        [peers.cam]\nkey = \"unix:uid=1\"\n
        [peers.lab]\nkey = \"unix:uid=2\"\nthrottle = { up = \"1M\" }\n
        [directories.inbox]\npath = \"/inbox\"\nallow = { cam = [\"read\"] }\n
        [directories.outbox]\npath = \"/outbox\"\n
        [throttle]\nup = \"1M\"\n";

    fn load(text: &str) -> (Config, BTreeMap<String, PeerId>) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("realize.toml");
        std::fs::write(&file, text).unwrap();
        let (none, flags) = (Environment::default(), Overrides::new());
        let config = Config::load(Some(&file), &none, &flags, &default_transports()).unwrap();
        let keys = peers(&config).unwrap();
        (config, keys)
    }

    fn changes(from: &str, to: &str) -> Changes {
        let ((old, old_keys), (new, new_keys)) = (load(from), load(to));
        Changes::between((&old, &old_keys), (&new, &new_keys))
    }

    fn names(added: &str, removed: &str, changed: &str) -> Names {
        let some = |names: &str| (!names.is_empty()).then(|| names.to_owned());
        Names {
            added: some(added),
            removed: some(removed),
            changed: some(changed),
        }
    }

    #[rstest]
    #[case::nothing("", "", Changes::default())]
    #[case::a_peer_more("[throttle]", "[peers.new]\nkey = \"unix:uid=3\"\n[throttle]", Changes {
        peers: names("new", "", ""), ..Changes::default()
    })]
    #[case::another_key("uid=2", "uid=3", Changes {
        peers: names("", "", "lab"), ..Changes::default()
    })]
    #[case::another_name("peers.lab", "peers.van", Changes {
        peers: names("van", "lab", ""), ..Changes::default()
    })]
    #[case::other_rights("\"read\"", "\"read\", \"write\"", Changes {
        directories: names("", "", "inbox"), ..Changes::default()
    })]
    #[case::another_directory("directories.outbox", "directories.attic", Changes {
        directories: names("attic", "outbox", ""), ..Changes::default()
    })]
    #[case::a_limit("[throttle]\nup = \"1M\"", "[throttle]\nup = \"2M\"", Changes {
        limits: true, ..Changes::default()
    })]
    #[case::a_limit_of_a_peer("throttle = { up = \"1M\" }", "throttle = { up = \"2M\" }", Changes {
        peers: names("", "", "lab"), limits: true, ..Changes::default()
    })]
    fn what_is_different_is_named(#[case] from: &str, #[case] to: &str, #[case] expected: Changes) {
        assert_eq!(changes(BEFORE, &BEFORE.replacen(from, to, 1)), expected);
    }

    #[test]
    fn several_names_have_commas_between_them() {
        let removed = changes(BEFORE, "").peers.removed;
        assert_eq!(removed.as_deref(), Some("cam,lab"));
    }

    #[test]
    fn a_file_with_another_key_makes_another_peer() {
        let (config, keys) = load(BEFORE);
        let mut others = keys.clone();
        others.insert("cam".to_owned(), PeerId::new("unix:uid=9").unwrap());
        let changes = Changes::between((&config, &keys), (&config, &others));
        assert_eq!(changes.peers, names("", "", "cam"));
    }
}
