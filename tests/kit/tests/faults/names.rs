//! A destination that takes two names for one.

use realize_core::error::ErrorKind;
use realize_test_kit::sim::SimFileSystem;
use rstest::rstest;

use crate::scenario::run;

/// Neither replaces the other, whichever of their letters the file system takes for the same.
#[rstest]
#[case("photo.jpg", "Photo.JPG")]
#[case("z\u{fc}rich.jpg", "Z\u{fc}rich.jpg")]
#[case("gro\u{df}.jpg", "Gro\u{df}.jpg")]
#[case("\u{304c}.jpg", "\u{304c}.JPG")]
fn names_that_differ_in_case_do_not_meet(#[case] moved: &str, #[case] there: &str) {
    let fs = SimFileSystem::new().case_insensitive();
    fs.mkdir_all("/src");
    fs.mkdir_all("/dst");
    fs.write(format!("/src/{moved}"), "what is moved");
    fs.write(format!("/dst/{there}"), "what is there");
    fs.advance(std::time::Duration::from_secs(60));
    let report = run(&fs).unwrap();
    assert!(report.has(ErrorKind::Collision), "{report:?}");
    assert_eq!(fs.read(format!("/src/{moved}")).unwrap(), b"what is moved");
    assert_eq!(fs.read(format!("/dst/{there}")).unwrap(), b"what is there");
}
