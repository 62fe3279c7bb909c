use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prometheus::{Registry, TextEncoder};
use rstest::rstest;
use tokio_util::sync::CancellationToken;

use super::{Ends, MIB, content};
use crate::engine::{
    Event, Mode, MoveOptions, Observer, OnConflict, Report, Witnesses, move_files, preview_files,
};
use crate::metrics::{Method, MoveMetrics, method_label};
use crate::service::{Block, Claim, Ending, List, Origin, Role, RunId, SendBlock, Target};

/// A registry with the counters of moves.
struct Counted {
    registry: Registry,
    metrics: MoveMetrics,
}

impl Counted {
    fn new() -> Self {
        let registry = Registry::new();
        let metrics = MoveMetrics::register(&registry).unwrap();
        Self { registry, metrics }
    }

    async fn run(&self, ends: &Ends, options: MoveOptions) -> Report {
        let witnesses = Witnesses {
            metrics: Some(self.metrics.clone()),
            ..Arc::new(()).into()
        };
        let (source, destination) = (ends.source(), ends.destination());
        let cancel = CancellationToken::new();
        move_files(source, destination, options, witnesses, cancel)
            .await
            .unwrap()
    }

    /// Every series that is not 0, without what all names begin with.
    fn figures(&self) -> BTreeMap<String, u64> {
        let page = TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap();
        page.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let series = series.strip_prefix("realize_move_").unwrap();
                (series.to_owned(), value.parse().unwrap())
            })
            .filter(|(_, value)| *value != 0)
            .collect()
    }
}

fn a_move() -> MoveOptions {
    MoveOptions::new(Mode::Move)
}

/// The figures of one move in which `started` files were started, `ok` and `failed` ended so, and
/// the rest was as `bytes` say.
fn figures(started: u64, ok: u64, failed: u64, bytes: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let files = [
        ("start_count", 1),
        ("end_count", 1),
        ("file_start_count", started),
        (r#"file_end_count{status="Ok"}"#, ok),
        (r#"file_end_count{status="Sync Failed"}"#, failed),
    ];
    let all = files.iter().chain(bytes);
    all.filter(|(_, value)| *value != 0)
        .map(|(series, value)| ((*series).to_owned(), *value))
        .collect()
}

/// What it counts that so many bytes were read and sent as they are.
fn whole(bytes: u64) -> [(&'static str, u64); 4] {
    [
        (r#"read_bytes{method="read"}"#, bytes),
        (r#"range_read_bytes{method="read"}"#, bytes),
        (r#"write_bytes{method="send"}"#, bytes),
        (r#"range_write_bytes{method="send"}"#, bytes),
    ]
}

#[rstest]
#[case::a_move(Mode::Move)]
#[case::a_copy(Mode::Copy)]
#[tokio::test]
async fn new_files_in_a_batch_and_in_blocks(#[case] mode: Mode) {
    let ends = Ends::new();
    ends.at_source("empty", b"");
    ends.at_source("small", &content(1000, 1));
    ends.at_source("large", &content(3 * MIB + 1, 2));
    for name in ["small", "large", "empty"] {
        ends.name_outside(name);
    }
    std::os::unix::fs::symlink("small", ends.from.path().join("link")).unwrap();
    let counted = Counted::new();
    counted.run(&ends, MoveOptions::new(mode)).await;
    let (file, link) = (1000 + 3 * MIB as u64 + 1, 5);
    let mut expected = figures(4, 4, 0, &whole(file));
    // A link's target came with the listing.
    for series in [
        r#"write_bytes{method="send"}"#,
        r#"range_write_bytes{method="send"}"#,
    ] {
        *expected.get_mut(series).unwrap() += link;
    }
    assert_eq!(counted.figures(), expected);
}

#[tokio::test]
async fn what_is_linked_has_no_bytes() {
    let ends = Ends::new();
    ends.at_source("small", &content(1000, 1));
    ends.at_source("large", &content(3 * MIB + 1, 2));
    let counted = Counted::new();
    let report = counted.run(&ends, a_move()).await;
    assert_eq!((report.sent, report.bytes), (0, 3 * MIB as u64 + 1001));
    assert_eq!(counted.figures(), figures(2, 2, 0, &[]));
}

#[tokio::test]
async fn a_file_that_goes_on_where_it_was() {
    let ends = Ends::new();
    let all = content(5 * MIB, 3);
    ends.at_source("f", &all);
    ends.name_outside("f");
    let page = ends.source().list(files()).await.unwrap();
    let entry = &page.entries[0];
    let destination = ends.destination();
    let claim = Claim {
        role: Role::Destination,
        run: RunId::random().unwrap(),
        origin: Origin::default(),
        holder: String::new(),
    };
    destination.claim(claim).await.unwrap();
    for block in 0..2 {
        let data = Bytes::copy_from_slice(&all[block * MIB..(block + 1) * MIB]);
        let send = SendBlock {
            target: Target {
                path: entry.path.clone(),
                source: entry.version.clone(),
                size: entry.size,
                sparse: false,
            },
            offset: (block * MIB) as u64,
            block: Block::Data(data),
            hash: None,
        };
        destination.send(send).await.unwrap();
    }
    destination.release(Ending::Interrupted).await.unwrap();

    let counted = Counted::new();
    let report = counted.run(&ends, a_move()).await;
    let rest = 3 * MIB as u64;
    assert_eq!(report.sent, rest);
    assert_eq!(counted.figures(), figures(1, 1, 0, &whole(rest)));
}

fn files() -> List {
    List {
        files: true,
        ..List::default()
    }
}

#[tokio::test]
async fn an_older_version_that_is_patched() {
    let ends = Ends::new();
    let older = content(4 * MIB, 4);
    let mut newer = older.clone();
    newer[2 * MIB] ^= 1;
    ends.at_source("f", &newer);
    ends.at_destination("f", &older);
    let counted = Counted::new();
    let report = counted.run(&ends, a_move()).await;
    let (size, sent) = (4 * MIB as u64, report.sent);
    assert!(0 < sent && sent <= 64 << 10, "{sent} sent");
    let bytes = [
        (r#"read_bytes{method="diff"}"#, sent),
        (r#"range_read_bytes{method="diff"}"#, size),
        (r#"write_bytes{method="apply_patch"}"#, sent),
        (r#"range_write_bytes{method="apply_patch"}"#, size),
    ];
    assert_eq!(counted.figures(), figures(1, 1, 0, &bytes));
}

#[tokio::test]
async fn a_file_that_is_there_already() {
    let ends = Ends::new();
    ends.at_source("f", b"the same");
    let copy = fs::File::create(ends.to.path().join("f")).unwrap();
    fs::write(ends.to.path().join("f"), b"the same").unwrap();
    let time = fs::metadata(ends.from.path().join("f")).unwrap();
    copy.set_modified(time.modified().unwrap()).unwrap();
    drop(copy);
    let counted = Counted::new();
    let report = counted.run(&ends, a_move()).await;
    assert_eq!((report.done, report.identical), (1, 1));
    assert_eq!(counted.figures(), figures(1, 1, 0, &[]));
}

#[tokio::test]
async fn a_hole_has_no_bytes() {
    let ends = Ends::new();
    let file = fs::File::create(ends.from.path().join("f")).unwrap();
    file.set_len(8 * MIB as u64).unwrap();
    drop(file);
    let counted = Counted::new();
    counted.run(&ends, a_move()).await;
    assert_eq!(counted.figures(), figures(1, 1, 0, &[]));
}

#[tokio::test]
async fn files_that_are_not_moved() {
    let ends = Ends::new();
    ends.at_source("kept", b"new");
    ends.at_destination("kept", b"older");
    let fifo = ends.from.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    let counted = Counted::new();
    let options = MoveOptions {
        on_conflict: OnConflict::Keep,
        ..a_move()
    };
    let report = counted.run(&ends, options).await;
    assert_eq!(report.failed, 2);
    assert_eq!(counted.figures(), figures(2, 0, 2, &[]));
}

#[rstest]
#[case::too_young(Duration::from_secs(3600), false)]
#[case::being_written(Duration::ZERO, true)]
#[tokio::test]
async fn a_deferred_file_was_never_started(#[case] min_age: Duration, #[case] open: bool) {
    let ends = Ends::new();
    ends.at_source("small", b"small");
    ends.at_source("large", &content(MIB, 5));
    let writer = |name| {
        fs::File::options()
            .append(true)
            .open(ends.from.path().join(name))
    };
    let _writers = open.then(|| (writer("small").unwrap(), writer("large").unwrap()));
    let counted = Counted::new();
    let options = MoveOptions {
        min_age,
        ..a_move()
    };
    let report = counted.run(&ends, options).await;
    assert_eq!((report.deferred, report.done), (2, 0));
    assert_eq!(counted.figures(), figures(0, 0, 0, &[]));
}

#[tokio::test]
async fn a_preview_counts_nothing() {
    let ends = Ends::new();
    ends.at_source("f", b"content");
    let counted = Counted::new();
    let (source, destination) = (ends.source(), ends.destination());
    preview_files(&*source, Some(&*destination), &a_move(), &())
        .await
        .unwrap();
    assert_eq!(counted.figures(), BTreeMap::new());
}

#[tokio::test]
async fn a_move_that_fails_ended_too() {
    let ends = Ends::new();
    let claim = Claim {
        role: Role::Destination,
        run: RunId::random().unwrap(),
        origin: Origin::default(),
        holder: "another".to_owned(),
    };
    let other = ends.destination();
    other.claim(claim).await.unwrap();
    let counted = Counted::new();
    let witnesses = Witnesses {
        metrics: Some(counted.metrics.clone()),
        ..Arc::new(()).into()
    };
    let (source, destination) = (ends.source(), ends.destination());
    let cancel = CancellationToken::new();
    let refused = move_files(source, destination, a_move(), witnesses, cancel).await;
    assert!(refused.is_err());
    assert_eq!(counted.figures(), figures(0, 0, 0, &[]));
}

#[tokio::test]
async fn two_engines_do_not_disturb_each_other() {
    let (one, other) = (Ends::new(), Ends::new());
    one.at_source("f", b"12345");
    other.at_source("f", b"123");
    other.at_source("g", b"1234");
    one.name_outside("f");
    for name in ["f", "g"] {
        other.name_outside(name);
    }
    let (first, second) = (Counted::new(), Counted::new());
    tokio::join!(first.run(&one, a_move()), second.run(&other, a_move()));
    assert_eq!(first.figures(), figures(1, 1, 0, &whole(5)));
    assert_eq!(second.figures(), figures(2, 2, 0, &whole(7)));
}

#[test]
fn a_registry_has_the_counters_once() {
    let counted = Counted::new();
    assert!(MoveMetrics::register(&counted.registry).is_err());
}

#[rstest]
#[case(Method::Read, "read")]
#[case(Method::Diff, "diff")]
#[case(Method::Send, "send")]
#[case(Method::ApplyPatch, "apply_patch")]
fn labels(#[case] method: Method, #[case] label: &str) {
    assert_eq!(method_label(method), label);
}

/// Cuts a partial short once all of it has arrived.
struct Cuts {
    to: PathBuf,
    mismatches: AtomicU64,
}

impl Observer for Cuts {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Progress { .. } if self.mismatches.load(Ordering::Relaxed) == 0 => {
                let partial = fs::read_dir(&self.to).unwrap().find_map(|entry| {
                    let path = entry.unwrap().path();
                    path.extension()
                        .is_some_and(|e| e == "part")
                        .then_some(path)
                });
                let partial = fs::File::options().write(true).open(partial.unwrap());
                partial.unwrap().set_len(1000).unwrap();
            }
            Event::Mismatch { .. } => {
                self.mismatches.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

/// That is a check that failed, and no change of the source: it is sent again.
#[tokio::test]
async fn a_copy_that_is_cut_short_is_mended() {
    let ends = Ends::new();
    ends.at_source("f", &content(300 << 10, 8));
    ends.name_outside("f");
    let cuts = Arc::new(Cuts {
        to: ends.to.path().to_owned(),
        mismatches: AtomicU64::new(0),
    });
    let witnesses = Arc::clone(&cuts) as Arc<dyn Observer>;
    let (source, destination) = (ends.source(), ends.destination());
    let cancel = CancellationToken::new();
    let ended = move_files(source, destination, a_move(), witnesses, cancel).await;
    let report = ended.unwrap();
    assert_eq!((report.done, report.deferred), (1, 0), "{report:?}");
    assert_eq!(cuts.mismatches.load(Ordering::Relaxed), 1);
}
