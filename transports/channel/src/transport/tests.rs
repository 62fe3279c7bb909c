use std::time::Duration;

use realize_core::number::{Number, Range};
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;
use crate::config::Buffer;

/// Options for connections that hold so many bytes each way.
fn holding(bytes: u64) -> ChannelOptions {
    let buffer = Number::new(bytes).unwrap();
    ChannelOptions { buffer }
}

/// Under paused time it passes as soon as nothing else can go on.
const LONG: Duration = Duration::from_secs(3600);

fn name(text: &str) -> Endpoint {
    Endpoint::new(text).unwrap()
}

fn peer(text: &str) -> PeerId {
    PeerId::new(text).unwrap()
}

async fn dial(transport: &ChannelTransport) -> Connection {
    transport
        .dial(&name("nas"), &PeerId::local())
        .await
        .unwrap()
}

async fn accept(listener: &mut Box<dyn Listener>) -> Connection {
    listener.accept().await.unwrap().await.unwrap()
}

/// Both ends of a connection: the dialler's, the listener's.
async fn pair(options: ChannelOptions) -> (Connection, Connection) {
    let transport = ChannelTransport::new(options);
    let mut listener = transport.listen(&name("nas")).await.unwrap();
    let near = dial(&transport).await;
    (near, accept(&mut listener).await)
}

async fn read_all(connection: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    connection.stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

/// Bytes that differ from place to place, and from one `seed` to another.
fn bytes(len: usize, seed: u32) -> Vec<u8> {
    let mixed = (0..).map(|i: u32| (i ^ seed).wrapping_mul(0x9E37_79B1) >> 24);
    mixed.take(len).map(|x| x as u8).collect()
}

#[rstest]
#[case(Buffer::MIN)]
#[case(Buffer::DEFAULT)]
#[tokio::test]
async fn four_mebibytes_pass_intact_both_ways_at_once(#[case] buffer: u64) {
    let (near, far) = pair(holding(buffer)).await;
    let exchange = |connection: Connection, sent: Vec<u8>| async move {
        let (mut reader, mut writer) = tokio::io::split(connection.stream);
        let write = async {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let (read, ()) = tokio::join!(reader.read_to_end(&mut received), write);
        read.unwrap();
        received
    };
    let (up, down) = (bytes(4 << 20, 1), bytes(4 << 20, 2));
    let (got_down, got_up) = tokio::join!(exchange(near, up.clone()), exchange(far, down.clone()));
    assert!(got_up == up && got_down == down);
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_its_reader() {
    let (mut near, mut far) = pair(holding(4096)).await;
    let mut sent = 0;
    while let Ok(written) = timeout(LONG, near.stream.write(&[7; 1000])).await {
        sent += written.unwrap();
    }
    assert_eq!(sent, 4096);

    let mut some = [0; 100];
    far.stream.read_exact(&mut some).await.unwrap();
    let written = timeout(LONG, near.stream.write(&[7; 1000])).await.unwrap();
    assert_eq!(written.unwrap(), 100);
    // The other direction has a buffer of its own.
    timeout(LONG, far.stream.write_all(&[8; 4096]))
        .await
        .unwrap()
        .unwrap();
}

#[rstest]
#[case::shut_down(true)]
#[case::dropped(false)]
#[tokio::test]
async fn what_was_written_is_read_after_the_writer_is_gone(#[case] shutdown: bool) {
    let (mut near, mut far) = pair(ChannelOptions::default()).await;
    let sent = bytes(usize::try_from(Buffer::DEFAULT).unwrap(), 3);
    near.stream.write_all(&sent).await.unwrap();
    if shutdown {
        near.stream.shutdown().await.unwrap();
    }
    drop(near);
    assert!(read_all(&mut far).await == sent);
}

#[tokio::test]
async fn a_dropped_end_is_seen_by_the_other() {
    let (near, mut far) = pair(ChannelOptions::default()).await;
    let dropped = tokio::spawn(async move {
        tokio::task::yield_now().await;
        drop(near);
    });
    // Waits for bytes when the other end goes.
    assert_eq!(
        far.stream.read_u8().await.unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
    dropped.await.unwrap();
    let error = far.stream.write_all(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_writer_that_waits_sees_the_other_end_go() {
    let (mut near, far) = pair(holding(Buffer::MIN)).await;
    let write = tokio::spawn(async move { near.stream.write_all(&[0; 4096]).await });
    tokio::task::yield_now().await;
    drop(far);
    assert_eq!(
        write.await.unwrap().unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

#[tokio::test]
async fn an_accept_dropped_after_it_was_woken_loses_no_connection() {
    let transport = ChannelTransport::default();
    let mut listener = transport.listen(&name("nas")).await.unwrap();
    let near = {
        let mut accepting = std::pin::pin!(listener.accept());
        tokio::select! {
            biased;
            _ = &mut accepting => unreachable!("nobody has dialled"),
            near = dial(&transport) => near,
        }
    };
    let mut far = accept(&mut listener).await;
    drop(near);
    assert!(read_all(&mut far).await.is_empty());
}

#[tokio::test]
async fn a_dropped_handshake_ends_its_connection() {
    let transport = ChannelTransport::default();
    let mut listener = transport.listen(&name("nas")).await.unwrap();
    let mut near = dial(&transport).await;
    drop(listener.accept().await.unwrap());
    assert!(read_all(&mut near).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn dialling_waits_when_the_backlog_is_full() {
    let transport = ChannelTransport::default();
    let mut listener = transport.listen(&name("nas")).await.unwrap();
    let mut dialled = Vec::new();
    while let Ok(near) = timeout(LONG, dial(&transport)).await {
        dialled.push(near);
    }
    assert_eq!(dialled.len(), BACKLOG);

    let waiting = tokio::spawn({
        let transport = transport.clone();
        async move { dial(&transport).await }
    });
    accept(&mut listener).await;
    dialled.push(timeout(LONG, waiting).await.unwrap().unwrap());
    // The one that gave up left no connection.
    for _ in 0..BACKLOG {
        accept(&mut listener).await;
    }
    assert!(timeout(LONG, listener.accept()).await.is_err());
}

#[tokio::test]
async fn whoever_waits_to_connect_learns_that_the_listener_is_gone() {
    let transport = ChannelTransport::default();
    let listener = transport.listen(&name("nas")).await.unwrap();
    let mut queued = Vec::new();
    for _ in 0..BACKLOG {
        queued.push(dial(&transport).await);
    }
    let waiting = tokio::spawn({
        let transport = transport.clone();
        async move { transport.dial(&name("nas"), &PeerId::local()).await }
    });
    tokio::task::yield_now().await;
    drop(listener);
    let error = waiting.await.unwrap().unwrap_err();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error}"
    );
    for mut near in queued {
        assert!(read_all(&mut near).await.is_empty());
    }
}

#[tokio::test]
async fn a_name_is_bound_once_and_freed_with_its_listener() {
    let transport = ChannelTransport::default();
    let listener = transport.listen(&name("nas")).await.unwrap();
    assert_eq!(listener.endpoint(), name("nas"));
    let error = transport.clone().listen(&name("nas")).await.unwrap_err();
    assert!(matches!(&error, TransportError::Address { endpoint, .. } if *endpoint == name("nas")));
    assert_eq!(
        error.to_string(),
        "nas: this name is in use; listen at another one"
    );
    transport.listen(&name("other")).await.unwrap();

    drop(listener);
    let mut listener = transport.listen(&name("nas")).await.unwrap();
    dial(&transport).await;
    accept(&mut listener).await;
}

#[tokio::test]
async fn nobody_listening_is_told_at_once() {
    let transport = ChannelTransport::default();
    let local = PeerId::local();
    let error = transport.dial(&name("nas"), &local).await.unwrap_err();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error}"
    );

    drop(transport.listen(&name("nas")).await.unwrap());
    let error = transport.dial(&name("nas"), &local).await.unwrap_err();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn separate_transports_do_not_see_each_other() {
    let (one, other) = (ChannelTransport::default(), ChannelTransport::default());
    let _listener = one.listen(&name("nas")).await.unwrap();
    let error = other
        .dial(&name("nas"), &PeerId::local())
        .await
        .unwrap_err();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error}"
    );
    other.listen(&name("nas")).await.unwrap();
}

#[tokio::test]
async fn each_end_is_told_who_the_other_is() {
    let transport = ChannelTransport::default();
    let (nas, cam) = (peer("ed25519:nas"), peer("ed25519:cam"));
    let mut listener = transport
        .as_peer(nas.clone())
        .listen(&name("nas"))
        .await
        .unwrap();
    let near = transport
        .as_peer(cam.clone())
        .dial(&name("nas"), &nas)
        .await
        .unwrap();
    assert_eq!((near.peer, near.address.as_str()), (nas, "channel:nas"));
    assert_eq!(accept(&mut listener).await.peer, cam);

    let (near, far) = pair(ChannelOptions::default()).await;
    assert_eq!((near.peer, far.peer), (PeerId::local(), PeerId::local()));
}

#[tokio::test(start_paused = true)]
async fn somebody_unexpected_is_refused_without_a_byte() {
    let transport = ChannelTransport::default();
    let nas = transport.as_peer(peer("ed25519:nas"));
    let mut listener = nas.listen(&name("nas")).await.unwrap();
    let error = transport
        .dial(&name("nas"), &peer("ed25519:cam"))
        .await
        .unwrap_err();
    assert!(matches!(error, TransportError::Identity { .. }));
    assert_eq!(
        error.to_string(),
        "channel:nas: expected ed25519:cam, and ed25519:nas is there"
    );
    assert!(
        timeout(LONG, listener.accept()).await.is_err(),
        "a connection was made"
    );
}

#[tokio::test]
async fn a_listener_ends_when_nobody_is_left_to_dial() {
    let transport = ChannelTransport::default();
    let mut listener = transport.listen(&name("nas")).await.unwrap();
    let mut near = dial(&transport).await;
    near.stream.write_all(b"last").await.unwrap();
    drop((transport, near));
    assert_eq!(read_all(&mut accept(&mut listener).await).await, b"last");
    assert!(matches!(
        listener.accept().await,
        Err(TransportError::Closed)
    ));
}
