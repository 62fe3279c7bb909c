//! What is moved: bytes without any pattern, the same ones each time, or the files of a directory.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::{Fallible, Files};

/// How many bytes are made, written and compared at once.
const CHUNK: usize = 1 << 20;
/// How many small files are in one directory.
const IN_ONE: u32 = 1000;
/// The sizes of small files, in bytes.
const SMALL: std::ops::Range<u64> = 4 << 10..16 << 10;

/// The files that each move begins with.
pub(crate) struct Model {
    directory: PathBuf,
    files: Vec<PathBuf>,
    bytes: u64,
}

impl Model {
    /// The files of a directory, without links and what else there is.
    pub(crate) fn of(directory: PathBuf) -> Fallible<Self> {
        let files = files_in(&directory)?;
        let mut bytes = 0;
        for file in &files {
            bytes += fs::metadata(directory.join(file))?.len();
        }
        Ok(Self {
            directory,
            files,
            bytes,
        })
    }

    /// One file of so many MiB.
    pub(crate) fn large(directory: PathBuf, mib: u64) -> Fallible<Self> {
        fs::create_dir(&directory)?;
        let mut file = File::create(directory.join("file"))?;
        let mut content = blake3::Hasher::new().finalize_xof();
        let mut chunk = vec![0; CHUNK];
        for _ in 0..mib {
            content.fill(&mut chunk);
            file.write_all(&chunk)?;
        }
        Self::of(directory)
    }

    /// So many small files.
    pub(crate) fn small(directory: PathBuf, count: u32) -> Fallible<Self> {
        let mut content = blake3::Hasher::new().finalize_xof();
        for number in 0..count {
            let within = directory.join((number / IN_ONE).to_string());
            fs::create_dir_all(&within)?;
            let mut random = [0; 8];
            content.fill(&mut random);
            let len = SMALL.start + u64::from_le_bytes(random) % (SMALL.end - SMALL.start);
            let mut bytes = vec![0; usize::try_from(len)?];
            content.fill(&mut bytes);
            fs::write(within.join(number.to_string()), bytes)?;
        }
        Self::of(directory)
    }

    /// How many they are, and of how many bytes together.
    pub(crate) fn size(&self) -> (usize, u64) {
        (self.files.len(), self.bytes)
    }

    /// Makes the source, durable, and nothing at the destination.
    pub(crate) fn plant(&self, files: &Files) -> Fallible<()> {
        for directory in [&files.source, &files.destination] {
            if directory.exists() {
                fs::remove_dir_all(directory)?;
            }
            fs::create_dir(directory)?;
        }
        for file in &self.files {
            let source = files.source.join(file);
            fs::create_dir_all(source.parent().ok_or("no directory")?)?;
            fs::copy(self.directory.join(file), source)?;
        }
        // Nobody who is measured has to sync it.
        Ok(rustix::fs::syncfs(File::open(&files.source)?)?)
    }

    /// The files are at the destination, as they were, and none is at the source.
    pub(crate) fn check(&self, files: &Files) -> Fallible<()> {
        if !files_in(&files.source)?.is_empty() {
            return Err("sources were left".into());
        }
        if files_in(&files.destination)?.len() != self.files.len() {
            return Err("there are not as many files as there were".into());
        }
        for file in &self.files {
            compare(&self.directory.join(file), &files.destination.join(file))?;
        }
        Ok(())
    }
}

/// The files below a directory, as paths from there.
pub(crate) fn files_in(directory: &Path) -> Fallible<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(within) = directories.pop() {
        for entry in fs::read_dir(directory.join(&within))? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, within.join(entry.file_name()));
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file() {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn compare(one: &Path, other: &Path) -> Fallible<()> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Err("what arrived is not as long as what was sent".into());
    }
    let mut chunks = [vec![0; CHUNK], vec![0; CHUNK]];
    let [sent, arrived] = &mut chunks;
    loop {
        let count = one.read(sent)?;
        if count == 0 {
            return Ok(());
        }
        let (sent, arrived) = (sent.get(..count), arrived.get_mut(..count));
        let arrived = arrived.ok_or("more than was asked for")?;
        other.read_exact(arrived)?;
        if sent != Some(arrived) {
            return Err("what arrived is not what was sent".into());
        }
    }
}
