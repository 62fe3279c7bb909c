//! What lies on the disks is not what was written: a partial, what is known about it, a final file.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use realize_test_kit::odd_tree::{bytes, set_modified};
use rstest::rstest;

use super::machines::{EVERYTHING, Machines, Way};
use super::middle::caught_in_the_middle;
use crate::during::partial;

const SIZE: usize = 48 << 20;

/// A partial, and what is known about it.
struct Pair {
    content: PathBuf,
    state: PathBuf,
}

/// Leaves half of the file `large` at the nas, as a mover does that was killed; nobody has it open.
fn interrupted(machines: &Machines, content: &[u8]) -> Pair {
    let daemon = machines.start(EVERYTHING);
    let ends = machines.ends(Way::ToNas);
    let plant = || ends.write("large", content);
    let running = caught_in_the_middle(machines, Way::ToNas, plant, SIZE as u64 / 2);
    running.kill().expect(137);
    daemon.stop().expect(0);
    let (content, _) = partial(&ends).unwrap();
    Pair {
        state: content.with_extension("state"),
        content,
    }
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

fn set_len(path: &Path, len: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(len).unwrap();
}

fn flip_content(pair: &Pair) {
    flip(&pair.content, 1_000_000);
}

fn flip_state(pair: &Pair) {
    flip(&pair.state, 60);
    let len = fs::metadata(&pair.state).unwrap().len();
    if len > 8192 + 60 {
        flip(&pair.state, 8192 + 60);
    }
}

fn truncate_state(pair: &Pair) {
    set_len(&pair.state, 30);
}

fn empty_state(pair: &Pair) {
    set_len(&pair.state, 0);
}

fn random_state(pair: &Pair) {
    fs::write(&pair.state, bytes(3, 16_384)).unwrap();
}

fn no_state(pair: &Pair) {
    fs::remove_file(&pair.state).unwrap();
}

fn state_of_another(pair: &Pair) {
    let machines = Machines::new();
    let other = interrupted(&machines, &bytes(4, SIZE));
    fs::copy(other.state, &pair.state).unwrap();
}

fn content_of_another(pair: &Pair) {
    // In place: it stays the file that the state is about.
    let file = OpenOptions::new().write(true).open(&pair.content).unwrap();
    file.write_all_at(&bytes(4, SIZE), 0).unwrap();
}

fn truncate_content(pair: &Pair) {
    set_len(&pair.content, 1_000_000);
}

fn zeros_in_content(pair: &Pair) {
    set_len(&pair.content, 1_000_000);
    set_len(&pair.content, SIZE as u64);
}

fn lengthen_content(pair: &Pair) {
    let file = OpenOptions::new().write(true).open(&pair.content).unwrap();
    file.write_all_at(&bytes(5, 100_000), SIZE as u64).unwrap();
}

fn no_content(pair: &Pair) {
    fs::remove_file(&pair.content).unwrap();
}

#[rstest]
#[case(flip_content)]
#[case(content_of_another)]
#[case(truncate_content)]
#[case(zeros_in_content)]
#[case(lengthen_content)]
#[case(no_content)]
#[case(flip_state)]
#[case(truncate_state)]
#[case(empty_state)]
#[case(random_state)]
#[case(no_state)]
#[case(state_of_another)]
fn a_damaged_partial_is_mended(#[case] damage: fn(&Pair)) {
    let machines = Machines::new();
    let content = bytes(1, SIZE);
    damage(&interrupted(&machines, &content));
    let daemon = machines.start(EVERYTHING);
    let ends = machines.ends(Way::ToNas);

    let outcome = machines.mover(Way::ToNas).run();

    assert_eq!(outcome.code(), 0, "{outcome}\nthe daemon: {}", daemon.log());
    ends.assert_source_empty(&outcome);
    ends.assert_no_partials(&outcome);
    assert!(ends.at_destination("large") == Some(content), "{outcome}");
}

/// The same file on both sides, but for one bit: names, sizes and times tell nothing.
fn with_one_bit_wrong(machines: &Machines) -> [Vec<u8>; 2] {
    let content = bytes(1, 3_000_000);
    let ends = machines.ends(Way::ToNas);
    for (path, content) in [("d/wrong", &content), ("right", &bytes(2, 100_000))] {
        ends.write(path, content);
        ends.write_at_destination(path, content);
        let (here, there) = (ends.source.join(path), ends.destination.join(path));
        if path == "d/wrong" {
            flip(&there, 2_345_678);
        }
        let time = fs::metadata(&here).unwrap();
        set_modified(&there, time.mtime(), time.mtime_nsec().try_into().unwrap()).unwrap();
    }
    let wrong = ends.at_destination("d/wrong").unwrap();
    assert!(wrong != content);
    [content, wrong]
}

#[test]
fn a_wrong_bit_at_the_destination_is_found_and_then_replaced() {
    let machines = Machines::new();
    let _daemon = machines.start(EVERYTHING);
    let ends = machines.ends(Way::ToNas);
    let [right, wrong] = with_one_bit_wrong(&machines);

    let verify = machines.cam(["verify"]).run().expect(7).says(&["d/wrong"]);
    assert!(!verify.stderr_text().contains("right"), "{verify}");
    assert!(ends.at_destination("d/wrong") == Some(wrong), "{verify}");

    let outcome = machines.cam(["move"]).run().expect(0);
    ends.assert_source_empty(&outcome);
    assert!(ends.at_destination("d/wrong") == Some(right), "{outcome}");
}

#[test]
fn a_wrong_bit_at_the_destination_is_kept_where_that_was_asked_for() {
    let machines = Machines::new();
    let _daemon = machines.start(EVERYTHING);
    let ends = machines.ends(Way::ToNas);
    let [right, wrong] = with_one_bit_wrong(&machines);

    let outcome = machines
        .cam(["move", "--on-conflict", "keep"])
        .run()
        .expect(6)
        .says(&["d/wrong"]);

    assert!(ends.at_source("d/wrong") == Some(right), "{outcome}");
    assert!(ends.at_destination("d/wrong") == Some(wrong), "{outcome}");
    assert_eq!(ends.at_source("right"), None, "{outcome}");
}
