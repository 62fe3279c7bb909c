#![allow(
    clippy::disallowed_methods,
    reason = "the tests look at what storage left"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Instant, UNIX_EPOCH};

use bytes::Bytes;
use rstest::rstest;
use tracing::Instrument;

use super::*;
use crate::clock::Clock;
use crate::entry::{Timestamp, Version};
use crate::hash::Digest;
use crate::local::fs::FileSystem;
use crate::local::names::PartialNames;
use crate::local::os::OsFileSystem;
use crate::local::partial::note_exchange;
use crate::local::version::version_of;
use crate::local::{LocalOptions, LocalService};
use crate::service::{
    Block, Claim, Ending, Expect, Finish, FinishFrom, Origin, Role, RunId, SendBlock, Service,
    Target,
};
use crate::tests::log::Log;

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Debug)]
struct At(SystemTime);

impl Clock for At {
    fn now(&self) -> SystemTime {
        self.0
    }
}

/// The directory at `root`, at that time.
fn at(root: &Path, now: SystemTime) -> LocalService {
    let options = LocalOptions {
        clock: Arc::new(At(now)),
        ..LocalOptions::default()
    };
    LocalService::open(root, options).unwrap()
}

fn now(root: &Path) -> LocalService {
    LocalService::open(root, LocalOptions::default()).unwrap()
}

/// The names in `directory`, sorted.
fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Leaves a pair in `directory` that is nobody's.
fn plant(directory: &Path) -> (PathBuf, PathBuf) {
    let name = |ending| {
        directory.join(format!(
            ".realize-{}.{ending}",
            "0123456789abcdef".repeat(2)
        ))
    };
    let pair = (name("part"), name("state"));
    fs::write(&pair.0, b"x").unwrap();
    fs::write(&pair.1, b"x").unwrap();
    pair
}

/// When the file at `path` was last touched.
fn touched(path: &Path) -> SystemTime {
    let metadata = fs::metadata(path).unwrap();
    let (seconds, nanos) = (metadata.ctime(), metadata.ctime_nsec());
    UNIX_EPOCH + Duration::new(seconds.try_into().unwrap(), nanos.try_into().unwrap())
}

/// Touches the file at `path` until that shows in its time, and is after `then`.
fn touch_after(path: &Path, then: SystemTime) -> SystemTime {
    let deadline = Instant::now() + Duration::from_secs(20);
    while touched(path) <= then {
        assert!(Instant::now() < deadline, "the file system's clock stands");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    touched(path)
}

fn claim() -> Claim {
    Claim {
        role: Role::Destination,
        run: RunId::from_bytes([7; 16]),
        origin: Origin::default(),
        holder: String::new(),
    }
}

fn send(path: &str, content: &[u8]) -> SendBlock {
    SendBlock {
        target: Target {
            path: RelPath::new(path).unwrap(),
            source: Version::new(vec![1]).unwrap(),
            size: content.len() as u64,
            sparse: false,
        },
        offset: 0,
        block: Block::Data(Bytes::copy_from_slice(content)),
        hash: None,
    }
}

#[tokio::test]
async fn old_partials_go_and_other_files_stay() {
    let root = tempfile::tempdir().unwrap();
    let inner = root.path().join("d");
    fs::create_dir(&inner).unwrap();
    let planted = plant(&inner);
    fs::write(inner.join(".x.part"), b"a user's own").unwrap();
    let last = touched(&planted.1);
    let sweep = async |now| at(root.path(), now).sweep(WEEK).await.unwrap();
    assert_eq!(sweep(last + WEEK / 2).await, 0);
    assert_eq!(names_in(&inner).len(), 3);
    assert_eq!(sweep(last + WEEK).await, 1);
    assert_eq!(names_in(&inner), [".x.part"]);
}

#[test]
fn what_is_removed_is_logged_with_its_path_age_and_size() {
    let root = tempfile::tempdir().unwrap();
    let inner = root.path().join("d\n");
    fs::create_dir(&inner).unwrap();
    let (content, _) = plant(&inner);
    let last = touched(&content);
    let on_disk = fs::metadata(&content).unwrap().blocks() * 512;
    let (log, _guard) = Log::start();
    let week_later = at(root.path(), last + WEEK + Duration::from_secs(7));
    let meant = Meant {
        of: None,
        age: WEEK,
    };
    week_later.storage.sweep(|_| true, &meant).unwrap();
    let digits = "0123456789abcdef".repeat(2);
    let path = format!("d\\n/.realize-{digits}.part");
    let expired = format!("INFO event=\"partial.expired\" path={path} age=604807 bytes={on_disk}");
    assert_eq!(log.lines(), [expired]);
}

#[tokio::test]
async fn what_a_call_logs_is_within_the_spans_that_it_was_asked_in() {
    let root = tempfile::tempdir().unwrap();
    let (log, _guard) = Log::start();
    let span = tracing::info_span!("directory");
    let service = now(root.path());
    service.sweep(WEEK).instrument(span).await.unwrap();
    let here = std::thread::current().id();
    assert!(log.entered().iter().any(|thread| *thread != here));
}

#[rstest]
#[tokio::test]
async fn a_pair_is_as_old_as_the_younger_of_the_two(#[values(false, true)] state_is_younger: bool) {
    let root = tempfile::tempdir().unwrap();
    let (content, state) = plant(root.path());
    let (older, younger) = if state_is_younger {
        (content, state)
    } else {
        (state, content)
    };
    let first = touched(&older);
    let last = touch_after(&younger, first);
    let sweep = async |now| at(root.path(), now).sweep(WEEK).await.unwrap();
    assert_eq!(sweep(first + WEEK).await, 0);
    assert_eq!(names_in(root.path()).len(), 2);
    assert_eq!(sweep(last + WEEK).await, 1);
    assert_eq!(names_in(root.path()), [""; 0]);
}

/// A partial has its source's time already just before it is renamed.
#[tokio::test]
async fn the_time_that_was_set_is_not_the_age() {
    let root = tempfile::tempdir().unwrap();
    let (content, state) = plant(root.path());
    fs::remove_file(state).unwrap();
    let file = fs::File::options().write(true).open(&content).unwrap();
    file.set_modified(UNIX_EPOCH).unwrap();
    assert_eq!(now(root.path()).sweep(WEEK).await.unwrap(), 0);
    assert_eq!(names_in(root.path()).len(), 1);
}

#[tokio::test]
async fn links_under_construction_and_lone_states_go_too() {
    let root = tempfile::tempdir().unwrap();
    let (content, state) = plant(root.path());
    fs::remove_file(&content).unwrap();
    assert_eq!(now(root.path()).sweep(Duration::ZERO).await.unwrap(), 0);
    assert!(!state.exists());
    symlink("nowhere", &content).unwrap();
    assert_eq!(now(root.path()).sweep(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(names_in(root.path()), [""; 0]);
}

#[tokio::test]
async fn a_sweep_beside_a_run_leaves_what_the_run_is_writing() {
    let root = tempfile::tempdir().unwrap();
    let run = now(root.path());
    run.claim(claim()).await.unwrap();
    let block = send("d/new", b"content");
    run.send(block.clone()).await.unwrap();
    let inner = root.path().join("d");
    let busy = names_in(&inner);
    assert_eq!(busy.len(), 2);
    let orphan = plant(&inner);

    let swept = now(root.path()).sweep(Duration::ZERO).await.unwrap();

    assert_eq!(swept, 1);
    assert!(!orphan.0.exists() && !orphan.1.exists());
    assert_eq!(names_in(&inner), busy);
    let finish = Finish {
        path: block.target.path.clone(),
        from: FinishFrom::Partial(block.target.source.clone(), Expect::Absent),
        size: 7,
        hash: Digest::of_content(b"content"),
        mode: 0o644,
        modified: Timestamp::default(),
    };
    let finished = run.finish(vec![finish]).await.unwrap();
    assert!(finished[0].is_ok(), "{finished:?}");
    assert_eq!(fs::read(inner.join("new")).unwrap(), b"content");
}

#[tokio::test]
async fn what_was_in_use_goes_once_it_is_not() {
    let root = tempfile::tempdir().unwrap();
    let run = now(root.path());
    run.claim(claim()).await.unwrap();
    run.send(send("new", b"content")).await.unwrap();
    run.release(Ending::Interrupted).await.unwrap();
    assert_eq!(now(root.path()).sweep(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(names_in(root.path()), [".realize-destination.lease"]);
}

/// What one peer left, the clean run of another neither removes nor makes forgotten.
#[tokio::test]
async fn each_peer_sweeps_what_it_left() {
    let root = tempfile::tempdir().unwrap();
    let of = |peer: &str| {
        let options = LocalOptions {
            peer: crate::transport::PeerId::new(peer).unwrap(),
            ..LocalOptions::default()
        };
        LocalService::open(root.path(), options).unwrap()
    };
    let run = of("test:cam");
    run.claim(claim()).await.unwrap();
    run.send(send("new", b"content")).await.unwrap();
    run.release(Ending::Interrupted).await.unwrap();
    let left = names_in(root.path());
    assert_eq!(left.len(), 3, "{left:?}");
    for (peer, remains) in [
        ("test:lab", &left[..]),
        ("test:cam", &[]),
        ("test:lab", &[]),
    ] {
        let run = of(peer);
        run.claim(claim()).await.unwrap();
        run.release(Ending::Clean).await.unwrap();
        assert_eq!(names_in(root.path()), remains, "after {peer}");
    }
}

/// Leaves `path` as a crash does that comes between the exchange of a partial with the older final
/// file and the look at what was displaced. Then the older file is under the partial's name.
/// Two sources of one peer, of which one was interrupted, and the other comes to its end.
#[tokio::test]
async fn a_run_sweeps_what_its_own_source_left() {
    let root = tempfile::tempdir().unwrap();
    let of = |name: &str, run| Claim {
        run: RunId::from_bytes([run; 16]),
        origin: Origin::of(name),
        ..claim()
    };
    let left = || {
        let names = names_in(root.path());
        names.iter().filter(|name| name.ends_with(".part")).count()
    };
    let service = now(root.path());
    service.claim(of("/cam1", 1)).await.unwrap();
    service.send(send("f", b"some of it")).await.unwrap();
    service.release(Ending::Interrupted).await.unwrap();
    for run in 2..4 {
        service.claim(of("/cam2", run)).await.unwrap();
        service.release(Ending::Clean).await.unwrap();
        assert_eq!(left(), 1);
    }
    // It was not the last to be told of it.
    service.claim(of("/cam1", 4)).await.unwrap();
    service.release(Ending::Clean).await.unwrap();
    assert_eq!(left(), 0);
}

fn displace(root: &Path, names: &PartialNames, path: &RelPath) {
    let directory = OsFileSystem.open_root(root).unwrap();
    let content = names.content(path);
    directory.create(&content).unwrap();
    let older = directory.create(path.file_name()).unwrap();
    let stat = directory.stat(&content).unwrap();
    let expected = version_of(&older.stat().unwrap()).unwrap();
    let own = (stat.device, stat.inode);
    note_exchange(&*directory, names, path, own, &expected).unwrap();
    let how = crate::local::fs::Rename::Exchange;
    directory
        .rename(&content, &*directory, path.file_name(), how)
        .unwrap();
}

#[tokio::test]
async fn a_displaced_file_is_left() {
    let root = tempfile::tempdir().unwrap();
    let names = PartialNames::of("local:");
    let path = RelPath::new("f").unwrap();
    displace(root.path(), &names, &path);
    let before = names_in(root.path());
    assert_eq!(now(root.path()).sweep(Duration::ZERO).await.unwrap(), 0);
    assert_eq!(names_in(root.path()), before);
    // Nor does the end of a clean run remove it, which sweeps what the run before it left.
    drop({
        let run = now(root.path());
        run.claim(claim()).await.unwrap();
        run
    });
    let run = now(root.path());
    run.claim(claim()).await.unwrap();
    run.release(Ending::Clean).await.unwrap();
    assert_eq!(names_in(root.path()), before);
}

#[tokio::test]
async fn a_partial_that_displaced_nothing_yet_goes() {
    let root = tempfile::tempdir().unwrap();
    let names = PartialNames::of("local:");
    let path = RelPath::new("f").unwrap();
    displace(root.path(), &names, &path);
    // Exchanged back: what bears the partial's name is the partial.
    let directory = OsFileSystem.open_root(root.path()).unwrap();
    let how = crate::local::fs::Rename::Exchange;
    directory
        .rename(&names.content(&path), &*directory, b"f", how)
        .unwrap();
    assert_eq!(now(root.path()).sweep(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(names_in(root.path()), ["f"]);
}
