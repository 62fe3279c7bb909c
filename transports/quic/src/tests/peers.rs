//! Who is let in, and how many times.

use realize_core::transport::Listener;

use super::*;
use crate::limits::MAX_CONNECTIONS_PER_PEER;

/// What a machine is told that the other end does not know.
fn not_known(machines: &Machines) -> String {
    let key = machines.cam.key.public_key();
    format!("the other end does not know this machine's key, {key}")
}

#[tokio::test]
async fn who_is_not_known_is_told_so_with_its_key() {
    let machines = Machines::new();
    machines.nas.known.replace([]).unwrap();
    let (mut listener, at) = machines.listen().await;
    let (near, far) = tokio::join!(machines.dial(&at), prove(&mut listener));
    let refused = far.unwrap_err();
    assert!(matches!(refused, TransportError::Identity { .. }));
    let text = refused.to_string();
    assert!(text.starts_with("127.0.0.1:"), "{text}");
    assert!(text.contains("not known here"), "{text}");
    let mut near = near.unwrap();
    // Again and again: by reading, and then by anything.
    for _ in 0..2 {
        let mut bytes = [0; 64];
        let error = soon(near.stream.read(&mut bytes)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(error.to_string(), not_known(&machines));
        assert_eq!(bytes, [0; 64]);
    }
    for error in [
        soon(near.stream.write_all(b"but")).await.unwrap_err(),
        soon(near.stream.shutdown()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }
}

#[tokio::test]
async fn another_machine_than_expected_is_refused_before_a_byte() {
    let machines = Machines::new();
    let expected = peer(&PrivateKey::generate().unwrap());
    let (mut listener, at) = machines.listen().await;
    let dialling = machines.cam.dial(&at, &expected);
    let (near, far) = tokio::join!(soon(dialling), prove(&mut listener));
    let error = near.unwrap_err();
    assert!(matches!(error, TransportError::Identity { .. }));
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("{at}: expected {expected}")),
        "{text}"
    );
    let error = far.unwrap_err();
    assert!(matches!(error, TransportError::Identity { .. }));
    let ours = machines.nas_peer();
    let says = format!("the client expected another key than this machine's, {ours}");
    assert!(error.to_string().ends_with(&says), "{error}");
}

#[tokio::test]
async fn a_peer_without_a_key_is_refused_before_dialling() {
    let machines = Machines::new();
    for text in ["unix:uid=1000", "local:", "ed25519:AAAA"] {
        let expected = PeerId::new(text).unwrap();
        let error = machines.cam.dial(&endpoint("127.0.0.1:1"), &expected).await;
        let error = error.unwrap_err();
        assert!(matches!(error, TransportError::Identity { .. }));
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[tokio::test]
async fn who_is_known_no_more_opens_no_stream_and_is_closed() {
    let machines = Machines::with(QuicOptions {
        connections: number(1),
        ..QuicOptions::default()
    });
    let (mut listener, at) = machines.listen().await;
    let (mut near, mut far) = machines.meet(&mut listener, &at).await;
    talk((&mut near, &mut far), 1000).await;
    let connection = machines.standing().remove(0);
    machines.nas.known.replace([]).unwrap();
    let (again, refused) = tokio::join!(machines.dial(&at), prove(&mut listener));
    let refused = refused.unwrap_err();
    assert!(matches!(refused, TransportError::Identity { .. }));
    // Whichever notices it: dialling, or the stream.
    if let Ok(mut again) = again {
        let error = soon(again.stream.read_u8()).await.unwrap_err();
        assert_eq!(error.to_string(), not_known(&machines));
    }
    soon(connection.closed()).await;
    soon(near.stream.read_u8()).await.unwrap_err();
    soon(far.stream.read_u8()).await.unwrap_err();
}

#[tokio::test]
async fn a_stream_that_was_begun_by_one_who_was_known_is_not_let_in() {
    let machines = Machines::with(QuicOptions {
        connections: number(1),
        ..QuicOptions::default()
    });
    let (mut listener, at) = machines.listen().await;
    let (mut near, mut far) = machines.meet(&mut listener, &at).await;
    let connection = machines.standing().remove(0);
    // The later of two streams, which begins the earlier one too.
    let (mut earlier, _) = soon(connection.open_bi()).await.unwrap();
    let (mut later, _) = soon(connection.open_bi()).await.unwrap();
    soon(later.write_all(b"1")).await.unwrap();
    // By then the other end has seen it.
    talk((&mut near, &mut far), 100_000).await;
    machines.nas.known.replace([]).unwrap();
    soon(earlier.write_all(b"1")).await.unwrap();
    let refused = prove(&mut listener).await.unwrap_err();
    assert!(matches!(refused, TransportError::Identity { .. }));
    soon(connection.closed()).await;
}

/// A stream of a new connection, once the other end has answered it; or its first error.
async fn answered(
    dials: &crate::QuicTransport,
    listener: &mut Box<dyn Listener>,
    expected: &PeerId,
) -> Result<(Connection, Connection), (std::io::Error, TransportError)> {
    let at = listener.endpoint();
    let (near, far) = tokio::join!(soon(dials.dial(&at, expected)), prove(listener));
    let mut near = near.unwrap();
    match far {
        Ok(mut far) => {
            send(&mut far, &mut near, 1).await;
            Ok((near, far))
        }
        Err(refused) => Err((soon(near.stream.read_u8()).await.unwrap_err(), refused)),
    }
}

#[tokio::test]
async fn a_peer_has_so_many_connections_and_is_told_when_there_are_no_more() {
    let machines = Machines::new();
    let (mut listener, _) = machines.listen().await;
    let expected = machines.nas_peer();
    let mut held = Vec::new();
    for _ in 0..MAX_CONNECTIONS_PER_PEER {
        let again = machines.cam_again();
        held.push(answered(&again, &mut listener, &expected).await.unwrap());
    }
    let again = machines.cam_again();
    let (error, refused) = answered(&again, &mut listener, &expected)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(
        error.to_string().contains("too many connections"),
        "{error}"
    );
    let (cam, most) = (machines.cam_peer(), MAX_CONNECTIONS_PER_PEER);
    let says = format!("{cam} has {most} connections already");
    assert!(refused.to_string().ends_with(&says), "{refused}");
    // Those that stand go on, and where one ends there is room again.
    for (near, far) in &mut held {
        talk((near, far), 1000).await;
    }
    drop(held.pop());
    soon(async {
        let again = machines.cam_again();
        while answered(&again, &mut listener, &expected).await.is_err() {}
    })
    .await;
}
