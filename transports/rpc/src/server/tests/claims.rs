//! Who gives way to whom when a directory is taken.

use super::*;
use crate::protocol::Call;
use crate::wire::Ending;
use tarpc::Response;

/// Takes the directory; answers with what kind of error, if with one, and after how long.
async fn claim(raw: &mut Raw) -> (Option<ErrorKind>, Duration) {
    let since = Instant::now();
    raw.call(1000, claim_call()).await;
    let reply = timeout(LONG, raw.reply()).await.unwrap().unwrap();
    (refusal(reply), since.elapsed())
}

/// With what kind of error a claim was answered, if with one.
fn refusal(reply: Response<Reply>) -> Option<ErrorKind> {
    let Ok(Reply::Claim(claimed)) = reply.message else {
        panic!("an answer to a claim")
    };
    let claimed = Result::<()>::try_from(claimed).unwrap();
    claimed.err().map(|error| error.kind())
}

/// Shows that a client is there, for as long as it is polled.
async fn stays(raw: &mut Raw) {
    loop {
        raw.stream.write_all(&[0; 8]).await.unwrap();
        tokio::time::sleep(KEEP_ALIVE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_client_is_there_keeps_its_claim() {
    let (server, _doubles) = server();
    let (mut first, _first) = enter(&server, 1, true).await;
    assert_eq!(claim(&mut first).await.0, None);
    let (mut second, _second) = enter(&server, 2, true).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    tokio::select! {
        () = stays(&mut first) => panic!("it ended"),
        (error, took) = claim(&mut second) => {
            assert_eq!(error, Some(ErrorKind::Busy));
            assert!(took <= KEEP_ALIVE + Duration::from_secs(1), "{took:?}");
        }
    }
    is_answered(&mut first, 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_client_is_silent_gives_way() {
    let (server, doubles) = server();
    let (mut first, serving) = enter(&server, 1, true).await;
    assert_eq!(claim(&mut first).await.0, None);
    let (mut second, _second) = enter(&server, 2, true).await;
    let (error, took) = claim(&mut second).await;
    assert_eq!(error, None);
    assert!(took > KEEP_ALIVE * 2 && took < KEEP_ALIVE * 4, "{took:?}");
    let error = end(serving).await.unwrap_err();
    assert_eq!(error.chain(), "the session gave way to a newer one");
    assert_eq!(doubles.seen.now().gone, 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_claimed_nothing_is_in_nobodys_way() {
    let (server, _doubles) = server();
    let (mut first, serving) = enter(&server, 1, true).await;
    assert_eq!(claim(&mut first).await.0, None);
    let (mut looks, _looks) = enter(&server, 2, true).await;
    let (mut second, _second) = enter(&server, 3, true).await;
    tokio::select! {
        () = stays(&mut looks) => panic!("it ended"),
        (error, _) = claim(&mut second) => assert_eq!(error, None),
    }
    let error = end(serving).await.unwrap_err();
    assert_eq!(error.chain(), "the session gave way to a newer one");
    is_answered(&mut looks, 1).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_given_back_is_in_nobodys_way() {
    let (server, doubles) = server();
    let (mut first, _first) = enter(&server, 1, true).await;
    assert_eq!(claim(&mut first).await.0, None);
    first
        .call(
            2,
            Call::Release {
                ending: Ending::Clean,
            },
        )
        .await;
    assert!(timeout(LONG, first.reply()).await.unwrap().is_some());
    let (mut other, _other) = Raw::enter(&server, "test:other", 1, true).await;
    assert_eq!(claim(&mut other).await.0, None);
    // Whoever has it is no session of the same peer.
    let (mut second, _second) = enter(&server, 2, true).await;
    let (error, took) = claim(&mut second).await;
    assert_eq!((error, took), (Some(ErrorKind::Busy), Duration::ZERO));
    assert_eq!(doubles.seen.now().gone, 0);
}

#[tokio::test(start_paused = true)]
async fn one_lane_that_is_heard_is_enough() {
    let (server, _doubles) = server();
    let (mut first, _first) = enter(&server, 1, true).await;
    let (mut lane, _lane) = enter(&server, 1, false).await;
    assert_eq!(claim(&mut first).await.0, None);
    let (mut second, _second) = enter(&server, 2, true).await;
    tokio::select! {
        () = stays(&mut lane) => panic!("it ended"),
        (error, _) = claim(&mut second) => assert_eq!(error, Some(ErrorKind::Busy)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_just_ended_is_waited_for() {
    let (server, doubles) = server();
    let (mut first, serving) = enter(&server, 1, true).await;
    assert_eq!(claim(&mut first).await.0, None);
    // Something of it is still at work when its connection is gone.
    let held = doubles.hold();
    drop(first);
    end(serving).await.unwrap();
    let (mut second, _second) = enter(&server, 2, true).await;
    let release = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        drop(held);
    };
    let ((error, took), ()) = tokio::join!(claim(&mut second), release);
    assert_eq!(error, None);
    assert!(took >= Duration::from_secs(4) && took < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_does_not_come_back_is_not_waited_for_forever() {
    let (server, doubles) = server();
    let (mut first, serving) = enter(&server, 1, true).await;
    assert_eq!(claim(&mut first).await.0, None);
    let _held = doubles.hold();
    drop(first);
    end(serving).await.unwrap();
    let (mut second, _second) = enter(&server, 2, true).await;
    let since = Instant::now();
    second.call(1, claim_call()).await;
    let reply = loop {
        match timeout(KEEP_ALIVE, second.reply()).await {
            Ok(reply) => break reply.unwrap(),
            // It is there, and waits.
            Err(_) => second.stream.write_all(&[0; 8]).await.unwrap(),
        }
    };
    assert_eq!(refusal(reply), Some(ErrorKind::Busy));
    let took = since.elapsed();
    assert!(took > Duration::from_secs(590), "{took:?}");
    assert!(took < Duration::from_secs(610), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn another_peers_session_is_not_waited_for() {
    let (server, _doubles) = server();
    let (mut first, _first) = Raw::enter(&server, "test:other", 1, true).await;
    assert_eq!(claim(&mut first).await.0, None);
    let (mut second, _second) = enter(&server, 1, true).await;
    let (error, took) = claim(&mut second).await;
    assert_eq!(error, Some(ErrorKind::Busy));
    assert_eq!(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_given_up_waits_no_longer() {
    let (server, _doubles) = server();
    let (mut first, serving) = enter(&server, 1, true).await;
    assert_eq!(claim(&mut first).await.0, None);
    let (mut second, _second) = enter(&server, 2, true).await;
    second.call(1, claim_call()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    second.cancel(1).await;
    // The first would have given way by now, and is only taken for gone later.
    let since = Instant::now();
    let error = end(serving).await.unwrap_err();
    assert!(
        error.chain().contains("nothing was heard"),
        "{}",
        error.chain()
    );
    assert!(since.elapsed() > SILENCE / 2);
}
