//! How runs end, and what either end is told of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use realize_core::Service;
use realize_core::engine::{Mode, MoveOptions, Stopped, move_files, verify_files};
use realize_core::error::ErrorKind;
use realize_core::service::{Claim, Ending, Origin, Role, RunId};
use realize_test_kit::sim::{Call, Effect, SimFileSystem};
use rstest::rstest;
use rustix::io::Errno;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::altered::{Alteration, Altered};
use crate::scenario::services;

/// What was not compared is not different, nor is it the files that failed.
#[tokio::test]
async fn a_comparison_ends_with_the_connection() {
    let fs = SimFileSystem::new().with_links(false);
    for path in ["/src", "/dst"] {
        fs.mkdir_all(path);
        fs.write(format!("{path}/f"), "content");
    }
    fs.advance(Duration::from_secs(60));
    let (source, destination) = services(&fs).unwrap();
    let destination = Altered::new(destination, Alteration::LosesConnection);
    let options = MoveOptions::new(Mode::Copy);
    let compared = verify_files(&*source, &*destination, &options, &()).await;
    assert_eq!(compared.unwrap_err().kind(), ErrorKind::Network);
}

/// A destination whose disk hangs holds up no signal, and the source is given back.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_waits_for_no_claim() {
    let fs = SimFileSystem::new().with_links(false);
    fs.mkdir_all("/src");
    fs.mkdir_all("/dst");
    let (source, destination) = services(&fs).unwrap();
    let endings = Arc::default();
    let source = Altered::new(source, Alteration::NotesEnding(Arc::clone(&endings)));
    let cancel = CancellationToken::new();
    let moving = move_files(
        source,
        Altered::new(destination, Alteration::HangsInClaims),
        MoveOptions::new(Mode::Move),
        Arc::new(()),
        cancel.clone(),
    );
    let moving = timeout(Duration::from_secs(7200), moving);
    let stops = async {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        cancel.cancel();
        Instant::now()
    };
    let (ended, since) = tokio::join!(moving, stops);
    assert_eq!(ended.unwrap().unwrap().stopped, Some(Stopped::Cancelled));
    assert!(since.elapsed() < Duration::from_secs(60));
    assert_eq!(*endings.lock().unwrap(), [Ending::Interrupted]);
}

/// Whose lock cannot be looked at may hold it; on a file system that nobody can write to, nobody does.
#[rstest]
#[case::of_another_user(Errno::ACCESS, Some(ErrorKind::Busy))]
#[case::where_nothing_can_be_written(Errno::ROFS, None)]
#[tokio::test]
async fn a_lease_file_that_cannot_be_opened(
    #[case] errno: Errno,
    #[case] expected: Option<ErrorKind>,
) {
    let fs = SimFileSystem::new().with_links(false);
    fs.mkdir_all("/src");
    fs.mkdir_all("/dst");
    let lease = ".realize-source.lease";
    fs.write(format!("/src/{lease}"), "somebody else");
    let is_opened = move |call: &Call| call.name == "open" && call.subject == lease.as_bytes();
    let denied = Effect::FailFromHere(errno.raw_os_error());
    fs.script().at(is_opened, 1, denied);
    let (source, _) = services(&fs).unwrap();
    let claim = Claim {
        role: Role::Source,
        run: RunId::random().unwrap(),
        origin: Origin::default(),
        holder: String::new(),
    };
    let claimed = source.claim(claim).await;
    assert_eq!(claimed.err().map(|error| error.kind()), expected);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// All is moved.
    Clean,
    /// A directory stands where a file is to go.
    AFileFails,
    /// Somebody else writes to the destination.
    DestinationIsTaken,
}

#[rstest]
#[case(Course::Clean, &[Ending::Clean], &[Ending::Clean])]
#[case(Course::AFileFails, &[Ending::Failed], &[Ending::Failed])]
#[case(Course::DestinationIsTaken, &[Ending::Failed], &[])]
#[tokio::test]
async fn both_ends_learn_how_a_run_ended(
    #[case] course: Course,
    #[case] of_source: &[Ending],
    #[case] of_destination: &[Ending],
) {
    let fs = SimFileSystem::new().with_links(false);
    fs.mkdir_all("/src");
    fs.mkdir_all("/dst");
    for name in ["a", "b"] {
        fs.write(format!("/src/{name}"), "content");
    }
    if course == Course::AFileFails {
        fs.mkdir_all("/dst/a");
    }
    fs.advance(Duration::from_secs(60));
    let (_, other) = services(&fs).unwrap();
    if course == Course::DestinationIsTaken {
        let claim = Claim {
            role: Role::Destination,
            run: RunId::random().unwrap(),
            origin: Origin::default(),
            holder: "somebody else".to_owned(),
        };
        other.claim(claim).await.unwrap();
    }
    let (source, destination) = services(&fs).unwrap();
    let endings = [(); 2].map(|()| Arc::new(Mutex::new(Vec::new())));
    let noted = |service: Arc<dyn Service>, place: usize| {
        Altered::new(
            service,
            Alteration::NotesEnding(Arc::clone(&endings[place])),
        )
    };
    let ended = move_files(
        noted(source, 0),
        noted(destination, 1),
        MoveOptions::new(Mode::Move),
        Arc::new(()),
        CancellationToken::new(),
    )
    .await;
    match course {
        Course::Clean => assert!(ended.unwrap().is_clean()),
        Course::AFileFails => assert_eq!(ended.unwrap().failed, 1),
        Course::DestinationIsTaken => {
            assert_eq!(ended.unwrap_err().error.kind(), ErrorKind::Busy);
        }
    }
    assert_eq!(*endings[0].lock().unwrap(), of_source);
    assert_eq!(*endings[1].lock().unwrap(), of_destination);
}
