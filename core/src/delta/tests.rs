use proptest::prelude::*;

use super::*;

fn random(len: usize, mut seed: u64) -> Vec<u8> {
    let mut step = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    };
    (0..len).map(|_| step()).collect()
}

fn sign(basis: &[u8], block: u32) -> Signature {
    let mut signer = Signer::new(
        ByteRange::new(0, basis.len() as u64).unwrap(),
        block,
        BlockHash::Quick,
    )
    .unwrap();
    signer.update(basis);
    signer.finish().unwrap()
}

fn apply(basis: &[u8], delta: &Delta) -> Vec<u8> {
    let mut made = Vec::new();
    for op in delta.ops() {
        match op {
            DeltaOp::Copy(r) => {
                made.extend_from_slice(&basis[r.start() as usize..r.end() as usize])
            }
            DeltaOp::Data(data) => made.extend_from_slice(data),
        }
    }
    made
}

proptest! {
    /// Whatever was cut out, put in or overwritten, basis and delta make the newer content.
    #[test]
    fn a_delta_makes_the_newer_content(
        len in 0usize..20_000,
        edits in proptest::collection::vec((0usize..20_000, 0usize..3000, 0usize..3000), 0..5),
        block in 512u32..2048,
    ) {
        let basis = random(len, 1);
        let mut newer = basis.clone();
        for (i, (at, cut, put)) in edits.into_iter().enumerate() {
            let at = at.min(newer.len());
            let end = (at + cut).min(newer.len());
            newer.splice(at..end, random(put, i as u64 + 7));
        }
        let newer = Bytes::from(newer);
        let delta = diff(&newer, &sign(&basis, block), 0, true);
        delta.check(ByteRange::new(0, newer.len() as u64).unwrap(), len as u64, false).unwrap();
        prop_assert_eq!(apply(&basis, &delta), newer.to_vec());
        let delta = diff(&newer, &sign(&basis, block), 0, false);
        delta.check(ByteRange::new(0, newer.len() as u64).unwrap(), len as u64, true).unwrap();
        prop_assert_eq!(apply(&basis, &delta), newer.to_vec());
    }
}

#[test]
fn an_insertion_costs_itself_and_a_block() {
    let basis = random(1 << 20, 3);
    let mut newer = basis.clone();
    newer.splice(5000..5000, random(1000, 4));
    let delta = diff(&Bytes::from(newer), &sign(&basis, 4096), 0, true);
    assert!(delta.data_len() <= 1000 + 4096, "{}", delta.data_len());
    assert_eq!(delta.drift(0), Some(-1000));
}

#[test]
fn the_same_content_costs_nothing() {
    let basis = Bytes::from(random(100_001, 5));
    for search in [false, true] {
        let delta = diff(&basis, &sign(&basis, 4096), 0, search);
        assert_eq!(
            delta.ops(),
            [DeltaOp::Copy(ByteRange::new(0, 100_001).unwrap())]
        );
    }
}

#[test]
fn few_new_bytes_do_not_keep_what_was_compared() {
    let basis = random(100_000, 6);
    for (changed, kept) in [(5, false), (15, true)] {
        let mut newer = basis.clone();
        newer
            .chunks_mut(4096)
            .take(changed)
            .for_each(|block| block[0] ^= 1);
        let newer = Bytes::from(newer);
        let delta = diff(&newer, &sign(&basis, 4096), 0, false).detached(newer.len());
        assert_eq!(delta.data_len(), changed as u64 * 4096);
        assert_eq!(apply(&basis, &delta), newer);
        assert_eq!(newer.is_unique(), !kept);
    }
}

#[test]
fn one_changed_byte_in_place_costs_a_block() {
    let basis = random(100_000, 6);
    let mut newer = basis.clone();
    newer[50_000] ^= 1;
    let delta = diff(&Bytes::from(newer), &sign(&basis, 4096), 0, false);
    assert_eq!(delta.data_len(), 4096);
}

#[test]
fn a_hostile_signature_costs_a_bounded_number_of_hashes() {
    // The checksum of a block of zeros, with another hash, for content that is all zeros: every
    // offset matches the checksum. Unbounded, this takes hours.
    let block = 1 << 20;
    let range = ByteRange::new(0, 1 << 20).unwrap();
    let sums = vec![BlockSum {
        weak: 0,
        strong: [1; STRONG_LEN],
    }];
    let signature = Signature::new(range, block, BlockHash::Quick, sums).unwrap();
    let delta = diff(&Bytes::from(vec![0; 8 << 20]), &signature, 0, true);
    assert_eq!(delta.data_len(), 8 << 20);
}

#[test]
fn numbers_from_elsewhere_are_checked() {
    let range = |start, end| ByteRange::new(start, end).unwrap();
    let sum = BlockSum {
        weak: 0,
        strong: [0; STRONG_LEN],
    };
    assert_eq!(
        Signature::new(range(0, 10), 0, BlockHash::Quick, vec![sum]),
        Err(InvalidDelta::BlockSize)
    );
    assert_eq!(
        Signature::new(range(0, 1025), 512, BlockHash::Quick, vec![sum; 2]),
        Err(InvalidDelta::Blocks)
    );
    assert!(Signer::new(range(0, 1 << 40), 512, BlockHash::Quick).is_err());
    let outside = Delta::new(vec![DeltaOp::Copy(range(5, 15))]).unwrap();
    assert_eq!(
        outside.check(range(0, 10), 10, false),
        Err(InvalidDelta::Copy)
    );
    assert_eq!(
        outside.check(range(0, 10), 15, true),
        Err(InvalidDelta::Copy)
    );
    assert_eq!(
        outside.check(range(0, 11), 15, false),
        Err(InvalidDelta::Ops)
    );
    assert_eq!(outside.check(range(0, 10), 15, false), Ok(()));
}
