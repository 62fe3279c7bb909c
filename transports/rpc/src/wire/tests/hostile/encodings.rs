//! Bytes that are no message, and bytes at random.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// A list that claims to be as long as no memory is. If that were believed, the test would end
/// with the process.
#[rstest]
fn claimed_lengths_are_not_believed(
    #[values(32, 40, 60, 63)] bits: u32,
    #[values(0, 1, 2, 3, 4, 5, 6, 7, 8)] before: usize,
) {
    let mut length = Vec::new();
    let mut rest = 1u64 << bits;
    while rest >= 0x80 {
        length.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    length.push(rest as u8);
    // As the first list, and after bytes that make a beginning of most messages.
    let header = [vec![1; before], length, vec![1; 8]].concat();
    for (name, receive) in RECEIVERS {
        let received = receive(&header, Bytes::new());
        assert!(!received || before > 0, "{name}");
    }
    let offers = postcard::from_bytes::<Batch<Offer>>(&header[before..]);
    assert!(offers.is_err());
    let sums = postcard::from_bytes::<Bounded<BlockSum, { 1 << 16 }>>(&header[before..]);
    assert!(sums.is_err());
}

#[rstest]
#[case::unknown_ending("Ending", &[4])]
#[case::unknown_block("Block", &[2, 0])]
#[case::unknown_deletion("Batch<Delete>", &[1, 2, 1, b'a'])]
#[case::neither_done_nor_failed("Batch<Each<Done>>", &[1, 2])]
#[case::neither_true_nor_false("List", &[0, 2, 0, 0])]
#[case::neither_some_nor_none("Config", &[2, 1])]
#[case::the_end_too_soon("Claim", &[0, 1, 2, 3])]
#[case::fewer_items_than_claimed("Batch<Offer>", &[2, 1, b'a'])]
#[case::nothing("Page", &[])]
#[case::more_than_64_bits("Config", &[1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 127])]
#[case::a_text_that_is_not_utf_8("Error", &[0, 1, 255, 0, 0])]
fn what_is_no_message_is_refused(#[case] message: &str, #[case] header: &[u8]) {
    let (_, receive) = RECEIVERS.iter().find(|(name, _)| *name == message).unwrap();
    assert!(!receive(header, Bytes::new()));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(
        header in proptest::collection::vec(any::<u8>(), 0..300),
        bulk in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        for (_, receive) in RECEIVERS {
            receive(&header, bulk.clone().into());
        }
    }

    /// Small numbers are valid lengths, variants and options more often: this gets further.
    #[test]
    fn bytes_that_look_like_a_message_never_panic(
        header in proptest::collection::vec(prop_oneof![4 => 0u8..4, 1 => any::<u8>()], 0..200),
    ) {
        for (_, receive) in RECEIVERS {
            receive(&header, Bytes::new());
        }
    }

    #[test]
    fn spoiled_messages_never_panic(
        at in any::<proptest::sample::Index>(),
        value: u8,
        cut in any::<proptest::sample::Index>(),
    ) {
        let spoil = |(mut header, bulk): (Vec<u8>, Bytes)| {
            let place = at.index(header.len());
            header[place] = value;
            let end = cut.index(header.len() * 4).min(header.len());
            for (_, receive) in RECEIVERS {
                receive(&header, bulk.clone());
                receive(&header[..end], bulk.clone());
            }
        };
        spoil(encode(&Claim::from(samples::claim())));
        spoil(encode(&List::from(samples::list())));
        spoil(encode(&SendBlock::from(samples::send())));
        spoil(encode(&Batch::<Put>::from(samples::puts())));
        spoil(encode(&DiffRequest::from(samples::diff_request())));
        spoil(encode(&Patch::from(samples::patch())));
        spoil(encode(&Batch::<Finish>::from(samples::finishes())));
        spoil(encode(&Batch::<Delete>::from(samples::deletes())));
        spoil(encode(&Page::from(samples::page())));
        spoil(encode(&Batch::<Each<Answer>>::from(samples::answers())));
        spoil(encode(&Batch::<Each<Payload>>::from(samples::contents())));
        spoil(encode(&Difference::from(samples::difference())));
        spoil(encode(&Error::from(samples::error())));
    }
}
