//! Keys and protocols that do not fit.

use super::*;

/// A stranger that dials `nas`, and how it is refused there.
async fn stranger(machines: &Machines) -> (Connection, TransportError) {
    machines.nas.known.replace([]).unwrap();
    let (near, far) = machines.meet().await;
    (near.unwrap(), far.unwrap_err())
}

/// What a machine is told that the other end does not know.
fn not_known(machines: &Machines) -> String {
    let key = machines.cam.key.public_key();
    format!("the other end does not know this machine's key, {key}")
}

#[tokio::test]
async fn another_server_than_expected_is_refused_before_a_byte() {
    let machines = Machines::new();
    let expected = peer(&PrivateKey::generate().unwrap());
    let (mut listener, at) = machines.listen().await;
    let dial = machines.cam.dial(&at, &expected);
    let (near, far) = tokio::join!(soon(dial), prove(&mut listener));
    let error = near.unwrap_err();
    assert!(
        matches!(error, TransportError::Identity { .. }),
        "{error:?}"
    );
    let found = machines.nas_peer();
    assert_eq!(
        error.to_string(),
        format!("{at}: expected {expected}, found {found}")
    );
    // The server has no stream from which to read, and knows why.
    let error = far.unwrap_err();
    assert!(
        matches!(error, TransportError::Identity { .. }),
        "{error:?}"
    );
    let text = format!("the client expected another key than this machine's, {found}");
    assert!(error.to_string().ends_with(&text), "{error}");
}

#[tokio::test]
async fn a_stranger_is_told_that_its_key_is_not_known_and_gets_not_one_byte() {
    let machines = Machines::new();
    let (mut near, refused) = stranger(&machines).await;
    let TransportError::Identity { peer, .. } = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(*peer, Some(machines.cam_peer()));
    let text = format!("{} is not known here", machines.cam_peer());
    assert!(refused.to_string().ends_with(&text), "{refused}");

    // Again and again: by reading, and then by anything.
    for _ in 0..2 {
        let mut bytes = [0; 64];
        let error = soon(near.stream.read(&mut bytes)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(error.to_string(), not_known(&machines));
        assert_eq!(bytes, [0; 64]);
    }
    for error in [
        near.stream.write_all(b"but").await.unwrap_err(),
        near.stream.flush().await.unwrap_err(),
        near.stream.shutdown().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(error.to_string(), not_known(&machines));
    }
}

#[tokio::test]
async fn a_stranger_that_only_writes_is_told_so_too() {
    let machines = Machines::with_timeouts(Timeouts {
        linger: Duration::from_millis(50),
        ..Timeouts::default()
    });
    // It writes while the listener reads on, and until the connection is reset.
    machines.nas.known.replace([]).unwrap();
    let (mut listener, at) = machines.listen().await;
    let write = async {
        let mut near = machines.dial(&at).await.unwrap();
        loop {
            if let Err(error) = near.stream.write_all(&[7; 16 * 1024]).await {
                break error;
            }
        }
    };
    let (error, refused) = tokio::join!(soon(write), prove(&mut listener));
    assert!(matches!(refused, Err(TransportError::Identity { .. })));
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert_eq!(error.to_string(), not_known(&machines));
}

#[tokio::test]
async fn a_stranger_that_writes_first_reads_why_it_was_refused() {
    let machines = Machines::new();
    machines.nas.known.replace([]).unwrap();
    let (mut listener, at) = machines.listen().await;
    let speak = async {
        let mut near = machines.dial(&at).await.unwrap();
        // Bytes that nobody reads would turn the listener's close into a reset.
        near.stream.write_all(&[7; 100_000]).await.unwrap();
        near.stream.flush().await.unwrap();
        near.stream.read_u8().await.unwrap_err()
    };
    let (error, _) = tokio::join!(soon(speak), prove(&mut listener));
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
}

#[tokio::test]
async fn a_listener_that_refuses_ends_its_direction_and_reads_on() {
    let machines = Machines::with_timeouts(Timeouts {
        linger: 2 * SOON,
        ..Timeouts::default()
    });
    machines.nas.known.replace([]).unwrap();
    let (mut listener, at) = machines.listen().await;
    let socket = TcpStream::connect(at.as_str()).await.unwrap();
    let handshake = soon(listener.accept()).await.unwrap();
    let mut handshake = std::pin::pin!(soon(handshake));
    let connector = TlsConnector::from(machines.client_config());
    // The client is done first, and what it writes is there before it is refused.
    let near = tokio::select! {
        biased;
        near = connector.connect(server_name(), socket) => near.unwrap(),
        _ = &mut handshake => unreachable!("it waits for the client"),
    };
    let (mut socket, _) = near.into_inner();
    socket.write_all(&[7; 100_000]).await.unwrap();
    let read = async {
        let mut alert = Vec::new();
        socket.read_to_end(&mut alert).await.unwrap();
        // Were the connection reset by now, this would fail.
        socket.write_all(b"more").await.unwrap();
        drop(socket);
        alert
    };
    let (alert, refused) = tokio::join!(soon(read), handshake);
    assert!(!alert.is_empty());
    assert!(matches!(refused, Err(TransportError::Identity { .. })));
}

#[tokio::test]
async fn who_is_revoked_while_shaking_hands_is_refused() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let socket = TcpStream::connect(at.as_str()).await.unwrap();
    let handshake = tokio::spawn(soon(listener.accept()).await.unwrap());
    tokio::task::yield_now().await;
    machines.nas.known.replace([]).unwrap();
    let connector = TlsConnector::from(machines.client_config());
    let mut near = connector.connect(server_name(), socket).await.unwrap();
    let (refused, read) = tokio::join!(soon(handshake), soon(near.read_u8()));
    let refused = refused.unwrap().unwrap_err();
    assert!(matches!(refused, TransportError::Identity { .. }));
    read.unwrap_err();
}

#[tokio::test]
async fn a_connection_that_ends_before_an_answer_hints_at_the_key() {
    let machines = Machines::new();
    let (mut near, far) = machines.connect().await;
    drop(far);
    let error = soon(near.stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    let key = machines.cam.key.public_key().to_string();
    assert!(error.to_string().contains(&key), "{error}");

    // Where there was an answer, the key was not what it was about.
    let (mut near, mut far) = machines.connect().await;
    far.stream.write_u8(1).await.unwrap();
    far.stream.flush().await.unwrap();
    soon(near.stream.read_u8()).await.unwrap();
    drop(far);
    let error = soon(near.stream.read_u8()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the other end is gone, and did not end the stream"
    );
}

#[tokio::test]
async fn an_expected_peer_without_a_key_is_refused_before_dialling() {
    let machines = Machines::new();
    // Nobody listens there, and that is not what is told.
    for text in ["unix:uid=1000", "local:", "ed25519:AAAA"] {
        let expected = PeerId::new(text).unwrap();
        let error = machines.cam.dial(&endpoint("127.0.0.1:1"), &expected).await;
        let error = error.unwrap_err();
        assert!(
            matches!(error, TransportError::Identity { .. }),
            "{error:?}"
        );
        let error = error.to_string();
        assert!(
            error.contains(text) && error.contains("ed25519:"),
            "{error}"
        );
    }
}

/// What `nas` makes of a client that has the right key and names `protocols`; what the client reads.
async fn with_protocols(protocols: &[&[u8]]) -> (TransportError, io::Result<u8>) {
    let machines = Machines::new();
    let mut config = ClientConfig::clone(&machines.client_config());
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let (mut listener, at) = machines.listen().await;
    let client = async {
        let socket = TcpStream::connect(at.as_str()).await?;
        let connector = TlsConnector::from(Arc::new(config));
        let mut near: client::TlsStream<_> = connector.connect(server_name(), socket).await?;
        near.read_u8().await
    };
    let (read, refused) = tokio::join!(soon(client), prove(&mut listener));
    (refused.unwrap_err(), read)
}

#[tokio::test]
async fn a_client_that_names_no_protocol_is_refused() {
    let (refused, read) = with_protocols(&[]).await;
    let refused = handshake_error(refused);
    assert_eq!(refused.kind(), ErrorKind::InvalidData);
    assert!(refused.to_string().contains("realize/1"), "{refused}");
    assert_eq!(read.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_client_that_names_another_protocol_is_refused() {
    let (refused, read) = with_protocols(&[b"h2"]).await;
    let refused = handshake_error(refused);
    assert!(
        refused.to_string().contains("another protocol"),
        "{refused}"
    );
    read.unwrap_err();
}

#[tokio::test]
async fn a_server_that_names_no_protocol_is_refused() {
    let machines = Machines::new();
    let known = KnownPeers::new([machines.cam_peer()]).unwrap();
    let config = server_config(&machines.nas.key, &known, ALPN).unwrap();
    let mut config = rustls::ServerConfig::clone(&config);
    config.alpn_protocols = Vec::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = endpoint(&listener.local_addr().unwrap().to_string());
    let serve = async {
        let (socket, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(config)).accept(socket).await
    };
    let (error, _) = tokio::join!(machines.dial(&at), soon(serve));
    let error = error.unwrap_err();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(chain(&error).contains("realize/1"), "{error:?}");
}
