//! That this transport keeps to what every transport must.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;

use realize_channel::{ChannelFactory, ChannelTransport};
use realize_conformance::Capability::Lacks;
use realize_conformance::{Capabilities, Party, World, conformance};
use realize_core::transport::{Endpoint, PeerId};

fn world() -> World {
    let process = ChannelTransport::default();
    let [nas, cam] = ["ed25519:nas", "ed25519:cam"].map(|name| {
        let identity = PeerId::new(name).unwrap();
        Party {
            transport: Arc::new(process.as_peer(identity.clone())),
            identity,
        }
    });
    World::new(ChannelFactory, nas, cam, Endpoint::new("nas").unwrap())
}

fn capabilities() -> Capabilities {
    Capabilities {
        chosen_addresses: Lacks("a name is taken as it is given"),
        handshake: Lacks("the code that holds the transport is believed, and nothing is proved"),
        strangers: Lacks("there are none within a process"),
        endings: Lacks("an end that is dropped reads as ended: nothing is lost between two ends"),
        ..Capabilities::default()
    }
}

conformance!(world(), capabilities());
