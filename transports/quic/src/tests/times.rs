//! What is idle, and what is gone.

use std::sync::atomic::Ordering;

use super::survival::Proxy;
use super::*;

/// The shortest idle timeout that there is.
const IDLE: u64 = 2;

fn with(keep_alive: u64) -> Machines {
    Machines::with(QuicOptions {
        keep_alive: number(keep_alive),
        idle_timeout: number(IDLE),
        ..QuicOptions::default()
    })
}

#[tokio::test]
async fn keep_alive_keeps_a_connection_on_which_nothing_is_said() {
    let (kept, other) = (with(1), with(60));
    let (mut listener, at) = kept.listen().await;
    let (mut near, mut far) = kept.meet(&mut listener, &at).await;
    // Two that are not kept alive end one after the other meanwhile.
    let (mut listener, at) = other.listen().await;
    for _ in 0..2 {
        let (mut near, _far) = other.meet(&mut listener, &at).await;
        let error = soon(near.stream.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }
    talk((&mut near, &mut far), 1000).await;
}

#[tokio::test]
async fn who_vanished_is_noticed_within_the_idle_timeout() {
    let machines = with(1);
    let (mut listener, at) = machines.listen().await;
    let proxy = Proxy::new(&at).await;
    let (mut near, mut far) = machines.meet(&mut listener, &proxy.at).await;
    talk((&mut near, &mut far), 1000).await;
    proxy.silent.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let mut byte = [0];
    let (near, far) = tokio::join!(
        soon(near.stream.read(&mut byte)),
        soon(async { far.stream.read_u8().await })
    );
    let took = began.elapsed();
    for error in [near.unwrap_err(), far.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert_eq!(chain(&error), "the connection broke: timed out");
    }
    // The packet that keeps it alive is sent in vain, and starts the time anew.
    let limit = Duration::from_secs(IDLE + 1) + Duration::from_secs(2);
    assert!(took < limit, "{took:?}");
}
