//! How much a peer can make a server hold.

use super::*;
use crate::server::session::PEER_BUDGET;
use crate::tests::doubles::{bytes, put_call, request};

/// A connection whose client shows that it is there, and reads nothing: only what was written by hand
/// goes there.
async fn floods(mut raw: Raw, calls: Vec<u8>) {
    let (_reads_nothing, mut writes) = tokio::io::split(&mut raw.stream);
    if writes.write_all(&calls).await.is_ok() {
        while writes.write_all(&[0; 8]).await.is_ok() {
            tokio::time::sleep(KEEP_ALIVE).await;
        }
    }
}

fn reads(count: u64, len: u64) -> Vec<u8> {
    let frame = |id| bytes(&request(id, read_call("a", len)));
    (0..count).flat_map(frame).collect()
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_not_read_take_so_much_memory_and_no_more() {
    let (server, doubles) = server();
    let mut tasks = Vec::new();
    // Over several sessions, which share what there is.
    for session in 1..=4 {
        for lane in 0..4 {
            let (raw, serving) = enter(&server, session, lane == 0).await;
            tasks.push((tokio::spawn(floods(raw, reads(32, MAX_BLOCK))), serving));
        }
    }
    let since = Instant::now();
    for (flood, serving) in tasks {
        // Whoever takes nothing is gone, however alive it seems.
        let error = end(serving).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{}", error.chain());
        flood.abort();
    }
    assert!(since.elapsed() <= SILENCE * 8, "{:?}", since.elapsed());
    let seen = doubles.seen.now();
    let most = PEER_BUDGET as usize + (64 << 10);
    assert!(seen.most > most / 2 && seen.most <= most, "{}", seen.most);
    doubles.seen.until(|seen| seen.held == 0).await;
}

#[tokio::test(start_paused = true)]
async fn another_peer_has_memory_of_its_own() {
    let (server, doubles) = server();
    let (raw, _serving) = enter(&server, 1, true).await;
    tokio::spawn(floods(raw, reads(32, MAX_BLOCK)));
    doubles
        .seen
        .until(|seen| seen.held > PEER_BUDGET as usize / 2)
        .await;
    let (mut other, _other) = Raw::enter(&server, "test:other", 1, true).await;
    let since = Instant::now();
    other.call(1, read_call("a", MAX_BLOCK)).await;
    assert!(other.reply().await.unwrap().message.is_ok());
    assert_eq!(since.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn requests_that_fill_the_memory_are_answered_all_the_same() {
    let (server, _doubles) = server();
    let mut tasks = Vec::new();
    for lane in 0..MAX_LANES {
        let (mut raw, _serving) = enter(&server, 1, lane == 0).await;
        tasks.push(tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(&mut raw.stream);
            let writing = async {
                for id in 0..16 {
                    let call = request(id, put_call("a", 4 << 20));
                    write.write_all(&bytes(&call)).await.unwrap();
                }
                std::future::pending::<()>().await;
            };
            let reading = async {
                let mut answered = 0;
                while answered < 16 {
                    let lengths = crate::frame::Lengths::read(&mut read, false)
                        .await
                        .unwrap()
                        .unwrap();
                    let buffers = Buffers::default();
                    let frame = crate::frame::read_frame(&mut read, lengths, &buffers).await;
                    answered += usize::from(frame.unwrap() != crate::frame::Frame::default());
                }
            };
            tokio::select! {
                () = writing => {}
                () = reading => {}
            }
        }));
    }
    let all = timeout(SILENCE, futures::future::join_all(tasks)).await;
    all.unwrap().into_iter().for_each(|done| done.unwrap());
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_given_up_give_their_memory_back() {
    let (server, doubles) = server();
    let (mut raw, _serving) = enter(&server, 1, true).await;
    // Several times what there is, each given up before it is answered.
    for id in 0..100 {
        raw.call(id, read_call("wedged", MAX_BLOCK)).await;
        doubles
            .seen
            .until(|seen| seen.begun == id as usize + 1)
            .await;
        raw.cancel(id).await;
    }
    doubles.seen.until(|seen| seen.dropped == 100).await;
    raw.call(200, read_call("a", MAX_BLOCK)).await;
    let since = Instant::now();
    assert_eq!(raw.reply().await.unwrap().request_id, 200);
    assert_eq!(since.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_server_works_on_so_many_calls_of_a_connection_at_once() {
    let (server, doubles) = server();
    let (mut raw, serving) = enter(&server, 1, true).await;
    for id in 0..=MAX_CALLS as u64 {
        raw.call(id, read_call("wedged", 1)).await;
    }
    let error = end(serving).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(doubles.seen.now().at_once, MAX_CALLS);
    doubles.seen.until(|seen| seen.dropped == MAX_CALLS).await;
}
