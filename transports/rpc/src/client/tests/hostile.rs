//! Servers that break the protocol, or answer what was not asked.

use bytes::Bytes;
use proptest::prelude::*;
use realize_core::delta::{BlockHash, BlockSum, STRONG_LEN, Signature};
use realize_core::entry::Timestamp;
use realize_core::hash::Digest;
use realize_core::service::{
    Answer, Basis, Block, Delete, Ending, Finish, FinishFrom, MakeDirectory, Making, Offer,
    Outcome, Present, ReadWhole, Receipt, SignatureRequest,
};
use tarpc::{ClientMessage, Response, ServerError};

use super::*;
use crate::frame::Frame;
use crate::protocol::{decode_call, encode_reply, tests::replies};

pub(super) fn reply(request_id: u64, reply: Reply) -> Frame {
    encode_reply(Response {
        request_id,
        message: Ok(reply),
    })
    .unwrap()
}

fn failed(request_id: u64, why: String) -> Frame {
    encode_reply(Response {
        request_id,
        message: Err(ServerError::new(std::io::ErrorKind::Other, why)),
    })
    .unwrap()
}

/// Answers each call with these frames.
async fn answer(far: &mut DuplexStream, frames: impl Fn(u64, Call) -> Vec<Frame>) {
    while let Some(frame) = doubles::read(far).await {
        if let ClientMessage::Request(request) = decode_call(&frame).unwrap() {
            for frame in frames(request.id, request.message) {
                doubles::write(far, &frame).await;
            }
        }
    }
}

/// What a client makes of a server that answers like this.
async fn asked<T>(
    frames: impl Fn(u64, Call) -> Vec<Frame>,
    ask: impl AsyncFnOnce(&Client) -> T,
) -> T {
    let (client, mut far, _dialled) = by_hand(1).await;
    let answering = async {
        answer(&mut far, frames).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = answering => panic!("it ended"),
        answer = timeout(LONG, ask(&client)) => answer.unwrap(),
    }
}

fn page() -> Reply {
    Reply::List(Ok(realize_core::service::Page::default()).into())
}

fn is_breach<T>(answer: Result<T>, what: &str) {
    let Err(error) = answer else {
        panic!("it was taken")
    };
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let expected = format!("nas: the other end broke the protocol: {what}");
    assert_eq!(error.chain(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_reply_to_no_call_and_a_second_reply_are_nothing() {
    let frames = |id, _| {
        let page = || reply(id, page());
        let other = |id| reply(id, Reply::Claim(Ok(()).into()));
        vec![
            other(id + 1000),
            page(),
            page(),
            other(id),
            failed(id, "again".to_owned()),
        ]
    };
    asked(frames, async |client| {
        for _ in 0..50 {
            client.list(list("a")).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_another_kind_is_an_error() {
    for i in 0..replies().len() {
        let wrong = || replies().swap_remove(i);
        if matches!(wrong(), Reply::List(_)) {
            continue;
        }
        let frames = |id, _| vec![reply(id, wrong())];
        let listed = asked(frames, async |client| client.list(list("a")).await).await;
        is_breach(listed, "an answer of another kind than the call");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_breaks_the_protocol_is_not_asked_again() {
    let (client, mut far, mut dialled) = by_hand(3).await;
    let wrong = |id, call| match call {
        Call::Read { .. } => vec![reply(id, Reply::Read(Ok(Block::Hole(1)).into()))],
        _ => vec![reply(id, Reply::Claim(Ok(()).into()))],
    };
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let counted = |id, call| {
        asked.fetch_add(1, Ordering::Relaxed);
        wrong(id, call)
    };
    let others = async {
        let (mut second, mut third) = (welcome(&mut dialled).await, welcome(&mut dialled).await);
        tokio::join!(answer(&mut second, counted), answer(&mut third, counted));
    };
    let listing = async {
        client.read(read_of("a", 1)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.list(list("a")).await
    };
    let answering = async {
        answer(&mut far, counted).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = others => panic!("it ended"),
        () = answering => {}
        listed = listing => is_breach(listed, "an answer of another kind than the call"),
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

fn receipt() -> Receipt {
    Receipt::issue(Digest::from_bytes([1; 32]), Outcome::Finished)
}

fn time() -> Timestamp {
    Timestamp {
        seconds: 1,
        nanos: 0,
    }
}

/// One call of each batch, of two items each; how it ended.
async fn batches(client: &Client) -> Vec<Result<()>> {
    let twice = |path: &str| [doubles::path(path), doubles::path(path)];
    let offers = twice("a").map(|path| Offer {
        path,
        link: false,
        source: version(),
        size: 1,
        modified: time(),
    });
    let reads = twice("a").map(|path| ReadWhole {
        path,
        version: version(),
        size: 1,
    });
    let makes = twice("a").map(|path| MakeDirectory {
        path,
        mode: 0o700,
        making: Making::Either,
    });
    let finishes = twice("a").map(|path| Finish {
        path,
        from: FinishFrom::Existing(version()),
        size: 1,
        hash: Digest::from_bytes([1; 32]),
        mode: 0o600,
        modified: time(),
    });
    let deletes = twice("a").map(|path| Delete::Directory { path });
    vec![
        client.offer(offers.into()).await.map(drop),
        client.read_batch(reads.into()).await.map(drop),
        client
            .put(vec![put_of("a", 1), put_of("b", 1)])
            .await
            .map(drop),
        client.make_directories(makes.into()).await.map(drop),
        client.finish(finishes.into()).await.map(drop),
        client.delete(deletes.into()).await.map(drop),
    ]
}

#[rstest]
#[case(0, false)]
#[case(1, false)]
#[case(2, true)]
#[case(3, false)]
#[tokio::test(start_paused = true)]
async fn a_batch_is_answered_with_as_many_results(#[case] count: usize, #[case] fits: bool) {
    let results = |call| match call {
        Call::Offer { .. } => {
            let answer = Answer {
                present: Present::Absent,
                partial: None,
            };
            Reply::Offer(Ok(vec![Ok(answer); count]).into())
        }
        Call::ReadBatch { .. } => Reply::ReadBatch(Ok(vec![Ok(Bytes::from("x")); count]).into()),
        Call::Put { .. } => Reply::Put(Ok(vec![Ok(receipt()); count]).into()),
        Call::MakeDirectories { .. } => Reply::MakeDirectories(Ok(vec![Ok(()); count]).into()),
        Call::Finish { .. } => Reply::Finish(Ok(vec![Ok(receipt()); count]).into()),
        _ => Reply::Delete(Ok(vec![Ok(()); count]).into()),
    };
    let frames = |id, call| vec![reply(id, results(call))];
    for ended in asked(frames, batches).await {
        if fits {
            ended.unwrap();
        } else {
            is_breach(ended, "a batch with not as many results as it has items");
        }
    }
}

#[rstest]
#[case(Block::Hole(9), true)]
#[case(Block::Hole(10), true)]
#[case(Block::Hole(11), false)]
#[case(Block::Data(vec![0; 10].into()), true)]
#[case(Block::Data(vec![0; 11].into()), false)]
#[tokio::test(start_paused = true)]
async fn a_block_is_no_longer_than_was_asked_for(#[case] block: Block, #[case] fits: bool) {
    let frames = |id, _| vec![reply(id, Reply::Read(Ok(block.clone()).into()))];
    let read = asked(frames, async |client| client.read(read_of("a", 10)).await).await;
    if fits {
        assert_eq!(read.unwrap(), block);
    } else {
        is_breach(read, "a block that is longer than was asked for");
    }
}

#[rstest]
#[case(9, false)]
#[case(10, true)]
#[case(11, false)]
#[tokio::test(start_paused = true)]
async fn a_whole_file_has_the_size_that_was_asked_for(#[case] len: usize, #[case] fits: bool) {
    let frames = |id, _| {
        let contents: Vec<Result<Bytes>> = vec![Ok(vec![0; len].into())];
        vec![reply(id, Reply::ReadBatch(Ok(contents).into()))]
    };
    let whole = ReadWhole {
        path: path("a"),
        version: version(),
        size: 10,
    };
    let read = asked(frames, async |client| client.read_batch(vec![whole]).await).await;
    if fits {
        assert_eq!(read.unwrap().len(), 1);
    } else {
        is_breach(read, "a file of another size than was asked for");
    }
}

#[rstest]
#[case::the_range(1024, 4096, 1024, true)]
#[case::less_at_the_end(1024, 3000, 1024, true)]
#[case::nothing(0, 0, 1024, true)]
#[case::another_start(2048, 4096, 1024, false)]
#[case::another_end(1024, 4097, 1024, false)]
#[case::another_block(1024, 4096, 512, false)]
#[tokio::test(start_paused = true)]
async fn a_signature_is_of_what_was_asked_for(
    #[case] start: u64,
    #[case] end: u64,
    #[case] block: u32,
    #[case] fits: bool,
) {
    let range = ByteRange::new(start, end).unwrap();
    let sum = BlockSum {
        weak: 1,
        strong: [1; STRONG_LEN],
    };
    let sums = vec![sum; range.len().div_ceil(u64::from(block)) as usize];
    let signature = Signature::new(range, block, BlockHash::Quick, sums).unwrap();
    let frames = |id, _| {
        vec![reply(
            id,
            Reply::CalculateSignature(Ok(signature.clone()).into()),
        )]
    };
    let request = SignatureRequest {
        target: doubles::target("a"),
        basis: Basis::Partial,
        range: ByteRange::new(1024, 4096).unwrap(),
        block: 1024,
    };
    let ask = async |client: &Client| client.calculate_signature(request).await;
    let answer = asked(frames, ask).await;
    if fits {
        assert_eq!(answer.unwrap(), signature);
    } else {
        is_breach(answer, "a signature of something else than was asked for");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_cannot_steer_a_terminal() {
    let frames = |id, _| vec![failed(id, format!("\x1b[2J{}", "x".repeat(1 << 20)))];
    let error = asked(frames, async |client| client.list(list("a")).await).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let text = error.chain();
    assert!(text.starts_with("nas: the other end could not answer: "));
    assert!(!text.contains('\x1b') && text.len() < 2000);
}

/// Bytes that a server could send after its hello.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let whole = (0..16usize, 0..3u64).prop_map(|(i, id)| {
        let mut all = replies();
        bytes(&reply(id, all.swap_remove(i)))
    });
    let frame = prop_oneof![
        3 => whole,
        1 => (0..3u64).prop_map(|id| bytes(&failed(id, "no".to_owned()))),
        1 => Just(vec![0; 8]),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(|header| {
            bytes(&Frame { header: header.into(), payload: Vec::new() })
        }),
    ];
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (proptest::collection::vec(frame, 0..8), changes).prop_map(|(frames, changes)| {
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
    fn whatever_a_server_sends_calls_end(sent in stream()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (client, mut far, _dialled) = by_hand(1).await;
            let sending = async {
                doubles::read(&mut far).await;
                let _ = far.write_all(&sent).await;
                let _ = far.shutdown().await;
                std::future::pending::<()>().await;
            };
            let calls = async {
                let read = client.read(read_of("a", 100));
                let listed = client.list(list("a"));
                let released = client.release(Ending::Clean);
                let _ = timeout(LONG, async { tokio::join!(read, listed, released) })
                    .await
                    .unwrap();
            };
            tokio::select! {
                () = sending => {}
                () = calls => {}
            }
            client.close().await;
        });
    }
}
