//! Files whose loss would show: what is planted before something goes wrong, and what must be true
//! of it whenever one looks.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::SystemTime;

use realize_test_kit::odd_tree::{Tree, bytes, snapshot};

use crate::ends::Ends;
use crate::program::{Outcome, setting};

/// A file that is not the mover's business, at the destination.
const STRANGE: &str = "somebody else's";

/// A source file's content, and the older content at the destination.
struct File {
    new: Vec<u8>,
    old: Option<Vec<u8>>,
}

/// What was planted at two ends.
pub(crate) struct Planted {
    files: BTreeMap<String, File>,
    /// The names around the two ends.
    beside: Vec<String>,
    /// What a move without faults makes of the destination.
    moved: Tree,
}

/// Random numbers from a seed, as the contents are.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        let number = bytes(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d), 8);
        u64::from_le_bytes(number.try_into().unwrap()) % end
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        bytes(self.below(u64::MAX), len)
    }
}

/// The seed of a test, `REALIZE_TEST_SEED` or one of the moment, which is said past the capture of
/// the test runner: it matters most when a run is cut off.
pub(crate) fn seed(what: &str) -> u64 {
    let clock = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let seed = setting(
        "REALIZE_TEST_SEED",
        u64::try_from(clock.as_micros()).unwrap(),
    );
    let _ = writeln!(std::io::stderr(), "{what}: REALIZE_TEST_SEED={seed}");
    seed
}

/// Large files, new, changed and equal, and 200 small ones.
pub(crate) fn plant(ends: &Ends, dice: &mut Dice) -> Planted {
    let mut files = BTreeMap::new();
    for i in 0..3 {
        let len = 2_000_000 + usize::try_from(dice.below(4_000_000)).unwrap();
        let new = dice.bytes(len);
        let old = (i > 0).then(|| {
            // An older version that shares most of its content, or an equal one.
            let mut old = new.clone();
            if i == 1 {
                let at = usize::try_from(dice.below(1_900_000)).unwrap();
                old[at..at + 5_000].fill(1);
                old.truncate(len - 70_000);
            }
            old
        });
        files.insert(format!("large {i}"), File { new, old });
    }
    plant_small(&mut files, 200, dice);
    put(ends, files)
}

/// What takes a moment: a file of some blocks, one to replace, and 20 small ones.
pub(crate) fn plant_little(ends: &Ends, dice: &mut Dice) -> Planted {
    let mut files = BTreeMap::new();
    let new = dice.bytes(300_000);
    files.insert("large".to_owned(), File { new, old: None });
    let (new, old) = (dice.bytes(90_000), Some(dice.bytes(70_000)));
    files.insert("replaced".to_owned(), File { new, old });
    plant_small(&mut files, 20, dice);
    put(ends, files)
}

fn plant_small(files: &mut BTreeMap<String, File>, count: usize, dice: &mut Dice) {
    for i in 0..count {
        let len = usize::try_from(dice.below(9_000)).unwrap();
        let new = if i % 20 == 0 {
            Vec::new()
        } else {
            dice.bytes(len)
        };
        let old = match i % 10 {
            0 => Some(new.clone()),
            1 => Some(dice.bytes(len / 2 + 1)),
            _ => None,
        };
        files.insert(format!("d{}/small {i}", i % 7), File { new, old });
    }
}

fn put(ends: &Ends, files: BTreeMap<String, File>) -> Planted {
    for (path, file) in &files {
        ends.write(path, &file.new);
        if let Some(old) = &file.old {
            ends.write_at_destination(path, old);
        }
    }
    symlink("large 1", ends.source.join("link")).unwrap();
    fs::create_dir_all(ends.source.join("empty/directory")).unwrap();
    ends.write_at_destination(STRANGE, b"untouched");
    fs::write(ends.outside("bystander"), b"untouched").unwrap();
    let mut moved = snapshot(&ends.source).unwrap();
    let there = snapshot(&ends.destination).unwrap();
    moved.extend(
        there
            .into_iter()
            .filter(|(path, _)| path == STRANGE.as_bytes()),
    );
    Planted {
        files,
        beside: beside(ends),
        moved,
    }
}

/// The names around the two ends.
fn beside(ends: &Ends) -> Vec<String> {
    let mut beside: Vec<_> = fs::read_dir(ends.outside(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    beside.sort();
    beside
}

impl Planted {
    /// Each content exists whole; no final name holds anything but a whole version; what was at the
    /// destination is there in its old or its new version; nothing beside the two ends has changed.
    pub(crate) fn check(&self, ends: &Ends, round: &str, outcome: &Outcome) {
        for (path, file) in &self.files {
            let (here, there) = (ends.at_source(path), ends.at_destination(path));
            let new_here = here.as_ref() == Some(&file.new);
            let new_there = there.as_ref() == Some(&file.new);
            assert!(new_here || new_there, "{round}: {path} is lost: {outcome}");
            assert!(
                here.is_none() || new_here,
                "{round}: {path} changed at the source: {outcome}"
            );
            assert!(
                new_there || there == file.old,
                "{round}: {path} holds what is no version of it at the destination: {outcome}"
            );
        }
        let untouched = Some(&b"untouched"[..]);
        assert_eq!(
            ends.at_destination(STRANGE).as_deref(),
            untouched,
            "{round}: {outcome}"
        );
        assert_eq!(
            fs::read(ends.outside("bystander")).ok().as_deref(),
            untouched,
            "{round}: {outcome}"
        );
        assert_eq!(beside(ends), self.beside, "{round}: {outcome}");
    }

    /// Everything has been moved, and nothing is left over.
    #[track_caller]
    pub(crate) fn assert_moved(&self, ends: &Ends, outcome: &Outcome) {
        ends.assert_moved(&self.moved, outcome);
    }
}
