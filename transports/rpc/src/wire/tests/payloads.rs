//! Bulk content beside its message.

use rstest::rstest;

use super::*;

fn lengths(message: &mut dyn Payloads) -> Vec<u64> {
    let mut lengths = Vec::new();
    message.payloads(&mut |payload| lengths.push(payload.len()));
    lengths
}

#[test]
fn content_is_taken_out_in_order_and_put_back_where_it_was() {
    let message = Batch::<Each<Payload>>::from(samples::contents());
    let mut header = message.clone();
    let taken = detach(&mut header);
    assert_eq!(taken, ["one", "two"]);
    assert_ne!(header, message, "the bytes stayed");
    assert_eq!(lengths(&mut header), [3, 0, 3]);
    attach(&mut header, taken.concat().into()).unwrap();
    assert_eq!(header, message);
}

#[test]
fn every_message_with_content_shows_all_of_it() {
    let taken = |mut message: Box<dyn Payloads>| detach(&mut *message).concat();
    assert_eq!(taken(Box::new(SendBlock::from(samples::send()))), b"data");
    assert_eq!(taken(Box::new(Block::from(samples::block()))), b"data");
    assert_eq!(taken(Box::new(Block::from(samples::hole()))), b"");
    let puts = Batch::<Put>::from(samples::puts());
    assert_eq!(taken(Box::new(puts)), b"file");
    assert_eq!(taken(Box::new(Patch::from(samples::patch()))), b"xyz");
    let difference = Difference::from(samples::difference());
    assert_eq!(taken(Box::new(difference)), b"xyz");
}

#[test]
fn no_byte_is_copied() {
    let bytes = Bytes::from(vec![1; 1 << 20]);
    let mut message = Block::Data(bytes.clone().into());
    let taken = detach(&mut message);
    assert_eq!(taken[0].as_ptr(), bytes.as_ptr());
    attach(&mut message, bytes.clone()).unwrap();
    let service::Block::Data(received) = message.try_into().unwrap() else {
        panic!("it was data")
    };
    assert_eq!(received.as_ptr(), bytes.as_ptr());
}

#[rstest]
#[case::one_byte_fewer(5)]
#[case::one_byte_more(7)]
#[case::none(0)]
#[case::twice_as_many(12)]
fn other_than_the_sum_is_refused(#[case] len: usize) {
    let mut message = Batch::<Each<Payload>>::from(samples::contents());
    detach(&mut message);
    let before = message.clone();
    let refused = attach(&mut message, vec![0; len].into());
    assert_eq!(refused, Err(Violation::Payload));
    assert_eq!(message, before);
}

#[test]
fn lengths_that_add_up_to_more_than_there_can_be_are_refused() {
    // 65,536 pieces of 4 GiB less one byte, each a variant, and a length of five bytes.
    let mut header = vec![0x80, 0x80, 0x04];
    for _ in 0..1 << 16 {
        header.extend([0x01, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    }
    let mut delta: Delta = postcard::from_bytes(&header).unwrap();
    assert_eq!(lengths(&mut delta).len(), 1 << 16);
    let refused = attach(&mut delta, Bytes::from_static(b"few"));
    assert_eq!(refused, Err(Violation::Payload));
}

#[test]
fn content_that_was_never_attached_is_no_content() {
    let mut message = Block::from(samples::block());
    detach(&mut message);
    let received = service::Block::try_from(message);
    assert_eq!(received, Err(Violation::Payload));
}

#[test]
fn content_is_for_no_log() {
    let message = Block::from(samples::block());
    assert_eq!(format!("{message:?}"), "Data(Payload(4 bytes))");
}
