//! Clients that compress what they send, or say that they do.

use super::*;
use crate::frame::{Frame, Lengths, read_frame};
use crate::tests::doubles::{bytes, id, request};

/// The bytes of a frame with its payload compressed.
async fn compressed(frame: Frame) -> Vec<u8> {
    let compression = Compression::new(Buffers::default());
    let (frame, before, ()) = compression.compress(frame, ()).await.unwrap();
    assert!(before.is_some());
    let mut bytes = frame.lengths(before).to_bytes().unwrap();
    bytes.extend_from_slice(&frame.header);
    bytes.extend_from_slice(&frame.payload.concat());
    bytes
}

/// Opens a session, with compression.
async fn enter_compressing(server: &Arc<Server>) -> (Raw, JoinHandle<Result<()>>) {
    let (mut raw, serving) = Raw::dial(server, PEER, 1 << 20);
    let hello = ClientHello {
        session: id(1),
        first: true,
        features: u64::MAX,
        program: String::new(),
        directory: "inbox".to_owned(),
        limits: None,
    };
    let greeted = hello::greet(&mut raw.stream, &hello).await.unwrap();
    assert_eq!(greeted.features, hello::FEATURES);
    (raw, serving)
}

#[tokio::test(start_paused = true)]
async fn answers_are_compressed_for_who_asked_for_it() {
    let (server, _doubles) = server();
    for agreed in [true, false] {
        let (mut raw, _serving) = match agreed {
            true => enter_compressing(&server).await,
            false => enter(&server, 2, true).await,
        };
        raw.call(1, read_call("a", MAX_BLOCK)).await;
        let lengths = Lengths::read(&mut raw.stream, agreed).await;
        let lengths = lengths.unwrap().unwrap();
        let len = MAX_BLOCK as usize;
        assert_eq!(lengths.decompressed, agreed.then_some(len));
        assert_eq!(lengths.payload == len, !agreed);
        let buffers = Buffers::default();
        let frame = read_frame(&mut raw.stream, lengths, &buffers);
        assert_eq!(frame.await.unwrap().payload_len(), lengths.payload);
    }
}

#[tokio::test(start_paused = true)]
async fn who_did_not_agree_and_compresses_is_cut() {
    let (server, doubles) = server();
    let (mut raw, serving) = enter(&server, 1, true).await;
    let call = compressed(request(1, send_call("a", 1000))).await;
    raw.stream.write_all(&call).await.unwrap();
    assert_eq!(end(serving).await.unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(doubles.seen.now().begun, 0);
}

/// A few kilobytes that become more than a peer may have: they are let in as far as there is memory.
#[tokio::test(start_paused = true)]
async fn calls_count_with_their_lengths_once_decompressed() {
    let (server, doubles) = server();
    let (mut raw, _serving) = enter_compressing(&server).await;
    let most = session::PEER_BUDGET as u64 / MAX_BLOCK;
    assert!(most < MAX_CALLS as u64);
    for call in 0..MAX_CALLS as u64 {
        let call = request(call, send_call("waits", MAX_BLOCK as usize));
        let call = compressed(call).await;
        assert!(call.len() < 1000);
        raw.stream.write_all(&call).await.unwrap();
    }
    let expected = most as usize - 1;
    doubles.seen.until(|seen| seen.begun == expected).await;
    tokio::time::sleep(KEEP_ALIVE).await;
    assert_eq!(doubles.seen.now().begun, expected);
    doubles.go.send_replace(true);
    for _ in 0..MAX_CALLS {
        assert!(raw.reply().await.unwrap().message.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_bomb_ends_its_connection() {
    let (server, doubles) = server();
    let (mut raw, serving) = enter_compressing(&server).await;
    let mut call = compressed(request(1, send_call("a", MAX_BLOCK as usize))).await;
    // It is less than it becomes.
    call.splice(8..12, 1000u32.to_be_bytes());
    raw.stream.write_all(&call).await.unwrap();
    assert_eq!(end(serving).await.unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(doubles.seen.now().begun, 0);
    // And one that fits together is as any other call.
    let (mut raw, _serving) = enter_compressing(&server).await;
    let call = request(1, send_call("a", MAX_BLOCK as usize));
    raw.stream.write_all(&compressed(call).await).await.unwrap();
    raw.stream
        .write_all(&bytes(&request(2, list_call("a"))))
        .await
        .unwrap();
    for _ in 0..2 {
        assert!(raw.reply().await.unwrap().message.is_ok());
    }
}
