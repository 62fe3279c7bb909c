//! How many lanes there are, and what becomes of those that break.

use realize_core::transport::FAR;

use super::*;
use crate::client::lanes::REDIAL;
use crate::client::service::MAX_WINDOW;

const HOUR: Duration = Duration::from_secs(3600);
/// Long enough for what needs no pause, and shorter than the silence that ends a connection.
const SETTLING: Duration = Duration::from_secs(1);
/// Long enough for whatever is to be dialled.
const SETTLED: Duration = Duration::from_secs(60);

impl Both {
    /// Something bulky, which is reason for more lanes.
    async fn work(&self) {
        self.client.read(read_of("a", 10)).await.unwrap();
    }

    fn lanes(&self) -> usize {
        let alive = self.client.lanes.alive.read().unwrap();
        alive.iter().filter(|lane| lane.is_alive()).count()
    }

    /// Ends connections at the server.
    fn cut(&self, which: std::ops::Range<usize>) {
        self.served
            .lock()
            .unwrap()
            .drain(which)
            .for_each(|serving| serving.abort());
    }
}

#[rstest]
#[case(1, 1)]
#[case(4, 4)]
#[case(100, MAX_LANES)]
#[tokio::test(start_paused = true)]
async fn there_are_as_many_lanes_as_the_transport_says_within_a_bound(
    #[case] said: usize,
    #[case] expected: usize,
) {
    let both = both(said).await;
    // What is urgent alone needs no more than one.
    both.client.list(list("a")).await.unwrap();
    tokio::time::sleep(HOUR).await;
    assert_eq!((both.wire.dials(), both.lanes()), (1, 1));
    both.work().await;
    tokio::time::sleep(HOUR).await;
    assert_eq!((both.wire.dials(), both.lanes()), (expected, expected));
    both.work().await;
    tokio::time::sleep(HOUR).await;
    assert_eq!(both.wire.dials(), expected);
    assert_eq!(both.doubles.opened.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn bulky_calls_are_spread_over_the_lanes() {
    let both = both(4).await;
    both.work().await;
    tokio::time::sleep(SETTLED).await;
    let calls = (0..4 * CALLS).map(|_| both.client.read(read_of("waits", 1)));
    let calls = futures::future::join_all(calls);
    tokio::pin!(calls);
    assert!(timeout(SILENCE, &mut calls).await.is_err());
    assert_eq!(both.doubles.seen.now().at_once, 4 * CALLS);
    both.doubles.go.send_replace(true);
    assert!(calls.await.iter().all(Result::is_ok));
}

#[rstest]
#[case::they_come(true)]
#[case::they_do_not_come(false)]
#[tokio::test(start_paused = true)]
async fn while_others_are_made_a_lane_gets_no_more_than_its_share(#[case] they_come: bool) {
    let (wire, mut dialled) = Wire::at(FAR, 4, BUFFER);
    let client = Client::connect(wire.remote()).await.unwrap();
    let _first = welcome(&mut dialled).await;
    let loads = || -> Vec<usize> {
        let alive = client.lanes.alive.read().unwrap();
        alive.iter().map(|lane| lane.load()).collect()
    };
    let reads = (0..MAX_WINDOW).map(|_| client.read(read_of("a", 1)));
    let reads = futures::future::join_all(reads);
    tokio::pin!(reads);
    assert!(timeout(SETTLING, &mut reads).await.is_err());
    assert_eq!(loads(), [MAX_WINDOW / 4]);
    if they_come {
        let mut others = Vec::new();
        for _ in 0..3 {
            others.push(welcome(&mut dialled).await);
        }
        assert!(timeout(SETTLING, &mut reads).await.is_err());
        assert_eq!(loads(), [MAX_WINDOW / 4; 4]);
    } else {
        dialled.close();
        while dialled.try_recv().is_ok() {}
        assert!(timeout(SETTLING, &mut reads).await.is_err());
        assert_eq!(loads(), [MAX_WINDOW]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_lane_goes_when_any_call_ends() {
    // So many lanes that the share of each is one call.
    let (wire, mut dialled) = Wire::at(FAR, MAX_WINDOW, BUFFER);
    let client = Client::connect(wire.remote()).await.unwrap();
    let _first = welcome(&mut dialled).await;
    let load = || client.lanes.alive.read().unwrap()[0].load();
    let given_up = async {
        let listing = timeout(SETTLING, client.list(list("a"))).await;
        assert!(listing.is_err());
        assert_eq!(load(), 0);
        tokio::time::sleep(SETTLING / 2).await;
        load()
    };
    let reading = timeout(SETTLING * 2, client.read(read_of("a", 1)));
    let (load, _) = tokio::join!(given_up, reading);
    assert_eq!(load, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_breaks_is_made_anew() {
    let both = both(3).await;
    both.work().await;
    tokio::time::sleep(SETTLED).await;
    for broken in 1..=50 {
        both.cut(0..1);
        tokio::time::sleep(SETTLED).await;
        assert_eq!((both.lanes(), both.wire.dials()), (3, 3 + broken));
        both.work().await;
    }
    // Nothing is kept of those that broke.
    assert!(both.client.lanes.tasks.lock().unwrap().len() <= 4);
    assert_eq!(both.doubles.opened.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_is_asked_again_on_another_lane() {
    let both = both(2).await;
    both.work().await;
    tokio::time::sleep(SETTLED).await;
    let seen = &both.doubles.seen;
    let call = both.client.list(list("waits"));
    let cutting = async {
        seen.until(|seen| seen.begun == 2).await;
        both.cut(0..1);
        seen.until(|seen| seen.begun == 3).await;
        both.doubles.go.send_replace(true);
    };
    let (answer, ()) = tokio::join!(call, cutting);
    assert!(answer.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_more_lanes_is_dialled_less_and_less() {
    let both = both(4).await;
    both.wire.refuses.store(true, Ordering::Relaxed);
    both.work().await;
    tokio::time::sleep(HOUR).await;
    let dials = both.wire.dials();
    assert!((100..=130).contains(&dials), "{dials}");
    both.work().await;
    // As soon as it can be had there is one.
    both.wire.refuses.store(false, Ordering::Relaxed);
    tokio::time::sleep(REDIAL.1).await;
    assert_eq!(both.lanes(), 4);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_client_that_was_dropped() {
    let both = both(4).await;
    both.wire.refuses.store(true, Ordering::Relaxed);
    both.work().await;
    tokio::time::sleep(HOUR).await;
    let lanes = Arc::downgrade(&both.client.lanes);
    let dials = both.wire.dials();
    drop(both.client);
    both.doubles.seen.until(|seen| seen.gone == 1).await;
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!(lanes.strong_count(), 0);
    assert_eq!(both.wire.dials(), dials);
}

#[tokio::test(start_paused = true)]
async fn a_client_dropped_while_it_dials_lets_go() {
    let (client, mut far, mut dialled) = by_hand(2).await;
    let answering = async {
        doubles::read(&mut far).await.unwrap();
        let block = realize_core::service::Block::Hole(1);
        let frame = hostile::reply(0, Reply::Read(Ok(block).into()));
        doubles::write(&mut far, &frame).await;
    };
    let (read, ()) = tokio::join!(client.read(read_of("a", 1)), answering);
    read.unwrap();
    let mut second = dialled.recv().await.unwrap();
    let lanes = Arc::downgrade(&client.lanes);
    drop(client);
    for far in [&mut far, &mut second] {
        let mut rest = Vec::new();
        timeout(LONG, far.read_to_end(&mut rest))
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!(lanes.strong_count(), 0);
}

#[rstest]
#[case(1)]
#[case(2)]
#[case(4)]
#[tokio::test(start_paused = true)]
async fn the_end_of_all_lanes_is_the_end(#[case] lanes: usize) {
    let both = both(lanes).await;
    both.work().await;
    tokio::time::sleep(HOUR).await;
    both.cut(0..lanes);
    for _ in 0..3 {
        // Also while it was not looked at.
        tokio::time::sleep(HOUR).await;
        let error = both.client.list(list("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        let text = "nas: the other end closed the connection";
        assert_eq!(error.chain(), text);
    }
    assert_eq!(both.wire.dials(), lanes);
    both.doubles.seen.until(|seen| seen.gone == 1).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_last_lane_is_the_end_though_another_is_being_made() {
    let (client, mut far, mut dialled) = by_hand(2).await;
    let call = client.read(read_of("a", 1));
    let ending = async {
        doubles::read(&mut far).await.unwrap();
        let mut second = dialled.recv().await.unwrap();
        hello::listen(&mut second).await.unwrap();
        drop(far);
        tokio::time::sleep(Duration::from_secs(1)).await;
        // It is welcome, but late.
        let _ = hello::answer(&mut second, 0, Ok(hello::Granted::Rights(Vec::new()))).await;
        second
    };
    let (error, mut second) = tokio::join!(call, ending);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Network);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let error = client.list(list("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
    }
    let mut rest = Vec::new();
    timeout(LONG, second.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(rest, b"");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_breaks_every_lane_is_given_up() {
    let both = both(4).await;
    both.work().await;
    tokio::time::sleep(SETTLED).await;
    let error = timeout(LONG, both.client.list(list("panics"))).await;
    assert_eq!(error.unwrap().unwrap_err().kind(), ErrorKind::Network);
    assert!(both.doubles.seen.now().begun <= 1 + LOSSES);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drains_ends_the_client() {
    let doubles = Doubles::new();
    let server = Arc::new(Server::new(Arc::clone(&doubles) as _));
    let (wire, _served) = Wire::to(&server, 3, BUFFER);
    let client = Client::connect(wire.remote()).await.unwrap();
    client.read(read_of("a", 1)).await.unwrap();
    let waits = client.list(list("waits"));
    let draining = async {
        doubles.seen.until(|seen| seen.begun == 2).await;
        server.drain();
        doubles.go.send_replace(true);
    };
    let (answer, ()) = tokio::join!(waits, draining);
    assert!(answer.is_ok());
    let error = client.list(list("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
}
