//! Payloads made smaller with zstd, where both ends of a connection said that they can.
//!
//! All connections of a client, or of a server, share one [`Compression`]. It works on blocking
//! threads, on as many payloads at once as there are processors, and keeps the contexts and the
//! buffers for the next. Which payloads are tried is up to each connection's [`Attempts`].
//!
//! What it holds beyond the frames that are on their way is bounded: for each of at most
//! [`MAX_AT_ONCE`] payloads a context for either direction of about a megabyte, and a copy of the
//! payload. What came in compressed and waits for its turn has a share of the peer's budget that is
//! larger than it is. A payload is decompressed in one go into memory of the length that was announced:
//! there is no window besides, whatever the compressed bytes ask for.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use bytes::Bytes;
use realize_core::buffers::Buffers;
use tokio::sync::Semaphore;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use crate::frame::{Frame, is_pooled};

/// How hard is tried. Level 3 takes 1.6 times as long and makes text a tenth smaller: this one keeps
/// up with faster links, and slower machines.
const LEVEL: i32 = 1;
/// Payloads of fewer bytes are not tried: it is a packet either way.
const SMALLEST: usize = 512;
/// What does not become smaller by one part in so many goes as it is.
const GAIN: usize = 16;
/// After payloads that gained nothing, at most so many are left out before one is tried again.
const MAX_PAUSE: u32 = 16;
/// How many payloads are worked on at once at most, whatever the machine.
const MAX_AT_ONCE: usize = 8;

/// What compresses and decompresses payloads. Clones share its contexts.
#[derive(Clone, Debug)]
pub(crate) struct Compression {
    turns: Arc<Semaphore>,
    contexts: Arc<Contexts>,
}

impl Compression {
    /// One that takes memory for blocks out of `buffers`.
    pub(crate) fn new(buffers: Buffers) -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        let contexts = Contexts {
            buffers,
            compressors: Mutex::default(),
            decompressors: Mutex::default(),
        };
        Self {
            turns: Arc::new(Semaphore::new(processors.min(MAX_AT_ONCE))),
            contexts: Arc::new(contexts),
        }
    }

    /// Compresses the payload of a frame; answers the payload's length before, or `None` where too
    /// little would be gained and the frame is as it was. `with` lives as long as the work, and
    /// comes back. Cancel safe, but the frame is lost.
    ///
    /// # Errors
    /// The machine's.
    pub(crate) async fn compress<T: Send + 'static>(
        &self,
        mut frame: Frame,
        with: T,
    ) -> io::Result<(Frame, Option<usize>, T)> {
        self.work(move |contexts| {
            let before = frame.payload_len();
            let smaller = contexts.compress(&frame.payload, before);
            let is_smaller = smaller.is_some();
            if let Some(smaller) = smaller {
                frame.payload = vec![smaller];
            }
            (frame, is_smaller.then_some(before), with)
        })
        .await
    }

    /// Decompresses the payload of a frame that came in, which is to have `len` bytes then. Cancel
    /// safe, but the frame is lost.
    ///
    /// # Errors
    /// `InvalidData` if the payload is not that, before memory is taken for it where that can be
    /// seen; the machine's.
    pub(crate) async fn decompress(&self, mut frame: Frame, len: usize) -> io::Result<Frame> {
        let done = self.work(move |contexts| {
            let compressed = frame.payload.pop().unwrap_or_default();
            frame.payload = vec![contexts.decompress(&compressed, len)?];
            Ok(frame)
        });
        done.await?
    }

    /// Does what takes milliseconds where it holds nobody up, when it is its turn.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Contexts) -> T + Send + 'static,
    ) -> io::Result<T> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(io::Error::other)?;
        let contexts = Arc::clone(&self.contexts);
        let working = tokio::task::spawn_blocking(move || {
            let done = work(&contexts);
            drop(turn);
            done
        });
        working.await.map_err(io::Error::other)
    }
}

/// Contexts that nobody uses at the moment: never more than there are turns.
struct Contexts {
    buffers: Buffers,
    compressors: Mutex<Vec<Compressor<'static>>>,
    decompressors: Mutex<Vec<Decompressor<'static>>>,
}

impl std::fmt::Debug for Contexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contexts")
    }
}

impl Contexts {
    /// The parts, `len` bytes in all, as one that is smaller; `None` where it would be hardly that.
    fn compress(&self, parts: &[Bytes], len: usize) -> Option<Bytes> {
        let whole = match parts {
            [whole] => whole.clone(),
            parts => parts.concat().into(),
        };
        let mut compressor = match taken(&self.compressors) {
            Some(compressor) => compressor,
            None => Compressor::new(LEVEL).ok()?,
        };
        // What would become larger than the room is an error.
        let smaller = filled(&self.buffers, len - len / GAIN, |space| {
            compressor.compress_to_buffer(&whole, space)
        });
        given_back(&self.compressors, compressor);
        smaller.ok()
    }

    fn decompress(&self, compressed: &[u8], len: usize) -> io::Result<Bytes> {
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let is_whole = find_frame_compressed_size(compressed) == Ok(compressed.len());
        let announces = get_frame_content_size(compressed).ok().flatten();
        if !is_whole || announces.is_none_or(|announced| announced != len as u64) {
            return Err(invalid("a payload that is not what was announced"));
        }
        let mut decompressor = match taken(&self.decompressors) {
            Some(decompressor) => decompressor,
            None => Decompressor::new()?,
        };
        let whole = filled(&self.buffers, len, |space| {
            decompressor.decompress_to_buffer(compressed, space)
        });
        given_back(&self.decompressors, decompressor);
        whole
            .ok()
            .filter(|whole| whole.len() == len)
            .ok_or_else(|| invalid("a payload that does not decompress"))
    }
}

fn taken<T>(idle: &Mutex<Vec<T>>) -> Option<T> {
    idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

fn given_back<T>(idle: &Mutex<Vec<T>>, context: T) {
    let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
    idle.push(context);
}

/// What `fill` writes into `len` bytes of memory; it answers how many it wrote.
fn filled(
    buffers: &Buffers,
    len: usize,
    fill: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> io::Result<Bytes> {
    if is_pooled(len) {
        let mut buffer = buffers.take();
        let written = fill(buffer.space(len))?;
        return Ok(buffer.into_bytes(written));
    }
    let mut bytes = vec![0; len];
    let written = fill(&mut bytes)?;
    bytes.truncate(written);
    Ok(bytes.into())
}

/// Which payloads of a connection are tried: content that does not become smaller is, as a rule,
/// followed by more of it.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// How many are still left out.
    left: u32,
    /// How many were, the last time.
    pause: u32,
}

impl Attempts {
    /// Whether the next payload, of `len` bytes, is to be tried.
    pub(crate) fn is_due(&mut self, len: usize) -> bool {
        if len < SMALLEST {
            return false;
        }
        let is_due = self.left == 0;
        self.left = self.left.saturating_sub(1);
        is_due
    }

    /// Takes down what became of one that was tried.
    pub(crate) fn note(&mut self, gained: bool) {
        self.pause = match gained {
            true => 0,
            false => (self.pause * 2).clamp(1, MAX_PAUSE),
        };
        self.left = self.pause;
    }
}

#[cfg(test)]
mod tests;
