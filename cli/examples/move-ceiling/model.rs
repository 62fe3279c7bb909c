//! What is moved: bytes without any pattern, the same ones each time.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use crate::Fallible;

/// How many bytes are made, written and compared at once.
const CHUNK: usize = 1 << 20;

struct Content(blake3::OutputReader);

impl Content {
    fn new() -> Self {
        Self(blake3::Hasher::new().finalize_xof())
    }

    /// The content up to `len` bytes, chunk by chunk.
    fn each(mut self, len: u64, mut take: impl FnMut(&[u8]) -> Fallible<()>) -> Fallible<()> {
        let mut chunk = vec![0; CHUNK];
        let mut left = len;
        while left > 0 {
            let count = usize::try_from(left)?.min(CHUNK);
            let bytes = chunk.get_mut(..count).unwrap_or_default();
            self.0.fill(bytes);
            take(bytes)?;
            left -= count as u64;
        }
        Ok(())
    }
}

pub(crate) fn write(path: &Path, len: u64) -> Fallible<()> {
    let mut file = File::create(path)?;
    Content::new().each(len, |bytes| Ok(file.write_all(bytes)?))
}

pub(crate) fn compare(path: &Path, len: u64) -> Fallible<()> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() != len {
        return Err("what arrived is not as long as what was sent".into());
    }
    let mut found = vec![0; CHUNK];
    Content::new().each(len, |bytes| {
        let found = found.get_mut(..bytes.len()).unwrap_or_default();
        file.read_exact(found)?;
        if found == bytes {
            Ok(())
        } else {
            Err("what arrived is not what was sent".into())
        }
    })
}
