use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc as blocking};

use prometheus::IntCounter;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet, yield_now};
use tokio::time::{Instant, advance};

use super::*;

/// What a connection holds on its way, in either direction.
const ON_ITS_WAY: usize = 64 << 10;
/// A request as Prometheus sends it.
const SCRAPE: &str = "GET /metrics HTTP/1.1\r\nHost: cam:9772\r\nUser-Agent: Prometheus/2.42.0\r\n\
                      Accept: text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\nAccept-Encoding: gzip\r\n\r\n";
/// A request of whoever asks whether the program is there.
const PROBE: &str = "GET /healthz HTTP/1.1\r\nHost: cam:9772\r\n\r\n";

/// Connections, and failures, as a test makes them.
struct Queue(mpsc::Receiver<io::Result<DuplexStream>>);

impl Accept for Queue {
    type Stream = DuplexStream;

    fn poll_accept(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(DuplexStream, SocketAddr)>> {
        match self.0.poll_recv(context) {
            Poll::Ready(Some(next)) => {
                Poll::Ready(next.map(|stream| (stream, ([192, 0, 2, 1], 1).into())))
            }
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// An endpoint, until it is dropped.
struct Served {
    queue: mpsc::Sender<io::Result<DuplexStream>>,
    serving: AbortHandle,
}

impl Served {
    fn new(registry: Registry) -> Self {
        let (queue, connections) = mpsc::channel(256);
        let serving = tokio::spawn(async move {
            let page = Page::of(registry);
            match accept_all(Queue(connections), &page).await {}
        });
        Self {
            queue,
            serving: serving.abort_handle(),
        }
    }

    async fn fail(&self, code: rustix::io::Errno) {
        self.queue.send(Err(code.into())).await.unwrap();
    }

    /// A connection that holds so many bytes.
    async fn dial_narrow(&self, bytes: usize) -> DuplexStream {
        let (near, far) = duplex(bytes);
        self.queue.send(Ok(far)).await.unwrap();
        near
    }

    async fn dial(&self) -> DuplexStream {
        self.dial_narrow(ON_ITS_WAY).await
    }

    /// All that is answered to `request` on a connection of its own.
    async fn ask(&self, request: &str) -> String {
        let mut stream = self.dial().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn rest(stream: &mut DuplexStream) -> String {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    String::from_utf8(all).unwrap()
}

/// Status, head and body of an answer.
#[track_caller]
fn parts(answer: &str) -> (&str, &str, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").expect(answer);
    let (status, head) = head.split_once("\r\n").unwrap();
    (status.strip_prefix("HTTP/1.1 ").expect(status), head, body)
}

/// A registry with a counter that stands at 3.
fn registry() -> Registry {
    let registry = Registry::new();
    let counter = IntCounter::new("moved_total", "What was moved.").unwrap();
    counter.inc_by(3);
    registry.register(Box::new(counter)).unwrap();
    registry
}

const PAGE: &str =
    "# HELP moved_total What was moved.\n# TYPE moved_total counter\nmoved_total 3\n";

/// A collector that does as it is told each time.
struct Told<F> {
    desc: Desc,
    collect: F,
}

impl<F: Fn() + Send + Sync> Told<F> {
    fn new(collect: F) -> Self {
        let desc = Desc::new("told".into(), "Nothing.".into(), Vec::new(), HashMap::new()).unwrap();
        Self { desc, collect }
    }
}

impl<F: Fn() + Send + Sync> Collector for Told<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        (self.collect)();
        Vec::new()
    }
}

/// How long a collector hangs at most: a test that is about to fail is to do so.
const HANGING: Duration = Duration::from_secs(10);

/// A collector that hangs until it is told to go on, or nobody can tell it any more; not twice for
/// long.
fn hanging() -> (Registry, blocking::Sender<()>, Arc<AtomicUsize>) {
    let registry = registry();
    let (go_on, told) = blocking::channel();
    let entered = Arc::new(AtomicUsize::new(0));
    let (told, counted) = (Mutex::new(Some(told)), Arc::clone(&entered));
    let collector = Told::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let mut told = told.lock().unwrap();
        let went_on = |told: &blocking::Receiver<()>| told.recv_timeout(HANGING).is_ok();
        if !told.as_ref().is_none_or(went_on) {
            *told = None;
        }
    });
    registry.register(Box::new(collector)).unwrap();
    (registry, go_on, entered)
}

/// Has everything happen that happens without time passing.
async fn settle() {
    for _ in 0..1000 {
        yield_now().await;
    }
}

#[rstest]
#[case::page("GET /metrics HTTP/1.1", "200 OK", PAGE)]
#[case::page_with_a_query("GET /metrics?collect=all HTTP/1.1", "200 OK", PAGE)]
#[case::page_by_a_whole_url("GET http://cam:9772/metrics HTTP/1.1", "200 OK", PAGE)]
#[case::head_of_the_page("HEAD /metrics HTTP/1.1", "200 OK", "")]
#[case::health("GET /healthz HTTP/1.1", "200 OK", "ok")]
#[case::head_of_health("HEAD /healthz HTTP/1.1", "200 OK", "")]
#[case::root("GET / HTTP/1.1", "404 Not Found", "there are /metrics and /healthz\n")]
#[case::below(
    "GET /metrics/ HTTP/1.1",
    "404 Not Found",
    "there are /metrics and /healthz\n"
)]
#[case::longer(
    "GET /metricsx HTTP/1.1",
    "404 Not Found",
    "there are /metrics and /healthz\n"
)]
#[case::upwards(
    "GET /../metrics HTTP/1.1",
    "404 Not Found",
    "there are /metrics and /healthz\n"
)]
#[case::post_elsewhere(
    "POST /x HTTP/1.1",
    "404 Not Found",
    "there are /metrics and /healthz\n"
)]
#[case::post(
    "POST /metrics HTTP/1.1",
    "405 Method Not Allowed",
    "there are GET and HEAD\n"
)]
#[case::put(
    "PUT /healthz HTTP/1.1",
    "405 Method Not Allowed",
    "there are GET and HEAD\n"
)]
#[case::odd(
    "NONSENSE /metrics HTTP/1.1",
    "405 Method Not Allowed",
    "there are GET and HEAD\n"
)]
#[tokio::test(start_paused = true)]
async fn answers(#[case] line: &str, #[case] status: &str, #[case] body: &str) {
    let served = Served::new(registry());
    let answer = served.ask(&format!("{line}\r\nHost: cam\r\n\r\n")).await;
    let (got, head, text) = parts(&answer);
    assert_eq!((got, text), (status, body), "{answer}");
    let has = |field: &str| head.lines().any(|line| line == field);
    let page = line.contains("/metrics") && status == "200 OK";
    let kind = match page {
        true => "content-type: text/plain; version=0.0.4; charset=utf-8",
        false => "content-type: text/plain; charset=utf-8",
    };
    assert!(has(kind), "{answer}");
    assert_eq!(
        has("allow: GET, HEAD"),
        status.starts_with("405"),
        "{answer}"
    );
    assert!(has("connection: close"), "{answer}");
    if line.starts_with("HEAD") {
        let length = if page { PAGE.len() } else { 2 };
        assert!(has(&format!("content-length: {length}")), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_speaks_an_older_version_is_answered() {
    let served = Served::new(registry());
    let answer = served.ask("GET /metrics HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(PAGE), "{answer}");
}

/// As a pipe into a program that knows no HTTP does.
#[tokio::test(start_paused = true)]
async fn who_ends_its_half_is_answered() {
    let served = Served::new(registry());
    let mut stream = served.dial().await;
    stream.write_all(SCRAPE.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(rest(&mut stream).await.ends_with(PAGE));
}

#[rstest]
#[case::no_http("hello\r\n\r\n")]
#[case::tls("\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03")]
#[case::newer_version("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]
#[case::two_lengths("GET /metrics HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")]
#[case::nothing("")]
#[tokio::test(start_paused = true)]
async fn nonsense_gets_no_page(#[case] request: &str) {
    let served = Served::new(registry());
    let started = Instant::now();
    let answer = served.ask(request).await;
    assert!(!answer.contains("moved_total"), "{answer}");
    assert!(started.elapsed() <= REQUEST, "{:?}", started.elapsed());
    assert!(served.ask(SCRAPE).await.ends_with(PAGE));
}

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
async fn a_connection_carries_one_request() {
    let served = Served::new(registry());
    let started = Instant::now();
    let answer = served.ask(&[SCRAPE, PROBE, PROBE].concat()).await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert!(answer.ends_with(PAGE), "{answer}");
    let kept = "GET /healthz HTTP/1.1\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(parts(&served.ask(kept).await).2, "ok");
    assert_eq!(started.elapsed(), Duration::ZERO);
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
async fn a_collector_that_hangs_leaves_the_endpoint_answerable() {
    let (registry, go_on, entered) = hanging();
    let served = Arc::new(Served::new(registry));
    let scrape = || {
        let served = Arc::clone(&served);
        tokio::spawn(async move { served.ask(SCRAPE).await })
    };
    let first = scrape();
    settle().await;
    assert_eq!(parts(&served.ask(PROBE).await).2, "ok");
    assert!(!first.is_finished());

    // Time does not pass by itself while a thread is blocked.
    advance(GATHERING).await;
    let answer = first.await.unwrap();
    let (status, _, body) = parts(&answer);
    assert_eq!(status, "503 Service Unavailable");
    assert_eq!(body, "gathering the metrics took longer than 5 s\n");

    // The one that hangs is the only one.
    let others = [scrape(), scrape()];
    settle().await;
    advance(GATHERING).await;
    for other in others {
        assert_eq!(parts(&other.await.unwrap()).0, "503 Service Unavailable");
    }
    assert_eq!(entered.load(Ordering::SeqCst), 1);

    drop(go_on);
    assert_eq!(parts(&served.ask(SCRAPE).await).2, PAGE);
}

#[tokio::test(start_paused = true)]
async fn who_comes_when_all_wait_for_a_page_is_answered_after_them() {
    let (registry, _go_on, _) = hanging();
    let served = Arc::new(Served::new(registry));
    let mut scrapes = JoinSet::new();
    for _ in 0..MAX_CONNECTIONS {
        let served = Arc::clone(&served);
        scrapes.spawn(async move { served.ask(SCRAPE).await });
    }
    settle().await;
    let mut probe = served.dial().await;
    probe.write_all(PROBE.as_bytes()).await.unwrap();
    settle().await;
    let started = Instant::now();
    advance(GATHERING).await;
    assert_eq!(parts(&rest(&mut probe).await).2, "ok");
    for answer in scrapes.join_all().await {
        assert_eq!(parts(&answer).0, "503 Service Unavailable");
    }
    assert!(started.elapsed() < GATHERING + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_panics_costs_one_page() {
    let registry = registry();
    let first = AtomicUsize::new(0);
    let collector = Told::new(move || {
        assert_ne!(first.fetch_add(1, Ordering::SeqCst), 0, "this is meant");
    });
    registry.register(Box::new(collector)).unwrap();
    let served = Served::new(registry);
    let answer = served.ask(SCRAPE).await;
    assert_eq!(parts(&answer).0, "500 Internal Server Error");
    assert_eq!(parts(&served.ask(SCRAPE).await).2, PAGE);
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

async fn ask_at(address: SocketAddr, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[rstest]
#[case("127.0.0.1:0")]
#[case("[::1]:0")]
#[tokio::test]
async fn it_is_there_from_the_bind_until_it_is_stopped(#[case] address: SocketAddr) {
    let endpoint = Endpoint::bind(address, registry()).await.unwrap();
    let address = endpoint.address();
    assert_ne!(address.port(), 0);
    let taken = Endpoint::bind(address, registry()).await.err().unwrap();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);

    let stop = CancellationToken::new();
    let serving = tokio::spawn(endpoint.serve(stop.clone()));
    for _ in 0..3 {
        let answer = ask_at(address, SCRAPE).await.unwrap();
        assert_eq!(parts(&answer).2, PAGE);
    }
    let mut open = TcpStream::connect(address).await.unwrap();
    stop.cancel();
    serving.await.unwrap();
    // The connection is cut, and no other is made.
    let _ = open.read_to_end(&mut Vec::new()).await;
    let refused = ask_at(address, SCRAPE).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}
