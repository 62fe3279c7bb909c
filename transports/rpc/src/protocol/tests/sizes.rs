//! What answers take, beside what is counted for them before they are there.

use super::*;

fn taken(reply: Reply) -> usize {
    let frame = encode_reply(response(1, reply)).unwrap();
    frame.header.len() + frame.payload_len()
}

#[test]
fn what_an_answer_takes_is_counted_before_it_is_there() {
    for (i, (call, reply)) in calls().iter().zip(replies()).enumerate() {
        assert!(taken(reply) <= answer_size(call), "{i}");
    }
}

/// The largest there are, as a peer can have them made by short calls.
#[test]
fn large_answers_to_short_calls_are_counted() {
    let blocks = MAX_SIGNATURE_BLOCKS as u64;
    let request = SignatureRequest {
        target: target("a"),
        basis: Basis::Partial,
        range: range(blocks * 512),
        block: 512,
    };
    let sum = realize_core::delta::BlockSum {
        weak: u32::MAX,
        strong: [7; _],
    };
    let quick = realize_core::delta::BlockHash::Quick;
    let sums = vec![sum; MAX_SIGNATURE_BLOCKS];
    let signature = realize_core::delta::Signature::new(request.range, 512, quick, sums);
    let reply = Reply::CalculateSignature(Ok(signature.unwrap()).into());
    let call = Call::CalculateSignature {
        request: request.into(),
    };
    assert!(taken(reply) <= answer_size(&call));

    let long = path(&vec!["n".repeat(255); 15].join("/"));
    let fallen = || {
        let error = Error::io(
            "opening the directory",
            std::io::ErrorKind::NotADirectory.into(),
        );
        Err(error.at(&long))
    };
    let offer = Offer {
        path: long.clone(),
        link: false,
        source: version(),
        size: 9,
        modified: time(),
    };
    let ranges = (0..realize_core::range::MAX_RANGES as u64)
        .map(|n| ByteRange::at(n << 40, 1 << 39).unwrap());
    let mut arrived = realize_core::range::RangeSet::new();
    ranges.for_each(|range| arrived.insert(range));
    let answer = Answer {
        present: realize_core::service::Present::Absent,
        partial: Some(realize_core::service::Arrived {
            ranges: arrived,
            hash: realize_core::hash::HashState::default(),
            size: 1 << 50,
        }),
    };
    let call = Call::Offer {
        offers: vec![offer; MAX_BATCH].into(),
    };
    let answers = |answer: &dyn Fn() -> Result<Answer, Error>| {
        let answers: Vec<_> = (0..MAX_BATCH).map(|_| answer()).collect();
        taken(Reply::Offer(Ok(answers).into()))
    };
    assert!(answers(&|| Ok(answer.clone())) <= answer_size(&call));
    assert!(answers(&fallen) <= answer_size(&call));

    let make = MakeDirectory {
        path: long.clone(),
        mode: 0o700,
        making: Making::New,
    };
    let call = Call::MakeDirectories {
        makes: vec![make; MAX_BATCH].into(),
    };
    let made: Vec<_> = (0..MAX_BATCH)
        .map(|_| fallen().map(|_: Answer| ()))
        .collect();
    assert!(taken(Reply::MakeDirectories(Ok(made).into())) <= answer_size(&call));
}

#[test]
fn an_absurd_range_counts_for_nothing() {
    let absurd = wire::Range {
        start: u64::MAX,
        end: 0,
    };
    let backwards = Call::Read {
        read: wire::Read {
            range: absurd,
            ..doubles::read_of("a", 1).into()
        },
    };
    assert_eq!(answer_size(&backwards), 1 << 10);
}
