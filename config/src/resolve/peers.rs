//! `[peers]`.

use std::collections::{BTreeMap, HashMap};

use realize_core::transport::Endpoint;

use super::{Resolver, value};
use crate::error::ConfigError;
use crate::nearest::unknown;
use crate::schema::PeerSection;
use crate::settings::{Peer, PeerKey};
use crate::text::{Location, Name, Text, TransportName};
use crate::transports::check_name;

impl Resolver<'_> {
    pub(super) fn peers(
        &self,
        said: BTreeMap<Text<Name>, PeerSection>,
    ) -> Result<BTreeMap<String, Peer>, ConfigError> {
        let mut peers = BTreeMap::new();
        let mut others = HashMap::new();
        for (Text(Name(name)), section) in said {
            let peer = self.peer(&name, section)?;
            self.check_alone(&name, &peer, &mut others)?;
            peers.insert(name, peer);
        }
        Ok(peers)
    }

    fn peer(&self, name: &str, said: PeerSection) -> Result<Peer, ConfigError> {
        let key = match (said.key, said.key_file) {
            (Some(Text(id)), None) => PeerKey::Id(id),
            (None, Some(Text(Location(path)))) => {
                let path = self.origins.resolve(&["peers", name, "key_file"], path);
                PeerKey::File(path)
            }
            (None, None) => {
                return Err(self.origins.missing(&["peers", name], &["key", "key_file"]));
            }
            (Some(_), Some(_)) => {
                let message = format!("`peers.{name}.key` is said too, and one is enough");
                return Err(self.origins.fault(&["peers", name, "key_file"], message));
            }
        };
        let address = said.address.map(value);
        let transport = match said.transport {
            Some(Text(TransportName(transport))) => {
                check_name(&transport, self.transports).map_err(|message| {
                    self.origins.fault(&["peers", name, "transport"], message)
                })?;
                transport
            }
            None if address.is_some() => self.default_for(&["peers", name, "address"])?,
            None => self.default.clone(),
        };
        Ok(Peer {
            key,
            address,
            transport,
            throttle: said
                .throttle
                .map(super::throttle::rates)
                .unwrap_or_default(),
            control: said.rights.is_some_and(|rights| !rights.is_empty()),
        })
    }

    /// That `peer` has its key alone, unless it and the other are dialled in two places: who
    /// connects would be a matter of chance. `others` are those so far, by their key.
    fn check_alone(
        &self,
        name: &str,
        peer: &Peer,
        others: &mut HashMap<PeerKey, (String, Option<Endpoint>)>,
    ) -> Result<(), ConfigError> {
        let this = (name.to_owned(), peer.address.clone());
        let Some((other, address)) = others.insert(peer.key.clone(), this) else {
            return Ok(());
        };
        if address.is_some() && peer.address.is_some() && address != peer.address {
            return Ok(());
        }
        let key = match peer.key {
            PeerKey::Id(_) => "key",
            PeerKey::File(_) => "key_file",
        };
        let message = format!(
            "`peers.{other}` has the same; each peer has a key of its own, or an address of its own"
        );
        Err(self.origins.fault(&["peers", name, key], message))
    }
}

/// What to say of `name`, if no peer has it.
pub(super) fn check_peer(name: &str, peers: &BTreeMap<String, Peer>) -> Result<(), String> {
    match peers.contains_key(name) {
        true => Ok(()),
        false => Err(unknown("peer", name, peers.keys().map(String::as_str))),
    }
}
