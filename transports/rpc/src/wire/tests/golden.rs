//! The bytes of every message. A change of them is a change of the protocol, and needs another
//! version of it: an end of the version before could not read them, or would read something else.

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that digits stand for; `5e*32` is 32 times the same byte.
fn unhex(text: &str) -> Vec<u8> {
    let word = |word: &str| {
        let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
        let byte = |i: usize| u8::from_str_radix(&digits[i..i + 2], 16).unwrap();
        let bytes: Vec<_> = (0..digits.len()).step_by(2).map(byte).collect();
        bytes.repeat(times.parse().unwrap())
    };
    text.split_whitespace().flat_map(word).collect()
}

#[track_caller]
fn holds<M, C>(sample: C, header: &str, bulk: &str)
where
    M: Message + From<C>,
    C: TryFrom<M, Error = Violation>,
{
    let header = unhex(header);
    let message = M::from(sample);
    let (encoded, follows) = encode(&message);
    assert_eq!(hex(&encoded), hex(&header));
    assert_eq!(follows, bulk);
    let bulk = Bytes::copy_from_slice(bulk.as_bytes());
    assert_eq!(decode::<M>(&header, bulk.clone()).unwrap(), message);
    let received: C = receive::<M, C>(&header, bulk).unwrap();
    assert_eq!(M::from(received), message);
}

#[test]
fn the_bytes_of_claim() {
    holds::<Claim, _>(samples::claim(), "02 aa*16 bb*16 0763616d2c203132", "");
}

#[test]
fn the_bytes_of_ending() {
    holds::<Ending, _>(samples::ending(), "03", "");
}

#[test]
fn the_bytes_of_list() {
    holds::<List, _>(samples::list(), "0103612f6201000103ac02", "");
}

#[test]
fn the_bytes_of_offers() {
    holds::<Batch<Offer>, _>(samples::offers(), "0103612f6201020708882703ff93ebdc03", "");
}

#[test]
fn the_bytes_of_read() {
    holds::<Read, _>(samples::read(), "03612f6202070801ac02", "");
}

#[test]
fn the_bytes_of_read_batch() {
    holds::<Batch<ReadWhole>, _>(samples::read_batch(), "0103612f62020708ac02", "");
}

#[test]
fn the_bytes_of_send() {
    holds::<SendBlock, _>(
        samples::send(),
        "03612f620207088827018020000401028010 5e*32 8008 5e*32",
        "data",
    );
}

#[test]
fn the_bytes_of_puts() {
    holds::<Batch<Put>, _>(
        samples::puts(),
        "0203612f620004 d1*32 a00303ff93ebdc030102070803612f620102746fa00303ff93ebdc0300",
        "file",
    );
}

#[test]
fn the_bytes_of_make_directories() {
    holds::<Batch<MakeDirectory>, _>(samples::make_directories(), "0103612f62ed0701", "");
}

#[test]
fn the_bytes_of_hash() {
    holds::<Hash, _>(samples::hash(), "03612f62020708882780088827", "");
}

#[test]
fn the_bytes_of_signature_request() {
    holds::<SignatureRequest, _>(
        samples::signature_request(),
        "03612f620207088827010100e8078004",
        "",
    );
}

#[test]
fn the_bytes_of_diff_request() {
    holds::<DiffRequest, _>(
        samples::diff_request(),
        "03612f62020708882700800800e80780040102ac02 16*12 ac02 16*12 800801",
        "",
    );
}

#[test]
fn the_bytes_of_patch() {
    holds::<Patch, _>(
        samples::patch(),
        "03612f62020708882701000207080009030102000309010100",
        "xyz",
    );
}

#[test]
fn the_bytes_of_finishes() {
    holds::<Batch<Finish>, _>(
        samples::finishes(),
        "0203612f62010207088827 d1*32 ff0303ff93ebdc0303612f6200020708008827 d1*32 \
         ff0303ff93ebdc03",
        "",
    );
}

#[test]
fn the_bytes_of_deletes() {
    holds::<Batch<Delete>, _>(
        samples::deletes(),
        "020003612f62020708 d1*32 010103612f62",
        "",
    );
}

#[test]
fn the_bytes_of_config() {
    holds::<Config, _>(samples::config(), "01ac02019003", "");
}

#[test]
fn the_bytes_of_page() {
    holds::<Page, _>(
        samples::page(),
        "0403612f620001020708882703ff93ebdc03a40303612f620102746f020708882703ff93ebdc03ff \
         0303612f620201020708882703ff93ebdc03ff0703612f620302020708882703ff93ebdc03000102 \
         2f00060777726974696e670103612f6201076e6f20726f6f6d010302",
        "",
    );
}

#[test]
fn the_bytes_of_answers() {
    holds::<Batch<Each<Answer>>, _>(
        samples::answers(),
        "050000010200801880208827028010 5e*32 8008 5e*32 \
         8827000102070800000202070802ac0200000301410001060777726974696e670103612f6201076e \
         6f20726f6f6d",
        "",
    );
}

#[test]
fn the_bytes_of_block() {
    holds::<Block, _>(samples::block(), "0004", "data");
}

#[test]
fn the_bytes_of_hole() {
    holds::<Block, _>(samples::hole(), "01ac02", "");
}

#[test]
fn the_bytes_of_contents() {
    holds::<Batch<Each<Payload>>, _>(
        samples::contents(),
        "04000301060777726974696e670103612f6201076e6f20726f6f6d00000003",
        "onetwo",
    );
}

#[test]
fn the_bytes_of_receipts() {
    holds::<Batch<Each<Receipt>>, _>(
        samples::receipts(),
        "0200 d1*32 0101060777726974696e670103612f6201076e6f20726f6f6d",
        "",
    );
}

#[test]
fn the_bytes_of_dones() {
    holds::<Batch<Each<Done>>, _>(
        samples::dones(),
        "020001060777726974696e670103612f6201076e6f20726f6f6d",
        "",
    );
}

#[test]
fn the_bytes_of_whole_hash() {
    holds::<RangeHash, _>(samples::whole_hash(), "00 d1*32", "");
}

#[test]
fn the_bytes_of_part_hash() {
    holds::<RangeHash, _>(samples::part_hash(), "01028008 5e*32 f403 5e*32", "");
}

#[test]
fn the_bytes_of_signature() {
    holds::<Signature, _>(
        samples::signature(),
        "00e80780040102ac02 16*12 ac02 16*12",
        "",
    );
}

#[test]
fn the_bytes_of_difference() {
    holds::<Difference, _>(
        samples::difference(),
        "030102000309010101028008 5e*32 f403 5e*32",
        "xyz",
    );
}

#[test]
fn the_bytes_of_error() {
    holds::<Error, _>(
        samples::error(),
        "060777726974696e670103612f6201076e6f20726f6f6d",
        "",
    );
}

/// Each variant in its place; the samples above hold only some.
#[test]
fn variants_keep_their_numbers() {
    fn numbered<T: Serialize>(variants: &[T]) {
        for (i, variant) in variants.iter().enumerate() {
            assert_eq!(usize::from(postcard::to_stdvec(variant).unwrap()[0]), i);
        }
    }
    let version = || Version(Bytes::new());
    let path = || Path(Bytes::new());
    let range = Range { start: 0, end: 0 };
    let empty = || Payload::from(Bytes::new());
    let outcome = Outcome::Finished;
    let receipt = Receipt {
        hash: [0; 32],
        outcome,
    };
    numbered(&[Role::Source, Role::Reader, Role::Destination]);
    numbered(&[
        Ending::Clean,
        Ending::Done,
        Ending::Failed,
        Ending::Interrupted,
    ]);
    numbered(&[Special::Fifo, Special::Socket, Special::Device]);
    numbered(&[
        EntryKind::File { sparse: false },
        EntryKind::Link {
            target: Bytes::new(),
        },
        EntryKind::Directory { empty: false },
        EntryKind::Special(Special::Fifo),
    ]);
    numbered(&[
        Present::Absent,
        Present::Perhaps(version()),
        Present::Differs {
            version: version(),
            kind: PresentKind::File,
            size: 0,
        },
        Present::Collides(Bytes::new()),
    ]);
    numbered(&[PresentKind::File, PresentKind::Link, PresentKind::Other]);
    numbered(&[Block::Data(empty()), Block::Hole(0)]);
    numbered(&[Basis::Final(version()), Basis::Partial]);
    numbered(&[DeltaOp::Copy(range), DeltaOp::Data(empty())]);
    numbered(&[RangeHash::Whole([0; 32]), RangeHash::Part(Bounded(vec![]))]);
    numbered(&[Content::File(empty(), [0; 32]), Content::Link(Bytes::new())]);
    numbered(&[Expect::Absent, Expect::Version(version())]);
    numbered(&[
        FinishFrom::Partial(version(), Expect::Absent),
        FinishFrom::Existing(version()),
    ]);
    numbered(&[outcome, Outcome::Identical]);
    numbered(&[
        Delete::File {
            path: path(),
            version: version(),
            receipt,
        },
        Delete::Directory { path: path() },
    ]);
    numbered(&[Each::Ok(Done), Each::Err(samples::error().into())]);
}
