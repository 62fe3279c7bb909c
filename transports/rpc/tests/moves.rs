//! Whole moves between a client and a server, over the in-process channel.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use realize_channel::{ChannelOptions, ChannelTransport};
use realize_core::engine::{Mode, MoveOptions, Report, move_files};
use realize_core::entry::Version;
use realize_core::service::{Claim, List, Origin, Read, Role, RunId};
use realize_core::transport::{Connection, Endpoint, Listener, PeerId, Transport, TransportError};
use realize_core::{Error, ErrorKind, LocalOptions, LocalService, RelPath, Result, Service};
use realize_rpc::{Client, Directories, InForce, LimitChange, Limits, Opened, Remote, Server};
use tokio_util::sync::CancellationToken;

/// Serves one directory under one name.
#[derive(Debug)]
struct One(std::path::PathBuf);

#[async_trait]
impl Directories for One {
    async fn open(&self, peer: &PeerId, directory: &str) -> Result<Opened> {
        if directory != "inbox" {
            return Err(Error::new(
                ErrorKind::Forbidden,
                "no such directory for you",
            ));
        }
        let options = LocalOptions {
            peer: peer.clone(),
            ..LocalOptions::default()
        };
        Ok(Opened {
            service: Arc::new(LocalService::open(&self.0, options)?),
            grants: vec!["list".to_owned()],
            peer: "cam".to_owned(),
            limits: Limits::default(),
        })
    }

    fn limits(&self, _: &PeerId, _: LimitChange) -> Result<InForce> {
        Err(Error::new(ErrorKind::Forbidden, "not this peer's to know"))
    }

    fn overview(&self, peer: &PeerId) -> Vec<String> {
        vec![format!("inbox: list, for {peer}")]
    }
}

/// A transport with several lanes, which counts what it dials and can be told to fail.
#[derive(Debug)]
struct Counted {
    inner: ChannelTransport,
    lanes: usize,
    dialled: AtomicUsize,
    /// Aborts the serving of connections.
    serving: Mutex<Vec<tokio::task::AbortHandle>>,
}

#[async_trait]
impl Transport for Counted {
    async fn dial(
        &self,
        at: &Endpoint,
        peer: &PeerId,
    ) -> std::result::Result<Connection, TransportError> {
        self.dialled.fetch_add(1, Ordering::Relaxed);
        self.inner.dial(at, peer).await
    }

    async fn listen(
        &self,
        at: &Endpoint,
    ) -> std::result::Result<Box<dyn Listener>, TransportError> {
        self.inner.listen(at).await
    }

    fn lanes(&self, _delay: Duration) -> NonZeroUsize {
        NonZeroUsize::new(self.lanes).unwrap()
    }
}

/// A server of `root` at the endpoint `nas`.
async fn serve(transport: &Arc<Counted>, root: &Path) -> Arc<Server> {
    let server = Arc::new(Server::new(Arc::new(One(root.to_owned()))));
    let mut listener = transport
        .listen(&Endpoint::new("nas").unwrap())
        .await
        .unwrap();
    let (serving, accepted) = (Arc::clone(&server), Arc::clone(transport));
    tokio::spawn(async move {
        while let Ok(handshake) = listener.accept().await {
            let server = Arc::clone(&serving);
            let task = tokio::spawn(async move {
                if let Ok(connection) = handshake.await {
                    let _ = server.serve(connection).await;
                }
            });
            accepted.serving.lock().unwrap().push(task.abort_handle());
        }
    });
    server
}

fn transport(lanes: usize) -> Arc<Counted> {
    Arc::new(Counted {
        inner: ChannelTransport::new(ChannelOptions::default()),
        lanes,
        dialled: AtomicUsize::new(0),
        serving: Mutex::default(),
    })
}

async fn connect(transport: &Arc<Counted>, directory: &str) -> Result<Client> {
    let transport: Arc<dyn Transport> = Arc::clone(transport) as _;
    let client = Client::connect(Remote {
        name: "nas".to_owned(),
        peer: PeerId::local(),
        transport,
        endpoint: Endpoint::new("nas").unwrap(),
        directory: directory.to_owned(),
        limits: Limits::default(),
        compress: false,
    })
    .await?;
    client.granted().await?;
    Ok(client)
}

fn local(root: &Path) -> Arc<dyn Service> {
    Arc::new(LocalService::open(root, LocalOptions::default()).unwrap())
}

async fn moved(source: Arc<dyn Service>, destination: Arc<dyn Service>) -> Result<Report> {
    let options = MoveOptions::new(Mode::Move);
    let ended = move_files(
        source,
        destination,
        options,
        Arc::new(()),
        CancellationToken::new(),
    )
    .await;
    ended.map_err(|broken| broken.error)
}

/// Small files, an empty one, a link, a large file.
fn plant(root: &Path) {
    std::fs::create_dir_all(root.join("d/e")).unwrap();
    for i in 0..200 {
        std::fs::write(root.join(format!("d/{i}")), vec![i as u8; i * 50]).unwrap();
    }
    std::fs::write(root.join("d/e/empty"), b"").unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("link")).unwrap();
    let large: Vec<u8> = (0..9_000_001u32)
        .map(|i| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    std::fs::write(root.join("large"), large).unwrap();
}

fn contents(root: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if path.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                found.push((name, target.into_os_string().into_encoded_bytes()));
            } else if path.is_dir() {
                left.push(path);
            } else {
                found.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[rstest::rstest]
#[case(1)]
#[case(4)]
#[tokio::test]
async fn a_tree_goes_there_and_comes_back(#[case] lanes: usize) {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    plant(here.path());
    let before = contents(here.path());
    let transport = transport(lanes);
    let _server = serve(&transport, there.path()).await;

    let client = Arc::new(connect(&transport, "inbox").await.unwrap());
    assert_eq!(client.granted().await.unwrap(), ["list"]);
    let report = moved(local(here.path()), client.clone()).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(contents(there.path()), before);
    assert_eq!(contents(here.path()), []);
    Arc::into_inner(client).unwrap().close().await;

    let client = Arc::new(connect(&transport, "inbox").await.unwrap());
    let report = moved(client, local(here.path())).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(contents(here.path()), before);
    assert_eq!(contents(there.path()), []);
    assert!(transport.dialled.load(Ordering::Relaxed) > lanes.min(2));
}

#[tokio::test]
async fn the_kind_of_an_error_crosses_the_wire() {
    let there = tempfile::tempdir().unwrap();
    let transport = transport(1);
    let _server = serve(&transport, there.path()).await;
    let client = connect(&transport, "inbox").await.unwrap();
    let path = RelPath::new("missing").unwrap();
    let list = List {
        within: Some(path.clone()),
        files: true,
        ..List::default()
    };
    assert_eq!(
        client.list(list).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let read = Read {
        path: path.clone(),
        version: Version::new([]).unwrap(),
        range: realize_core::range::ByteRange::new(0, 1).unwrap(),
    };
    let error = client.read(read).await.unwrap_err();
    assert_eq!(error.path(), Some(&path));

    let error = connect(&transport, "other").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(error.doing(), "nas (nas): no such directory for you");
}

#[tokio::test]
async fn a_lane_that_breaks_costs_nothing_but_itself() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    plant(here.path());
    let before = contents(here.path());
    let transport = transport(3);
    let _server = serve(&transport, there.path()).await;
    let client: Arc<dyn Service> = Arc::new(connect(&transport, "inbox").await.unwrap());
    let cutter = Arc::clone(&transport);
    let cutting = tokio::spawn(async move {
        let mut cut = 0;
        while cut < 6 {
            // One of several that are there: never the last.
            let lane = {
                let mut serving = cutter.serving.lock().unwrap();
                serving.retain(|task| !task.is_finished());
                (serving.len() > 1).then(|| serving.remove(0))
            };
            if let Some(lane) = lane {
                lane.abort();
                cut += 1;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    // Several times, so that there is something under way when a lane is cut.
    for _ in 0..3 {
        let report = moved(local(here.path()), Arc::clone(&client))
            .await
            .unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(contents(there.path()), before);
        let report = moved(Arc::clone(&client), local(here.path()))
            .await
            .unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(contents(here.path()), before);
    }
    cutting.abort();
}

#[tokio::test]
async fn the_end_of_the_last_lane_is_the_end_of_the_client() {
    let there = tempfile::tempdir().unwrap();
    let transport = transport(1);
    let _server = serve(&transport, there.path()).await;
    let client = connect(&transport, "inbox").await.unwrap();
    for task in transport.serving.lock().unwrap().iter() {
        task.abort();
    }
    for _ in 0..2 {
        let error = client.list(List::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{}", error.chain());
    }
}

fn claim(run: u8) -> Claim {
    Claim {
        role: Role::Destination,
        run: RunId::from_bytes([run; 16]),
        origin: Origin::default(),
        holder: "a test".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_refused_while_its_holder_is_there() {
    let there = tempfile::tempdir().unwrap();
    let transport = transport(1);
    let _server = serve(&transport, there.path()).await;
    let first = connect(&transport, "inbox").await.unwrap();
    first.claim(claim(1)).await.unwrap();
    let second = connect(&transport, "inbox").await.unwrap();
    assert_eq!(
        second.claim(claim(2)).await.unwrap_err().kind(),
        ErrorKind::Busy
    );
    // A session that ends gives its claims back.
    first.close().await;
    second.claim(claim(2)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_drains_answers_what_is_under_way() {
    let there = tempfile::tempdir().unwrap();
    let transport = transport(1);
    let server = serve(&transport, there.path()).await;
    let client = connect(&transport, "inbox").await.unwrap();
    client.list(List::default()).await.unwrap();
    server.drain();
    let tasks: Vec<_> = transport.serving.lock().unwrap().clone();
    while !tasks.iter().all(|task| task.is_finished()) {
        tokio::task::yield_now().await;
    }
    let error = client.list(List::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
}
