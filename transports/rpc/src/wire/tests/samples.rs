//! One of each message, small, with something in every field.

use std::num::NonZeroU64;

use realize_core::delta::{BlockHash, BlockSum, Delta, DeltaOp, STRONG_LEN};
use realize_core::entry::{Entry, EntryKind, Special, Timestamp, Version};
use realize_core::hash::{Digest, HashState, Subtree};
use realize_core::range::{ByteRange, RangeSet};
use realize_core::service::*;
use realize_core::{Error, ErrorKind, RelPath};

use super::{Bytes, CoreRangeHash, CoreSignature, Results};

pub(super) fn path() -> RelPath {
    RelPath::new("a/b").unwrap()
}

fn version() -> Version {
    Version::new([7, 8]).unwrap()
}

fn time() -> Timestamp {
    Timestamp {
        seconds: -2,
        nanos: 999_999_999,
    }
}

fn digest() -> Digest {
    Digest::from_bytes([0xd1; 32])
}

fn range(start: u64, end: u64) -> ByteRange {
    ByteRange::new(start, end).unwrap()
}

fn subtree(size: u64) -> Subtree {
    Subtree::new(size, [0x5e; 32]).unwrap()
}

fn state() -> HashState {
    HashState::new(vec![subtree(2048), subtree(1024)]).unwrap()
}

pub(super) fn error() -> Error {
    Error::new(ErrorKind::Full, "writing")
        .at(&path())
        .because(std::io::Error::other("no room"))
}

fn target() -> Target {
    Target {
        path: path(),
        source: version(),
        size: 5000,
        sparse: true,
    }
}

pub(super) fn claim() -> Claim {
    Claim {
        role: Role::Destination,
        run: RunId::from_bytes([0xaa; 16]),
        origin: Origin::from_bytes([0xbb; 16]),
        holder: "cam, 12".to_owned(),
    }
}

pub(super) fn ending() -> Ending {
    Ending::Interrupted
}

pub(super) fn list() -> List {
    List {
        within: Some(path()),
        files: true,
        directories: false,
        cursor: Some(Cursor {
            listing: 3,
            page: 300,
        }),
    }
}

pub(super) fn offers() -> Vec<Offer> {
    vec![Offer {
        path: path(),
        link: true,
        source: version(),
        size: 5000,
        modified: time(),
    }]
}

pub(super) fn read() -> Read {
    Read {
        path: path(),
        version: version(),
        range: range(1, 300),
    }
}

pub(super) fn read_batch() -> Vec<ReadWhole> {
    vec![ReadWhole {
        path: path(),
        version: version(),
        size: 300,
    }]
}

pub(super) fn send() -> SendBlock {
    SendBlock {
        target: target(),
        offset: 4096,
        block: Block::Data(Bytes::from_static(b"data")),
        hash: Some(state()),
    }
}

pub(super) fn puts() -> Vec<Put> {
    let file = Put {
        path: path(),
        content: Content::File(Bytes::from_static(b"file"), digest()),
        mode: 0o640,
        modified: time(),
        expect: Expect::Version(version()),
    };
    let link = Put {
        content: Content::Link(b"to".to_vec()),
        expect: Expect::Absent,
        ..file.clone()
    };
    vec![file, link]
}

pub(super) fn make_directories() -> Vec<MakeDirectory> {
    vec![MakeDirectory {
        path: path(),
        mode: 0o1755,
        making: Making::Either,
    }]
}

pub(super) fn hash() -> Hash {
    Hash {
        path: path(),
        version: version(),
        size: 5000,
        range: range(1024, 5000),
    }
}

pub(super) fn signature_request() -> SignatureRequest {
    SignatureRequest {
        target: target(),
        basis: Basis::Partial,
        range: range(0, 1000),
        block: 512,
    }
}

pub(super) fn diff_request() -> DiffRequest {
    DiffRequest {
        path: path(),
        version: version(),
        size: 5000,
        range: range(0, 1024),
        signature: signature(),
        expected: 1024,
        search: true,
    }
}

fn delta() -> Delta {
    let ops = [
        DeltaOp::Data(Bytes::from_static(b"xy")),
        DeltaOp::Copy(range(3, 9)),
        DeltaOp::Data(Bytes::from_static(b"z")),
    ];
    Delta::new(ops.to_vec()).unwrap()
}

pub(super) fn patch() -> Patch {
    Patch {
        target: target(),
        basis: Basis::Final(version()),
        range: range(0, 9),
        delta: delta(),
        hash: None,
    }
}

pub(super) fn finishes() -> Vec<Finish> {
    let existing = Finish {
        path: path(),
        from: FinishFrom::Existing(version()),
        size: 5000,
        hash: digest(),
        mode: 0o777,
        modified: time(),
    };
    let partial = Finish {
        from: FinishFrom::Partial(version(), Expect::Absent),
        ..existing.clone()
    };
    vec![existing, partial]
}

fn receipt() -> Receipt {
    Receipt::relay(digest(), Outcome::Identical)
}

pub(super) fn deletes() -> Vec<Delete> {
    let file = Delete::File {
        path: path(),
        version: version(),
        receipt: receipt(),
    };
    vec![file, Delete::Directory { path: path() }]
}

pub(super) fn config() -> Config {
    Config {
        send_rate: NonZeroU64::new(300),
        receive_rate: NonZeroU64::new(400),
    }
}

pub(super) fn page() -> Page {
    let entry = |kind, mode| Entry {
        path: path(),
        kind,
        version: version(),
        size: 5000,
        modified: time(),
        mode,
    };
    let target = b"to".to_vec();
    Page {
        entries: vec![
            entry(EntryKind::File { sparse: true }, 0o644),
            entry(EntryKind::Link { target }, 0o777),
            entry(EntryKind::Directory { empty: true }, 0o1777),
            entry(EntryKind::Special(Special::Device), 0),
        ],
        failures: vec![ListFailure {
            path: b"/\0".to_vec(),
            error: error(),
        }],
        next: Some(Cursor {
            listing: 3,
            page: 2,
        }),
    }
}

pub(super) fn answers() -> Results<Answer> {
    let mut ranges = RangeSet::new();
    ranges.insert(range(0, 3072));
    ranges.insert(range(4096, 5000));
    let arrived = Arrived {
        ranges,
        hash: state(),
        size: 5000,
    };
    let answer = |present, partial| Ok(Answer { present, partial });
    vec![
        answer(Present::Absent, Some(arrived)),
        answer(Present::Perhaps(version()), None),
        answer(
            Present::Differs {
                version: version(),
                kind: PresentKind::Other,
                size: 300,
            },
            None,
        ),
        answer(Present::Collides(b"A".to_vec()), None),
        Err(error()),
    ]
}

pub(super) fn block() -> Block {
    Block::Data(Bytes::from_static(b"data"))
}

pub(super) fn hole() -> Block {
    Block::Hole(300)
}

pub(super) fn contents() -> Results<Bytes> {
    vec![
        Ok(Bytes::from_static(b"one")),
        Err(error()),
        Ok(Bytes::new()),
        Ok(Bytes::from_static(b"two")),
    ]
}

pub(super) fn receipts() -> Results<Receipt> {
    vec![Ok(receipt()), Err(error())]
}

pub(super) fn dones() -> Results<()> {
    vec![Ok(()), Err(error())]
}

pub(super) fn whole_hash() -> CoreRangeHash {
    CoreRangeHash::Whole(digest())
}

pub(super) fn part_hash() -> CoreRangeHash {
    CoreRangeHash::Part(vec![subtree(1024), subtree(500)])
}

pub(super) fn signature() -> CoreSignature {
    let sum = BlockSum {
        weak: 300,
        strong: [0x16; STRONG_LEN],
    };
    CoreSignature::new(range(0, 1000), 512, BlockHash::Exact, vec![sum, sum]).unwrap()
}

pub(super) fn difference() -> Difference {
    Difference {
        delta: delta(),
        hash: part_hash(),
    }
}
