use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::entry::{Timestamp, Version};

fn version(n: u8) -> Version {
    Version::new(vec![n]).unwrap()
}

fn item(size: u64) -> Item {
    Item::new(Entry {
        path: RelPath::new("d/f").unwrap(),
        kind: EntryKind::File { sparse: false },
        version: version(1),
        size,
        modified: Timestamp::default(),
        mode: 0o644,
    })
}

fn differs(size: u64) -> Answer {
    let present = Present::Differs {
        version: version(2),
        kind: PresentKind::File,
        size,
    };
    Answer {
        present,
        partial: None,
    }
}

fn arrived(end: u64, size: u64) -> Arrived {
    let mut ranges = RangeSet::new();
    ranges.insert(ByteRange::new(0, end).unwrap());
    Arrived {
        ranges,
        hash: HashState::default(),
        size,
    }
}

const LARGE: u64 = SMALL + 1;

#[test]
fn what_is_absent_is_sent() {
    let absent = |partial| Answer {
        present: Present::Absent,
        partial,
    };
    let step = |size, partial| plan(&item(size), absent(partial), OnConflict::Replace);
    assert!(matches!(step(SMALL, None), Step::Put(Expect::Absent)));
    let Step::Transfer(transfer) = step(LARGE, None) else {
        panic!()
    };
    assert_eq!(transfer, Transfer::whole());
    let Step::Transfer(resumed) = step(LARGE, Some(arrived(65536, LARGE))) else {
        panic!()
    };
    assert_eq!((resumed.have.len(), resumed.basis), (65536, None));
    let Step::Transfer(stale) = step(LARGE, Some(arrived(0, LARGE))) else {
        panic!()
    };
    assert_eq!(stale.basis, Some(Basis::Partial));
}

#[rstest]
#[case(OnConflict::Replace, "put")]
#[case(OnConflict::Keep, "fail")]
#[case(OnConflict::Rename, "rename")]
#[case(OnConflict::Fail, "stop")]
fn conflicts(#[case] policy: OnConflict, #[case] expected: &str) {
    let name = |step: &Step| match step {
        Step::Put(Expect::Version(_)) => "put",
        Step::Fail(_) => "fail",
        Step::Rename => "rename",
        Step::Stop(_) => "stop",
        Step::Verify(_) => "verify",
        _ => "another",
    };
    assert_eq!(name(&plan(&item(10), differs(11), policy)), expected);
    assert_eq!(
        name(&plan_different(&item(10), None, version(2), policy)),
        expected
    );
    let alike = plan(&item(10), differs(10), policy);
    assert_eq!(name(&alike), "verify");
}

#[test]
fn nothing_but_files_is_replaced() {
    let present = Present::Differs {
        version: version(2),
        kind: PresentKind::Other,
        size: 0,
    };
    let step = plan(
        &item(1),
        Answer {
            present,
            partial: None,
        },
        OnConflict::Replace,
    );
    assert!(matches!(step, Step::Fail(error) if error.kind() == ErrorKind::Conflict));
    let present = Present::Collides(b"F".to_vec());
    let step = plan(
        &item(1),
        Answer {
            present,
            partial: None,
        },
        OnConflict::Replace,
    );
    assert!(matches!(step, Step::Fail(error) if error.kind() == ErrorKind::Collision));
}

#[test]
fn older_versions_are_patched() {
    let Step::Transfer(patch) = plan(&item(LARGE), differs(5), OnConflict::Replace) else {
        panic!()
    };
    assert_eq!(patch.basis, Some(Basis::Final(version(2))));
    assert_eq!(patch.expect, Expect::Version(version(2)));
    assert_eq!(patch.mend().basis, Some(Basis::Partial));
    assert_eq!(patch.again().basis, None);
}

#[rstest]
#[case("photo.jpg", "photo~c0ffee00.jpg")]
#[case("d/archive.tar.gz", "d/archive.tar~c0ffee00.gz")]
#[case("README", "README~c0ffee00")]
#[case(".profile", ".profile~c0ffee00")]
fn renaming(#[case] from: &str, #[case] to: &str) {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&[0xc0, 0xff, 0xee, 0]);
    let digest = Digest::from_bytes(bytes);
    assert_eq!(
        renamed(&RelPath::new(from).unwrap(), &digest)
            .unwrap()
            .as_bytes(),
        to.as_bytes()
    );
    for long in [
        "n".repeat(255),
        format!(".{}", "e".repeat(254)),
        "n".repeat(251) + ".jpg",
    ] {
        let name = renamed(&RelPath::new(long).unwrap(), &digest).unwrap();
        assert_eq!(name.as_bytes().len(), 255);
    }
}

proptest! {
    /// Every byte is in one segment; what is not sent has arrived, what is not hashed was.
    #[test]
    fn segments_cover_the_file(
        size in 1u64..1_000_000,
        spans in proptest::collection::vec((0u64..1_000_000, 0u64..200_000), 0..5),
        hashed in 0u64..60,
    ) {
        let mut have = RangeSet::new();
        for (start, len) in spans {
            let start = start.min(size);
            have.insert(ByteRange::new(start, (start + len).min(size)).unwrap());
        }
        let hashed = (hashed * ALIGNMENT).min(size / ALIGNMENT * ALIGNMENT);
        let mut position = 0;
        for segment in segments(size, &have, hashed) {
            prop_assert_eq!(segment.range.start(), position);
            prop_assert!(segment.range.start() % CHUNK == 0);
            position = segment.range.end();
            prop_assert!(segment.send || have.covers(segment.range));
            prop_assert_eq!(segment.hash, segment.range.start() >= hashed);
        }
        prop_assert_eq!(position, size);
    }
}
