//! A listener when the system has run out of descriptors. It lowers the limit of its process, and so
//! has one to itself.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Instant;

use realize_core::known_peers::KnownPeers;
use realize_core::transport::{Endpoint, Transport, TransportError};
use realize_tcp::{ACCEPT_PAUSE, TcpOptions, TcpTransport};
use realize_tls::PrivateKey;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[tokio::test]
async fn accepting_without_descriptors_fails_at_leisure_and_recovers() {
    let key = PrivateKey::generate().unwrap();
    let transport = TcpTransport::new(key, KnownPeers::default(), TcpOptions::default());
    let anywhere = Endpoint::new("127.0.0.1:0").unwrap();
    let mut listener = transport.listen(&anywhere).await.unwrap();
    let endpoint = listener.endpoint();
    let waiting = tokio::net::TcpStream::connect(endpoint.as_str()).await;

    // Standard input, output and error are all that there may be.
    let before = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(3),
        ..before
    };
    setrlimit(Resource::Nofile, none).unwrap();
    let started = Instant::now();
    for round in 0..3 {
        let Err(TransportError::Io(error)) = listener.accept().await else {
            unreachable!("there was a descriptor left");
        };
        let expected = rustix::io::Errno::MFILE.raw_os_error();
        assert_eq!(error.raw_os_error(), Some(expected), "{error}");
        assert!(started.elapsed() >= ACCEPT_PAUSE * round);
    }

    setrlimit(Resource::Nofile, before).unwrap();
    drop(listener.accept().await.unwrap());
    drop(waiting);
}
