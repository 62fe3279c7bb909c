//! Reaching a peer, and what its answer to hello is waited for.

use realize_core::service::Ending;
use realize_core::transport::FAR;

use super::*;
use crate::client::greeting::CONNECTING;
use crate::client::service::MAX_WINDOW;
use crate::hello::Granted;

/// In real time: far longer than what is here may take, and shorter than the patience for a call.
const PROMPT: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn calls_go_out_before_hello_is_answered() {
    let doubles = Doubles::new();
    let server = Arc::new(Server::new(Arc::clone(&doubles) as _));
    let (wire, mut dialled) = Wire::new(1, BUFFER);
    let client = Client::connect(wire.remote()).await.unwrap();
    let mut call = client.list(list("a"));
    // All that there is to say is on its way before the server hears of any.
    assert!(timeout(Duration::from_secs(1), &mut call).await.is_err());
    let far = doubles::connection("test:client", dialled.recv().await.unwrap());
    let serving = tokio::spawn(async move { server.serve(far).await });
    assert!(timeout(LONG, call).await.unwrap().is_ok());
    assert_eq!(client.granted().await.unwrap(), ["everything"]);
    client.close().await;
    assert!(timeout(LONG, serving).await.unwrap().unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_reaches_whoever_calls_already() {
    let doubles = Doubles::new();
    let server = Arc::new(Server::new(Arc::clone(&doubles) as _));
    let (wire, _served) = Wire::to(&server, 1, BUFFER);
    let remote = Remote {
        directory: "none".to_owned(),
        ..wire.remote()
    };
    let client = Client::connect(remote).await.unwrap();
    let error = client.list(list("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.doing().starts_with("nas (there): "), "{error}");
    assert_eq!(
        client.granted().await.unwrap_err().kind(),
        ErrorKind::Forbidden
    );
    // The peer is not asked again.
    assert!(client.list(list("a")).await.is_err());
    assert_eq!(wire.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let (wire, mut dialled) = Wire::new(1, BUFFER);
    let since = Instant::now();
    let client = Client::connect(wire.remote()).await.unwrap();
    let _far = dialled.recv().await.unwrap();
    let error = client.list(list("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.doing(), "nas (there): no connection within 20 s");
    assert!(since.elapsed() < CONNECTING + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_something_else_is_none() {
    let (wire, mut dialled) = Wire::new(1, BUFFER);
    let client = Client::connect(wire.remote()).await.unwrap();
    let mut far = dialled.recv().await.unwrap();
    let limits = Ok(Granted::Limits(crate::limits::InForce::default()));
    hello::answer(&mut far, hello::FEATURES, limits)
        .await
        .unwrap();
    let error = client.granted().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_cannot_be_reached_is_named() {
    let (wire, _dialled) = Wire::new(1, BUFFER);
    wire.refuses.store(true, Ordering::Relaxed);
    let error = Client::connect(wire.remote()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(
        error
            .chain()
            .starts_with("nas (there): connecting: there: cannot be reached")
    );
    let error = Client::ask(&wire.remote()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
}

#[rstest]
#[case::near(Duration::ZERO, 7)]
#[case::almost_far(FAR - Duration::from_millis(1), 7)]
#[case::far(FAR, MAX_WINDOW)]
#[tokio::test(start_paused = true)]
async fn more_is_on_its_way_to_a_peer_that_is_far(
    #[case] delay: Duration,
    #[case] expected: usize,
) {
    let (wire, mut dialled) = Wire::new(3, BUFFER);
    let client = Client::connect(wire.remote()).await.unwrap();
    let mut far = dialled.recv().await.unwrap();
    hello::listen(&mut far).await.unwrap();
    tokio::time::sleep(delay).await;
    let_in(&mut far, hello::FEATURES).await;
    client.granted().await.unwrap();
    assert_eq!(client.window(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_has_seen_how_far_the_peer_is_is_believed() {
    let (wire, mut dialled) = Wire::at(FAR, 3, BUFFER);
    let client = Client::connect(wire.remote()).await.unwrap();
    assert_eq!(client.window(), MAX_WINDOW);
    // The other lanes are dialled at once, and say hello when the first one has been answered.
    client.lanes.widen();
    let mut first = dialled.recv().await.unwrap();
    let mut second = dialled.recv().await.unwrap();
    hello::listen(&mut first).await.unwrap();
    let greeting = hello::listen(&mut second);
    tokio::pin!(greeting);
    assert!(
        timeout(Duration::from_secs(1), &mut greeting)
            .await
            .is_err()
    );
    let_in(&mut first, hello::FEATURES).await;
    let hello = timeout(LONG, greeting).await.unwrap().unwrap();
    assert!(!hello.first);
    assert_eq!(wire.dials(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_answers_from_nearer_than_the_peer_is_not_taken_for_it() {
    let (wire, mut dialled) = Wire::at(Duration::ZERO, 3, BUFFER);
    let client = Client::connect(wire.remote()).await.unwrap();
    client.lanes.widen();
    let mut far = dialled.recv().await.unwrap();
    hello::listen(&mut far).await.unwrap();
    tokio::time::sleep(FAR).await;
    // Whether a near peer lets this machine in is known before it is dialled again.
    assert_eq!((client.window(), wire.dials()), (7, 1));
    let_in(&mut far, hello::FEATURES).await;
    client.granted().await.unwrap();
    assert_eq!(client.window(), MAX_WINDOW);
    assert!(timeout(LONG, dialled.recv()).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_does_not_wait_for_the_answer_to_hello() {
    let (wire, mut dialled) = Wire::new(1, BUFFER);
    let client = Client::connect(wire.remote()).await.unwrap();
    let _far = dialled.recv().await.unwrap();
    let begun = Instant::now();
    client.release(Ending::Interrupted).await.unwrap();
    client.close().await;
    assert!(begun.elapsed() <= CLOSING);
}

#[tokio::test(start_paused = true)]
async fn what_was_granted_is_known_after_the_end_too() {
    let (client, far, _dialled) = by_hand(1).await;
    client.granted().await.unwrap();
    drop(far);
    assert!(client.list(list("a")).await.is_err());
    assert_eq!(client.granted().await.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_made_just_as_the_connection_ends_end_too() {
    for _ in 0..5_000 {
        let (wire, mut dialled) = Wire::new(1, BUFFER);
        let client = Arc::new(Client::connect(wire.remote()).await.unwrap());
        let far = dialled.recv().await;
        let ending = tokio::spawn(async move { drop(far) });
        let calls = (0..8).map(|_| {
            let client = Arc::clone(&client);
            tokio::spawn(async move { client.list(list("a")).await })
        });
        let called = timeout(PROMPT, futures::future::join_all(calls)).await;
        for called in called.unwrap() {
            assert_eq!(called.unwrap().unwrap_err().kind(), ErrorKind::Network);
        }
        ending.await.unwrap();
    }
}
