//! Errors read the same at the other end.

use realize_core::{ErrorKind, RelPath};
use rstest::rstest;

use super::error::{MAX_CAUSES, MAX_TEXT};
use super::*;

/// The error at the other end.
fn sent(error: realize_core::Error) -> realize_core::Error {
    let (header, bulk) = encode(&Error::from(error));
    receive::<Error, _>(&header, bulk).unwrap()
}

/// A chain of so many causes after the first error.
fn chain(causes: usize) -> realize_core::Error {
    let innermost = realize_core::Error::new(ErrorKind::Io, format!("cause {causes}"));
    let whole = (1..causes).rev().fold(innermost, |source, i| {
        realize_core::Error::new(ErrorKind::Io, format!("cause {i}")).because(source)
    });
    realize_core::Error::new(ErrorKind::Io, "reading").because(whole)
}

#[rstest]
#[case(ErrorKind::NotFound, 0)]
#[case(ErrorKind::Changed, 1)]
#[case(ErrorKind::InUse, 2)]
#[case(ErrorKind::Conflict, 3)]
#[case(ErrorKind::Collision, 4)]
#[case(ErrorKind::Mismatch, 5)]
#[case(ErrorKind::Full, 6)]
#[case(ErrorKind::Denied, 7)]
#[case(ErrorKind::Forbidden, 8)]
#[case(ErrorKind::Busy, 9)]
#[case(ErrorKind::Overlap, 10)]
#[case(ErrorKind::Unsupported, 11)]
#[case(ErrorKind::Invalid, 12)]
#[case(ErrorKind::SyncFailed, 13)]
#[case(ErrorKind::Io, 14)]
#[case(ErrorKind::Network, 15)]
#[case(ErrorKind::Timeout, 16)]
#[case(ErrorKind::Protocol, 17)]
fn each_kind_has_its_number(#[case] kind: ErrorKind, #[case] number: u8) {
    let message = Error::from(realize_core::Error::new(kind, "x"));
    assert_eq!(message.kind, number);
    assert_eq!(realize_core::Error::try_from(message).unwrap().kind(), kind);
}

#[rstest]
#[case(18)]
#[case(255)]
fn a_kind_of_a_later_version_is_one_of_the_operating_system(#[case] kind: u8) {
    let mut message = Error::from(samples::error());
    message.kind = kind;
    let received = realize_core::Error::try_from(message).unwrap();
    assert_eq!(received.kind(), ErrorKind::Io);
}

#[rstest]
#[case(realize_core::Error::new(ErrorKind::Busy, "claiming"))]
#[case(samples::error())]
#[case(realize_core::Error::io("reading", std::io::Error::from_raw_os_error(5)))]
#[case(chain(MAX_CAUSES))]
#[case(realize_core::Error::new(ErrorKind::Busy, "held by \\n\\u{1b} \\ x\u{e9}"))]
#[case(samples::error().because(std::io::Error::other("cause\n\u{1b}[31m \\")))]
fn the_text_and_the_path_arrive(#[case] error: realize_core::Error) {
    let received = sent(error.clone());
    assert_eq!(received.chain(), error.chain());
    assert_eq!(received.to_string(), error.to_string());
    assert_eq!(received.kind(), error.kind());
    assert_eq!(received.path(), error.path());
    // And from there to the next.
    assert_eq!(sent(received).chain(), error.chain());
}

#[test]
fn causes_beyond_the_most_are_left_out() {
    let expected = chain(MAX_CAUSES).chain();
    assert!(expected.ends_with("cause 8"));
    assert_eq!(sent(chain(20)).chain(), expected);
}

#[test]
fn long_texts_are_cut_between_characters() {
    let long = "\u{e9}".repeat(MAX_TEXT);
    let error = realize_core::Error::new(ErrorKind::Io, format!("x{long}"));
    let received = sent(error.because(std::io::Error::other(long.clone())));
    assert_eq!(received.doing().len(), MAX_TEXT - 1);
    assert!(received.doing().starts_with("x\u{e9}"));
    let cause = std::error::Error::source(&received).unwrap().to_string();
    assert_eq!(cause, long[..MAX_TEXT]);
}

#[test]
fn a_text_that_could_steer_a_terminal_is_escaped_at_both_ends() {
    let hostile = "\u{1b}[2Jx\n\u{202e}\\";
    let escaped = "\\u{1b}[2Jx\\n\\u{202e}\\";
    let message = Error::from(realize_core::Error::new(ErrorKind::Io, hostile));
    assert_eq!(message.doing, escaped);
    let from_elsewhere = Error {
        doing: hostile.to_owned(),
        ..message
    };
    let received = realize_core::Error::try_from(from_elsewhere).unwrap();
    assert_eq!(received.doing(), escaped);
}

#[rstest]
#[case(b"../x")]
#[case(b"/etc")]
#[case(b"")]
fn a_path_that_is_none_is_dropped_and_the_error_kept(#[case] path: &'static [u8]) {
    let mut message = Error::from(samples::error());
    message.path = Some(Bytes::from_static(path));
    let received = realize_core::Error::try_from(message).unwrap();
    assert_eq!(received.path(), None);
    assert_eq!(received.chain(), samples::error().chain());
}

#[test]
fn what_was_violated_is_told_once() {
    let violation = Violation::from(RelPath::new("a/../b").unwrap_err());
    let error = realize_core::Error::new(ErrorKind::Protocol, "reading the request");
    assert_eq!(
        error.because(violation).chain(),
        "reading the request: a path: the path has a component that is . or .."
    );
    let too_many: Batch<Each<Done>> = Bounded(vec![Each::Ok(Done); 513]);
    let refused = <Results<()>>::try_from(too_many).unwrap_err();
    assert_eq!(refused.to_string(), "more than 512 items");
}
