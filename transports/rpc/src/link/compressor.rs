//! What compresses the payloads of a connection, one after the other, before they are written.

use std::io;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Outgoing, State};
use crate::compression::{Attempts, Compression};
use crate::hello::network;

/// How many frames wait to be written behind the one that is being compressed.
const COMPRESSED: usize = 1;

/// Takes the bulky frames of a connection and hands them on in their order. Meanwhile the writer
/// writes what came before, and what is urgent.
pub(super) struct Compressor {
    compression: Compression,
    attempts: Attempts,
    frames: mpsc::Receiver<Outgoing>,
    compressed: mpsc::Sender<Outgoing>,
}

impl Compressor {
    /// Starts it on what comes out of `frames`; answers where that comes out now. It ends with the
    /// connection, or after the last frame.
    pub(super) fn start(
        compression: Compression,
        frames: mpsc::Receiver<Outgoing>,
        state: &Arc<State>,
    ) -> mpsc::Receiver<Outgoing> {
        let (compressed, next) = mpsc::channel(COMPRESSED);
        let compressor = Self {
            compression,
            attempts: Attempts::default(),
            frames,
            compressed,
        };
        let state = Arc::clone(state);
        tokio::spawn(async move {
            let ended = tokio::select! {
                biased;
                () = state.end.cancelled() => return,
                ended = compressor.run() => ended,
            };
            if let Err(error) = ended {
                state.fail(network(&error));
            }
        });
        next
    }

    async fn run(mut self) -> io::Result<()> {
        while let Some(mut next) = self.frames.recv().await {
            if self.attempts.is_due(next.frame.payload_len()) {
                next = self.compressed(next).await?;
                self.attempts.note(next.decompressed.is_some());
            }
            if self.compressed.send(next).await.is_err() {
                // Nobody writes any more: the connection has ended.
                break;
            }
        }
        Ok(())
    }

    /// The frame with its payload compressed, if that gains enough. Its share of the memory stays with it.
    async fn compressed(&self, next: Outgoing) -> io::Result<Outgoing> {
        let Outgoing { frame, share, .. } = next;
        let (frame, decompressed, share) = self.compression.compress(frame, share).await?;
        Ok(Outgoing {
            frame,
            decompressed,
            share,
        })
    }
}
