//! A destination that takes two names for one.

use std::sync::Arc;

use realize_core::error::ErrorKind;
use realize_core::{LocalOptions, LocalService, Service};
use realize_test_kit::sim::SimFileSystem;
use rstest::rstest;

use crate::scenario::{run, run_between};

/// Neither replaces the other, whichever of their letters the file system takes for the same.
#[rstest]
#[case("photo.jpg", "Photo.JPG")]
#[case("z\u{fc}rich.jpg", "Z\u{fc}rich.jpg")]
#[case("gro\u{df}.jpg", "Gro\u{df}.jpg")]
#[case("\u{304c}.jpg", "\u{304c}.JPG")]
#[case::in_a_directory("photos/1.jpg", "Photos/1.jpg")]
#[case::deeper("a/photos/b/1.jpg", "a/Photos/b/1.jpg")]
fn names_that_differ_in_case_do_not_meet(#[case] moved: &str, #[case] there: &str) {
    assert_apart(&SimFileSystem::new().case_insensitive(), moved, there);
}

/// One is as some systems write it, the other as others do.
#[rstest]
#[case("caf\u{e9}.jpg", "cafe\u{301}.jpg")]
#[case("\u{304c}", "\u{304b}\u{3099}")]
#[case::in_a_directory("cafe\u{301}/1.jpg", "caf\u{e9}/1.jpg")]
fn names_that_differ_in_form_do_not_meet(#[case] moved: &str, #[case] there: &str) {
    assert_apart(&SimFileSystem::new().form_insensitive(), moved, there);
}

fn assert_apart(fs: &SimFileSystem, moved: &str, there: &str) {
    fs.mkdir_all("/src");
    fs.mkdir_all("/dst");
    fs.write(format!("/src/{moved}"), "what is moved");
    fs.write(format!("/dst/{there}"), "what is there");
    fs.advance(std::time::Duration::from_secs(60));
    for _ in 0..2 {
        let report = run(fs).unwrap();
        assert!(report.has(ErrorKind::Collision), "{report:?}");
        assert_eq!(fs.read(format!("/src/{moved}")).unwrap(), b"what is moved");
        assert_eq!(fs.read(format!("/dst/{there}")).unwrap(), b"what is there");
    }
}

/// Both come from one source: the first is moved, and the second does not replace it.
#[rstest]
#[case(SimFileSystem::new().case_insensitive(), ["photos/1", "Photos/1"])]
#[case(SimFileSystem::new().form_insensitive(), ["caf\u{e9}", "cafe\u{301}"])]
fn of_two_names_for_one_the_second_stays(#[case] there: SimFileSystem, #[case] names: [&str; 2]) {
    let here = SimFileSystem::new();
    here.mkdir_all("/src");
    there.mkdir_all("/dst");
    for name in names {
        here.write(format!("/src/{name}"), name);
    }
    here.advance(std::time::Duration::from_secs(60));
    for _ in 0..2 {
        let end = |fs: &SimFileSystem, path: &str| -> Arc<dyn Service> {
            let options = LocalOptions {
                file_system: Arc::new(fs.clone()),
                ..LocalOptions::default()
            };
            Arc::new(LocalService::open(path.as_ref(), options).unwrap())
        };
        let report = run_between((end(&here, "/src"), end(&there, "/dst"))).unwrap();
        assert!(report.has(ErrorKind::Collision), "{report:?}");
    }
    let whole = |name: &&str| {
        let content = Some(name.as_bytes().to_vec());
        here.read(format!("/src/{name}")) == content
            || there.read(format!("/dst/{name}")) == content
    };
    assert!(names.iter().all(whole));
}

/// Some characters are a slash or a dot in another form: they are no path.
#[rstest]
#[case("AC\u{ff0f}DC/1", "AC")]
#[case("\u{ff0e}\u{ff0e}\u{ff0f}outside/1", "other")]
#[case("\u{2025}/1", "other")]
fn a_name_that_looks_like_a_path_is_a_name(#[case] moved: &str, #[case] there: &str) {
    let fs = SimFileSystem::new();
    fs.mkdir_all("/src");
    fs.mkdir_all("/outside");
    fs.write(format!("/src/{moved}"), "what is moved");
    fs.write(format!("/dst/{there}"), "what is there");
    let report = run(&fs).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(fs.read(format!("/dst/{moved}")).unwrap(), b"what is moved");
    let outward =
        |call: &realize_test_kit::sim::Call| call.name == "stat" && call.subject.contains(&b'/');
    assert!(!fs.script().log().iter().any(outward));
}
