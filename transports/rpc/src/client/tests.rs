#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::sync::atomic::Ordering;

use realize_core::range::ByteRange;
use realize_core::service::{Hash, Service};
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::lane::CALLS;
use super::*;
use crate::hello;
use crate::link::SILENCE;
use crate::protocol::{Call, Reply};
use crate::server::Server;
use crate::tests::doubles::{
    self, Doubles, LONG, Served, Wire, bytes, list, path, put_of, read_of, version,
};

mod compressed;
mod greeting;
mod hostile;
mod lanes;

/// More than the calls here may go without a byte.
const PATIENCE: Duration = Duration::from_secs(600);
const BUFFER: usize = 64 << 10;

/// A client of a server of doubles.
struct Both {
    client: Client,
    wire: Arc<Wire>,
    served: Served,
    doubles: Arc<Doubles>,
}

async fn both(lanes: usize) -> Both {
    let doubles = Doubles::new();
    let server = Arc::new(Server::new(Arc::clone(&doubles) as _));
    let (wire, served) = Wire::to(&server, lanes, BUFFER);
    let client = Client::connect(wire.remote()).await.unwrap();
    Both {
        client,
        wire,
        served,
        doubles,
    }
}

/// The next connection that a client makes, with the client's hello answered.
async fn welcome(dialled: &mut UnboundedReceiver<DuplexStream>) -> DuplexStream {
    welcome_with(dialled, hello::FEATURES).await
}

/// The same, by a server of these features.
async fn welcome_with(
    dialled: &mut UnboundedReceiver<DuplexStream>,
    features: u64,
) -> DuplexStream {
    let mut far = dialled.recv().await.unwrap();
    hello::listen(&mut far).await.unwrap();
    let_in(&mut far, features).await;
    far
}

/// Answers a client's hello, as a server of these features that lets it in.
async fn let_in(far: &mut DuplexStream, features: u64) {
    let rights = Ok(hello::Granted::Rights(Vec::new()));
    hello::answer(far, features, rights).await.unwrap();
}

/// A client whose connection is the test's.
async fn by_hand(lanes: usize) -> (Client, DuplexStream, UnboundedReceiver<DuplexStream>) {
    let (wire, mut dialled) = Wire::new(lanes, BUFFER);
    let connecting = Client::connect(wire.remote());
    let (client, far) = tokio::join!(connecting, welcome(&mut dialled));
    (client.unwrap(), far, dialled)
}

#[tokio::test(start_paused = true)]
async fn so_many_calls_are_under_way_and_the_others_wait() {
    let both = both(1).await;
    let calls = (0..3 * CALLS).map(|_| both.client.read(read_of("waits", 1)));
    let calls = futures::future::join_all(calls);
    tokio::pin!(calls);
    assert!(timeout(SILENCE, &mut calls).await.is_err());
    assert_eq!(both.doubles.seen.now().begun, CALLS);
    both.doubles.go.send_replace(true);
    let answers = timeout(LONG, calls).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(both.doubles.seen.now().at_once, CALLS);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_future_is_dropped_is_cancelled_at_the_server() {
    let both = both(1).await;
    let seen = &both.doubles.seen;
    tokio::select! {
        _ = both.client.list(list("wedged")) => panic!("it ended"),
        () = seen.until(|seen| seen.begun == 1) => {}
    }
    seen.until(|seen| seen.dropped == 1).await;
    // Its place is free again.
    for _ in 0..3 * CALLS {
        let _ = timeout(Duration::from_secs(1), both.client.list(list("wedged"))).await;
    }
    seen.until(|seen| seen.dropped == 1 + 3 * CALLS).await;
    assert!(both.client.list(list("a")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gives_up_a_great_deal_breaks_no_bound() {
    let both = both(1).await;
    // What is bulky waits to be written, while the ends of calls could go before it.
    for _ in 0..10 {
        let sends = (0..CALLS).map(|_| both.client.send(doubles::send_of("wedged", 1 << 20)));
        let all = futures::future::join_all(sends);
        assert!(timeout(Duration::from_millis(1), all).await.is_err());
    }
    assert!(both.client.list(list("a")).await.is_ok());
    assert_eq!(both.wire.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_may_take_hours_while_bytes_move() {
    let both = both(1).await;
    let slow = both.client.list(list("waits"));
    let moving = async {
        for _ in 0..20 {
            tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
            both.client.read(read_of("a", 10)).await.unwrap();
        }
        both.doubles.go.send_replace(true);
    };
    let (answer, ()) = tokio::join!(slow, moving);
    assert!(answer.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_byte_is_given_up() {
    let both = both(1).await;
    let since = Instant::now();
    let error = both.client.list(list("wedged")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.chain(), "nas: no answer, and nothing sent, for 600 s");
    assert!(since.elapsed() >= PATIENCE && since.elapsed() < PATIENCE + SILENCE);
    both.doubles.seen.until(|seen| seen.dropped == 1).await;
    // The connection is alive, and stays.
    assert!(both.client.list(list("a")).await.is_ok());
    assert_eq!(both.wire.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn work_on_many_bytes_is_given_more_time() {
    let both = both(1).await;
    let size = 3600 << 20;
    let hash = Hash {
        path: path("wedged"),
        version: version(),
        size,
        range: ByteRange::new(0, size).unwrap(),
    };
    let since = Instant::now();
    let error = both.client.hash(hash).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let expected = PATIENCE + Duration::from_secs(3600);
    assert!(since.elapsed() >= expected && since.elapsed() < expected + SILENCE);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_arrives_slowly_is_progress() {
    let (client, mut far, _dialled) = by_hand(1).await;
    let trickling = async {
        doubles::read(&mut far).await.unwrap();
        let block = realize_core::service::Block::Data(vec![7; 60].into());
        let frame = hostile::reply(0, Reply::Read(Ok(block).into()));
        for byte in bytes(&frame) {
            tokio::time::sleep(SILENCE / 2).await;
            far.write_u8(byte).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let since = Instant::now();
    tokio::select! {
        block = client.read(read_of("a", 60)) => assert_eq!(block.unwrap().len(), 60),
        () = trickling => {}
    }
    assert!(since.elapsed() > PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fits_no_frame_is_refused_and_the_client_goes_on() {
    let both = both(2).await;
    let large = vec![put_of("a", 9 << 20)];
    let error = both.client.put(large).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        error.doing(),
        "nas: a request is larger than a frame may be"
    );
    assert!(both.client.list(list("a")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_fits_no_frame_is_an_error_of_its_call_alone() {
    let both = both(1).await;
    let error = both.client.read(read_of("huge", 10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        error.chain(),
        "nas: the other end could not answer: the answer is larger than a frame may be",
    );
    assert!(both.client.list(list("a")).await.is_ok());
    assert_eq!(both.wire.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_is_seen_to_close_in_order() {
    let Both {
        client,
        served,
        doubles,
        ..
    } = both(3).await;
    client.read(read_of("a", 10)).await.unwrap();
    doubles.seen.until(|seen| seen.ended == 1).await;
    timeout(LONG, client.close()).await.unwrap();
    doubles.seen.until(|seen| seen.gone == 1).await;
    let tasks = std::mem::take(&mut *served.lock().unwrap());
    for serving in tasks {
        assert!(timeout(LONG, serving).await.unwrap().unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn the_close_of_a_connection_that_is_stuck_is_bounded() {
    let (client, mut far, _dialled) = by_hand(1).await;
    let send = client.send(doubles::send_of("a", 1 << 20));
    assert!(timeout(Duration::from_secs(1), send).await.is_err());
    let since = Instant::now();
    client.close().await;
    assert!(since.elapsed() <= CLOSING + Duration::from_secs(1));
    // What it had begun to write is there, and then it ends.
    let mut rest = Vec::new();
    let _ = timeout(LONG, far.read_to_end(&mut rest)).await.unwrap();
}

/// Polls `future` so many times, as often as it can go on, and drops it.
async fn polled(times: usize, future: impl Future) {
    let mut future = Box::pin(future);
    for _ in 0..times {
        if futures::poll!(&mut future).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[rstest]
#[case(1)]
#[case(3)]
#[tokio::test(start_paused = true)]
async fn a_client_may_be_dropped_at_any_moment(#[case] lanes: usize) {
    let doubles = Doubles::new();
    let server = Arc::new(Server::new(Arc::clone(&doubles) as _));
    let (wire, served) = Wire::to(&server, lanes, 1 << 10);
    for times in 0..150 {
        let working = async {
            let client = Client::connect(wire.remote()).await.unwrap();
            let send = client.send(doubles::send_of("a", 100_000));
            let read = client.read(read_of("a", 100_000));
            let (sent, read) = tokio::join!(send, read);
            sent.unwrap();
            read.unwrap();
            client.close().await;
        };
        polled(times, working).await;
    }
    let all_gone = async {
        loop {
            let opened = doubles.opened.load(Ordering::Relaxed) as usize;
            let idle = served.lock().unwrap().iter().all(|task| task.is_finished());
            if idle && doubles.seen.now().gone == opened {
                return opened;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    assert!(timeout(SILENCE * 4, all_gone).await.unwrap() > 100);
    assert_eq!(doubles.seen.now().held, 0);
}
