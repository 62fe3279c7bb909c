#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::sync::atomic::Ordering;

use futures::FutureExt;
use realize_core::service::MAX_BLOCK;
use rstest::rstest;
use tokio::io::{AsyncWriteExt, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::client::MAX_LANES;
use crate::link::{KEEP_ALIVE, SILENCE};
use crate::protocol::Reply;
use crate::tests::doubles::{
    self, Doubles, LONG, Raw, claim_call, connection, list_call, read_call, send_call,
};
use crate::wire::Each;

mod claims;
mod compressed;
mod hostile;
mod memory;

const PEER: &str = "test:peer";

fn server() -> (Arc<Server>, Arc<Doubles>) {
    let doubles = Doubles::new();
    (Arc::new(Server::new(Arc::clone(&doubles) as _)), doubles)
}

/// Opens a session, or joins it.
async fn enter(server: &Arc<Server>, session: u8, first: bool) -> (Raw, JoinHandle<Result<()>>) {
    Raw::enter(server, PEER, session, first).await
}

async fn end(serving: JoinHandle<Result<()>>) -> Result<()> {
    timeout(LONG, serving).await.unwrap().unwrap()
}

async fn is_answered(raw: &mut Raw, id: u64) {
    raw.call(id, list_call("a")).await;
    let reply = timeout(LONG, raw.reply()).await.unwrap().unwrap();
    assert_eq!(reply.request_id, id);
    assert!(matches!(reply.message, Ok(Reply::List(Each::Ok(_)))));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_in_order_ends_without_an_error() {
    let (server, doubles) = server();
    let (mut raw, serving) = enter(&server, 1, true).await;
    is_answered(&mut raw, 1).await;
    drop(raw);
    assert!(end(serving).await.is_ok());
    doubles.seen.until(|seen| seen.gone == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_in_the_middle_of_a_frame_ends_with_an_error() {
    let (server, doubles) = server();
    let (mut raw, serving) = enter(&server, 1, true).await;
    is_answered(&mut raw, 1).await;
    raw.stream.write_all(&[0, 0, 0, 9]).await.unwrap();
    drop(raw);
    let error = end(serving).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    doubles.seen.until(|seen| seen.gone == 1).await;
}

/// What a client says that wants `directory`; one that only asks wants none.
fn hello_about(directory: &str) -> ClientHello {
    ClientHello {
        session: doubles::id(1),
        first: true,
        features: 0,
        program: String::new(),
        directory: directory.to_owned(),
        limits: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_why_there_is_no_session() {
    let (server, _doubles) = server();
    let (mut raw, serving) = Raw::dial(&server, PEER, 1024);
    let hello = hello_about("none");
    let error = hello::greet(&mut raw.stream, &hello).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(end(serving).await.unwrap_err().kind(), ErrorKind::Forbidden);
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_is_heard_out() {
    let (server, _doubles) = server();
    let (mut raw, serving) = Raw::dial(&server, PEER, 1024);
    let hello = hello_about("none");
    hello::say(&mut raw.stream, &hello).await.unwrap();
    // More than the connection holds: it is read, and the answer is not cut off by it.
    raw.stream.write_all(&[0; 4096]).await.unwrap();
    let error = hello::hear(&mut raw.stream, 0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    // Not for ever.
    assert_eq!(end(serving).await.unwrap_err().kind(), ErrorKind::Forbidden);
}

#[tokio::test(start_paused = true)]
async fn who_only_asks_is_answered_and_opens_nothing() {
    let (server, doubles) = server();
    let (mut raw, serving) = Raw::dial(&server, PEER, 1024);
    let hello = hello_about("");
    let greeted = hello::greet(&mut raw.stream, &hello).await.unwrap();
    assert_eq!(
        greeted.granted,
        hello::Granted::Rights(vec!["all: everything".to_owned()])
    );
    assert!(end(serving).await.is_ok());
    assert_eq!(doubles.opened.load(Ordering::Relaxed), 0);
}

#[rstest]
#[case::says_nothing(b"")]
#[case::says_half(b"realize\0\x00\x01\x00")]
#[tokio::test(start_paused = true)]
async fn a_hello_that_does_not_come_is_not_waited_for(#[case] begun: &[u8]) {
    let (server, _doubles) = server();
    let (mut raw, serving) = Raw::dial(&server, PEER, 1024);
    raw.stream.write_all(begun).await.unwrap();
    let since = Instant::now();
    assert_eq!(end(serving).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(since.elapsed() < HELLO + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_ends_its_connection_alone() {
    let (server, _doubles) = server();
    let (mut first, serving) = enter(&server, 1, true).await;
    let (mut lane, _lane) = enter(&server, 1, false).await;
    let (mut other, _other) = enter(&server, 2, true).await;
    first.call(1, list_call("panics")).await;
    assert!(timeout(LONG, first.reply()).await.unwrap().is_none());
    let error = end(serving).await.unwrap_err();
    assert_eq!(error.chain(), "a call panicked");
    is_answered(&mut lane, 1).await;
    is_answered(&mut other, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_is_cancelled() {
    let (server, doubles) = server();
    let (mut raw, _serving) = enter(&server, 1, true).await;
    raw.call(1, list_call("wedged")).await;
    doubles.seen.until(|seen| seen.begun == 1).await;
    raw.cancel(1).await;
    doubles.seen.until(|seen| seen.dropped == 1).await;
    is_answered(&mut raw, 1).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_connection_cancels_its_calls() {
    let (server, doubles) = server();
    let (mut raw, serving) = enter(&server, 1, true).await;
    for id in 0..5 {
        raw.call(id, list_call("wedged")).await;
    }
    doubles.seen.until(|seen| seen.begun == 5).await;
    drop(raw);
    assert!(end(serving).await.is_ok());
    doubles
        .seen
        .until(|seen| seen.dropped == 5 && seen.gone == 1)
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_is_an_error_of_its_call_alone() {
    let (server, _doubles) = server();
    let (mut raw, _serving) = enter(&server, 1, true).await;
    raw.call(1, read_call("huge", 10)).await;
    let reply = raw.reply().await.unwrap();
    assert_eq!(reply.request_id, 1);
    let error = reply.message.unwrap_err();
    assert_eq!(error.detail, "the answer is larger than a frame may be");
    is_answered(&mut raw, 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_lane_joins_a_session_that_stands() {
    let (server, doubles) = server();
    let (raw, serving) = enter(&server, 1, true).await;
    let (mut lane, lane_serving) = enter(&server, 1, false).await;
    // The first lane may go before the others.
    drop(raw);
    end(serving).await.unwrap();
    is_answered(&mut lane, 1).await;
    drop(lane);
    end(lane_serving).await.unwrap();
    doubles.seen.until(|seen| seen.gone == 1).await;
    assert_eq!(doubles.opened.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lane_of_a_session_that_is_not_there_is_refused() {
    let (server, _doubles) = server();
    let join = async |peer: &str, session: u8| {
        let (mut raw, _serving) = Raw::dial(&server, peer, 1024);
        raw.greet(session, false).await
    };
    let over = "the session is over";
    assert_eq!(join(PEER, 1).await.unwrap_err().chain(), over);
    let (raw, serving) = enter(&server, 1, true).await;
    // Another peer's is none of this peer's.
    assert_eq!(join("test:other", 1).await.unwrap_err().chain(), over);
    assert!(join(PEER, 1).await.is_ok());
    drop(raw);
    end(serving).await.unwrap();
    let ended = async {
        while join(PEER, 1).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, ended).await.unwrap();
    assert_eq!(join(PEER, 1).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_session_has_so_many_lanes_and_a_peer_so_many_sessions() {
    let (server, _doubles) = server();
    let mut kept = Vec::new();
    for lane in 0..MAX_LANES {
        kept.push(enter(&server, 1, lane == 0).await);
    }
    let (mut raw, _serving) = Raw::dial(&server, PEER, 1024);
    let error = raw.greet(1, false).await.unwrap_err();
    assert_eq!(error.chain(), "the session has too many lanes");
    // One that goes makes room.
    kept.pop();
    tokio::time::sleep(Duration::from_secs(1)).await;
    kept.push(enter(&server, 1, false).await);

    for session in 2..=8 {
        kept.push(enter(&server, session, true).await);
    }
    let (mut raw, _serving) = Raw::dial(&server, PEER, 1024);
    let error = raw.greet(9, true).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(error.chain(), "this peer has 8 sessions already");
    // And another peer has its own.
    Raw::enter(&server, "test:other", 9, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_begins_once() {
    let (server, _doubles) = server();
    let (mut raw, _serving) = enter(&server, 1, true).await;
    let (mut again, _again) = Raw::dial(&server, PEER, 1024);
    let error = again.greet(1, true).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    is_answered(&mut raw, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_cut_is_gone_at_once() {
    let (server, doubles) = server();
    let (mut raw, serving) = enter(&server, 1, true).await;
    let (_lane, lane) = enter(&server, 1, false).await;
    let (mut other, _other) = Raw::enter(&server, "test:other", 1, true).await;
    raw.call(1, list_call("wedged")).await;
    doubles.seen.until(|seen| seen.begun == 1).await;
    let since = Instant::now();
    server.cut(|peer| peer.as_str() != PEER);
    for serving in [serving, lane] {
        let error = end(serving).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert_eq!(error.chain(), "the peer is not known any more");
    }
    assert_eq!(since.elapsed(), Duration::ZERO);
    doubles
        .seen
        .until(|seen| seen.dropped == 1 && seen.gone == 1)
        .await;
    assert!(raw.reply().await.is_none());
    is_answered(&mut other, 1).await;
    let (mut again, _serving) = Raw::dial(&server, PEER, 1024);
    assert!(again.greet(1, false).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_cut_while_its_directory_is_opened_has_it_opened_again() {
    let (server, doubles) = server();
    doubles.opens_late.store(true, Ordering::Relaxed);
    let (mut raw, serving) = Raw::dial(&server, PEER, 1024);
    let opening = async {
        while doubles.opened.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        // Whoever opens it the next time may know better.
        server.cut(|_| false);
        doubles.go.send_replace(true);
    };
    let (greeted, ()) = tokio::join!(raw.greet(1, true), opening);
    greeted.unwrap();
    assert_eq!(doubles.opened.load(Ordering::Relaxed), 2);
    drop(raw);
    end(serving).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_take_what_is_left_can_be_cut() {
    let (server, doubles) = server();
    let (mut raw, serving) = enter(&server, 1, true).await;
    for id in 0..4 {
        raw.call(id, read_call("a", MAX_BLOCK)).await;
    }
    doubles.seen.until(|seen| seen.ended == 4).await;
    server.drain();
    // What is left waits to be written.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let since = Instant::now();
    server.cut(|_| false);
    assert_eq!(end(serving).await.unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(since.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drains_answers_what_is_under_way() {
    let (server, doubles) = server();
    let (mut raw, serving) = enter(&server, 1, true).await;
    raw.call(1, list_call("waits")).await;
    raw.call(2, list_call("waits")).await;
    doubles.seen.until(|seen| seen.begun == 2).await;
    server.drain();
    tokio::time::sleep(KEEP_ALIVE).await;
    assert!(!serving.is_finished());
    // What comes now is not begun.
    raw.call(3, list_call("a")).await;
    doubles.go.send_replace(true);
    let mut answered = Vec::new();
    while let Some(reply) = raw.reply().await {
        assert!(reply.message.is_ok());
        answered.push(reply.request_id);
    }
    answered.sort();
    assert_eq!(answered, [1, 2]);
    end(serving).await.unwrap();
    assert_eq!(doubles.seen.now().begun, 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_made_while_draining_ends() {
    let (server, _doubles) = server();
    server.drain();
    let (mut raw, serving) = enter(&server, 1, true).await;
    assert!(raw.reply().await.is_none());
    end(serving).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_wedged_call_does_not_hold_back_the_others_answers() {
    let (server, doubles) = server();
    let (mut raw, serving) = enter(&server, 1, true).await;
    raw.call(1, list_call("wedged")).await;
    raw.call(2, list_call("waits")).await;
    doubles.seen.until(|seen| seen.begun == 2).await;
    server.drain();
    doubles.go.send_replace(true);
    assert_eq!(raw.reply().await.unwrap().request_id, 2);
    // It is whoever drains that says how long is long enough.
    tokio::time::sleep(SILENCE * 10).await;
    assert!(!serving.is_finished());
    serving.abort();
    doubles
        .seen
        .until(|seen| seen.dropped == 1 && seen.gone == 1)
        .await;
    assert!(raw.reply().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_future_is_dropped_is_cut() {
    let (server, doubles) = server();
    let (near, far) = duplex(1024);
    let mut raw = Raw { stream: near };
    let mut serving = server.serve(connection(PEER, far)).boxed();
    tokio::select! {
        greeted = raw.greet(1, true) => drop(greeted.unwrap()),
        _ = &mut serving => panic!("it ended"),
    }
    drop(serving);
    assert!(timeout(LONG, raw.reply()).await.unwrap().is_none());
    doubles.seen.until(|seen| seen.gone == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_falls_silent_is_taken_for_gone() {
    let (server, doubles) = server();
    let (mut raw, serving) = enter(&server, 1, true).await;
    raw.call(1, list_call("wedged")).await;
    doubles.seen.until(|seen| seen.begun == 1).await;
    let since = Instant::now();
    assert_eq!(end(serving).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(since.elapsed() <= SILENCE + Duration::from_secs(1));
    doubles.seen.until(|seen| seen.gone == 1).await;
}
