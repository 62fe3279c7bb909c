//! That this transport keeps to what every transport must. The program that it starts leads to a
//! Unix socket, where the other end is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use realize_conformance::Capability::Lacks;
use realize_conformance::{Capabilities, Party, World, conformance};
use realize_core::registry::{TransportContext, TransportFactory, TransportTable};
use realize_core::transport::{
    Connection, Endpoint, Handshake, Listener, PeerId, Transport, TransportError,
};
use realize_exec::ExecFactory;
use tokio::net::UnixListener;

/// Where the program is.
fn bridge() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let file = test.ancestors().nth(2).unwrap().join("examples/bridge");
    assert!(
        file.is_file(),
        "{} is missing: build it with `cargo build -p realize-exec --examples`",
        file.display()
    );
    file
}

/// Where the program leads to, in the place of a machine that starts its own end.
#[derive(Debug)]
struct There(PeerId);

#[async_trait]
impl Transport for There {
    async fn dial(&self, at: &Endpoint, _peer: &PeerId) -> Result<Connection, TransportError> {
        panic!("nobody dials {at} from there")
    }

    async fn listen(&self, at: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        // The one before it may have left its name.
        let _ = std::fs::remove_file(at.as_str());
        let socket = UnixListener::bind(at.as_str())?;
        Ok(Box::new(Socket(socket, at.clone(), self.0.clone())))
    }
}

#[derive(Debug)]
struct Socket(UnixListener, Endpoint, PeerId);

#[async_trait]
impl Listener for Socket {
    fn endpoint(&self) -> Endpoint {
        self.1.clone()
    }

    async fn accept(&mut self) -> Result<Handshake, TransportError> {
        let (stream, _) = self.0.accept().await?;
        let connection = Connection::new(self.2.clone(), &self.1, stream);
        Ok(Box::pin(async { Ok(connection) }))
    }
}

fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = directory.path().join("socket").display().to_string();
    let table = format!("command = [{:?}, \"{{address}}\"]", bridge());
    let text = format!("[transports.exec]\n{table}\n");
    let parsed = TransportTable::find(&text, "exec").unwrap();
    let [nas, cam] = ["exec:nas", "exec:cam"].map(|name| PeerId::new(name).unwrap());
    let there = Party {
        transport: Arc::new(There(cam.clone())),
        identity: nas,
    };
    let here = Party {
        transport: ExecFactory
            .build(&parsed, &TransportContext::default())
            .unwrap(),
        identity: cam,
    };
    let endpoint = Endpoint::new(endpoint).unwrap();
    World {
        table,
        kept: vec![Box::new(directory)],
        ..World::new(ExecFactory, there, here, endpoint)
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        listening: Lacks("something else starts the program at the other end"),
        expected_peers: Lacks("the program sees to who is there"),
        unreachable: Lacks("whether a program gets through shows when it is read from"),
        listener_ends_alone: Lacks("a program's output ends with the program"),
        endings: Lacks("a program that was killed leaves an input that ends like any other"),
        ..Capabilities::default()
    }
}

conformance!(world(), capabilities());
