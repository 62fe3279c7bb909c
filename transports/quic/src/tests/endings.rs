//! How streams end.

use super::*;

#[tokio::test]
async fn what_was_sent_before_everything_was_dropped_is_read_later() {
    // Up to what a stream takes that nobody reads.
    for count in [0, 1, 1000, (1 << 20) - 1] {
        let machines = Machines::new();
        let (mut listener, at) = machines.listen().await;
        let (mut near, mut far) = machines.meet(&mut listener, &at).await;
        let sent = bytes(count);
        soon(near.stream.write_all(&sent)).await.unwrap();
        soon(near.stream.shutdown()).await.unwrap();
        let connection = machines.standing().remove(0);
        let Machines { cam, nas: _nas } = machines;
        drop((near, cam));
        soon(connection.closed()).await;
        drop(connection);
        let mut read = Vec::new();
        soon(far.stream.read_to_end(&mut read)).await.unwrap();
        assert!(read == sent, "{count}: other bytes arrived");
    }
}

#[tokio::test]
async fn the_same_holds_from_the_end_that_accepted() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let (mut near, mut far) = machines.meet(&mut listener, &at).await;
    let sent = bytes(500_000);
    soon(far.stream.write_all(&sent)).await.unwrap();
    soon(far.stream.shutdown()).await.unwrap();
    let Machines { nas, cam: _cam } = machines;
    drop((far, listener, nas));
    let mut read = Vec::new();
    soon(near.stream.read_to_end(&mut read)).await.unwrap();
    assert!(read == sent, "other bytes arrived");
}

#[tokio::test]
async fn ending_waits_for_a_reader_that_takes_its_time() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let (mut near, mut far) = machines.meet(&mut listener, &at).await;
    // More than fits on the way.
    let sent = bytes(8 << 20);
    let sending = async {
        near.stream.write_all(&sent).await.unwrap();
        near.stream.shutdown().await.unwrap();
        drop(near);
    };
    let reading = async {
        let mut read = Vec::new();
        far.stream.read_to_end(&mut read).await.unwrap();
        read
    };
    let ((), read) = soon(async { tokio::join!(sending, reading) }).await;
    assert!(read == sent, "other bytes arrived");
}

#[tokio::test]
async fn a_stream_that_was_dropped_is_given_up_and_never_ends() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let mut ends = machines.meet_often(&mut listener, &at, 8).await;
    let (mut near, mut far) = ends.pop().unwrap();
    soon(near.stream.write_all(&bytes(1000))).await.unwrap();
    drop(near);
    let mut read = Vec::new();
    let error = soon(far.stream.read_to_end(&mut read)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    assert_eq!(error.to_string(), "the other end gave the stream up");
    // The others of its connection do not notice.
    for (near, far) in &mut ends {
        talk((near, far), 1000).await;
    }
}

#[tokio::test]
async fn after_its_end_nothing_is_written() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let (mut near, mut far) = machines.meet(&mut listener, &at).await;
    soon(near.stream.shutdown()).await.unwrap();
    soon(near.stream.shutdown()).await.unwrap();
    let error = soon(near.stream.write_all(b"more")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(soon(far.stream.read(&mut [0])).await.unwrap(), 0);
    send(&mut far, &mut near, 1000).await;
}
