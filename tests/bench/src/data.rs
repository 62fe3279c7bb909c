//! The files that are moved: the same ones wherever and whenever they are made.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The size of the blocks that change between two versions of a file, in bytes.
const CHANGED: u64 = 64 << 10;
/// One block in so many changes.
const ONE_IN: u64 = 100;
/// How many bytes are inserted, and where.
const INSERTED: (usize, u64) = (1000, 100_000);
/// How much is written at a time, in bytes.
const PIECE: usize = 1 << 20;
/// When the older version of a file was changed, and the newer one: rsync takes a file of the same
/// size and time for the same.
const TIMES: (u64, u64) = (1_700_000_000, 1_750_000_000);

/// Numbers without a pattern, the same ones for the same seed (SplitMix64).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..bound`; 0 for no bound.
    fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or_default()
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.next().to_le_bytes();
            chunk
                .iter_mut()
                .zip(number)
                .for_each(|(to, from)| *to = from);
        }
    }

    /// From 0 to 1, neither of them.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// Normally distributed around 0 with deviation 1, by the transform of Box and Muller.
    fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.unit(), self.unit());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}

fn set_time(path: &Path, seconds: u64) -> io::Result<()> {
    let time: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds);
    File::options().write(true).open(path)?.set_modified(time)
}

/// Writes so many bytes without a pattern.
fn write_random(path: &Path, size: u64, random: &mut Random) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut piece = vec![0; PIECE];
    let mut left = size;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let part = piece.get_mut(..len).unwrap_or_default();
        random.fill(part);
        file.write_all(part)?;
        left -= len as u64;
    }
    Ok(())
}

/// One file of `size` bytes.
pub(crate) fn large(directory: &Path, size: u64) -> io::Result<()> {
    let file = directory.join("large.bin");
    write_random(&file, size, &mut Random::new(1))?;
    set_time(&file, TIMES.0)
}

/// So many files of 4 to 16 KiB, in directories of a hundred.
pub(crate) fn small(directory: &Path, files: u64) -> io::Result<()> {
    let mut random = Random::new(2);
    for number in 0..files {
        let within = directory.join(format!("d{:03}", number / 100));
        fs::create_dir_all(&within)?;
        let size = (4 << 10) + random.below(12 << 10);
        let path = within.join(format!("f{number:06}"));
        write_random(&path, size, &mut random)?;
        set_time(&path, TIMES.0)?;
    }
    Ok(())
}

/// So many files in directories one to four deep. Their sizes are spread as those of people's files
/// are: most are a few KiB, and most of the bytes are in few. None is larger than `most`.
pub(crate) fn mixed(directory: &Path, files: u64, most: u64) -> io::Result<()> {
    let mut random = Random::new(3);
    for number in 0..files {
        let mut within = directory.to_owned();
        for _ in 0..=random.below(4) {
            within.push(format!("d{}", random.below(12)));
        }
        fs::create_dir_all(&within)?;
        let size = (8.6 + 2.1 * random.normal()).exp();
        let path = within.join(format!("file {number}.dat"));
        write_random(&path, (size as u64).min(most), &mut random)?;
        set_time(&path, TIMES.0)?;
    }
    Ok(())
}

/// The newer version of a file, in which one in a hundred of its blocks of 64 KiB has changed.
pub(crate) fn changed(older: &Path, newer: &Path) -> io::Result<()> {
    fs::copy(older, newer)?;
    let mut file = File::options().write(true).open(newer)?;
    let blocks = file.metadata()?.len() / CHANGED;
    let mut random = Random::new(4);
    let mut block = vec![0; CHANGED as usize];
    // One in each hundred, so that none is chosen twice; at least one.
    for hundred in 0..blocks.div_ceil(ONE_IN) {
        let number = hundred * ONE_IN + random.below(ONE_IN.min(blocks - hundred * ONE_IN));
        random.fill(&mut block);
        file.seek(SeekFrom::Start(number * CHANGED))?;
        file.write_all(&block)?;
    }
    drop(file);
    set_time(newer, TIMES.1)
}

/// The newer version of a file, in which a thousand bytes were inserted near the start.
pub(crate) fn inserted(older: &Path, newer: &Path) -> io::Result<()> {
    let (len, at) = INSERTED;
    let mut bytes = vec![0; len];
    Random::new(5).fill(&mut bytes);
    let mut from = BufReader::with_capacity(PIECE, File::open(older)?);
    let mut to = BufWriter::with_capacity(PIECE, File::create(newer)?);
    io::copy(&mut (&mut from).take(at), &mut to)?;
    to.write_all(&bytes)?;
    io::copy(&mut from, &mut to)?;
    to.flush()?;
    drop(to);
    set_time(newer, TIMES.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_files() {
        let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for directory in &directories {
            small(directory.path(), 120).unwrap();
            mixed(directory.path(), 20, 1 << 16).unwrap();
        }
        let [one, other] = &directories;
        let found = crate::tree::difference(one.path(), other.path()).unwrap();
        assert_eq!(found, None);
        assert_eq!(crate::tree::count(one.path()).unwrap().files, 140);
    }

    #[test]
    fn a_newer_version_differs_as_it_should() {
        let directory = tempfile::tempdir().unwrap();
        large(directory.path(), 200 * CHANGED).unwrap();
        let older = directory.path().join("large.bin");
        let newer = directory.path().join("newer");
        changed(&older, &newer).unwrap();
        let (old, new) = (fs::read(&older).unwrap(), fs::read(&newer).unwrap());
        let blocks = old.chunks(CHANGED as usize);
        let differ = blocks.zip(new.chunks(CHANGED as usize));
        assert_eq!(differ.filter(|(a, b)| a != b).count(), 2);
        inserted(&older, &newer).unwrap();
        let new = fs::read(&newer).unwrap();
        assert_eq!(new.len(), old.len() + 1000);
        assert_eq!(new[101_000..], old[100_000..]);
    }
}
