//! That the transport of the example keeps to what every transport must.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use realize_conformance::Capability::Lacks;
use realize_conformance::{Capabilities, Party, World, conformance};
use realize_core::registry::{TransportContext, TransportFactory, TransportTable};
use realize_core::transport::{Endpoint, PeerId};

#[path = "../examples/custom-transport/transport.rs"]
mod transport;

use transport::UnixFactory;

fn world() -> World {
    let context = TransportContext::default();
    let table = TransportTable::empty();
    let user = format!("unix:uid={}", rustix::process::geteuid().as_raw());
    let me = Party {
        transport: UnixFactory.build(&table, &context).unwrap(),
        identity: PeerId::new(user).unwrap(),
    };
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket").display().to_string();
    let endpoint = Endpoint::new(socket).unwrap();
    World {
        known: context.known,
        unexpected: PeerId::new("unix:uid=4294967294").unwrap(),
        kept: vec![Box::new(directory)],
        ..World::new(UnixFactory, me.clone(), me, endpoint)
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        chosen_addresses: Lacks("a path is taken as it is"),
        handshake: Lacks("the kernel says who is there"),
        endings: Lacks("a socket reads as ended when the other end is gone"),
        ..Capabilities::default()
    }
}

conformance!(world(), capabilities());
