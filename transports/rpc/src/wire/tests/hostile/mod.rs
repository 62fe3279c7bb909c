//! What no honest end sends: each is refused, for its own reason, and nothing panics.

use realize_core::delta::InvalidDelta;
use realize_core::entry::VersionTooLong;
use realize_core::path::InvalidPath;
use realize_core::range::InvalidRange;

use super::*;

/// A valid message is spoiled, sent, and must be refused as expected.
#[derive(Default)]
struct Corpus {
    cases: usize,
}

impl Corpus {
    fn refuses<M, C>(
        &mut self,
        name: &str,
        valid: &M,
        spoil: impl FnOnce(&mut M),
        expected: Violation,
    ) where
        M: Message,
        C: TryFrom<M, Error = Violation>,
    {
        let sent = |message: &M| {
            let (header, bulk) = encode(message);
            receive::<M, C>(&header, bulk).map(drop)
        };
        assert_eq!(sent(valid), Ok(()), "{name}: valid");
        let mut spoiled = valid.clone();
        spoil(&mut spoiled);
        assert_eq!(sent(&spoiled), Err(expected.into()), "{name}");
        self.cases += 1;
    }
}

/// Puts each of some values, with the violation that it is, into a place of messages:
/// `Message => what it becomes: sample [.place]`.
macro_rules! spoil {
    ($corpus:ident, $values:expr; $($message:ty => $core:ty: $sample:ident [$($place:tt)+]);+ $(;)?) => {
        $(for (value, expected) in $values {
            let valid = <$message>::from(samples::$sample());
            let name = concat!(stringify!($sample), stringify!($($place)+));
            $corpus.refuses::<$message, $core>(name, &valid, |m| m$($place)+ = value.into(), expected);
        })+
    };
}

fn bad_paths() -> Vec<(Path, Violation)> {
    let long_name = vec![b'x'; 256];
    let long_path = ["x"; 2049].join("/");
    let digits = "0123456789abcdef".repeat(2);
    let reserved = |ending: &str| format!(".realize-{digits}{ending}").into_bytes();
    let cases: Vec<(Vec<u8>, InvalidPath)> = vec![
        (b"".to_vec(), InvalidPath::Empty),
        (b"/etc/passwd".to_vec(), InvalidPath::EmptyName),
        (b"a//b".to_vec(), InvalidPath::EmptyName),
        (b"a/".to_vec(), InvalidPath::EmptyName),
        (b".".to_vec(), InvalidPath::Dots),
        (b"..".to_vec(), InvalidPath::Dots),
        (b"a/../../b".to_vec(), InvalidPath::Dots),
        (b"a\0b".to_vec(), InvalidPath::Nul),
        (long_name, InvalidPath::NameTooLong),
        (long_path.into_bytes(), InvalidPath::TooLong),
        (b".realize-deleting/x".to_vec(), InvalidPath::Reserved),
        (b"a/.realize-source.lease".to_vec(), InvalidPath::Reserved),
        (reserved(".part"), InvalidPath::Reserved),
        (reserved(".source"), InvalidPath::Reserved),
    ];
    let case = |(path, why): (Vec<u8>, _)| (Path(path.into()), Violation::Path(why));
    cases.into_iter().map(case).collect()
}

/// Takes a variant apart that is there for certain.
macro_rules! field {
    ($value:expr, $pattern:pat => $field:expr) => {{
        let $pattern = $value else {
            panic!("another variant")
        };
        $field
    }};
}

// After the macros, which they use.
mod bounds;
mod encodings;

#[test]
fn paths_that_leave_the_root_or_are_none_are_refused_in_every_message() {
    let mut corpus = Corpus::default();
    spoil! { corpus, bad_paths();
        Batch<Offer> => Vec<service::Offer>: offers [.0[0].path];
        Read => service::Read: read [.path];
        Batch<ReadWhole> => Vec<service::ReadWhole>: read_batch [.0[0].path];
        SendBlock => service::SendBlock: send [.target.path];
        Batch<Put> => Vec<service::Put>: puts [.0[1].path];
        Batch<MakeDirectory> => Vec<service::MakeDirectory>: make_directories [.0[0].path];
        Hash => service::Hash: hash [.path];
        SignatureRequest => service::SignatureRequest: signature_request [.target.path];
        DiffRequest => service::DiffRequest: diff_request [.path];
        Patch => service::Patch: patch [.target.path];
        Batch<Finish> => Vec<service::Finish>: finishes [.0[1].path];
        Page => service::Page: page [.entries.0[0].path];
    }
    for (bad, expected) in bad_paths() {
        let valid = List::from(samples::list());
        let within = bad.clone();
        let spoil = |m: &mut List| m.within = Some(within);
        corpus.refuses::<List, service::List>("within", &valid, spoil, expected);
        let valid = Batch::<Delete>::from(samples::deletes());
        type Core = Vec<service::Delete>;
        let file = bad.clone();
        let spoil = |m: &mut Batch<Delete>| {
            *field!(&mut m.0[0], Delete::File { path, .. } => path) = file;
        };
        corpus.refuses::<_, Core>("file", &valid, spoil, expected);
        let spoil = |m: &mut Batch<Delete>| {
            *field!(&mut m.0[1], Delete::Directory { path } => path) = bad;
        };
        corpus.refuses::<_, Core>("directory", &valid, spoil, expected);
    }
    assert_eq!(corpus.cases, 15 * 14);
}

#[test]
fn ranges_that_no_file_has_are_refused() {
    let mut corpus = Corpus::default();
    let absurd = || {
        let range = |start, end| Range { start, end };
        let wrong = Violation::Range(InvalidRange);
        [
            (range(2, 1), wrong),
            (range(0, 1 << 63), wrong),
            (range(1 << 63, 1 << 63), wrong),
            (range(u64::MAX - 1, u64::MAX), wrong),
            (range(u64::MAX, 0), wrong),
        ]
    };
    spoil! { corpus, absurd();
        Read => service::Read: read [.range];
        Hash => service::Hash: hash [.range];
        SignatureRequest => service::SignatureRequest: signature_request [.range];
        DiffRequest => service::DiffRequest: diff_request [.range];
        DiffRequest => service::DiffRequest: diff_request [.signature.range];
        Signature => CoreSignature: signature [.range];
        Patch => service::Patch: patch [.range];
        Patch => service::Patch: patch [.delta.0.0[1]];
        Difference => service::Difference: difference [.delta.0.0[1]];
    }
    let too_long = |max: u64| {
        let what = "bytes in a range";
        let too_many = Violation::TooMany { what, max };
        [(
            Range {
                start: 1,
                end: max + 2,
            },
            too_many,
        )]
    };
    spoil! { corpus, too_long(1 << 20); Read => service::Read: read [.range] }
    spoil! { corpus, too_long(8 << 20);
        DiffRequest => service::DiffRequest: diff_request [.range];
        Patch => service::Patch: patch [.range];
    }
    let far = || {
        let wrong = Violation::Range(InvalidRange);
        [((1 << 63) - 1, wrong), (1 << 63, wrong), (u64::MAX, wrong)]
    };
    spoil! { corpus, far(); SendBlock => service::SendBlock: send [.offset] }
    assert_eq!(corpus.cases, 9 * 5 + 3 + 3);
}

impl From<Range> for DeltaOp {
    fn from(range: Range) -> Self {
        Self::Copy(range)
    }
}

#[test]
fn numbers_beyond_their_bounds_are_refused() {
    let mut corpus = Corpus::default();
    let sizes = || [1 << 63, u64::MAX].map(|size| (size, Violation::Size));
    spoil! { corpus, sizes();
        Batch<Offer> => Vec<service::Offer>: offers [.0[0].size];
        SendBlock => service::SendBlock: send [.target.size];
        Hash => service::Hash: hash [.size];
        SignatureRequest => service::SignatureRequest: signature_request [.target.size];
        DiffRequest => service::DiffRequest: diff_request [.size];
        Patch => service::Patch: patch [.target.size];
        Batch<Finish> => Vec<service::Finish>: finishes [.0[0].size];
        Page => service::Page: page [.entries.0[0].size];
    }
    let modes = || [0o4755, 0o2755, 0o10_0644, u32::MAX].map(|mode| (mode, Violation::Mode));
    spoil! { corpus, modes();
        Batch<Put> => Vec<service::Put>: puts [.0[0].mode];
        Batch<MakeDirectory> => Vec<service::MakeDirectory>: make_directories [.0[0].mode];
        Batch<Finish> => Vec<service::Finish>: finishes [.0[0].mode];
        Page => service::Page: page [.entries.0[0].mode];
    }
    let nanos = || [1_000_000_000, u32::MAX].map(|nanos| (nanos, Violation::Nanos));
    spoil! { corpus, nanos();
        Batch<Offer> => Vec<service::Offer>: offers [.0[0].modified.nanos];
        Batch<Put> => Vec<service::Put>: puts [.0[0].modified.nanos];
        Batch<Finish> => Vec<service::Finish>: finishes [.0[0].modified.nanos];
        Page => service::Page: page [.entries.0[0].modified.nanos];
    }
    let blocks = || {
        let wrong = Violation::Delta(InvalidDelta::BlockSize);
        [0, 511, (1 << 20) + 1, u32::MAX].map(|block| (block, wrong))
    };
    spoil! { corpus, blocks();
        SignatureRequest => service::SignatureRequest: signature_request [.block];
        Signature => CoreSignature: signature [.block];
        DiffRequest => service::DiffRequest: diff_request [.signature.block];
    }
    spoil! { corpus, [(Some(0), Violation::Rate)];
        Config => service::Config: config [.send_rate];
        Config => service::Config: config [.receive_rate];
    }
    assert_eq!(corpus.cases, 8 * 2 + 4 * 4 + 4 * 2 + 3 * 4 + 2);
}

#[test]
fn versions_are_bounded_wherever_one_stands() {
    let mut corpus = Corpus::default();
    let long = || {
        let version = |len| Version(vec![1; len].into());
        let wrong = Violation::Version(VersionTooLong);
        [(version(65), wrong), (version(5000), wrong)]
    };
    spoil! { corpus, long();
        Batch<Offer> => Vec<service::Offer>: offers [.0[0].source];
        Read => service::Read: read [.version];
        Batch<ReadWhole> => Vec<service::ReadWhole>: read_batch [.0[0].version];
        SendBlock => service::SendBlock: send [.target.source];
        Hash => service::Hash: hash [.version];
        DiffRequest => service::DiffRequest: diff_request [.version];
        Page => service::Page: page [.entries.0[0].version];
    }
    let bases = || long().map(|(version, why)| (Basis::Final(version), why));
    spoil! { corpus, bases();
        SignatureRequest => service::SignatureRequest: signature_request [.basis];
        Patch => service::Patch: patch [.basis];
    }
    let expected = || long().map(|(version, why)| (Expect::Version(version), why));
    spoil! { corpus, expected(); Batch<Put> => Vec<service::Put>: puts [.0[0].expect] }
    let from = || {
        let short = || Version(Bytes::new());
        long().into_iter().flat_map(move |(version, why)| {
            let expect = Expect::Version(version.clone());
            [
                (FinishFrom::Partial(version.clone(), Expect::Absent), why),
                (FinishFrom::Partial(short(), expect), why),
                (FinishFrom::Existing(version), why),
            ]
        })
    };
    spoil! { corpus, from(); Batch<Finish> => Vec<service::Finish>: finishes [.0[0].from] }
    let present = || {
        let (kind, size) = (PresentKind::File, 1);
        long().into_iter().flat_map(move |(version, why)| {
            let differs = Present::Differs {
                version: version.clone(),
                kind,
                size,
            };
            let answer = |present| {
                Each::Ok(Answer {
                    present,
                    partial: None,
                })
            };
            [
                (answer(Present::Perhaps(version)), why),
                (answer(differs), why),
            ]
        })
    };
    spoil! { corpus, present();
        Batch<Each<Answer>> => Results<service::Answer>: answers [.0[0]];
    }
    for (bad, expected) in long() {
        let valid = Batch::<Delete>::from(samples::deletes());
        let spoil = |m: &mut Batch<Delete>| {
            *field!(&mut m.0[0], Delete::File { version, .. } => version) = bad;
        };
        corpus.refuses::<_, Vec<service::Delete>>("file", &valid, spoil, expected);
    }
    assert_eq!(corpus.cases, 7 * 2 + 2 * 2 + 2 + 6 + 4 + 2);
}
