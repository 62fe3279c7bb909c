//! What a move and local storage log: every event of theirs, by its name, level and fields.
//!
//! It is one test in a program of its own: events come from the threads of storage too, and only one
//! log hears all threads.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use realize_core::engine::{Event, Mode, MoveOptions, Observer, OnConflict, Report, move_files};
use realize_core::service::{Claim, Origin, Role, RunId, Service};
use realize_core::{LocalOptions, LocalService};
use realize_test_kit::sim::{Call, Effect, SimFileSystem};
use tokio_util::sync::CancellationToken;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

const LARGE: usize = 3 << 20;

/// In bytes: more than a move has under way of one file.
const BEYOND_WINDOW: usize = 40 << 20;

/// Keeps every event as ` LEVEL field=value field=value `, with the fields of its spans.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        id: &tracing::Id,
        context: Context<'_, S>,
    ) {
        let mut fields = Fields(String::new());
        attributes.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields(format!(" {} ", event.metadata().level()));
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            fields
                .0
                .push_str(&span.extensions().get::<Fields>().unwrap().0);
        }
        self.0.lock().unwrap().push(fields.0);
    }
}

impl Log {
    /// Holds what was logged since the last look to having an event of this level and name with all
    /// of `fields`.
    #[track_caller]
    fn has(&self, level: &str, event: &str, fields: &[&str]) {
        let lines = self.0.lock().unwrap();
        let wanted = format!(" {level} event={event:?} ");
        // A message comes first, where there is one.
        let is_it = |line: &&String| {
            line.starts_with(&wanted)
                || (line.starts_with(&format!(" {level} "))
                    && line.contains(&wanted[level.len() + 1..]))
        };
        let fits = |line: &String| {
            fields
                .iter()
                .all(|field| line.contains(&format!(" {field}")))
        };
        assert!(
            lines.iter().filter(is_it).any(fits),
            "no {level} {event} with {fields:?} in {lines:#?}"
        );
    }

    fn forget(&self) {
        self.0.lock().unwrap().clear();
    }
}

/// A file system with a source and a destination, on which files are carried.
fn ends() -> SimFileSystem {
    let fs = SimFileSystem::new().with_links(false);
    fs.mkdir_all("/src");
    fs.mkdir_all("/dst");
    fs
}

fn bytes(len: usize) -> Vec<u8> {
    (0u32..)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(len)
        .collect()
}

/// Does something at the first event of a kind.
struct At<F>(Mutex<Option<F>>, fn(&Event<'_>) -> bool);

impl<F: FnOnce() + Send> At<F> {
    fn new(when: fn(&Event<'_>) -> bool, then: F) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(then)), when))
    }
}

impl<F: FnOnce() + Send> Observer for At<F> {
    fn event(&self, event: Event<'_>) {
        if (self.1)(&event)
            && let Some(then) = self.0.lock().unwrap().take()
        {
            then();
        }
    }
}

fn open(fs: &SimFileSystem, path: &str) -> Arc<dyn Service> {
    let options = LocalOptions {
        file_system: Arc::new(fs.clone()),
        ..LocalOptions::default()
    };
    Arc::new(LocalService::open(path.as_ref(), options).unwrap())
}

fn run(fs: &SimFileSystem, options: MoveOptions, observer: Arc<dyn Observer>) -> Option<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let options = MoveOptions {
        source: "/src".to_owned(),
        destination: "/dst".to_owned(),
        ..options
    };
    let (source, destination) = (open(fs, "/src"), open(fs, "/dst"));
    let cancel = CancellationToken::new();
    let moving = move_files(source, destination, options, observer, cancel);
    runtime.block_on(moving).ok()
}

fn moves(fs: &SimFileSystem) -> Report {
    run(fs, MoveOptions::new(Mode::Move), Arc::new(())).unwrap()
}

#[test]
fn every_event_of_a_move_and_of_storage() {
    let log = Log::default();
    let subscriber = Registry::default().with(log.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();

    // A run from its beginning to its end, and the audit trail.
    let fs = ends();
    fs.write("/src/f", "content");
    assert_eq!(moves(&fs).done, 1);
    let started = [
        "mode=\"move\"",
        "source=\"/src\"",
        "destination=\"/dst\"",
        "run=",
    ];
    log.has("INFO", "run.started", &started);
    let hash = format!("hash={}", blake3::hash(b"content"));
    log.has(
        "INFO",
        "file.finished",
        &["path=f", "bytes=7", &hash, "run="],
    );
    log.has(
        "INFO",
        "file.deleted",
        &["path=f", "bytes=7", &hash, "run="],
    );
    let figures = [
        "moved=1",
        "deferred=0",
        "failed=0",
        "bytes_sent=7",
        "bytes_moved=7",
        "seconds=",
    ];
    log.has("INFO", "run.finished", &figures);
    log.forget();

    // By the shortcut: nobody has a hash.
    let fs = ends().with_links(true);
    fs.write("/src/f", "content");
    assert_eq!(moves(&fs).sent, 0);
    log.has("INFO", "file.finished", &["path=f", "bytes=7", "run="]);
    log.has("INFO", "file.deleted", &["path=f", "bytes=7", "run="]);
    log.forget();

    // A shortcut that is refused, and what could not be synced for it.
    let fs = ends();
    fs.write("/src/f", "content");
    assert_eq!(moves(&fs).sent, 7);
    let refused = ["path=f", "reason=Operation not permitted"];
    log.has("DEBUG", "file.not_linked", &refused);
    log.forget();
    let fs = ends().with_links(true);
    fs.write("/src/f", "content");
    let sync = |call: &Call| call.name == "file.sync";
    fs.script().at(sync, 1, Effect::Fail(libc::EIO));
    assert_eq!(moves(&fs).sent, 7);
    log.has("ERROR", "sync.failed", &["path=f", "reason="]);
    log.forget();

    let fs = ends();
    fs.write("/src/f", bytes(LARGE));
    assert_eq!(moves(&fs).sent, LARGE as u64);
    log.has("DEBUG", "file.not_shared", &["path=f", "reason="]);
    log.forget();

    // Too young.
    let fs = ends();
    fs.write("/src/f", "content");
    let options = MoveOptions {
        min_age: Duration::from_secs(1 << 40),
        ..MoveOptions::new(Mode::Move)
    };
    run(&fs, options, Arc::new(())).unwrap();
    log.has(
        "DEBUG",
        "file.deferred",
        &["path=f", "reason=\"it is too young\""],
    );
    log.forget();

    // In conflict.
    let fs = ends();
    fs.write("/src/f", "newer");
    fs.write("/dst/f", "older!");
    let options = MoveOptions {
        on_conflict: OnConflict::Keep,
        ..MoveOptions::new(Mode::Move)
    };
    run(&fs, options, Arc::new(())).unwrap();
    let fields = [
        "path=f",
        "step=",
        "kind=Conflict",
        "source_intact=true",
        "copied=false",
    ];
    log.has("ERROR", "file.failed", &fields);
    log.forget();

    // An older version is patched.
    let fs = ends();
    let older = bytes(LARGE);
    let newer = [&older, &b"more"[..]].concat();
    fs.write("/src/f", newer);
    fs.write("/dst/f", &older);
    moves(&fs);
    log.has("DEBUG", "file.patched", &["path=f", "saved="]);
    log.forget();

    // A block that is stored with a flipped bit is found, and mended.
    let fs = ends();
    fs.write("/src/f", bytes(LARGE));
    let is_content = |call: &Call| call.name == "file.write" && call.subject.ends_with(b".part");
    fs.script().at(is_content, 2, Effect::FlipBit(9));
    assert_eq!(moves(&fs).done, 1);
    let expected = format!("expected={}", blake3::hash(&bytes(LARGE)));
    let found = "reason=\"what was read back is not what was read from the source: its hash is ";
    log.has(
        "WARN",
        "file.mismatch",
        &["path=f", &expected, "attempt=1", found],
    );
    log.forget();

    // So is a small file; one that is stored wrong twice is an error.
    let fs = ends();
    fs.write("/src/f", "content");
    for _ in 0..2 {
        fs.script().at(is_content, 1, Effect::FlipBit(9));
    }
    fs.script().at(is_content, 2, Effect::FlipBit(9));
    assert_eq!(moves(&fs).failed, 1);
    log.has("WARN", "file.mismatch", &["path=f", "attempt=1"]);
    log.has("ERROR", "file.mismatch", &["path=f", "attempt=2"]);
    log.forget();

    // What arrived before is not sent again. The file is larger than what is under way at once, so
    // that something is left to read when the first of it has arrived.
    let fs = ends();
    fs.write("/src/f", bytes(BEYOND_WINDOW));
    let script = fs.clone();
    let progressed = |event: &Event<'_>| matches!(event, Event::Progress { .. });
    let cut = At::new(progressed, move || {
        let at_source = |call: &Call| call.name == "file.read" && !call.subject.ends_with(b".part");
        script.script().at(at_source, 1, Effect::Fail(libc::EIO));
    });
    run(&fs, MoveOptions::new(Mode::Move), cut);
    log.forget();
    assert_eq!(moves(&fs).done, 1);
    log.has("DEBUG", "file.resumed", &["path=f", "offset="]);
    log.forget();

    // A file that changes while it is moved.
    let fs = ends();
    fs.write("/src/f", "content");
    let source = fs.clone();
    let begun = |event: &Event<'_>| matches!(event, Event::Started { .. });
    let change = At::new(begun, move || {
        source.advance(Duration::from_secs(1));
        source.write("/src/f", "another");
    });
    run(&fs, MoveOptions::new(Mode::Move), change).unwrap();
    let became = "with 7 bytes of";
    log.has(
        "WARN",
        "file.changed",
        &[
            "path=f",
            "reason=it changed while it was being read: it was inode",
        ],
    );
    assert!(
        log.0
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains(became))
    );
    log.forget();

    // Names that the destination takes for one.
    let fs = ends().case_insensitive();
    fs.write("/src/f", "content");
    fs.write("/dst/F", "other");
    moves(&fs);
    log.has("WARN", "file.collision", &["path=f", "other=F"]);
    log.forget();

    // A disk that cannot make things durable.
    let fs = ends();
    fs.write("/src/f", bytes(LARGE));
    let sync = |call: &Call| call.name == "file.sync" && call.subject.ends_with(b".part");
    fs.script().at(sync, 1, Effect::Fail(libc::EIO));
    moves(&fs);
    log.has("ERROR", "sync.failed", &["path=f", "reason="]);
    log.forget();

    // A disk with little room, of which a directory below a span hears too.
    let fs = SimFileSystem::new().with_device("/dst");
    fs.set_capacity("/dst", 1 << 20);
    fs.mkdir_all("/src");
    fs.write("/src/f", "content");
    moves(&fs);
    log.has("WARN", "disk.low", &["free=", "run="]);
    log.forget();

    // Somebody else moves here.
    let fs = ends();
    let other = open(&fs, "/dst");
    let claim = Claim {
        role: Role::Destination,
        run: RunId::random().unwrap(),
        origin: Origin::default(),
        holder: "another one".to_owned(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(other.claim(claim)).unwrap();
    assert!(run(&fs, MoveOptions::new(Mode::Move), Arc::new(())).is_none());
    log.has(
        "WARN",
        "run.busy",
        &["reason=another move holds this directory: another one"],
    );
}
