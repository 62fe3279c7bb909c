//! That this transport keeps to what every transport must.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use realize_conformance::{Capabilities, Party, Stall, World, conformance};
use realize_core::known_peers::KnownPeers;
use realize_core::registry::{TransportContext, TransportFactory, TransportTable};
use realize_core::transport::Endpoint;
use realize_tcp::TcpFactory;
use realize_tls::{MAX_PENDING_PER_ADDRESS, PrivateKey, save_private_key};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// A machine whose key is in `directory`, and what its transport was made of.
fn machine(directory: &Path, name: &str) -> (Party, TransportContext) {
    let key = PrivateKey::generate().unwrap();
    let file = directory.join(name);
    save_private_key(&file, &key).unwrap();
    let context = TransportContext {
        key_file: Some(file),
        known: KnownPeers::default(),
    };
    let transport = TcpFactory.build(&TransportTable::empty(), &context);
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

/// A client that sends the beginning of a record of TLS, or nothing.
async fn stall(at: Endpoint, says: &[u8]) -> std::io::Result<TcpStream> {
    let mut socket = TcpStream::connect(at.as_str()).await?;
    socket.write_all(says).await?;
    Ok(socket)
}

fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let [nas, cam, stranger] = ["nas", "cam", "stranger"].map(|n| machine(directory.path(), n));
    let endpoint = Endpoint::new("127.0.0.1:0").unwrap();
    World {
        known: nas.1.known.clone(),
        context: nas.1,
        unexpected: stranger.0.identity.clone(),
        stranger: Some(stranger.0),
        stall: Some(Stall::new(|at| async {
            let silent = stall(at.clone(), b"").await?;
            Ok((silent, stall(at, b"\x16\x03\x01\x02").await?))
        })),
        kept: vec![Box::new(directory)],
        ..World::new(TcpFactory, nas.0, cam.0, endpoint)
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        // Beyond that, the handshakes of one address give way to each other.
        dials: MAX_PENDING_PER_ADDRESS,
        ..Capabilities::default()
    }
}

conformance!(world(), capabilities());
