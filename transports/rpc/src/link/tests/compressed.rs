//! Connections whose payloads are compressed.

use super::*;
use crate::frame::MAX_PAYLOAD;

fn compression() -> Compression {
    Compression::new(Buffers::default())
}

fn compressing(buffer: usize, budget: Option<Budget>) -> Ends {
    ends_with(buffer, budget, Some(compression()))
}

/// What a frame of this payload is on its way: its bytes, and how many of them are its payload.
async fn compressed(header: &'static [u8], payload: usize) -> (Vec<u8>, usize) {
    let sent = compression().compress(frame(header, payload), ()).await;
    let (frame, before, ()) = sent.unwrap();
    assert_eq!(before, Some(payload));
    let mut bytes = frame.lengths(before).to_bytes().unwrap();
    bytes.extend_from_slice(&frame.header);
    bytes.extend_from_slice(&frame.payload.concat());
    (bytes, frame.payload_len())
}

/// The frames that these bytes are, decompressed.
async fn frames(mut bytes: &[u8]) -> Vec<(Bytes, Lengths)> {
    let mut found = Vec::new();
    while let Some(lengths) = Lengths::read(&mut bytes, true).await.unwrap() {
        let read = read_frame(&mut bytes, lengths, &Buffers::default()).await;
        let mut frame = read.unwrap();
        if let Some(len) = lengths.decompressed {
            frame = compression().decompress(frame, len).await.unwrap();
            assert!(frame.payload.concat().iter().all(|byte| *byte == 7));
        }
        found.push((frame.header, lengths));
    }
    found
}

#[tokio::test(start_paused = true)]
async fn payloads_go_smaller_and_all_before_the_close() {
    let mut ends = compressing(64, None);
    let sender = ends.link.sender;
    let sizes = [0, 100, 1000, 200_000, 1 << 20];
    for len in sizes {
        let sent = outgoing(frame(b"x", len));
        sender.bulky.send(sent).await.unwrap();
    }
    // Whoever puts frames is done while they are still being compressed.
    drop(sender);
    let mut all = Vec::new();
    ends.far.read_to_end(&mut all).await.unwrap();
    assert!(all.len() < 1000, "{}", all.len());
    let found = frames(&all).await;
    let decompressed = found.iter().map(|(_, lengths)| lengths.decompressed);
    let expected = sizes.map(|len| (len > 100).then_some(len));
    assert_eq!(decompressed.collect::<Vec<_>>(), expected);
    timeout(LONG, ends.link.writer).await.unwrap().unwrap();
    assert!(ends.state.reason().is_none());
}

#[tokio::test(start_paused = true)]
async fn urgent_frames_go_before_what_is_compressed() {
    let mut ends = compressing(64, None);
    let sender = ends.link.sender;
    for name in [&b"first"[..], b"second", b"third", b"fourth"] {
        let sent = outgoing(frame(name, 1 << 20));
        sender.bulky.send(sent).await.unwrap();
    }
    // The first is on its way, those behind it are compressed or wait for it.
    let mut begun = [0; PREFIX];
    ends.far.read_exact(&mut begun).await.unwrap();
    let sent = outgoing(Frame {
        header: Bytes::from_static(b"urgent"),
        payload: Vec::new(),
    });
    sender.urgent.send(sent).await.unwrap();
    drop(sender);
    let mut all = begun.to_vec();
    ends.far.read_to_end(&mut all).await.unwrap();
    let order = frames(&all).await.into_iter().map(|(header, _)| header);
    let order: Vec<_> = order.collect();
    assert_eq!(order, ["first", "urgent", "second", "third", "fourth"]);
}

#[rstest]
#[case::one_that_is_written(1)]
#[case::those_behind_it(5)]
#[tokio::test(start_paused = true)]
async fn shares_live_as_long_as_their_frames(#[case] count: usize) {
    let budget = Budget::new(10 << 10);
    let mut ends = compressing(1, None);
    // Half of it stays.
    let mut half = vec![7; 1 << 20];
    getrandom::fill(&mut half[..1 << 19]).unwrap();
    let half = Bytes::from(half);
    for _ in 0..count {
        let sent = Outgoing {
            frame: Frame {
                payload: vec![half.clone()],
                ..frame(b"x", 0)
            },
            decompressed: None,
            share: Some(budget.take((10 << 10) / count).await.unwrap()),
        };
        ends.link.sender.bulky.send(sent).await.unwrap();
    }
    // Now all that goes ahead of the writer has.
    ends.far.read_u8().await.unwrap();
    let all = budget.take(10 << 10);
    tokio::pin!(all);
    assert!(timeout(KEEP_ALIVE, &mut all).await.is_err());
    ends.state.fail(Error::new(ErrorKind::Network, "a test"));
    drop(timeout(LONG, all).await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_comes_counts_with_its_length_once_decompressed() {
    let budget = Budget::new(1 << 20);
    let (bytes, len) = compressed(b"x", 900 << 10).await;
    assert!(len < 1000);
    let mut ends = compressing(1 << 16, Some(budget.clone()));
    ends.far.write_all(&bytes).await.unwrap();
    let came = timeout(LONG, ends.link.incoming.recv()).await.unwrap();
    let came = came.unwrap();
    assert_eq!(came.frame.payload.concat(), vec![7; 900 << 10]);
    let more = budget.take(200 << 10);
    tokio::pin!(more);
    assert!(futures::poll!(&mut more).is_pending());
    drop(came);
    drop(timeout(LONG, more).await.unwrap().unwrap());
}

/// What was announced has to be free before anything is read.
#[tokio::test(start_paused = true)]
async fn what_is_announced_waits_for_its_share() {
    let budget = Budget::new(1 << 20);
    let some = budget.take(200 << 10).await.unwrap();
    let (bytes, _) = compressed(b"x", 900 << 10).await;
    let mut ends = compressing(1 << 16, Some(budget));
    ends.far.write_all(&bytes).await.unwrap();
    let coming = ends.link.incoming.recv();
    tokio::pin!(coming);
    assert!(timeout(KEEP_ALIVE, &mut coming).await.is_err());
    drop(some);
    assert!(timeout(LONG, coming).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn nobody_compresses_who_has_not_agreed() {
    let (bytes, _) = compressed(b"x", 1000).await;
    let mut ends = ends(1 << 16, None);
    ends.far.write_all(&bytes).await.unwrap();
    let error = ended(&ends.state).await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[rstest]
#[case::more(1001)]
#[case::fewer(999)]
#[case::a_bomb(MAX_PAYLOAD as u32)]
#[case::beyond_the_bound(MAX_PAYLOAD as u32 + 1)]
#[tokio::test(start_paused = true)]
async fn what_is_not_as_announced_is_a_breach_of_the_protocol(#[case] announced: u32) {
    let (mut bytes, _) = compressed(b"x", 1000).await;
    bytes.splice(PREFIX..PREFIX + 4, announced.to_be_bytes());
    let mut ends = compressing(1 << 16, None);
    ends.far.write_all(&bytes).await.unwrap();
    let error = ended(&ends.state).await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(ends.link.incoming.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_is_broken_ends_the_connection_or_is_as_long() {
    let (bytes, _) = compressed(b"x", 1000).await;
    for at in PREFIX + 4 + 1..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 0x55;
        let mut ends = compressing(1 << 16, None);
        ends.far.write_all(&broken).await.unwrap();
        drop(ends.far);
        match ends.link.incoming.recv().await {
            Some(came) => assert_eq!(came.frame.payload_len(), 1000, "{at}"),
            None => assert_eq!(ended(&ends.state).await.kind(), ErrorKind::Protocol, "{at}"),
        }
    }
}
