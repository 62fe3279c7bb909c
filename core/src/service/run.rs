//! Runs: what a directory is taken for, by whom, and how that ends.

use std::num::NonZeroU64;

use crate::error::{Error, ErrorKind, Result};

/// What a run takes a directory for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Files are read and deleted: one run at a time.
    Source,
    /// Files are read and left: any number of runs.
    Reader,
    /// Files are written: one run at a time.
    Destination,
}

/// A random name for one run, so that its two ends can recognise each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunId([u8; 16]);

impl RunId {
    /// A new random one.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::new(ErrorKind::Io, "asking the system for random bytes").because(error)
        })?;
        Ok(Self(bytes))
    }

    /// The run with this number: one that a peer named, or a test's, which wants the same one again.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RunId({self})")
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every file of the source was moved: partials that are left are nobody's, and are removed.
    Clean,
    /// This run left no partial, but there may be some of files that it did not look at.
    Done,
    /// The same, but not all that was meant could be moved.
    Failed,
    /// There are partials for the next run to go on with.
    Interrupted,
}

/// Which source a run moves from, so that a destination can tell the partials of one from those of
/// another: of the same peer, a run sweeps its own source's alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin([u8; 16]);

impl Origin {
    /// That of the source which is called `name`. It must be called the same in every run.
    pub fn of(name: &str) -> Self {
        let hash = blake3::derive_key("realize 2026 the origin of a run", name.as_bytes());
        Self(hash.first_chunk().copied().unwrap_or_default())
    }

    /// That of these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Takes a directory for a run.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What for.
    pub role: Role,
    /// Which run.
    pub run: RunId,
    /// From which source.
    pub origin: Origin,
    /// Who runs it, for whoever finds the directory taken: at most 200 bytes are kept.
    pub holder: String,
}

/// What a peer may set for its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// How fast this service sends to the peer at most, in bytes per second; `None` is no limit.
    pub send_rate: Option<NonZeroU64>,
    /// In an answer, how fast this service is willing to receive, likewise: a peer keeps to it. It is
    /// not the peer's to set.
    pub receive_rate: Option<NonZeroU64>,
}

/// The size of block that suits a rate, in bytes: about 250 ms of it, a power of two from
/// [`MIN_BLOCK`] to [`MAX_BLOCK`](super::MAX_BLOCK). So what is urgent does not wait for long behind
/// what is bulky.
pub fn block_size_at(rate: Option<NonZeroU64>) -> u64 {
    let Some(rate) = rate else {
        return super::MAX_BLOCK;
    };
    let quarter = (rate.get() / 4).clamp(MIN_BLOCK, super::MAX_BLOCK);
    1 << quarter.ilog2()
}

/// The smallest block that [`block_size_at`] finds, in bytes.
pub const MIN_BLOCK: u64 = 16 << 10;
