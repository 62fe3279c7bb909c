use prometheus::IntCounter;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::*;

mod bounds;
mod collectors;

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
