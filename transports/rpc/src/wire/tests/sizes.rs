//! How large messages get.

use realize_core::delta::STRONG_LEN;
use realize_core::path::MAX_PATH_LEN;
use realize_core::service::MAX_BATCH;

use super::error::{MAX_CAUSES, MAX_TEXT};
use super::listing::MAX_FAILURE_PATH;
use super::parts::MAX_LINK_TARGET;
use super::*;

fn largest_error() -> Error {
    Error {
        kind: u8::MAX,
        doing: "x".repeat(MAX_TEXT),
        path: Some(vec![b'x'; MAX_PATH_LEN].into()),
        causes: Bounded(vec!["x".repeat(MAX_TEXT); MAX_CAUSES]),
    }
}

fn encoded(message: &impl Message) -> usize {
    encode(message).0.len()
}

#[test]
fn the_largest_messages_are_within_the_bound() {
    let version = Version(vec![0; 64].into());
    let time = Timestamp {
        seconds: i64::MIN,
        nanos: 999_999_999,
    };
    let failure = ListFailure {
        path: vec![b'x'; MAX_FAILURE_PATH].into(),
        error: largest_error(),
    };
    let failures = Page {
        entries: Bounded(Vec::new()),
        failures: Bounded(vec![failure; MAX_BATCH]),
        next: None,
    };
    assert!(service::Page::try_from(failures.clone()).is_ok());
    let longest = encoded(&failures);
    assert!(longest <= MAX_MESSAGE, "{longest}");
    assert!(
        longest > MAX_MESSAGE * 8 / 10,
        "the bound is too wide: {longest}"
    );
    let entry = Entry {
        path: Path(vec![b'x'; MAX_PATH_LEN].into()),
        kind: EntryKind::Link {
            target: vec![b'x'; MAX_LINK_TARGET].into(),
        },
        version: version.clone(),
        size: u64::MAX,
        modified: time,
        mode: 0o777,
    };
    let entries = Page {
        entries: Bounded(vec![entry; MAX_BATCH]),
        failures: Bounded(Vec::new()),
        next: None,
    };
    let sums = BlockSum {
        weak: u32::MAX,
        strong: [0; STRONG_LEN],
    };
    let signature = Signature {
        range: Range {
            start: 0,
            end: u64::MAX,
        },
        block: u32::MAX,
        hash: BlockHash::Exact,
        sums: Bounded(vec![sums; 1 << 16]),
    };
    let copy = DeltaOp::Copy(Range {
        start: u64::MAX,
        end: u64::MAX,
    });
    let difference = Difference {
        delta: Delta(Bounded(vec![copy; 1 << 16])),
        hash: RangeHash::from(samples::whole_hash()),
    };
    let errors: Batch<Each<Done>> = Bounded(vec![Each::Err(largest_error()); MAX_BATCH]);
    let others = [
        encoded(&entries),
        encoded(&signature),
        encoded(&difference),
        encoded(&errors),
    ];
    assert!(others.iter().all(|&len| len < longest), "{others:?}");
}

#[test]
fn of_too_many_items_only_one_more_than_the_most_is_kept() {
    // 100,000 answers of one byte each: what they say is that it was done.
    let mut header = vec![0xa0, 0x8d, 0x06];
    header.resize(3 + 100_000, 0);
    let answers: Batch<Each<Done>> = decode(&header, Bytes::new()).unwrap();
    assert_eq!(answers.0.len(), MAX_BATCH + 1);
    assert!(answers.0.capacity() <= 2 * (MAX_BATCH + 1));
    assert!(<Results<()>>::try_from(answers).is_err());
}
