//! What a directory can do, near or far.
//!
//! A [`Service`] stands for one directory, its *root*. A move takes two of them: files are listed
//! and read at the source, offered, sent and finished at the destination, and deleted at the source
//! when the destination has given a [`Receipt`]. [`LocalService`](crate::LocalService) is a
//! directory of this machine; a client of a remote daemon is a `Service` too, and the engine cannot
//! tell them apart. A service is not for choosing what to move: it answers, the mover decides.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::delta::Signature;
use crate::error::Result;
use crate::hash::RangeHash;

mod batch;
mod content;
mod finish;
mod listing;
mod offer;
mod run;
mod shortcut;

pub(crate) use batch::{bounded, pass};
pub use content::{
    Basis, Block, DiffRequest, Difference, Hash, Patch, Read, ReadWhole, SendBlock,
    SignatureRequest, Target,
};
pub use finish::{
    Content, Delete, Expect, Finish, FinishFrom, MakeDirectory, Making, Outcome, Put, Receipt,
};
pub use listing::{Cursor, List, ListFailure, Page};
pub use offer::{Answer, Arrived, Offer, Present, PresentKind};
pub use run::{Claim, Config, Ending, MIN_BLOCK, Origin, Role, RunId, block_size_at};
pub use shortcut::{DeleteName, LinkFile, SameFile, ShareFile, Shortcut};

/// The most bytes that one read, send or patch carries.
pub const MAX_BLOCK: u64 = 1 << 20;
/// The most items that a batch carries.
pub const MAX_BATCH: usize = 512;
/// The most bytes of content that a batch carries.
pub const MAX_BATCH_BYTES: u64 = 4 << 20;
/// The most bytes of the source that one diff looks at.
pub const MAX_DIFF_RANGE: u64 = 8 << 20;

/// A directory that files can be moved from or to.
///
/// # What binds an implementation
/// - **Confinement.** Nothing outside the root is read, written or named, whatever links lie in it.
/// - **Atomicity.** Under a final name there is either what was there before or the whole, verified
///   new file; never anything between, whenever the process or the machine stops.
/// - **Idempotence.** Every operation may be repeated after a lost answer. A repeated `finish`,
///   `put` or `delete` that finds its work done is a success.
/// - **Cancel safety.** A future may be dropped at any await: what it began is either carried out
///   or not, and can be repeated.
/// - **Batches.** The answer has one result per item, in order; one item's failure is that item's
///   alone. More than [`MAX_BATCH`] items, or [`MAX_BATCH_BYTES`] of content, is
///   [`Invalid`](crate::ErrorKind::Invalid) as a whole.
/// - **Errors** carry the kind that [`ErrorKind`](crate::ErrorKind) describes, for callers act on
///   it: `Changed` and `InUse` leave a file for the next run, `Mismatch` has it sent again.
///
/// # What binds a caller
/// [`claim`](Self::claim) comes before anything that changes the directory, and
/// [`release`](Self::release) after. `finish` and `put` come after the content was sent, `delete`
/// takes the receipt that they gave.
#[async_trait]
pub trait Service: Send + Sync {
    /// Takes the directory for one run in a role, until [`release`](Self::release), the service's
    /// drop or the process's end. Errors: [`Busy`](crate::ErrorKind::Busy), with the holder.
    async fn claim(&self, claim: Claim) -> Result<()>;

    /// Gives the claims back, and cleans up as far as the ending allows.
    async fn release(&self, ending: Ending) -> Result<()>;

    /// A page of what the directory holds, in any order, but a directory after what is in it.
    ///
    /// With a claim as source it first puts right what an interrupted deletion left, and reports
    /// [`Overlap`](crate::ErrorKind::Overlap) for a directory that the destination of the same run
    /// claimed. A cursor can be used again until the page after it was fetched. Errors: `Invalid`
    /// for a cursor that is unknown or has expired, `NotFound` if there is nothing at
    /// [`within`](List::within).
    async fn list(&self, list: List) -> Result<Page>;

    /// Asks what stands under final names, and what has arrived of the files offered.
    async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Result<Answer>>>;

    /// Reads a block of a file, at most [`MAX_BLOCK`] bytes. Fewer bytes than asked for come only
    /// from the end of the file. Errors: `Changed` if it is not that version, `InUse` if a process
    /// has it open for writing.
    async fn read(&self, read: Read) -> Result<Block>;

    /// Reads whole files, at most [`MAX_BATCH_BYTES`] in all. Errors as `read`; `Changed` too if a
    /// file has another size than asked for.
    async fn read_batch(&self, reads: Vec<ReadWhole>) -> Result<Vec<Result<Bytes>>>;

    /// Writes a block of a partial, which is made where there is none. A partial of another
    /// version of the source is begun anew, unless it is being [patched](Basis::Partial).
    async fn send(&self, send: SendBlock) -> Result<()>;

    /// Writes, verifies, makes durable and finishes whole small files and links. What
    /// [`finish`](Self::finish) says holds.
    async fn put(&self, puts: Vec<Put>) -> Result<Vec<Result<Receipt>>>;

    /// Makes directories, or sets the mode of those that exist, as each says, and makes them durable.
    async fn make_directories(&self, makes: Vec<MakeDirectory>) -> Result<Vec<Result<()>>>;

    /// Hashes a range of a final or source file; a range that is the whole file is answered with
    /// [`RangeHash::Whole`]. Errors: `Changed` if it is not that version.
    async fn hash(&self, hash: Hash) -> Result<RangeHash>;

    /// The block hashes of a range of what is already at the destination.
    async fn calculate_signature(&self, request: SignatureRequest) -> Result<Signature>;

    /// What a range of the source has that the signature has not, and the range's hash. Errors:
    /// `Changed` if it is not that version.
    async fn diff(&self, request: DiffRequest) -> Result<Difference>;

    /// Writes a range of a partial from its basis and a delta.
    async fn apply_patch(&self, patch: Patch) -> Result<()>;

    /// Turns partials into final files: reads the content back and compares its hash, sets mode and
    /// time, makes the file durable, renames it, and makes the name and every directory created for
    /// it durable. Errors: `Mismatch` (the partial is kept, to be patched), `Conflict` if the final
    /// name does not hold what was [expected](Expect), or what stands there already has other
    /// content, `SyncFailed` (the partial is gone), `Busy` if another file is on its way to the
    /// same name.
    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<Receipt>>>;

    /// Deletes source files that have a receipt, and directories that are empty. The file must
    /// still be the version that was read, and nobody may have it open for writing: it is renamed
    /// to a reserved name, looked at again, and unlinked or renamed back. Errors: `Changed`,
    /// `InUse`; `Conflict` for a directory that is not empty.
    async fn delete(&self, deletes: Vec<Delete>) -> Result<Vec<Result<()>>>;

    /// Sets what holds for this peer's session and answers what is in force from now on: the lower
    /// of what was asked and what is allowed to the peer. Setting nothing lifts what was set. Errors:
    /// `Forbidden` for whoever may do nothing here.
    async fn configure(&self, config: Config) -> Result<Config>;

    /// How many blocks of a file are to be on their way to this service, or from it, at once: few where
    /// it is near, more where answers take their time.
    fn window(&self) -> usize {
        2
    }

    /// The size of block that suits the way to this service now, in bytes: [`MAX_BLOCK`], or less
    /// where a limit is in force ([`block_size_at`]). Batches are to hold a few blocks.
    fn block_size(&self) -> u64 {
        MAX_BLOCK
    }

    /// A shorter way from `source` to here, if this service knows it for one of its own kind. It is
    /// asked once both are claimed. A service that stands before another one, or is reached over a
    /// connection, has none.
    fn shortcut(&self, _source: &dyn Service) -> Option<Arc<dyn Shortcut>> {
        None
    }

    /// Itself, for [`shortcut`](Self::shortcut) between two of one kind; `None` for whoever is not
    /// to be known for what it is.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }
}
