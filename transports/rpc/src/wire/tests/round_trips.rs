//! Whatever a service or a mover may send arrives as it was.

use std::num::NonZeroU64;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use realize_core::delta::{
    BlockHash as CoreHash, BlockSum as CoreSum, Delta as CoreDelta, DeltaOp as CoreOp, STRONG_LEN,
};
use realize_core::entry::{self, MODE_BITS};
use realize_core::hash::{self, Digest};
use realize_core::range::{self, ByteRange, MAX_FILE_SIZE};
use realize_core::service::{MAX_BLOCK, MAX_DIFF_RANGE, Making, Outcome as CoreOutcome, RunId};
use realize_core::{ErrorKind, RelPath};

use super::*;

fn path() -> impl Strategy<Value = RelPath> {
    let byte = any::<u8>().prop_map(|b| if b == 0 || b == b'/' { b'x' } else { b });
    let names = vec(vec(byte, 1..12), 1..4);
    names.prop_filter_map("a path", |names| RelPath::new(names.join(&b'/')).ok())
}

fn version() -> impl Strategy<Value = entry::Version> {
    vec(any::<u8>(), 0..=64).prop_map(|bytes| entry::Version::new(bytes).unwrap())
}

fn time() -> impl Strategy<Value = entry::Timestamp> {
    (any::<i64>(), 0u32..1_000_000_000)
        .prop_map(|(seconds, nanos)| entry::Timestamp { seconds, nanos })
}

fn size() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..10_000, 0..=MAX_FILE_SIZE]
}

fn mode() -> impl Strategy<Value = u32> {
    any::<u32>().prop_map(|mode| mode & MODE_BITS)
}

fn range(max: u64) -> impl Strategy<Value = ByteRange> {
    (size(), 0..=max)
        .prop_map(|(start, len)| ByteRange::at(start.min(MAX_FILE_SIZE - len), len).unwrap())
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn subtree() -> impl Strategy<Value = hash::Subtree> {
    (1..=MAX_FILE_SIZE, any::<[u8; 32]>())
        .prop_map(|(size, value)| hash::Subtree::new(size, value).unwrap())
}

fn state() -> impl Strategy<Value = hash::HashState> {
    (
        proptest::collection::btree_set(10u32..62, 0..20),
        any::<[u8; 32]>(),
    )
        .prop_map(|(heights, value)| {
            let tallest_first = heights.into_iter().rev();
            let subtrees = tallest_first.map(|h| hash::Subtree::new(1 << h, value).unwrap());
            hash::HashState::new(subtrees.collect()).unwrap()
        })
}

fn range_hash() -> impl Strategy<Value = CoreRangeHash> {
    prop_oneof![
        digest().prop_map(CoreRangeHash::Whole),
        vec(subtree(), 0..128).prop_map(CoreRangeHash::Part),
    ]
}

fn target() -> impl Strategy<Value = service::Target> {
    (path(), version(), size(), any::<bool>()).prop_map(|(path, source, size, sparse)| {
        service::Target {
            path,
            source,
            size,
            sparse,
        }
    })
}

fn basis() -> impl Strategy<Value = service::Basis> {
    prop_oneof![
        version().prop_map(service::Basis::Final),
        Just(service::Basis::Partial),
    ]
}

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

fn link_target() -> impl Strategy<Value = Vec<u8>> {
    vec(1u8.., 0..4095)
}

fn signature() -> impl Strategy<Value = CoreSignature> {
    let sum = (any::<u32>(), any::<[u8; STRONG_LEN]>());
    (
        size(),
        512u32..=1 << 20,
        any::<bool>(),
        1u64..=512,
        vec(sum, 0..40),
    )
        .prop_map(|(start, block, exact, last, sums)| {
            let sum = |(weak, strong)| CoreSum { weak, strong };
            let hash = [CoreHash::Quick, CoreHash::Exact][usize::from(exact)];
            let sums: Vec<_> = sums.into_iter().map(sum).collect();
            let len = (sums.len() as u64).saturating_sub(1) * u64::from(block);
            let len = len + if sums.is_empty() { 0 } else { last };
            let range = ByteRange::at(start.min(MAX_FILE_SIZE - len), len).unwrap();
            CoreSignature::new(range, block, hash, sums).unwrap()
        })
}

fn delta() -> impl Strategy<Value = CoreDelta> {
    let op = prop_oneof![
        range(MAX_DIFF_RANGE / 64).prop_map(CoreOp::Copy),
        bytes(200).prop_map(CoreOp::Data),
    ];
    vec(op, 0..40).prop_map(|ops| CoreDelta::new(ops).unwrap())
}

fn error() -> impl Strategy<Value = realize_core::Error> {
    let kind = prop_oneof![Just(ErrorKind::Busy), Just(ErrorKind::Io)];
    (kind, "[ -~]{0,60}", option::of(path())).prop_map(|(kind, doing, path)| {
        let error = realize_core::Error::new(kind, doing);
        path.iter().fold(error, |error, path| error.at(path))
    })
}

fn each<C: Debug>(answer: impl Strategy<Value = C>) -> impl Strategy<Value = Results<C>> {
    vec(proptest::result::maybe_ok(answer, error()), 0..6)
}

fn kind() -> impl Strategy<Value = entry::EntryKind> {
    use entry::{EntryKind, Special};
    prop_oneof![
        any::<bool>().prop_map(|sparse| EntryKind::File { sparse }),
        any::<bool>().prop_map(|empty| EntryKind::Directory { empty }),
        link_target().prop_map(|target| EntryKind::Link { target }),
        prop_oneof![
            Just(Special::Fifo),
            Just(Special::Socket),
            Just(Special::Device)
        ]
        .prop_map(EntryKind::Special),
    ]
}

fn one_entry() -> impl Strategy<Value = entry::Entry> {
    (path(), kind(), version(), size(), time(), mode()).prop_map(
        |(path, kind, version, size, modified, mode)| entry::Entry {
            path,
            kind,
            version,
            size,
            modified,
            mode,
        },
    )
}

fn cursor() -> impl Strategy<Value = Option<service::Cursor>> {
    option::of((any::<u64>(), any::<u64>()))
        .prop_map(|cursor| cursor.map(|(listing, page)| service::Cursor { listing, page }))
}

fn present() -> impl Strategy<Value = service::Present> {
    use service::{Present, PresentKind};
    let kind = prop_oneof![
        Just(PresentKind::File),
        Just(PresentKind::Link),
        Just(PresentKind::Other),
    ];
    prop_oneof![
        Just(Present::Absent),
        version().prop_map(Present::Perhaps),
        (version(), kind, size()).prop_map(|(version, kind, size)| Present::Differs {
            version,
            kind,
            size,
        }),
        vec(any::<u8>(), 0..=255).prop_map(Present::Collides),
    ]
}

fn answer() -> impl Strategy<Value = service::Answer> {
    let ranges = vec(range(1 << 30), 0..80).prop_map(|ranges| {
        let mut set = range::RangeSet::new();
        ranges.into_iter().for_each(|range| set.insert(range));
        set
    });
    let arrived = (ranges, state(), size());
    let arrived = arrived.prop_map(|(ranges, hash, size)| service::Arrived { ranges, hash, size });
    (present(), option::of(arrived))
        .prop_map(|(present, partial)| service::Answer { present, partial })
}

fn block() -> impl Strategy<Value = service::Block> {
    prop_oneof![
        bytes(3000).prop_map(service::Block::Data),
        (0..=MAX_BLOCK).prop_map(service::Block::Hole),
    ]
}

fn expect() -> impl Strategy<Value = service::Expect> {
    prop_oneof![
        Just(service::Expect::Absent),
        version().prop_map(service::Expect::Version),
    ]
}

fn put() -> impl Strategy<Value = service::Put> {
    let content = prop_oneof![
        (bytes(300), digest()).prop_map(|(data, hash)| service::Content::File(data, hash)),
        link_target().prop_map(service::Content::Link),
    ];
    (path(), content, mode(), time(), expect()).prop_map(
        |(path, content, mode, modified, expect)| service::Put {
            path,
            content,
            mode,
            modified,
            expect,
        },
    )
}

fn finish() -> impl Strategy<Value = service::Finish> {
    let from = prop_oneof![
        (version(), expect())
            .prop_map(|(source, expect)| service::FinishFrom::Partial(source, expect)),
        version().prop_map(service::FinishFrom::Existing),
    ];
    (path(), from, size(), digest(), mode(), time()).prop_map(
        |(path, from, size, hash, mode, modified)| service::Finish {
            path,
            from,
            size,
            hash,
            mode,
            modified,
        },
    )
}

fn receipt() -> impl Strategy<Value = service::Receipt> {
    let outcome = prop_oneof![Just(CoreOutcome::Finished), Just(CoreOutcome::Identical)];
    (digest(), outcome).prop_map(|(hash, outcome)| service::Receipt::relay(hash, outcome))
}

fn delete() -> impl Strategy<Value = service::Delete> {
    prop_oneof![
        (path(), version(), receipt()).prop_map(|(path, version, receipt)| {
            service::Delete::File {
                path,
                version,
                receipt,
            }
        }),
        path().prop_map(|path| service::Delete::Directory { path }),
    ]
}

/// Sends it there, and compares what arrives.
fn arrives<M, C>(sent: C) -> Result<(), TestCaseError>
where
    M: Message + From<C>,
    C: TryFrom<M, Error = Violation> + Clone + Debug,
{
    let message = M::from(sent.clone());
    let (header, bulk) = encode(&message);
    prop_assert!(header.len() <= MAX_MESSAGE);
    let received: C = receive::<M, C>(&header, bulk)
        .map_err(|refusal| TestCaseError::fail(format!("{refusal:?}")))?;
    prop_assert_eq!(format!("{received:?}"), format!("{sent:?}"));
    Ok(())
}

fn making() -> impl Strategy<Value = Making> {
    prop_oneof![
        Just(Making::Change),
        Just(Making::Either),
        Just(Making::New)
    ]
}

proptest! {
    #[test]
    fn runs(run: [u8; 16], origin: [u8; 16], holder in "\\PC{0,50}", rates: [Option<NonZeroU64>; 2]) {
        use service::{Claim as CoreClaim, Ending as CoreEnding, Role as CoreRole};
        for role in [CoreRole::Source, CoreRole::Reader, CoreRole::Destination] {
            let run = RunId::from_bytes(run);
            let origin = service::Origin::from_bytes(origin);
            arrives::<Claim, _>(CoreClaim { role, run, origin, holder: holder.clone() })?;
        }
        for ending in [
            CoreEnding::Clean,
            CoreEnding::Done,
            CoreEnding::Failed,
            CoreEnding::Interrupted,
        ] {
            arrives::<Ending, _>(ending)?;
        }
        let [send_rate, receive_rate] = rates;
        arrives::<Config, _>(service::Config { send_rate, receive_rate })?;
    }

    #[test]
    fn listings(
        within in option::of(path()),
        wanted: (bool, bool),
        cursor in cursor(),
        entries in vec(one_entry(), 0..6),
        failures in vec((vec(any::<u8>(), 0..5000), error()), 0..4),
    ) {
        let (files, directories) = wanted;
        arrives::<List, _>(service::List { within, files, directories, cursor })?;
        let failure = |(path, error)| service::ListFailure { path, error };
        let failures = failures.into_iter().map(failure).collect();
        arrives::<Page, _>(service::Page { entries, failures, next: cursor })?;
    }

    #[test]
    fn offers(
        offers in vec((path(), any::<bool>(), version(), size(), time()), 0..6),
        answers in each(answer()),
    ) {
        let offer = |(path, link, source, size, modified)| service::Offer {
            path, link, source, size, modified,
        };
        arrives::<Batch<Offer>, Vec<_>>(offers.into_iter().map(offer).collect())?;
        arrives::<Batch<Each<Answer>>, _>(answers)?;
    }

    #[test]
    fn content(
        path in path(),
        version in version(),
        range in range(MAX_BLOCK),
        block in block(),
        wholes in vec((path(), version(), 0u64..10_000), 0..6),
        contents in each(bytes(100)),
        target in target(),
        offset in 0..=MAX_FILE_SIZE - MAX_BLOCK,
        hash in option::of(state()),
    ) {
        arrives::<Read, _>(service::Read { path, version, range })?;
        arrives::<Block, _>(block.clone())?;
        let whole = |(path, version, size)| service::ReadWhole { path, version, size };
        arrives::<Batch<ReadWhole>, Vec<_>>(wholes.into_iter().map(whole).collect())?;
        arrives::<Batch<Each<Payload>>, _>(contents)?;
        arrives::<SendBlock, _>(service::SendBlock { target, offset, block, hash })?;
    }

    #[test]
    fn hashes_and_differences(
        path in path(),
        version in version(),
        size in size(),
        range in range(MAX_DIFF_RANGE),
        range_hash in range_hash(),
        signature in signature(),
        expected in size(),
        search: bool,
        delta in delta(),
    ) {
        let hash = service::Hash { path: path.clone(), version: version.clone(), size, range };
        arrives::<Hash, _>(hash)?;
        arrives::<RangeHash, _>(range_hash.clone())?;
        arrives::<Signature, _>(signature.clone())?;
        let request = service::DiffRequest { path, version, size, range, signature, expected, search };
        arrives::<DiffRequest, _>(request)?;
        arrives::<Difference, _>(service::Difference { delta, hash: range_hash })?;
    }

    #[test]
    fn patches(
        target in target(),
        basis in basis(),
        range in range(MAX_DIFF_RANGE),
        block in 512u32..=1 << 20,
        delta in delta(),
        hash in option::of(state()),
    ) {
        let request = service::SignatureRequest {
            target: target.clone(), basis: basis.clone(), range, block,
        };
        arrives::<SignatureRequest, _>(request)?;
        arrives::<Patch, _>(service::Patch { target, basis, range, delta, hash })?;
    }

    #[test]
    fn finishing_and_deleting(
        puts in vec(put(), 0..6),
        makes in vec((path(), mode(), making()), 0..6),
        finishes in vec(finish(), 0..6),
        deletes in vec(delete(), 0..6),
        receipts in each(receipt()),
        dones in each(Just(())),
    ) {
        arrives::<Batch<Put>, _>(puts)?;
        let make = |(path, mode, making)| service::MakeDirectory {
            path,
            mode,
            making,
        };
        arrives::<Batch<MakeDirectory>, Vec<_>>(makes.into_iter().map(make).collect())?;
        arrives::<Batch<Finish>, _>(finishes)?;
        arrives::<Batch<Delete>, _>(deletes)?;
        arrives::<Batch<Each<Receipt>>, _>(receipts)?;
        arrives::<Batch<Each<Done>>, _>(dones)?;
    }

    #[test]
    fn errors(error in error()) {
        arrives::<Error, _>(error)?;
    }
}
