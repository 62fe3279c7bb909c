//! Clients that break the protocol.

use proptest::prelude::*;

use super::*;
use crate::frame::Frame;
use crate::tests::doubles::{bytes, cancel, request};

fn with_rest() -> Frame {
    let mut frame = request(1, list_call("a"));
    frame.header = [&frame.header[..], &[0]].concat().into();
    frame
}

fn with_payload(payload: &'static [u8]) -> Frame {
    Frame {
        payload: vec![payload.into()],
        ..request(1, send_call("a", 10))
    }
}

fn without_sense() -> Frame {
    Frame {
        header: vec![0xff; 100].into(),
        payload: Vec::new(),
    }
}

#[rstest]
#[case::something_behind_a_message(vec![with_rest()])]
#[case::too_few_bytes(vec![with_payload(b"123456789")])]
#[case::too_many_bytes(vec![with_payload(b"12345678901")])]
#[case::no_message(vec![without_sense()])]
#[case::twice_a_number(vec![request(1, list_call("wedged")), request(1, list_call("a"))])]
#[tokio::test(start_paused = true)]
async fn a_client_that_breaks_the_protocol_is_cut(#[case] frames: Vec<Frame>) {
    let (server, doubles) = server();
    let (mut raw, serving) = enter(&server, 1, true).await;
    for frame in frames {
        doubles::write(&mut raw.stream, &frame).await;
    }
    assert!(timeout(LONG, raw.reply()).await.unwrap().is_none());
    let error = end(serving).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    doubles.seen.until(|seen| seen.gone == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_core_cannot_hold_is_refused_and_the_connection_closes() {
    let (server, doubles) = server();
    let (mut raw, serving) = enter(&server, 1, true).await;
    let outside = crate::protocol::Call::Read {
        read: crate::wire::Read {
            range: crate::wire::Range { start: 9, end: 1 },
            ..doubles::read_of("a", 1).into()
        },
    };
    raw.call(1, outside).await;
    let Ok(Reply::Read(Each::Err(error))) = raw.reply().await.unwrap().message else {
        panic!("a refusal")
    };
    let error = Error::try_from(error).unwrap();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(raw.reply().await.is_none());
    end(serving).await.unwrap();
    assert_eq!(doubles.seen.now().begun, 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_call_that_is_not_there_is_nothing() {
    let (server, _doubles) = server();
    let (mut raw, _serving) = enter(&server, 1, true).await;
    for id in 0..1000 {
        raw.cancel(id).await;
    }
    is_answered(&mut raw, 1).await;
    raw.cancel(1).await;
    is_answered(&mut raw, 1).await;
}

/// Bytes that a client could send: frames that are whole, changed, cut, or none.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let frame = prop_oneof![
        (0..4u64).prop_map(|id| bytes(&request(id, list_call("a")))),
        (0..4u64).prop_map(|id| bytes(&request(id, list_call("wedged")))),
        (0..4u64).prop_map(|id| bytes(&request(id, read_call("a", 100)))),
        (0..4u64).prop_map(|id| bytes(&request(id, send_call("a", 50)))),
        (0..4u64).prop_map(|id| bytes(&request(id, claim_call()))),
        (0..4u64).prop_map(|id| bytes(&cancel(id))),
        Just(vec![0; 8]),
        proptest::collection::vec(any::<u8>(), 0..40),
        (proptest::collection::vec(any::<u8>(), 0..40), 0..20u8).prop_map(|(header, payload)| {
            bytes(&Frame {
                header: header.into(),
                payload: vec![vec![1; payload.into()].into()],
            })
        }),
    ];
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (proptest::collection::vec(frame, 0..12), changes).prop_map(|(frames, changes)| {
        let mut all = frames.concat();
        for (at, to) in changes {
            if !all.is_empty() {
                let at = at.index(all.len());
                all[at] = to;
            }
        }
        all
    })
}

proptest! {
    #[test]
    fn whatever_a_client_sends_its_connection_ends_and_no_other(sent in stream()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (server, doubles) = server();
            let (mut raw, serving) = enter(&server, 1, true).await;
            raw.stream.write_all(&sent).await.unwrap();
            raw.stream.shutdown().await.unwrap();
            let _ = end(serving).await;
            doubles.seen.until(|seen| seen.gone == 1 && seen.begun == seen.ended).await;
            let (mut other, _other) = enter(&server, 1, true).await;
            is_answered(&mut other, 1).await;
        });
    }
}
