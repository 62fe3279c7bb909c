//! That this transport keeps to what every transport must.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::io;
use std::path::Path;
use std::sync::Arc;

use realize_conformance::Capability::Lacks;
use realize_conformance::{Capabilities, Party, Stall, World, conformance};
use realize_core::known_peers::KnownPeers;
use realize_core::registry::{TransportContext, TransportFactory, TransportTable};
use realize_core::transport::{Endpoint, PeerId, Transport};
use realize_quic::QuicFactory;
use realize_tls::{MAX_PENDING_PER_ADDRESS, PrivateKey, save_private_key};
use tokio::net::UdpSocket;

/// A machine whose key is in `directory`, and what its transport was made of.
fn machine(directory: &Path, name: &str) -> (Party, TransportContext) {
    let key = PrivateKey::generate().unwrap();
    let file = directory.join(name);
    save_private_key(&file, &key).unwrap();
    let context = TransportContext {
        key_file: Some(file),
        known: KnownPeers::default(),
    };
    let transport = QuicFactory.build(&TransportTable::empty(), &context);
    let identity = key.public_key().peer_id().unwrap();
    let transport = transport.unwrap();
    (
        Party {
            transport,
            identity,
        },
        context,
    )
}

/// A client of which the listener gets the first datagram alone, and which gets nothing back.
async fn stall(
    at: Endpoint,
    dialler: Arc<dyn Transport>,
    expected: PeerId,
) -> io::Result<impl Send> {
    let between = UdpSocket::bind("127.0.0.1:0").await?;
    let through = Endpoint::new(between.local_addr()?.to_string()).map_err(io::Error::other)?;
    let mut dialling = Box::pin(async move { dialler.dial(&through, &expected).await });
    let mut datagram = [0; 2048];
    let count = tokio::select! {
        received = between.recv(&mut datagram) => received?,
        dialled = &mut dialling => return Err(io::Error::other(format!("{dialled:?}"))),
    };
    between.send_to(&datagram[..count], at.as_str()).await?;
    Ok((between, dialling))
}

fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let [nas, cam, stranger] = ["nas", "cam", "stranger"].map(|n| machine(directory.path(), n));
    let endpoint = Endpoint::new("127.0.0.1:0").unwrap();
    let (dialler, expected) = (stranger.0.transport.clone(), nas.0.identity.clone());
    World {
        known: nas.1.known.clone(),
        context: nas.1,
        unexpected: stranger.0.identity.clone(),
        stranger: Some(stranger.0),
        stall: Some(Stall::new(move |at| {
            stall(at, dialler.clone(), expected.clone())
        })),
        kept: vec![Box::new(directory)],
        ..World::new(QuicFactory, nas.0, cam.0, endpoint)
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        free_at_once: Lacks("connections go on over the socket that they came through"),
        // Beyond that, the handshakes of one address give way to each other.
        dials: MAX_PENDING_PER_ADDRESS,
        ..Capabilities::default()
    }
}

conformance!(world(), capabilities());
