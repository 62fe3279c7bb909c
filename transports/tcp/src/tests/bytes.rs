//! What is written is what is read, and the end is the end.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

async fn read_all(connection: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = connection.stream.read_to_end(&mut bytes);
    soon(read).await.unwrap();
    bytes
}

#[tokio::test]
async fn who_has_ended_the_stream_writes_no_more() {
    let (mut near, mut far) = Machines::new().connect().await;
    near.stream.shutdown().await.unwrap();
    let error = near.stream.write_all(b"late").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(error.to_string(), "this end has ended the stream");
    // Ending it again is nothing new.
    near.stream.shutdown().await.unwrap();
    assert_eq!(read_all(&mut far).await, b"");
}

/// That `reader` reads `sent` and then fails, again and again.
async fn reads_and_fails(mut reader: Connection, sent: &[u8], kind: ErrorKind) {
    let mut received = vec![0; sent.len()];
    soon(reader.stream.read_exact(&mut received)).await.unwrap();
    assert!(received == sent);
    for _ in 0..3 {
        let error = soon(reader.stream.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        // What tokio says of an end that comes too soon.
        assert_ne!(error.to_string(), "early eof");
    }
}

#[tokio::test]
async fn a_stream_that_is_not_ended_does_not_read_as_ended() {
    for dialler_goes in [true, false] {
        let (near, far) = Machines::new().connect().await;
        let (mut goes, stays) = if dialler_goes {
            (near, far)
        } else {
            (far, near)
        };
        goes.stream.write_all(b"some").await.unwrap();
        goes.stream.flush().await.unwrap();
        drop(goes);
        reads_and_fails(stays, b"some", ErrorKind::UnexpectedEof).await;
    }
}

#[tokio::test]
async fn a_reset_stream_does_not_read_as_ended() {
    let (mut near, mut far) = Machines::new().connect().await;
    far.stream.write_all(b"some").await.unwrap();
    far.stream.flush().await.unwrap();
    // What is never read makes a reset of the close.
    near.stream.write_all(b"unread").await.unwrap();
    near.stream.flush().await.unwrap();
    drop(far);
    let mut four = [0; 4];
    soon(near.stream.read_exact(&mut four)).await.unwrap();
    for _ in 0..3 {
        let error = soon(near.stream.read_u8()).await.unwrap_err();
        assert_ne!(error.to_string(), "early eof");
    }
}

#[tokio::test]
async fn writing_to_an_end_that_is_gone_fails() {
    let (mut near, far) = Machines::new().connect().await;
    drop(far);
    let error = soon(async {
        loop {
            if let Err(error) = near.stream.write_all(&[0; 4096]).await {
                break error;
            }
        }
    });
    let kind = error.await.kind();
    let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(gone.contains(&kind), "{kind}");
}

#[tokio::test]
async fn a_stream_that_is_changed_on_the_way_breaks_as_a_line_does() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let between = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = endpoint(&between.local_addr().unwrap().to_string());
    let changes = Arc::new(AtomicBool::new(false));
    let changed = Arc::clone(&changes);
    tokio::spawn(async move {
        let (mut near, _) = between.accept().await.unwrap();
        let mut far = TcpStream::connect(at.as_str()).await.unwrap();
        let ((mut near_read, mut near_write), (mut far_read, mut far_write)) =
            (near.split(), far.split());
        let up = async {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = near_read.read(&mut chunk).await {
                chunk[count - 1] ^= u8::from(changed.load(Ordering::SeqCst));
                far_write.write_all(&chunk[..count]).await?;
            }
            io::Result::Ok(())
        };
        tokio::join!(up, tokio::io::copy(&mut far_read, &mut near_write))
    });
    let (near, far) = tokio::join!(machines.dial(&through), prove(&mut listener));
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    far.stream.write_all(b"some").await.unwrap();
    far.stream.flush().await.unwrap();
    let mut four = [0; 4];
    soon(near.stream.read_exact(&mut four)).await.unwrap();

    changes.store(true, Ordering::SeqCst);
    near.stream.write_all(b"asked").await.unwrap();
    near.stream.flush().await.unwrap();

    // The other end sees it, and says so.
    for end in [&mut far, &mut near] {
        let error = soon(end.stream.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
        assert_eq!(error.to_string(), "what came was damaged on the way");
    }
}
