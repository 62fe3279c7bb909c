#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::frame::MAX_PAYLOAD;

fn frame(payload: Vec<Bytes>) -> Frame {
    Frame {
        header: Bytes::from_static(b"header"),
        payload,
    }
}

fn compression() -> Compression {
    Compression::new(Buffers::default())
}

/// Bytes that do not become smaller.
fn noise(len: usize) -> Vec<u8> {
    let mut noise = vec![0; len];
    getrandom::fill(&mut noise).unwrap();
    noise
}

/// Bytes that become a third, or so.
fn text(len: usize) -> Vec<u8> {
    let line = |byte: u8| format!("line {byte:03}: text\n").into_bytes();
    let lines = noise(len / line(0).len() + 1).into_iter().flat_map(line);
    lines.take(len).collect()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// What another program's zstd would make of it.
fn by_others(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 19).unwrap()
}

async fn decompressed(payload: Vec<u8>, len: usize) -> io::Result<Bytes> {
    let frame = frame(vec![payload.into()]);
    let frame = compression().decompress(frame, len).await?;
    assert_eq!(frame.header, "header");
    assert_eq!(frame.payload.len(), 1);
    Ok(frame.payload.concat().into())
}

#[rstest]
#[case::a_little(SMALLEST)]
#[case::no_buffers_worth(100_000)]
#[case::a_buffers_worth(1 << 20)]
#[case::more(MAX_PAYLOAD)]
#[tokio::test]
async fn what_was_compressed_comes_back(#[case] len: usize) {
    let text = text(len);
    let sent = frame(vec![text.clone().into()]);
    let compression = compression();
    for _ in 0..2 {
        let (smaller, before, with) = compression.compress(sent.clone(), 7).await.unwrap();
        assert_eq!((before, with), (Some(len), 7));
        assert_eq!(smaller.header, "header");
        assert!(smaller.payload_len() < len / 2);
        let whole = compression.decompress(smaller, len).await.unwrap();
        assert!(whole.payload.concat() == text);
    }
    // Contexts are used again.
    assert_eq!(compression.contexts.compressors.lock().unwrap().len(), 1);
    assert_eq!(compression.contexts.decompressors.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_gains_nothing_goes_as_it_is() {
    for len in [SMALLEST, 100_000, 1 << 20, MAX_PAYLOAD] {
        let sent = frame(vec![noise(len).into()]);
        let (same, before, ()) = compression().compress(sent.clone(), ()).await.unwrap();
        assert_eq!(before, None);
        assert!(same == sent);
    }
    // Nor does what gains little: a fifteenth is enough, and a twentieth is not.
    for (text, is_enough) in [(1 << 20, true), (50_000, false)] {
        let mut bytes = noise((1 << 20) * 15 / 16 - 1000);
        bytes.resize(bytes.len() + text, 7);
        let sent = frame(vec![bytes.into()]);
        let (_, before, ()) = compression().compress(sent, ()).await.unwrap();
        assert_eq!(before.is_some(), is_enough, "{text}");
    }
}

#[tokio::test]
async fn no_more_are_worked_on_than_there_are_turns() {
    let compression = compression();
    let turns = compression.turns.available_permits();
    assert!((1..=MAX_AT_ONCE).contains(&turns));
    let text: Bytes = text(1 << 20).into();
    let all = (0..4 * turns).map(|_| compression.compress(frame(vec![text.clone()]), ()));
    futures::future::try_join_all(all).await.unwrap();
    let contexts = compression.contexts.compressors.lock().unwrap().len();
    assert!((1..=turns).contains(&contexts), "{contexts}");
}

#[tokio::test]
async fn a_context_has_about_a_megabyte() {
    let compression = compression();
    let text = text(MAX_PAYLOAD);
    let sent = frame(vec![text.clone().into()]);
    let (smaller, ..) = compression.compress(sent, ()).await.unwrap();
    compression.decompress(smaller, text.len()).await.unwrap();
    let mut compressors = compression.contexts.compressors.lock().unwrap();
    let size = compressors.first_mut().unwrap().context_mut().sizeof();
    assert!((1 << 10..3 << 19).contains(&size), "{size}");
}

#[rstest]
#[case::as_announced(1000, true)]
#[case::more(999, false)]
#[case::fewer(1001, false)]
#[case::a_bomb(MAX_PAYLOAD, false)]
#[tokio::test]
async fn a_payload_is_as_long_as_was_announced(#[case] announced: usize, #[case] fits: bool) {
    let found = decompressed(by_others(&[7; 1000]), announced).await;
    match found {
        Ok(whole) => assert!(fits && whole == vec![7; 1000]),
        Err(error) => {
            assert!(!fits && error.kind() == io::ErrorKind::InvalidData);
            // It is seen before memory is taken.
            assert!(
                error.to_string().contains("not what was announced"),
                "{error}"
            );
        }
    }
}

/// Many times the longest payload, of zeros, in a few kilobytes, with and without its length in its head.
#[tokio::test]
async fn a_bomb_does_not_go_off() {
    use std::io::Write;
    const BOMB: usize = 16 * MAX_PAYLOAD;
    for says_its_length in [true, false] {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), LEVEL).unwrap();
        let len = says_its_length.then_some(BOMB as u64);
        encoder.set_pledged_src_size(len).unwrap();
        let zeros = vec![0; 1 << 20];
        for _ in 0..BOMB >> 20 {
            encoder.write_all(&zeros).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 200_000, "{}", bomb.len());
        for announced in [bomb.len() + 1, MAX_PAYLOAD] {
            let error = decompressed(bomb.clone(), announced).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}

/// Its head names the length that was announced, and more comes.
#[tokio::test]
async fn a_head_that_lies_gains_no_memory() {
    let mut lying = by_others(&[7; 100_000]);
    // One segment, and its length in four bytes behind magic and descriptor.
    assert_eq!(lying[4] & 0xe0, 0xa0);
    for claimed in [99_999u32, 100_001, MAX_PAYLOAD as u32] {
        lying[5..9].copy_from_slice(&claimed.to_le_bytes());
        let error = decompressed(lying.clone(), claimed as usize)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("does not decompress"), "{error}");
    }
}

#[tokio::test]
async fn a_payload_is_one_frame_and_nothing_else() {
    let whole = by_others(&[7; 1000]);
    let twice = [whole.clone(), whole.clone()].concat();
    let empty = [whole.clone(), by_others(&[])].concat();
    let skipped = [&b"\x50\x2a\x4d\x18\x01\0\0\0x"[..], &whole].concat();
    let trailing = [&whole[..], b"x"].concat();
    for wrong in [
        twice,
        empty,
        skipped,
        trailing,
        Vec::new(),
        b"none".to_vec(),
    ] {
        for len in [1000, 2000] {
            let error = decompressed(wrong.clone(), len).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}

#[tokio::test]
async fn a_payload_is_cut_at_every_byte() {
    let bytes = text(3000);
    let whole = by_others(&bytes);
    for cut in 0..whole.len() {
        let error = decompressed(whole[..cut].to_vec(), 3000).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{cut}");
    }
    assert!(decompressed(whole, 3000).await.unwrap() == bytes);
}

#[test]
fn small_payloads_are_not_tried() {
    let mut attempts = Attempts::default();
    for _ in 0..5 {
        assert!(!attempts.is_due(SMALLEST - 1));
        assert!(attempts.is_due(SMALLEST));
        attempts.note(true);
    }
}

#[test]
fn what_gains_nothing_is_tried_less_and_less_often() {
    let mut attempts = Attempts::default();
    let mut left_out = |gained| {
        let count = (0..).take_while(|_| !attempts.is_due(SMALLEST)).count();
        attempts.note(gained);
        // Those that are too small do not count.
        assert!(!attempts.is_due(1));
        count
    };
    let pauses: Vec<_> = (0..8).map(|_| left_out(false)).collect();
    assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 16, 16]);
    assert_eq!(left_out(true), 16);
    assert_eq!([left_out(true), left_out(false)], [0, 0]);
    assert_eq!([left_out(false), left_out(false)], [1, 2]);
}

proptest! {
    #[test]
    fn any_payload_comes_back(
        parts in proptest::collection::vec((0u8..4, 0usize..4000), 0..8),
        seed in any::<u8>(),
    ) {
        let part = |(alphabet, len): &(u8, usize)| -> Bytes {
            let byte = |i: usize| (i.wrapping_mul(2654435761) >> 7) as u8 & ((2 << (2 * alphabet)) - 1) ^ seed;
            (0..*len).map(byte).collect()
        };
        let sent = frame(parts.iter().map(part).collect());
        let len = sent.payload_len();
        let whole = run(async {
            let compression = compression();
            let (frame, before, ()) = compression.compress(sent.clone(), ()).await.unwrap();
            match before {
                Some(before) => {
                    assert_eq!(before, len);
                    assert!(frame.payload_len() <= len - len / GAIN);
                    compression.decompress(frame, before).await.unwrap()
                }
                None => frame,
            }
        });
        prop_assert_eq!(whole.payload.concat(), sent.payload.concat());
    }

    #[test]
    fn bytes_that_were_changed_are_an_error_or_as_many(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = by_others(&text(3000));
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        match run(decompressed(bytes, 3000)) {
            Ok(whole) => prop_assert_eq!(whole.len(), 3000),
            Err(error) => prop_assert_eq!(error.kind(), io::ErrorKind::InvalidData),
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_as_many(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        behind_a_head in any::<bool>(),
    ) {
        let mut payload = Vec::new();
        if behind_a_head {
            // Magic, one segment, a length of one byte.
            payload.extend(b"\x28\xb5\x2f\xfd\x20\xc8");
        }
        payload.extend(bytes);
        match run(decompressed(payload, 200)) {
            Ok(whole) => prop_assert_eq!(whole.len(), 200),
            Err(error) => prop_assert_eq!(error.kind(), io::ErrorKind::InvalidData),
        }
    }
}
