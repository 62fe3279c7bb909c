//! What is too much, and what does not fit together.

use realize_core::delta::STRONG_LEN;
use realize_core::hash::Misfit;
use realize_core::range::InvalidRangeSet;

use super::*;

fn too_many(what: &'static str, max: u64) -> Violation {
    Violation::TooMany { what, max }
}

/// A message with its first item 513 times.
fn crowd<T: Clone>(batch: &Batch<T>) -> Batch<T> {
    Bounded(vec![batch.0[0].clone(); 513])
}

#[test]
fn batches_are_bounded() {
    let mut corpus = Corpus::default();
    macro_rules! crowds {
        ($($item:ty => $core:ty: $sample:ident),+ $(,)?) => {
            $({
                let valid = Batch::<$item>::from(samples::$sample());
                let many = |m: &mut Batch<$item>| *m = crowd(m);
                let expected = too_many("items", 512);
                corpus.refuses::<_, Vec<$core>>(stringify!($sample), &valid, many, expected);
            })+
        };
    }
    crowds! {
        Offer => service::Offer: offers,
        ReadWhole => service::ReadWhole: read_batch,
        Put => service::Put: puts,
        MakeDirectory => service::MakeDirectory: make_directories,
        Finish => service::Finish: finishes,
        Delete => service::Delete: deletes,
        Each<Answer> => realize_core::Result<service::Answer>: answers,
        Each<Payload> => realize_core::Result<Bytes>: contents,
        Each<Receipt> => realize_core::Result<service::Receipt>: receipts,
        Each<Done> => realize_core::Result<()>: dones,
    }
    let page = Page::from(samples::page());
    let mut pages = |spoil: fn(&mut Page)| {
        corpus.refuses::<Page, service::Page>("page", &page, spoil, too_many("items", 512));
    };
    pages(|m| m.entries = crowd(&m.entries));
    pages(|m| m.failures = crowd(&m.failures));
    pages(|m| m.entries = Bounded(vec![m.entries.0[0].clone(); 512]));
    assert_eq!(corpus.cases, 13);
}

#[test]
fn content_is_bounded() {
    let mut corpus = Corpus::default();
    let mebi = |n: usize| Payload::from(Bytes::from(vec![0; n << 20]));
    let beyond = || Payload::from(Bytes::from(vec![0; (1 << 20) + 1]));
    let block = too_many("bytes in a block", 1 << 20);
    let holes = [(1 << 20) + 1, 1 << 63, u64::MAX].map(|len| (Block::Hole(len), block));
    let blocks = || {
        holes
            .clone()
            .into_iter()
            .chain([(Block::Data(beyond()), block)])
    };
    spoil! { corpus, blocks(); SendBlock => service::SendBlock: send [.block] }
    let valid = Block::from(samples::block());
    for (bad, expected) in blocks() {
        corpus.refuses::<_, service::Block>("block", &valid, |m| *m = bad, expected);
    }
    let batch = too_many("bytes of content in a batch", 4 << 20);
    let reads = Batch::<ReadWhole>::from(samples::read_batch());
    for sizes in [&[(4 << 20) + 1][..], &[4 << 20, 1], &[u64::MAX, u64::MAX]] {
        let spoil = |m: &mut Batch<ReadWhole>| {
            let one = m.0[0].clone();
            let whole = |&size| ReadWhole {
                size,
                ..one.clone()
            };
            m.0 = sizes.iter().map(whole).collect();
        };
        corpus.refuses::<_, Vec<service::ReadWhole>>("read_batch", &reads, spoil, batch);
    }
    let puts = Batch::<Put>::from(samples::puts());
    let spoil = |m: &mut Batch<Put>| m.0[0].content = Content::File(mebi(4), [0; 32]);
    corpus.refuses::<_, Vec<service::Put>>("puts", &puts, spoil, batch);
    let contents = Batch::<Each<Payload>>::from(samples::contents());
    let spoil = |m: &mut Batch<Each<Payload>>| m.0[2] = Each::Ok(mebi(4));
    corpus.refuses::<_, Results<Bytes>>("contents", &contents, spoil, batch);

    let delta = too_many("bytes of a delta", 8 << 20);
    let difference = Difference::from(samples::difference());
    let patch = Patch::from(samples::patch());
    let copy = |len| DeltaOp::Copy(Range { start: 0, end: len });
    let all = (1 << 63) - 1;
    for ops in [
        vec![copy((8 << 20) + 1)],
        vec![DeltaOp::Data(mebi(8)), copy(1)],
        vec![copy(all), copy(all), copy(all)],
    ] {
        let made = Delta(Bounded(ops));
        let spoil = |m: &mut Difference| m.delta = made.clone();
        corpus.refuses::<_, service::Difference>("difference", &difference, spoil, delta);
        let spoil = |m: &mut Patch| m.delta = made;
        corpus.refuses::<_, service::Patch>("patch", &patch, spoil, delta);
    }
    let many = Delta(Bounded(vec![copy(0); (1 << 16) + 1]));
    let ops = too_many("operations in a delta", 1 << 16);
    let spoil = |m: &mut Difference| m.delta = many;
    corpus.refuses::<_, service::Difference>("operations", &difference, spoil, ops);
    assert_eq!(corpus.cases, 2 * 4 + 3 + 1 + 1 + 3 * 2 + 1);
}

#[test]
fn links_texts_and_names_are_bounded() {
    let mut corpus = Corpus::default();
    let targets = || {
        let long = Bytes::from(vec![b'x'; 4096]);
        let too_long = too_many("bytes in a link's target", 4095);
        let nul = Bytes::from_static(b"a\0b");
        [(long, too_long), (nul, Violation::Nul)]
    };
    let links = || targets().map(|(target, why)| (Content::Link(target), why));
    spoil! { corpus, links(); Batch<Put> => Vec<service::Put>: puts [.0[1].content] }
    let kinds = || targets().map(|(target, why)| (EntryKind::Link { target }, why));
    spoil! { corpus, kinds(); Page => service::Page: page [.entries.0[1].kind] }

    let holder = [("x".repeat(201), too_many("bytes in a holder", 200))];
    spoil! { corpus, holder; Claim => service::Claim: claim [.holder] }
    let text = || [("x".repeat(1025), too_many("bytes in a text", 1024))];
    spoil! { corpus, text();
        Error => realize_core::Error: error [.doing];
        Error => realize_core::Error: error [.causes.0[0]];
        Page => service::Page: page [.failures.0[0].error.doing];
    }
    let causes = [(
        Bounded(vec![String::new(); 9]),
        too_many("causes of an error", 8),
    )];
    spoil! { corpus, causes; Error => realize_core::Error: error [.causes] }
    let failing = Bytes::from(vec![b'x'; 5117]);
    let failing = [(failing, too_many("bytes in the path of a failure", 5116))];
    spoil! { corpus, failing; Page => service::Page: page [.failures.0[0].path] }
    let collides = [(
        Each::Ok(Answer {
            present: Present::Collides(vec![b'x'; 256].into()),
            partial: None,
        }),
        too_many("bytes in a stored name", 255),
    )];
    spoil! { corpus, collides; Batch<Each<Answer>> => Results<service::Answer>: answers [.0[0]] }
    assert_eq!(corpus.cases, 2 * 2 + 1 + 3 + 1 + 1 + 1);
}

#[test]
fn sets_hashes_and_signatures_that_do_not_fit_are_refused() {
    let mut corpus = Corpus::default();
    let range = |start, end| Range { start, end };
    let bad_sets = [
        vec![range(2, 3), range(0, 1)],
        vec![range(0, 2), range(1, 3)],
        vec![range(0, 2), range(2, 3)],
        vec![range(1, 1)],
    ];
    let wrong = Violation::RangeSet(InvalidRangeSet);
    let mut sets: Vec<_> = bad_sets.map(|set| (Bounded(set), wrong)).into();
    let many = (0..65).map(|i| range(i * 2, i * 2 + 1));
    sets.push((Bounded(many.collect()), too_many("ranges", 64)));
    let inverted = vec![range(3, 2)];
    sets.push((Bounded(inverted), Violation::Range(InvalidRange)));

    let subtree = |size| Subtree {
        size,
        value: [0; 32],
    };
    let bad_states = [
        vec![subtree(0)],
        vec![subtree(1 << 63)],
        vec![subtree(u64::MAX)],
        vec![subtree(1500)],
        vec![subtree(1024), subtree(1024)],
        vec![subtree(1024), subtree(2048)],
    ];
    let misfit = Violation::Hash(Misfit);
    let mut states: Vec<_> = bad_states.map(|state| (Bounded(state), misfit)).into();
    let crowded = Bounded(vec![subtree(1024); 129]);
    states.push((crowded, too_many("chaining values", 128)));

    let answers = Batch::<Each<Answer>>::from(samples::answers());
    type Answers = Results<service::Answer>;
    fn arrived(m: &mut Batch<Each<Answer>>) -> &mut Arrived {
        let answer = field!(&mut m.0[0], Each::Ok(answer) => answer);
        answer.partial.as_mut().unwrap()
    }
    for (set, expected) in sets {
        let spoil = |m: &mut Batch<Each<Answer>>| arrived(m).ranges = RangeSet(set);
        corpus.refuses::<_, Answers>("ranges", &answers, spoil, expected);
    }
    let spoil = |m: &mut Batch<Each<Answer>>| arrived(m).size = 1 << 63;
    corpus.refuses::<_, Answers>("size", &answers, spoil, Violation::Size);
    for (state, expected) in states.clone() {
        let spoil = |m: &mut Batch<Each<Answer>>| arrived(m).hash = HashState(state);
        corpus.refuses::<_, Answers>("hash", &answers, spoil, expected);
    }
    let optional = || {
        let states = states.clone().into_iter();
        states.map(|(state, why)| (Some(HashState(state)), why))
    };
    spoil! { corpus, optional();
        SendBlock => service::SendBlock: send [.hash];
        Patch => service::Patch: patch [.hash];
    }
    // A range may end anywhere, and what is beside its middle grows or shrinks.
    let parts = || {
        let zero = (Bounded(vec![subtree(0)]), misfit);
        let huge = (Bounded(vec![subtree(1 << 63)]), misfit);
        let states = [zero, huge].into_iter().chain(states.last().cloned());
        states.map(|(subtrees, why)| (RangeHash::Part(subtrees), why))
    };
    spoil! { corpus, parts(); Difference => service::Difference: difference [.hash] }

    let blocks = Violation::Delta(InvalidDelta::Blocks);
    let sum = BlockSum {
        weak: 0,
        strong: [0; STRONG_LEN],
    };
    let counts = || {
        let fewer = [0, 1, 3].map(|count| (Bounded(vec![sum.clone(); count]), blocks));
        let many = Bounded(vec![sum.clone(); (1 << 16) + 1]);
        let many = (many, too_many("blocks in a signature", 1 << 16));
        fewer.into_iter().chain([many])
    };
    spoil! { corpus, counts();
        Signature => CoreSignature: signature [.sums];
        DiffRequest => service::DiffRequest: diff_request [.signature.sums];
    }
    let longer = || [(range(0, 1025), blocks), (range(0, (1 << 63) - 1), blocks)];
    spoil! { corpus, longer();
        Signature => CoreSignature: signature [.range];
        DiffRequest => service::DiffRequest: diff_request [.signature.range];
    }
    assert_eq!(corpus.cases, 6 + 1 + 3 * 7 + 3 + 2 * 4 + 2 * 2);
}
