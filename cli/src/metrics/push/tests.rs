use std::collections::HashMap;
use std::net::SocketAddr;

use prometheus::IntCounter;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::exit::chain;

const PAGE: &str =
    "# HELP moved_total What was moved.\n# TYPE moved_total counter\nmoved_total 3\n";

fn registry() -> Registry {
    let registry = Registry::new();
    let counter = IntCounter::new("moved_total", "What was moved.").unwrap();
    counter.inc_by(3);
    registry.register(Box::new(counter)).unwrap();
    registry
}

#[rstest]
#[case::plain("http://gw:9091", "cam", "/metrics/job/realize/instance/cam")]
#[case::slash("http://gw/", "cam", "/metrics/job/realize/instance/cam")]
#[case::below("http://gw/push/", "cam", "/push/metrics/job/realize/instance/cam")]
#[case::encoded(
    "http://gw",
    "a b?#%é",
    "/metrics/job/realize/instance/a%20b%3F%23%25%C3%A9"
)]
#[case::lossy("http://gw", "\u{fffd}", "/metrics/job/realize/instance/%EF%BF%BD")]
#[case::with_a_slash("http://gw", "a/b?", "/metrics/job/realize/instance@base64/YS9iPw==")]
#[case::for_a_url("http://gw", "/?>", "/metrics/job/realize/instance@base64/Lz8-")]
#[case::empty("http://gw", "", "/metrics/job/realize/instance@base64/=")]
#[case::a_step("http://gw", "..", "/metrics/job/realize/instance@base64/Li4=")]
#[case::a_group("http://gw/metrics/job/x", "cam", "/metrics/job/x")]
#[case::a_group_below("http://gw/p/metrics/job/x/a/b/", "cam", "/p/metrics/job/x/a/b/")]
#[case::a_group_in_base64("http://gw/metrics/job@base64/eA", "cam", "/metrics/job@base64/eA")]
#[case::no_group(
    "http://gw/metrics",
    "cam",
    "/metrics/metrics/job/realize/instance/cam"
)]
fn a_group_is_named(#[case] url: &str, #[case] instance: &str, #[case] path: &str) {
    let target = PushTarget::parse(url, instance).unwrap();
    assert_eq!(
        target.request(String::new(), Replaces::Everything).uri(),
        path
    );
}

#[rstest]
#[case("https://gw", "without TLS")]
#[case("gw:9091", "http://")]
#[case("http://gw/ ", "percent-encoded")]
fn what_is_no_target_says_why(#[case] url: &str, #[case] why: &str) {
    let error = PushTarget::parse(url, "cam").err().unwrap().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn a_password_is_sent_and_not_shown() {
    let target = PushTarget::parse("http://me:s%3acret@gw:9091/", "cam").unwrap();
    let request = target.request(String::new(), Replaces::Everything);
    // "me:s:cret"
    assert_eq!(request.headers()[AUTHORIZATION], "Basic bWU6czpjcmV0");
    assert_eq!(request.headers()[HOST], "gw:9091");
    assert_eq!(
        target.to_string(),
        "http://gw:9091/metrics/job/realize/instance/cam"
    );
    let shown = format!("{request:?}");
    assert!(!shown.contains("bWU6"), "{shown}");
    let target = PushTarget::parse("http://gw", "cam").unwrap();
    assert!(
        !target
            .request(String::new(), Replaces::Everything)
            .headers()
            .contains_key(AUTHORIZATION)
    );
}

/// A gateway that says `answer` to the one request that it takes, and what that was.
async fn gateway(at: &str, answer: String) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind(at).await.unwrap();
    let address = listener.local_addr().unwrap();
    let taking = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut taken = Vec::new();
        while !taken.ends_with(PAGE.as_bytes()) {
            let count = stream.read_buf(&mut taken).await.unwrap();
            assert_ne!(count, 0, "{}", String::from_utf8_lossy(&taken));
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        // All that the other side has to say, so that nothing is reset under what it is told.
        let _ = stream.read_to_end(&mut Vec::new()).await;
        String::from_utf8(taken).unwrap()
    });
    (address, taking)
}

async fn push_to(answer: &str) -> (Result<(), PushError>, String) {
    push_at("127.0.0.1:0", answer).await
}

async fn push_at(at: &str, answer: &str) -> (Result<(), PushError>, String) {
    let (address, taking) = gateway(at, answer.to_owned()).await;
    let url = format!("http://me:secret@{address}");
    let target = PushTarget::parse(&url, "cam").unwrap();
    let pushed = push(&target, &registry(), Replaces::Everything).await;
    (pushed, taking.await.unwrap())
}

#[rstest]
#[case("200 OK")]
#[case("202 Accepted")]
#[case("204 No Content")]
#[tokio::test]
async fn a_page_is_put(#[case] status: &str) {
    let answer = format!("HTTP/1.1 {status}\r\n\r\n");
    let (pushed, taken) = push_to(&answer).await;
    pushed.unwrap();
    let (head, body) = taken.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, PAGE);
    let mut lines = head.lines();
    assert_eq!(
        lines.next(),
        Some("PUT /metrics/job/realize/instance/cam HTTP/1.1")
    );
    let fields: Vec<_> = lines.collect();
    for field in [
        "content-type: text/plain; version=0.0.4; charset=utf-8",
        &format!("content-length: {}", PAGE.len()),
        "authorization: Basic bWU6c2VjcmV0",
    ] {
        assert!(fields.contains(&field), "{field} in {head}");
    }
    assert!(head.contains("host: 127.0.0.1:"), "{head}");
}

#[tokio::test]
async fn a_page_is_put_over_ipv6() {
    let (pushed, taken) = push_at("[::1]:0", "HTTP/1.1 200 OK\r\n\r\n").await;
    pushed.unwrap();
    assert!(taken.contains("host: [::1]:"), "{taken}");
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let (pushed, _) = push_to("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n").await;
    pushed.unwrap();
}

#[rstest]
#[case::short(
    "400 Bad Request",
    "bad\n",
    "the gateway answered 400 Bad Request: bad"
)]
#[case::nothing(
    "503 Service Unavailable",
    "",
    "the gateway answered 503 Service Unavailable"
)]
#[case::elsewhere(
    "302 Found",
    "over there",
    "the gateway answered 302 Found: over there"
)]
#[case::hostile(
    "401 Unauthorized",
    "\u{1b}[2Jno\r\nmore",
    "the gateway answered 401 Unauthorized: \\u{1b}[2Jno\\r\\nmore"
)]
#[tokio::test]
async fn a_refusal_is_shown(#[case] status: &str, #[case] said: &str, #[case] expected: &str) {
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{said}",
        said.len()
    );
    let (pushed, _) = push_to(&answer).await;
    assert_eq!(chain(&pushed.unwrap_err()), expected);
}

#[tokio::test]
async fn of_a_long_refusal_the_beginning_is_shown() {
    let long = "x".repeat(1 << 20);
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{long}",
        long.len()
    );
    let (address, taking) = gateway("127.0.0.1:0", answer).await;
    let target = PushTarget::parse(&format!("http://{address}"), "cam").unwrap();
    let error = push(&target, &registry(), Replaces::Everything)
        .await
        .unwrap_err();
    taking.abort();
    let PushError::Refused { status, said } = error else {
        panic!("{error:?}");
    };
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(said, format!("{}…", "x".repeat(MAX_SAID)));
}

#[rstest]
#[case::closes("")]
#[case::closes_in_the_middle("HTTP/1.1 200")]
#[case::no_http("SSH-2.0-OpenSSH_9.2\r\n\r\n")]
#[case::huge_head(&format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(MAX_HEAD)))]
#[tokio::test]
async fn what_is_no_answer_is_an_error(#[case] answer: &str) {
    let (pushed, _) = push_to(answer).await;
    let error = pushed.unwrap_err();
    assert!(matches!(error, PushError::Broken(_)), "{error:?}");
    let said = format!("{} {error:?}", chain(&error));
    assert!(!said.contains("secret") && !said.contains("bWU6"), "{said}");
}

#[tokio::test]
async fn where_nobody_listens_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://me:secret@{}", listener.local_addr().unwrap());
    drop(listener);
    let target = PushTarget::parse(&url, "cam").unwrap();
    let error = push(&target, &registry(), Replaces::Everything)
        .await
        .unwrap_err();
    let said = chain(&error);
    assert!(said.starts_with("connecting to the gateway: "), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

/// The gateway's end of a connection that holds so many bytes, on which the page has begun to come,
/// and how pushing ends.
async fn pushing(bytes: usize) -> (DuplexStream, JoinHandle<Result<(), PushError>>) {
    let (near, mut far) = duplex(bytes);
    let target = PushTarget::parse("http://gw", "cam").unwrap();
    let request = target.request(PAGE.to_owned(), Replaces::Everything);
    let pushing = tokio::spawn(within_bounds(exchange(near, request)));
    let mut begun = [0; 3];
    far.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"PUT");
    (far, pushing)
}

#[rstest]
#[case::who_never_answers("")]
#[case::who_begins_to("HTTP/1.1 200 OK\r\nX-")]
#[case::who_has_the_page_wait("HTTP/1.1 100 Continue\r\n\r\n")]
#[tokio::test(start_paused = true)]
async fn who_never_answers_is_given_up(#[case] said: &str) {
    let started = Instant::now();
    let (mut gateway, pushing) = pushing(4 << 10).await;
    gateway.write_all(said.as_bytes()).await.unwrap();
    let error = pushing.await.unwrap().unwrap_err();
    assert!(matches!(error, PushError::Silent), "{error:?}");
    assert_eq!(started.elapsed(), EXCHANGE);
    drop(gateway);
}

#[tokio::test(start_paused = true)]
async fn who_never_takes_the_page_is_given_up() {
    let (gateway, pushing) = pushing(64).await;
    let error = pushing.await.unwrap().unwrap_err();
    assert!(matches!(error, PushError::Silent), "{error:?}");
    drop(gateway);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_does_not_end_is_shown_as_far_as_it_came() {
    let started = Instant::now();
    let (mut gateway, pushing) = pushing(4 << 10).await;
    let said = "HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\nbad";
    gateway.write_all(said.as_bytes()).await.unwrap();
    let error = pushing.await.unwrap().unwrap_err();
    assert_eq!(chain(&error), "the gateway answered 400 Bad Request: bad…");
    assert_eq!(started.elapsed(), REST);
    drop(gateway);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_without_end_is_not_read() {
    let started = Instant::now();
    let (mut gateway, pushing) = pushing(1 << 10).await;
    let said = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    gateway.write_all(said).await.unwrap();
    let mut taken = 0;
    while gateway.write_all(&[b'x'; 1 << 10]).await.is_ok() {
        taken += 1 << 10;
        assert!(taken < 16 << 10, "{taken} bytes were taken");
    }
    let error = pushing.await.unwrap().unwrap_err();
    assert!(matches!(error, PushError::Refused { .. }), "{error:?}");
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_cuts_the_connection() {
    let (mut gateway, pushing) = pushing(4 << 10).await;
    pushing.abort();
    let mut taken = Vec::new();
    gateway.read_to_end(&mut taken).await.unwrap();
    assert!(taken.ends_with(PAGE.as_bytes()));
}

/// Nothing is sent where there is no page.
#[tokio::test]
async fn a_collector_that_fails_is_an_error() {
    struct Panicking(Desc);

    impl Collector for Panicking {
        fn desc(&self) -> Vec<&Desc> {
            vec![&self.0]
        }

        fn collect(&self) -> Vec<MetricFamily> {
            panic!("this is meant")
        }
    }

    let desc = Desc::new("x".into(), "X.".into(), Vec::new(), HashMap::new()).unwrap();
    let registry = registry();
    registry.register(Box::new(Panicking(desc))).unwrap();
    let target = PushTarget::parse("http://gw.invalid", "cam").unwrap();
    let error = push(&target, &registry, Replaces::Everything)
        .await
        .unwrap_err();
    assert!(
        matches!(error, PushError::Page(PageError::Panicked)),
        "{error:?}"
    );
}

#[test]
fn what_is_replaced_is_in_the_method() {
    let target = PushTarget::parse("http://gateway", "cam").unwrap();
    for (replaces, method) in [
        (Replaces::Everything, Method::PUT),
        (Replaces::ItsOwn, Method::POST),
    ] {
        let request = target.request(String::new(), replaces);
        assert_eq!(*request.method(), method);
    }
}
