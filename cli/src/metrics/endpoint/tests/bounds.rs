//! Those who ask for more than they get, and for longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rstest::rstest;
use tokio::time::Instant;

use super::*;

#[rstest]
#[case::of_a_length("Content-Length: 5\r\n\r\nhello", "413 Payload Too Large")]
#[case::to_come("Content-Length: 5\r\n\r\n", "413 Payload Too Large")]
#[case::asked_for(
    "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    "413 Payload Too Large"
)]
#[case::chunked("Transfer-Encoding: chunked\r\n\r\n", "413 Payload Too Large")]
#[case::empty("Content-Length: 0\r\n\r\n", "200 OK")]
#[tokio::test(start_paused = true)]
async fn a_body_is_refused(#[case] more: &str, #[case] status: &str) {
    let served = Served::new(registry());
    let answer = served
        .ask(&format!("GET /metrics HTTP/1.1\r\n{more}"))
        .await;
    assert_eq!(parts(&answer).0, status, "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_body_without_end_is_not_read() {
    let served = Served::new(registry());
    let mut stream = served.dial_narrow(4 << 10).await;
    let head = "POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut taken = 0;
    while stream.write_all(b"400\r\n").await.is_ok()
        && stream.write_all(&[b'x'; 1026]).await.is_ok()
    {
        taken += 1024;
        assert!(taken < 64 << 10, "{taken} bytes were taken");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_has_a_bound() {
    let served = Served::new(registry());
    let padded = |bytes: usize| {
        let padding = "x".repeat(bytes);
        format!("GET /metrics HTTP/1.1\r\nX-Padding: {padding}\r\n\r\n")
    };
    let answer = served.ask(&padded(MAX_HEAD - 100)).await;
    assert_eq!(parts(&answer).0, "200 OK");
    let answer = served.ask(&padded(MAX_HEAD)).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = "X: y\r\n".repeat(1000);
    let answer = served
        .ask(&format!("GET /metrics HTTP/1.1\r\n{many}\r\n"))
        .await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_head_without_end_is_not_read() {
    let served = Served::new(registry());
    let mut stream = served.dial_narrow(1 << 10).await;
    stream.write_all(b"GET /").await.unwrap();
    let mut taken = 0;
    while stream.write_all(&[b'x'; 1 << 10]).await.is_ok() {
        taken += 1 << 10;
        assert!(taken < 16 << 10, "{taken} bytes were taken");
    }
}

#[rstest]
#[case::nothing("")]
#[case::half_a_line("GET /met")]
#[case::half_a_head("GET /metrics HTTP/1.1\r\nHost: cam\r\n")]
#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_come_is_given_up(#[case] begun: &str) {
    let served = Served::new(registry());
    let started = Instant::now();
    let answer = served.ask(begun).await;
    assert!(!answer.contains("200"), "{answer}");
    assert!(started.elapsed() >= REQUEST, "{:?}", started.elapsed());
    assert!(started.elapsed() < REQUEST + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_byte_by_byte_is_given_up() {
    let served = Served::new(registry());
    let mut stream = served.dial().await;
    let started = Instant::now();
    for byte in SCRAPE.as_bytes() {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    assert!(started.elapsed() <= REQUEST + Duration::from_secs(2));
    let mut answer = String::new();
    // What it may have said before.
    let _ = stream.read_to_string(&mut answer).await;
    assert!(!answer.contains("200"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_is_given_up() {
    let served = Served::new(registry());
    let mut stream = served.dial_narrow(32).await;
    let asking = stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n");
    asking.await.unwrap();
    sleep(CONNECTION + Duration::from_secs(1)).await;
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.0 200 OK"), "{answer}");
    assert!(answer.len() <= 32, "{answer}");
}

#[tokio::test(start_paused = true)]
async fn those_who_say_nothing_keep_nobody_out() {
    let served = Served::new(registry());
    let started = Instant::now();
    let mut silent = Vec::new();
    for i in 0..100 {
        let mut stream = served.dial().await;
        // Some have begun.
        stream.write_all(&SCRAPE.as_bytes()[..i]).await.unwrap();
        silent.push(stream);
    }
    let answer = served.ask(SCRAPE).await;
    assert_eq!(parts(&answer).2, PAGE);
    // It did not have to wait for any of them.
    assert_eq!(started.elapsed(), Duration::ZERO);

    // The youngest are there still, and are given up in their time.
    let mut youngest = silent.split_off(100 - (MAX_CONNECTIONS - 1));
    for stream in &mut silent {
        assert_eq!(rest(stream).await, "");
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    for stream in &mut youngest {
        rest(stream).await;
    }
    assert!(started.elapsed() >= REQUEST, "{:?}", started.elapsed());
    assert!(started.elapsed() < REQUEST + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_to_accept_does_not_end_it() {
    let served = Served::new(registry());
    let started = Instant::now();
    for _ in 0..3 {
        served.fail(rustix::io::Errno::MFILE).await;
    }
    assert_eq!(parts(&served.ask(SCRAPE).await).2, PAGE);
    assert_eq!(started.elapsed(), 3 * PAUSE);
}

#[tokio::test(start_paused = true)]
async fn failures_to_accept_keep_no_processor_busy() {
    struct Failing(Arc<AtomicUsize>);

    impl Accept for Failing {
        type Stream = DuplexStream;

        fn poll_accept(
            &mut self,
            _: &mut Context<'_>,
        ) -> Poll<io::Result<(DuplexStream, SocketAddr)>> {
            let tries = self.0.fetch_add(1, Ordering::SeqCst);
            assert!(tries < 100, "it spins");
            Poll::Ready(Err(rustix::io::Errno::MFILE.into()))
        }
    }

    let tries = Arc::new(AtomicUsize::new(0));
    let page = Page::of(registry());
    let accepting = accept_all(Failing(Arc::clone(&tries)), &page);
    assert!(timeout(20 * PAUSE, accepting).await.is_err());
    assert!((20..=21).contains(&tries.load(Ordering::SeqCst)));
}
