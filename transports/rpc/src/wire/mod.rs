//! The messages of a [`Service`](realize_core::Service) as they cross the stream.
//!
//! Each module mirrors one of core's, type by type, but stands apart from it: a change here is a
//! change of the protocol, a change there is none. A message is made of core's type with `From`,
//! which cannot fail, and becomes one again with `TryFrom`, which refuses what core's types cannot
//! hold and what exceeds a bound: a [`Violation`]. What has passed keeps every rule that needs no
//! more than the message itself to be checked. Whether it makes sense for a file is for the service
//! to say, and whether an answer is one to what was asked for whoever asked.
//!
//! The encoding is postcard's, in which fields and variants have places and no names: their order
//! is part of the protocol, and the golden tests hold it. Bulk content does not go through serde:
//! see [`Payload`].
//!
//! Decoding allocates no more than a small multiple of what was received: byte strings and texts are
//! copied out of the input, and lists are [`Bounded`]. (A bare `Vec` would be safe from a length
//! that is only claimed, serde allocates 1 MiB ahead at most; but an item can be 100 times as large
//! in memory as on the wire.)

use realize_core::delta::InvalidDelta;
use realize_core::entry::VersionTooLong;
use realize_core::hash::Misfit;
use realize_core::path::InvalidPath;
use realize_core::range::{InvalidRange, InvalidRangeSet};

mod batch;
mod content;
mod delta;
mod entry;
mod error;
mod finish;
mod hash;
mod listing;
mod offer;
mod parts;
mod payload;
mod run;

pub(crate) use batch::{Batch, Bounded, Done, Each};
pub(crate) use content::{
    Block, DiffRequest, Difference, Hash, Patch, Read, ReadWhole, SendBlock, SignatureRequest,
};
pub(crate) use delta::Signature;
pub(crate) use error::Error;
pub(crate) use finish::{Delete, Finish, MakeDirectory, Put, Receipt};
pub(crate) use hash::RangeHash;
pub(crate) use listing::{List, Page};
pub(crate) use offer::{Answer, Offer};
pub(crate) use parts::Range;
pub(crate) use payload::{Payload, attach, detach};
pub(crate) use run::{Claim, Config, Ending};

/// The most bytes that a message takes without its payloads. The largest is a page of nothing but
/// failures, each with the longest path and the longest texts.
pub(crate) const MAX_MESSAGE: usize = 10 << 20;

/// What is wrong with a message that was received. The other end broke the protocol: no service and
/// no mover of this version sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    /// A path that is none.
    #[error("a path")]
    Path(#[from] InvalidPath),
    /// A version that is none.
    #[error("a version")]
    Version(#[from] VersionTooLong),
    /// A range that is none.
    #[error("a range")]
    Range(#[from] InvalidRange),
    /// A set of ranges that is none.
    #[error("what has arrived")]
    RangeSet(#[from] InvalidRangeSet),
    /// Chaining values that cannot stand for content.
    #[error("a hash")]
    Hash(#[from] Misfit),
    /// A signature or a delta that is none.
    #[error("a signature or a delta")]
    Delta(#[from] InvalidDelta),
    /// More of something than a message may hold.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: u64,
    },
    /// A size that no file has.
    #[error("a size beyond the largest of a file")]
    Size,
    /// A mode with bits that are not carried.
    #[error("a mode with bits that are not carried")]
    Mode,
    /// A time whose nanoseconds are a second or more.
    #[error("a time with more nanoseconds than a second has")]
    Nanos,
    /// A link's target with a NUL byte.
    #[error("a link's target with a NUL byte")]
    Nul,
    /// A limit of no bytes per second.
    #[error("a limit of 0 bytes per second")]
    Rate,
    /// Not as many bytes follow the message as its payloads have.
    #[error("the content that follows is not as long as the message says")]
    Payload,
}

/// Refuses a `count` over `max`.
fn at_most(count: u64, max: u64, what: &'static str) -> Result<(), Violation> {
    if count <= max {
        Ok(())
    } else {
        Err(Violation::TooMany { what, max })
    }
}

#[cfg(test)]
mod tests;
