//! Which directories are made and removed, and what is told of a file that somebody else took.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rstest::rstest;
use tokio_util::sync::CancellationToken;

use super::Ends;
use crate::engine::{
    Event, Filter, Mode, MoveOptions, Observer, OnConflict, Report, Status, Stopped, Witnesses,
    move_files, preview_files,
};

impl Ends {
    async fn run(&self, options: MoveOptions, witnesses: impl Into<Witnesses>) -> Report {
        let (source, destination) = (self.source(), self.destination());
        let cancel = CancellationToken::new();
        let ended = move_files(source, destination, options, witnesses, cancel).await;
        ended.unwrap()
    }
}

fn moving() -> MoveOptions {
    MoveOptions::new(Mode::Move)
}

/// The recorder has just made it again, and is about to fill it.
#[tokio::test]
async fn a_young_empty_directory_stays_though_the_destination_has_it() {
    let ends = Ends::new();
    fs::create_dir(ends.from.path().join("camera")).unwrap();
    fs::create_dir(ends.to.path().join("camera")).unwrap();
    let options = MoveOptions {
        min_age: Duration::from_secs(3600),
        ..moving()
    };
    let report = ends.run(options, Arc::new(())).await;
    assert_eq!(report.directories, 0);
    assert!(ends.from.path().join("camera").exists());
    let report = ends.run(moving(), Arc::new(())).await;
    assert_eq!(report.directories, 1);
}

/// Those that the move emptied go, with the ones above them; others are none of its business.
#[tokio::test]
async fn of_directories_that_are_not_meant_those_go_that_were_emptied() {
    let ends = Ends::new();
    let mode = |path: &std::path::Path| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    for directory in ["a/emptied", "empty", "earlier", "texts", "cut"] {
        fs::create_dir_all(ends.from.path().join(directory)).unwrap();
    }
    ends.at_source("a/emptied/photo.jpg", b"photo");
    ends.at_source("texts/a.txt", b"text");
    // An earlier run moved what was in it, and was cut off.
    fs::create_dir(ends.to.path().join("earlier")).unwrap();
    let there = ends.to.path().join("texts");
    fs::create_dir(&there).unwrap();
    let set = |path: &std::path::Path, mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(path, mode).unwrap();
    };
    set(&there, 0o700);
    // One that was cut off before it set modes.
    ends.at_source("cut/b.txt", b"text");
    set(&ends.from.path().join("cut"), 0o750);
    let cut = ends.to.path().join("cut");
    fs::create_dir(&cut).unwrap();
    set(&cut, 0o1700);
    let options = MoveOptions {
        filter: Filter::new(&["*.jpg".to_owned()], &[]).unwrap(),
        ..moving()
    };
    let report = ends.run(options, Arc::new(())).await;
    assert_eq!((report.done, report.directories), (1, 3));
    let left = |name: &str| ends.from.path().join(name).exists();
    assert!(!left("a") && !left("earlier"));
    assert!(left("empty") && left("texts"));
    assert_eq!((mode(&there), mode(&cut)), (0o700, 0o750));
}

#[rstest]
#[tokio::test]
async fn at_a_conflict_that_stops_it_no_directory_is_touched(#[values(true, false)] small: bool) {
    let ends = Ends::new();
    ends.at_source("file", b"newer");
    // Of the same size it is compared first, by a unit of work.
    ends.at_destination("file", if small { b"old" } else { b"older" });
    fs::create_dir(ends.from.path().join("empty")).unwrap();
    let options = MoveOptions {
        on_conflict: OnConflict::Fail,
        ..moving()
    };
    let (source, destination) = (ends.source(), ends.destination());
    let preview = preview_files(&*source, Some(&*destination), &options, &()).await;
    if small {
        assert_eq!(preview.unwrap().stopped, Some(Stopped::Conflict));
    }
    let report = ends.run(options, Arc::new(())).await;
    assert_eq!(report.stopped, Some(Stopped::Conflict));
    assert!(ends.from.path().join("empty").exists());
    assert!(!ends.to.path().join("empty").exists());
}

/// Takes the source's files once they are listed, and counts what it is told.
struct Thief {
    from: Mutex<Option<std::path::PathBuf>>,
    listed: AtomicU64,
    gone: AtomicU64,
}

impl Observer for Thief {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Listed { files, .. } => {
                self.listed.fetch_add(files, Ordering::Relaxed);
                if let Some(path) = self.from.lock().unwrap().take() {
                    fs::remove_file(path).unwrap();
                }
            }
            Event::Ended(end) if matches!(end.status, Status::Gone) => {
                self.gone.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_file_that_somebody_took_has_an_end() {
    let ends = Ends::new();
    ends.at_source("taken", b"content");
    ends.name_outside("taken");
    let thief = Arc::new(Thief {
        from: Mutex::new(Some(ends.from.path().join("taken"))),
        listed: AtomicU64::new(0),
        gone: AtomicU64::new(0),
    });
    let report = ends
        .run(moving(), Arc::clone(&thief) as Arc<dyn Observer>)
        .await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(thief.listed.load(Ordering::Relaxed), 1);
    assert_eq!(thief.gone.load(Ordering::Relaxed), 1);
}
