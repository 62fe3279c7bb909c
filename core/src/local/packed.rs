//! The content of many small files in few buffers.

use bytes::Bytes;

use crate::buffers::{Buffer, Buffers};
use crate::error::Result;

/// Buffers that are filled one after the other.
pub(super) struct Packed<'a> {
    source: &'a Buffers,
    full: Vec<Bytes>,
    current: Option<(Buffer, usize)>,
}

/// Where a file's content went.
pub(super) enum Part {
    /// Into the buffer of that number, from the first place to the second.
    Packed(usize, usize, usize),
    /// It was too large for one.
    Alone(Bytes),
}

impl<'a> Packed<'a> {
    pub(super) fn new(source: &'a Buffers) -> Self {
        Self {
            source,
            full: Vec::new(),
            current: None,
        }
    }

    /// Has `fill` fill room for `len` bytes. If it fails, the room is used again.
    pub(super) fn add(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<Part> {
        if let Some((buffer, filled)) = &mut self.current
            && buffer.part(*filled, len).is_none()
            && let Some((buffer, filled)) = self.current.take()
        {
            self.full.push(buffer.into_bytes(filled));
        }
        let (buffer, filled) = self.current.get_or_insert_with(|| (self.source.take(), 0));
        let start = *filled;
        let Some(space) = buffer.part(start, len) else {
            let mut alone = vec![0; len];
            fill(&mut alone)?;
            return Ok(Part::Alone(Bytes::from(alone)));
        };
        fill(space)?;
        *filled = start.saturating_add(len);
        Ok(Part::Packed(self.full.len(), start, *filled))
    }

    /// The content of each of `parts`. A buffer goes back when the last of its parts is gone.
    pub(super) fn into_parts(mut self, parts: Vec<Result<Part>>) -> Vec<Result<Bytes>> {
        if let Some((buffer, filled)) = self.current.take() {
            self.full.push(buffer.into_bytes(filled));
        }
        let content = |part| match part {
            Part::Alone(bytes) => bytes,
            Part::Packed(at, start, end) => {
                let buffer = self.full.get(at);
                // Each part lies within its buffer, for it was filled there.
                buffer
                    .map(|bytes| bytes.slice(start..end))
                    .unwrap_or_default()
            }
        };
        parts.into_iter().map(|part| part.map(content)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::service::MAX_BLOCK;

    #[test]
    fn every_part_has_its_own_content() {
        let buffers = Buffers::default();
        let mut packed = Packed::new(&buffers);
        let most = MAX_BLOCK as usize;
        let sizes = [10, 0, most - 10, 1, most + 1, most / 2, most / 2, most];
        let mut parts = Vec::new();
        for (number, size) in (1u8..).zip(sizes) {
            parts.push(packed.add(size, |space| {
                space.fill(number);
                Ok(())
            }));
            let failed = Error::new(ErrorKind::Changed, "shorter");
            parts.push(packed.add(5, |_| Err(failed)));
        }
        let contents = packed.into_parts(parts);
        for ((number, size), pair) in (1u8..).zip(sizes).zip(contents.chunks(2)) {
            let bytes = pair[0].as_ref().unwrap();
            assert!(bytes.len() == size && bytes.iter().all(|byte| *byte == number));
            assert!(pair[1].is_err());
        }
    }
}
