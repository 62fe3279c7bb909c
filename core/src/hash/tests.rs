use proptest::prelude::*;

use super::*;

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

fn range(start: usize, end: usize) -> ByteRange {
    ByteRange::new(start as u64, end as u64).unwrap()
}

#[test]
fn a_digest_is_read_back_from_its_text() {
    let digest = Digest::of_content(b"abc");
    assert_eq!(digest.to_string().parse(), Ok(digest));
    assert_eq!(digest.to_string().to_uppercase().parse(), Ok(digest));
    let text = digest.to_string();
    for bad in [
        "",
        &text[..63],
        &text[..62],
        &format!("{text}00"),
        &text.replace('a', "g"),
    ] {
        assert_eq!(bad.parse::<Digest>(), Err(NoDigest), "{bad}");
    }
}

#[test]
fn links_and_files_never_hash_alike() {
    assert_ne!(Digest::of_link(b"x"), Digest::of_content(b"x"));
    assert_eq!(
        Digest::of_content(b"").to_string(),
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    );
}

proptest! {
    /// However the content is cut, and wherever the state is kept and taken up again, the
    /// digest is BLAKE3's own.
    #[test]
    fn pieces_make_the_whole(
        len in prop_oneof![0usize..5000, 16_000usize..80_000],
        cuts in proptest::collection::vec(0usize..80, 0..8),
    ) {
        let data = content(len);
        let mut cuts: Vec<_> = cuts.iter().map(|c| c * 1024).filter(|&c| c < len).collect();
        cuts.extend([0, len]);
        cuts.sort_unstable();
        cuts.dedup();
        let mut hasher = TreeHasher::new(len as u64);
        for (i, pair) in cuts.windows(2).enumerate() {
            let piece = &data[pair[0]..pair[1]];
            if i % 2 == 0 {
                hasher.update(piece).unwrap();
            } else {
                let range = range(pair[0], pair[1]);
                let hash = hash_range(len as u64, range, piece).unwrap();
                hasher.push(&hash, range).unwrap();
            }
            if let Some(state) = hasher.state() {
                prop_assert_eq!(state.position(), pair[1] as u64);
                hasher = TreeHasher::resume(len as u64, state).unwrap();
            }
        }
        prop_assert_eq!(hasher.finish().unwrap(), Digest::of_content(&data));
    }
}

proptest! {
    /// A range that was hashed elsewhere, in pieces of its own, stays short and fits.
    #[test]
    fn ranges_make_the_whole(chunks in 2usize..200, cut in 1usize..199, tail in 1usize..1024, piece in 1usize..9) {
        let data = content((chunks - 1) * 1024 + tail);
        let cut = cut.min(chunks - 1) * 1024;
        let total = data.len() as u64;
        let mut hasher = TreeHasher::new(total);
        for (start, end) in [(0, cut), (cut, data.len())] {
            let mut part = TreeHasher::range(total, start as u64).unwrap();
            for bytes in data[start..end].chunks(piece * 1024) {
                part.update(bytes).unwrap();
            }
            let hash = part.into_range().unwrap();
            let RangeHash::Part(subtrees) = &hash else { panic!("{hash:?}") };
            prop_assert!(subtrees.len() < 32);
            hasher.push(&hash, range(start, end)).unwrap();
        }
        prop_assert_eq!(hasher.finish().unwrap(), Digest::of_content(&data));
    }
}

#[test]
fn pieces_that_do_not_fit_are_refused() {
    let data = content(4096);
    let mut hasher = TreeHasher::new(4096);
    let hash = hash_range(4096, range(1024, 2048), &data[1024..2048]).unwrap();
    assert_eq!(hasher.push(&hash, range(1024, 2048)), Err(Misfit));
    assert_eq!(hash_range(4096, range(0, 100), &data[..100]), Err(Misfit));
    assert_eq!(hash_range(4096, range(0, 1024), &data[..100]), Err(Misfit));
    hasher.update(&data[..1024]).unwrap();
    assert_eq!(hasher.clone().finish(), Err(Misfit));
    assert_eq!(hasher.update(&content(4096)), Err(Misfit));
}

#[test]
fn a_state_taken_apart_and_put_together_goes_on() {
    let data = content(7000);
    let mut hasher = TreeHasher::new(7000);
    hasher.update(&data[..3072]).unwrap();
    let state = hasher.state().unwrap();
    let again = |s: &Subtree| Subtree::new(s.size(), *s.value()).unwrap();
    let parts: Vec<_> = state.subtrees().iter().map(again).collect();
    assert_eq!(parts.len(), 2);
    let mut hasher = TreeHasher::resume(7000, HashState::new(parts).unwrap()).unwrap();
    hasher.update(&data[3072..]).unwrap();
    assert_eq!(hasher.finish().unwrap(), Digest::of_content(&data));
}

#[test]
fn parts_that_no_hasher_makes_are_refused() {
    assert_eq!(Subtree::new(0, [0; 32]), Err(Misfit));
    assert_eq!(Subtree::new(1 << 63, [0; 32]), Err(Misfit));
    for sizes in [
        &[1500][..],
        &[1024, 1024],
        &[1024, 2048],
        &[512],
        &[1 << 62],
    ] {
        let parts = sizes
            .iter()
            .map(|&size| Subtree::new(size, [0; 32]).unwrap());
        assert_eq!(HashState::new(parts.collect()), Err(Misfit), "{sizes:?}");
    }
}

#[test]
fn states_from_elsewhere_are_checked() {
    let odd = HashState {
        stack: vec![Subtree {
            len: 1500,
            value: [0; 32],
        }],
    };
    assert!(TreeHasher::resume(1 << 20, odd).is_err());
    let growing = [1024, 2048]
        .map(|len| Subtree {
            len,
            value: [0; 32],
        })
        .to_vec();
    assert!(TreeHasher::resume(1 << 20, HashState { stack: growing }).is_err());
    let beyond = HashState {
        stack: vec![Subtree {
            len: 4096,
            value: [0; 32],
        }],
    };
    assert!(TreeHasher::resume(4096, beyond).is_err());
    assert!(TreeHasher::resume(4096, HashState::default()).is_ok());
}
