//! Bytes to send, such that whatever becomes of them on the way is seen.

use realize_core::transport::{Connection, Duplex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::failure::{During, Failure, Outcome, PATIENCE, ensure, within};

/// After how many bytes they repeat, but for the number of the repetition. It is a prime, so that no
/// buffer ends where they do.
const BLOCK: usize = 65_521;
/// How many are written and read at once: more than fit into a record of TLS, and no power of two.
const CHUNK: usize = 40_009;

/// Numbers that look random, the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A seed that differs from run to run.
    pub(crate) fn seed() -> Outcome<u64> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).during("asking the system for random bytes")?;
        Ok(u64::from_le_bytes(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes());
        words.take(len).collect()
    }
}

/// A sequence of bytes without an end, which differs from place to place and from seed to seed.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    block: Vec<u8>,
}

impl Sequence {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            block: Random(seed).bytes(BLOCK),
        }
    }

    /// Puts into `buffer` the bytes from the place `at` on.
    pub(crate) fn fill(&self, mut at: u64, mut buffer: &mut [u8]) {
        let block = BLOCK as u64;
        while !buffer.is_empty() {
            let offset = usize::try_from(at % block).unwrap_or_default();
            let rest = self.block.get(offset..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            let (now, later) = buffer.split_at_mut(count);
            now.copy_from_slice(rest.get(..count).unwrap_or_default());
            let number = (at / block).to_le_bytes();
            for (byte, mark) in now.iter_mut().zip(number.iter().skip(offset)) {
                *byte ^= mark;
            }
            at += count as u64;
            buffer = later;
        }
    }

    /// That `found` are the bytes from the place `at` on.
    fn compare(&self, at: u64, found: &[u8]) -> Outcome {
        let mut expected = vec![0; found.len()];
        self.fill(at, &mut expected);
        if expected == found {
            return Ok(());
        }
        let differs = expected.iter().zip(found).position(|(e, f)| e != f);
        let place = at + differs.unwrap_or_default() as u64;
        Err(Failure::new(format!("byte {place} is not what was sent")))
    }

    /// Writes the bytes from `at` to `end`, and flushes.
    pub(crate) async fn send(
        &self,
        stream: &mut (impl AsyncWrite + Unpin),
        mut at: u64,
        end: u64,
    ) -> Outcome {
        let mut chunk = vec![0; CHUNK];
        while at < end {
            let count = (CHUNK as u64).min(end - at);
            let now = chunk.get_mut(..usize::try_from(count).unwrap_or_default());
            let now = now.unwrap_or_default();
            self.fill(at, now);
            let writing = within(PATIENCE, "writing", stream.write_all(now)).await?;
            writing.during(format!("writing, after {at} bytes"))?;
            at += count;
        }
        let flushing = within(PATIENCE, "flushing", stream.flush()).await?;
        flushing.during("flushing")
    }

    /// Reads `len` bytes, which are these.
    pub(crate) async fn receive(&self, stream: &mut (impl AsyncRead + Unpin), len: u64) -> Outcome {
        let mut chunk = vec![0; CHUNK];
        let mut at = 0;
        while at < len {
            let count = usize::try_from((CHUNK as u64).min(len - at)).unwrap_or_default();
            let buffer = chunk.get_mut(..count).unwrap_or_default();
            let read = within(PATIENCE, "reading", stream.read(buffer)).await?;
            let count = read.during(format!("reading, after {at} of {len} bytes"))?;
            ensure(count > 0, || {
                format!("the stream ended after {at} of {len} bytes")
            })?;
            self.compare(at, chunk.get(..count).unwrap_or_default())?;
            at += count as u64;
        }
        Ok(())
    }

    /// Reads `len` bytes, which are these, and then the end.
    pub(crate) async fn receive_to_end(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        len: u64,
    ) -> Outcome {
        self.receive(stream, len).await?;
        ended(stream).await
    }
}

/// That nothing comes but the end, which stays.
pub(crate) async fn ended(stream: &mut (impl AsyncRead + Unpin)) -> Outcome {
    let what = "reading the end of the stream";
    for _ in 0..2 {
        let count = within(PATIENCE, what, stream.read(&mut [0])).await?;
        ensure(count.during(what)? == 0, || {
            "a byte came where the stream was to end".to_owned()
        })?;
    }
    Ok(())
}

/// Ends this direction of a stream.
pub(crate) async fn end(stream: &mut (impl AsyncWrite + Unpin)) -> Outcome {
    let ending = within(PATIENCE, "ending the stream", stream.shutdown()).await?;
    ending.during("ending the stream")
}

/// That a few bytes go from each of two ends to the other.
pub(crate) async fn talk(one: &mut Connection, other: &mut Connection) -> Outcome {
    say(&mut one.stream, &mut other.stream, 1).await?;
    say(&mut other.stream, &mut one.stream, 2).await
}

async fn say(one: &mut Box<dyn Duplex>, other: &mut Box<dyn Duplex>, seed: u64) -> Outcome {
    let sequence = Sequence::new(seed);
    let (there, here) = (sequence.send(one, 0, 1000), sequence.receive(other, 1000));
    tokio::try_join!(there, here)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_the_same_however_it_is_asked_for() {
        let sequence = Sequence::new(7);
        let mut whole = vec![0; 3 * BLOCK];
        sequence.fill(0, &mut whole);
        for at in [0, 1, BLOCK - 1, BLOCK, BLOCK + 5, 2 * BLOCK - 3] {
            let mut part = vec![0; BLOCK];
            sequence.fill(at as u64, &mut part);
            assert_eq!(part, whole[at..at + BLOCK], "{at}");
        }
        assert!(whole[..BLOCK] != whole[BLOCK..2 * BLOCK]);
    }

    #[test]
    fn a_byte_that_differs_is_found() {
        let sequence = Sequence::new(7);
        let mut bytes = vec![0; 2 * BLOCK];
        sequence.fill(0, &mut bytes);
        sequence.compare(0, &bytes).unwrap();
        bytes[BLOCK + 20] ^= 1;
        let failure = sequence.compare(0, &bytes).unwrap_err().to_string();
        assert_eq!(failure, format!("byte {} is not what was sent", BLOCK + 20));
        // A whole repetition that was lost.
        assert!(sequence.compare(BLOCK as u64, &bytes[..BLOCK]).is_err());
        assert!(Sequence::new(8).compare(0, &bytes[..100]).is_err());
    }
}
