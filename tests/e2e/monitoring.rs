//! The real Prometheus, its Pushgateway, and promtool, as Debian has them.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::wait_until;

/// How long a server may take to be ready, and Prometheus to see what it scrapes every second.
const SOON: Duration = Duration::from_secs(60);
/// How long one HTTP answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How often a server is started: between finding a free port and listening there, another may come.
const TRIES: usize = 3;
/// What names of metrics that promtool would have named otherwise begin with: they are fixed.
const FIXED: &str = "realize_move_";

/// An address of this machine where nobody listens.
pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// The status and the body that a GET is answered with; `None` if nobody listens there.
pub(crate) fn get(address: &str, path: &str) -> Option<(u16, String)> {
    ask(address, &format!("GET {path}"), "")
}

/// The same for any request, whose first line this is but for the version.
pub(crate) fn ask(address: &str, line: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = match TcpStream::connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return None,
        stream => stream.unwrap(),
    };
    stream.set_read_timeout(Some(ANSWER)).unwrap();
    let length = body.len();
    // In this version an answer has no chunks, and ends with the connection.
    let head = format!("{line} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
    let status = head.split(' ').nth(1).expect(head).parse().expect(head);
    Some((status, body.to_owned()))
}

/// Starts a program of Debian's.
fn spawn(program: &str, package: &str, command: &mut Command) -> Child {
    match command.spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("{program} is not installed; as root: apt-get install {package}")
        }
        child => child.unwrap_or_else(|error| panic!("{program}: {error}")),
    }
}

/// A server that runs, in a directory of its own; dropping it kills it.
struct Server {
    child: Child,
    address: String,
    directory: TempDir,
}

impl Server {
    /// Starts `program` and waits until it is ready. `prepare` is told the directory and has the
    /// arguments besides where to listen.
    fn start(program: &str, package: &str, prepare: impl Fn(&Path) -> Vec<String>) -> Self {
        for _ in 0..TRIES {
            let directory = tempfile::tempdir().unwrap();
            let address = free_address();
            let log = fs::File::create(directory.path().join("log")).unwrap();
            let mut command = Command::new(program);
            command
                .arg(format!("--web.listen-address={address}"))
                .args(prepare(directory.path()))
                .current_dir(directory.path())
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log);
            let mut server = Self {
                child: spawn(program, package, &mut command),
                address,
                directory,
            };
            let mut ended = false;
            wait_until(program, SOON, || {
                ended = server.child.try_wait().unwrap().is_some();
                ended || get(&server.address, "/-/ready").is_some_and(|(status, _)| status == 200)
            });
            if !ended {
                return server;
            }
            eprintln!("{program} ended: {}", server.log());
        }
        panic!("{program} did not start {TRIES} times");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Prometheus that scrapes.
pub(crate) struct Prometheus(Server);

impl Prometheus {
    /// Starts one that scrapes these addresses every second. What they are asked for is `/metrics`.
    pub(crate) fn scraping(targets: &[&str]) -> Self {
        let targets: Vec<_> = targets.iter().map(|target| format!("{target:?}")).collect();
        let config = format!(
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n\
             scrape_configs:\n- job_name: realize\n  static_configs:\n  - targets: [{}]\n",
            targets.join(", ")
        );
        Self(Server::start("prometheus", "prometheus", |directory| {
            let file = |name: &str| -> PathBuf { directory.join(name) };
            fs::write(file("prometheus.yml"), &config).unwrap();
            vec![
                format!("--config.file={}", file("prometheus.yml").display()),
                format!("--storage.tsdb.path={}", file("data").display()),
                "--log.level=warn".to_owned(),
            ]
        }))
    }

    /// What `expression` is now; `None` if it has no value. Of several the first.
    #[track_caller]
    pub(crate) fn query(&self, expression: &str) -> Option<f64> {
        let encoded: String = expression
            .bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect();
        let path = format!("/api/v1/query?query={encoded}");
        let (status, body) = get(&self.0.address, &path).expect("Prometheus is gone");
        assert_eq!(status, 200, "{expression}: {body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        let value = answer["data"]["result"][0]["value"][1].as_str()?;
        Some(value.parse().unwrap())
    }

    /// Waits until `expression` is `value`.
    #[track_caller]
    pub(crate) fn sees(&self, expression: &str, value: f64) {
        let mut last = None;
        let end = Instant::now() + SOON;
        while last != Some(value) {
            assert!(
                Instant::now() < end,
                "{expression} is {last:?}, and not {value}: {}{}",
                get(&self.0.address, "/api/v1/targets").unwrap().1,
                self.0.log()
            );
            last = self.query(expression);
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

/// A Pushgateway.
pub(crate) struct Pushgateway(Server);

impl Pushgateway {
    pub(crate) fn start() -> Self {
        let (program, package) = ("prometheus-pushgateway", "prometheus-pushgateway");
        Self(Server::start(program, package, |_| {
            // In memory alone: a Debian would have it read and write its own.
            vec!["--persistence.file=".to_owned()]
        }))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.0.address
    }

    /// What `realize` is told to push to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// All that it has for Prometheus.
    #[track_caller]
    pub(crate) fn page(&self) -> String {
        let (status, page) = get(&self.0.address, "/metrics").expect("the Pushgateway is gone");
        assert_eq!(status, 200, "{page}");
        page
    }

    /// The samples that were pushed by the job realize, one a line.
    #[track_caller]
    pub(crate) fn pushed(&self) -> Vec<String> {
        let page = self.page();
        let of_realize = |line: &&str| !line.starts_with('#') && line.contains("job=\"realize\"");
        page.lines().filter(of_realize).map(str::to_owned).collect()
    }
}

/// Holds a page to being one that Prometheus reads, with nothing to remark on but names that are fixed.
#[track_caller]
pub(crate) fn assert_page(page: &str) {
    let (status, remarks) = promtool(page);
    let parsed = [0, 3].map(Some).contains(&status.code());
    assert!(parsed, "promtool: {status}: {remarks}\n{page}");
    for remark in remarks.lines() {
        assert!(remark.starts_with(FIXED), "promtool: {remark}\n{page}");
    }
}

/// How `promtool check metrics` ends with a page, and what it says.
fn promtool(page: &str) -> (ExitStatus, String) {
    let mut command = Command::new("promtool");
    command
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = spawn("promtool", "prometheus", &mut command);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(page.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn pages_are_told_from_what_is_none() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n";
    assert_page(good);
    assert_page(&good.replace("a_total", "realize_move_start_count"));
    for bad in ["x{\n", &good.replace("a_total", "a_count"), "a_total 1\n"] {
        let (status, remarks) = promtool(bad);
        assert!(!status.success() && !remarks.is_empty(), "{bad}: {status}");
        assert!(std::panic::catch_unwind(|| assert_page(bad)).is_err());
    }
}
