//! What a program knows of its peers: who they are, and the transports that reach them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use realize_config::{Compression, Config, PeerKey};
use realize_core::known_peers::KnownPeers;
use realize_core::registry::{BuildError, TransportContext, TransportRegistry, TransportTable};
use realize_core::transport::{PeerId, Transport};
use realize_rpc::{Limits, Remote};
use realize_tls::PublicKey;

use crate::exit::{Exit, chain};
use crate::in_process::is_in_process;

/// The peers of a configuration, and transports as they are needed.
pub(crate) struct Network<'a> {
    registry: &'a TransportRegistry,
    config: &'a Config,
    context: TransportContext,
    peers: BTreeMap<String, PeerId>,
    made: Mutex<BTreeMap<String, Arc<dyn Transport>>>,
}

impl<'a> Network<'a> {
    /// Reads the keys of all peers. Nothing is connected yet, and this machine's own key is not
    /// needed yet.
    pub(crate) fn new(config: &'a Config, registry: &'a TransportRegistry) -> Result<Self, Exit> {
        let peers = peers(config)?;
        let known = KnownPeers::new(peers.values().cloned())
            .map_err(|error| Exit::configuration(error.to_string()))?;
        let context = TransportContext {
            key_file: config.identity.key.clone(),
            known,
        };
        Ok(Self {
            registry,
            config,
            context,
            peers,
            made: Mutex::default(),
        })
    }

    /// Whom listeners let in.
    pub(crate) fn known(&self) -> &KnownPeers {
        &self.context.known
    }

    /// Every peer by its name.
    pub(crate) fn peers(&self) -> &BTreeMap<String, PeerId> {
        &self.peers
    }

    /// The transport of that name, made once.
    pub(crate) fn transport(&self, name: &str) -> Result<Arc<dyn Transport>, Exit> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = made.get(name) {
            return Ok(Arc::clone(transport));
        }
        let factory = self.registry.get(name).ok_or_else(|| {
            Exit::configuration(format!("there is no transport named `{name}` here"))
        })?;
        let table = TransportTable::find(self.config.text(), name);
        let transport = table
            .map_err(BuildError::from)
            .and_then(|table| factory.build(&table, &self.context))
            .map_err(|error| Exit::configuration(format!("transport {name}: {}", chain(&error))))?;
        made.insert(name.to_owned(), Arc::clone(&transport));
        Ok(transport)
    }

    /// The transport that local ends are served over in-process, if the default transport is one
    /// for that.
    pub(crate) fn in_process(&self) -> Result<Option<Arc<dyn Transport>>, Exit> {
        let name = &self.config.transport;
        if is_in_process(name) {
            self.transport(name).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A directory of a peer. The peer must be one of the configuration's.
    pub(crate) fn remote(&self, peer: &str, directory: &str) -> Result<Remote, Exit> {
        let (Some(section), Some(id)) = (self.config.peers.get(peer), self.peers.get(peer)) else {
            return Err(Exit::usage(format!("there is no peer named `{peer}`")));
        };
        let Some(endpoint) = &section.address else {
            let what = format!(
                "the peer `{peer}` has no address: set address in [peers.{peer}] to dial it"
            );
            return Err(Exit::configuration(what));
        };
        Ok(Remote {
            name: peer.to_owned(),
            peer: id.clone(),
            transport: self.transport(&section.transport)?,
            endpoint: endpoint.clone(),
            directory: directory.to_owned(),
            limits: Limits::default(),
            compress: self.config.r#move.compress == Compression::Zstd,
        })
    }
}

/// Who each peer is. An error points at the key that it is about.
pub(crate) fn peers(config: &Config) -> Result<BTreeMap<String, PeerId>, Exit> {
    let mut peers: BTreeMap<String, PeerId> = BTreeMap::new();
    for (name, peer) in &config.peers {
        let (key, id) = match &peer.key {
            PeerKey::Id(id) => ("key", identity(id)),
            PeerKey::File(path) => {
                let key = realize_tls::load_public_key(path).map_err(|error| chain(&error));
                let id = key.and_then(|key| key.peer_id().map_err(|error| error.to_string()));
                ("key_file", id)
            }
        };
        let fault = |message| Exit::from(config.fault(&["peers", name, key], message));
        let id = id.map_err(fault)?;
        let same = |other: &&String| {
            let dialled = |name: &str| {
                config
                    .peers
                    .get(name)
                    .and_then(|peer| peer.address.as_ref())
            };
            peers.get(*other) == Some(&id) && (dialled(other).is_none() || dialled(name).is_none())
        };
        if let Some(other) = peers.keys().find(same) {
            return Err(fault(format!("the peer `{other}` has the same key")));
        }
        peers.insert(name.clone(), id);
    }
    Ok(peers)
}

/// Checks an identity as far as its scheme is known here, and brings it to the one form that a
/// handshake gives it.
fn identity(id: &PeerId) -> Result<PeerId, String> {
    if !id.as_str().starts_with("ed25519:") {
        return Ok(id.clone());
    }
    let key: PublicKey = id
        .as_str()
        .parse()
        .map_err(|error: realize_tls::KeyError| chain(&error))?;
    key.peer_id().map_err(|error| error.to_string())
}
