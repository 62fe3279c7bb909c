#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use proptest::prelude::*;
use realize_core::delta::{Delta, DeltaOp};
use realize_core::hash::{Digest, RangeHash};
use realize_core::range::ByteRange;
use realize_core::service::{
    Answer, Basis, Block, Config, Content, Delete, DiffRequest, Difference, Ending, Expect, Finish,
    FinishFrom, Hash, MakeDirectory, Making, Offer, Outcome, Page, Patch, Put, ReadWhole, Receipt,
    SignatureRequest,
};
use realize_core::{Error, ErrorKind};
use rstest::rstest;

use super::*;
use crate::tests::doubles::{self, path, request, target, version};

mod sizes;

fn range(len: u64) -> ByteRange {
    ByteRange::new(0, len).unwrap()
}

fn time() -> realize_core::entry::Timestamp {
    realize_core::entry::Timestamp {
        seconds: 5,
        nanos: 6,
    }
}

fn digest() -> Digest {
    Digest::from_bytes([3; 32])
}

fn signature() -> realize_core::delta::Signature {
    realize_core::delta::Signature::new(
        range(0),
        1024,
        realize_core::delta::BlockHash::Quick,
        Vec::new(),
    )
    .unwrap()
}

fn delta() -> Delta {
    let data = DeltaOp::Data(Bytes::from_static(b"delta"));
    Delta::new(vec![DeltaOp::Copy(range(9)), data]).unwrap()
}

/// One of each call.
fn calls() -> Vec<Call> {
    let (path, version) = (path("a"), version());
    let (size, mode, modified) = (9, 0o644, time());
    let offer = Offer {
        path: path.clone(),
        link: false,
        source: version.clone(),
        size,
        modified,
    };
    let put = |content: &'static [u8]| Put {
        path: path.clone(),
        content: Content::File(Bytes::from_static(content), digest()),
        mode,
        modified,
        expect: Expect::Absent,
    };
    let make = MakeDirectory {
        path: path.clone(),
        mode,
        making: Making::Either,
    };
    let hash = Hash {
        path: path.clone(),
        version: version.clone(),
        size,
        range: range(9),
    };
    let signature_request = SignatureRequest {
        target: target("a"),
        basis: Basis::Partial,
        range: range(9),
        block: 1024,
    };
    let diff = DiffRequest {
        path: path.clone(),
        version: version.clone(),
        size,
        range: range(9),
        signature: signature(),
        expected: 9,
        search: true,
    };
    let patch = Patch {
        target: target("a"),
        basis: Basis::Partial,
        range: range(14),
        delta: delta(),
        hash: None,
    };
    let finish = Finish {
        path: path.clone(),
        from: FinishFrom::Existing(version.clone()),
        size,
        hash: digest(),
        mode,
        modified,
    };
    let whole = ReadWhole {
        path: path.clone(),
        version: version.clone(),
        size,
    };
    let delete = Delete::File {
        path: path.clone(),
        version,
        receipt: Receipt::issue(digest(), Outcome::Finished),
    };
    vec![
        doubles::claim_call(),
        Call::Release {
            ending: Ending::Clean.into(),
        },
        doubles::list_call("a"),
        Call::Offer {
            offers: vec![offer].into(),
        },
        doubles::read_call("a", 9),
        Call::ReadBatch {
            reads: vec![whole].into(),
        },
        doubles::send_call("a", 9),
        Call::Put {
            puts: vec![put(b"one"), put(b""), put(b"three")].into(),
        },
        Call::MakeDirectories {
            makes: vec![make].into(),
        },
        Call::Hash { hash: hash.into() },
        Call::CalculateSignature {
            request: signature_request.into(),
        },
        Call::Diff {
            request: diff.into(),
        },
        Call::ApplyPatch {
            patch: patch.into(),
        },
        Call::Finish {
            finishes: vec![finish].into(),
        },
        Call::Delete {
            deletes: vec![delete].into(),
        },
        Call::Configure {
            config: Config::default().into(),
        },
    ]
}

/// One of each reply, in the order of the calls.
pub(crate) fn replies() -> Vec<Reply> {
    let receipt = Receipt::issue(digest(), Outcome::Identical);
    let failed = || Error::new(ErrorKind::Full, "writing");
    let contents = vec![
        Ok(Bytes::from_static(b"one")),
        Err(failed()),
        Ok(Bytes::new()),
    ];
    let difference = Difference {
        delta: delta(),
        hash: RangeHash::Whole(digest()),
    };
    vec![
        Reply::Claim(Ok(()).into()),
        Reply::Release(Err::<(), _>(failed()).into()),
        Reply::List(Ok(Page::default()).into()),
        Reply::Offer(Ok(vec![Err::<Answer, _>(failed())]).into()),
        Reply::Read(Ok(Block::Data(Bytes::from_static(b"block"))).into()),
        Reply::ReadBatch(Ok(contents).into()),
        Reply::Send(Ok(()).into()),
        Reply::Put(Ok(vec![Ok(receipt)]).into()),
        Reply::MakeDirectories(Ok(vec![Ok(())]).into()),
        Reply::Hash(Ok(RangeHash::Whole(digest())).into()),
        Reply::CalculateSignature(Ok(signature()).into()),
        Reply::Diff(Ok(difference).into()),
        Reply::ApplyPatch(Ok(()).into()),
        Reply::Finish(Ok(vec![Ok(receipt), Err(failed())]).into()),
        Reply::Delete(Ok(vec![Ok(())]).into()),
        Reply::Configure(Ok(Config::default()).into()),
    ]
}

fn response(request_id: u64, reply: Reply) -> Response<Reply> {
    Response {
        request_id,
        message: Ok(reply),
    }
}

/// A frame as it comes in: its payload in one piece.
fn arrived(frame: Frame) -> Frame {
    let payload: Bytes = frame.payload.concat().into();
    Frame {
        header: frame.header,
        payload: (!payload.is_empty())
            .then_some(payload)
            .into_iter()
            .collect(),
    }
}

#[test]
fn every_call_comes_back_with_its_bytes() {
    for (i, call) in calls().into_iter().enumerate() {
        let id = i as u64 * 1000;
        let frame = arrived(request(id, call));
        let ClientMessage::Request(found) = decode_call(&frame).unwrap() else {
            panic!("a call")
        };
        assert_eq!(found.id, id);
        // With the bytes attached again it is the same frame.
        assert_eq!(arrived(request(id, found.message)), frame, "{i}");
        let has_bytes = [6, 7, 12].contains(&i);
        assert_eq!(frame.payload_len() > 0, has_bytes, "{i}");
    }
}

#[test]
fn every_reply_comes_back_with_its_bytes() {
    for (i, reply) in replies().into_iter().enumerate() {
        let frame = arrived(encode_reply(response(9, reply)).unwrap());
        let found = decode_reply(&frame).unwrap();
        assert_eq!(found.request_id, 9);
        assert_eq!(arrived(encode_reply(found).unwrap()), frame, "{i}");
        assert_eq!(frame.payload_len() > 0, [4, 5, 11].contains(&i), "{i}");
    }
}

#[test]
fn a_call_and_its_reply_are_of_one_kind() {
    let calls: Vec<_> = calls().iter().map(Operation::of_call).collect();
    let replies: Vec<_> = replies().iter().map(Operation::of_reply).collect();
    assert_eq!(calls, replies);
    for (i, operation) in calls.iter().enumerate() {
        assert_eq!(calls.iter().position(|o| o == operation), Some(i));
    }
}

#[test]
fn the_bytes_of_what_is_not_a_message_of_a_service_stay() {
    assert_eq!(&doubles::cancel(300).header[..], [1, 0xac, 2]);
    let claim = request(5, doubles::claim_call()).header;
    assert_eq!(claim.get(..3), Some(&[0, 5, 0][..]));
    let reply = encode_reply(response(5, Reply::Claim(Ok(()).into()))).unwrap();
    assert_eq!(reply.header.get(..3), Some(&[0, 5, 0][..]));
    let failed = Response {
        request_id: 5,
        message: Err(ServerError::new(std::io::ErrorKind::Other, "no".to_owned())),
    };
    assert_eq!(&encode_reply(failed).unwrap().header[..], b"\x01\x05\x02no");
}

#[test]
fn no_deadline_crosses_the_wire() {
    let frames = [1, 1_000_000].map(|seconds| {
        let mut context = context();
        context.deadline = Instant::now() + Duration::from_secs(seconds);
        encode_call(ClientMessage::Request(Request {
            context,
            id: 1,
            message: doubles::list_call("a"),
        }))
    });
    assert!(frames[0].is_some() && frames[0] == frames[1]);
    let ClientMessage::Request(found) = decode_call(frames[0].as_ref().unwrap()).unwrap() else {
        panic!("a call")
    };
    let left = found.context.deadline - Instant::now();
    assert!(left > CALL_LIMIT - Duration::from_secs(60) && left <= CALL_LIMIT);
}

#[rstest]
#[case(MAX_PAYLOAD, true)]
#[case(MAX_PAYLOAD + 1, false)]
fn an_answer_that_is_too_large_fails_alone(#[case] len: usize, #[case] fits: bool) {
    let block = Block::Data(vec![0; len].into());
    let frame = encode_reply(response(5, Reply::Read(Ok(block).into()))).unwrap();
    let found = decode_reply(&arrived(frame)).unwrap();
    assert_eq!(found.request_id, 5);
    assert_eq!(found.message.is_ok(), fits);
}

#[test]
fn a_request_that_is_too_large_is_none() {
    let frame = encode_call(ClientMessage::Request(Request {
        context: context(),
        id: 1,
        message: doubles::send_call("a", MAX_PAYLOAD + 1),
    }));
    assert!(frame.is_none());
}

#[test]
fn little_is_kept_of_why_a_server_could_not_answer() {
    let failed = Response::<Reply> {
        request_id: 5,
        message: Err(ServerError::new(
            std::io::ErrorKind::Other,
            "ö".repeat(100_000),
        )),
    };
    let found = decode_reply(&encode_reply(failed).unwrap()).unwrap();
    assert_eq!(found.message.unwrap_err().detail, "ö".repeat(MAX_WHY / 2));
}

#[test]
fn a_rest_behind_a_message_is_refused() {
    let mut frame = request(1, doubles::list_call("a"));
    frame.header = [&frame.header[..], &[0]].concat().into();
    assert!(matches!(decode_call(&frame), Err(Malformed::Rest)));
    let mut frame = encode_reply(response(1, Reply::Claim(Ok(()).into()))).unwrap();
    frame.header = [&frame.header[..], &[0]].concat().into();
    assert!(matches!(decode_reply(&frame), Err(Malformed::Rest)));
}

#[test]
fn a_payload_of_another_length_is_refused() {
    let with = |frame: &Frame, payload: &[u8]| Frame {
        header: frame.header.clone(),
        payload: vec![Bytes::copy_from_slice(payload)],
    };
    for call in calls() {
        let frame = arrived(request(1, call));
        let mut longer = frame.payload.concat();
        longer.push(0);
        let refused = decode_call(&with(&frame, &longer));
        assert!(matches!(refused, Err(Malformed::Payload(_))));
        if frame.payload_len() > 0 {
            let refused = decode_call(&with(&frame, &longer[2..]));
            assert!(matches!(refused, Err(Malformed::Payload(_))));
        }
    }
    let refused = decode_call(&with(&doubles::cancel(1), b"x"));
    assert!(matches!(refused, Err(Malformed::Payload(_))));
    for reply in replies() {
        let frame = arrived(encode_reply(response(1, reply)).unwrap());
        let mut longer = frame.payload.concat();
        longer.push(0);
        let refused = decode_reply(&with(&frame, &longer));
        assert!(matches!(refused, Err(Malformed::Payload(_))));
    }
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let call = (0..16usize).prop_map(|i| request(1, calls().swap_remove(i)).header.to_vec());
    let reply = (0..16usize).prop_map(|i| {
        let reply = replies().swap_remove(i);
        encode_reply(response(1, reply)).unwrap().header.to_vec()
    });
    let random = proptest::collection::vec(any::<u8>(), 0..100);
    prop_oneof![call, reply, random]
}

proptest! {
    #[test]
    fn any_frame_is_a_message_or_malformed(
        mut header in message(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        payload in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        for (at, to) in changes {
            if !header.is_empty() {
                let at = at.index(header.len());
                header[at] = to;
            }
        }
        if cut.index(4) == 0 {
            header.truncate(cut.index(header.len() + 1));
        }
        let frame = arrived(Frame { header: header.into(), payload: vec![payload.into()] });
        let _ = decode_reply(&frame);
        if let Ok(ClientMessage::Request(request)) = decode_call(&frame) {
            // What is admitted has a size that can be counted.
            let _ = answer_size(&request.message);
        }
    }
}
