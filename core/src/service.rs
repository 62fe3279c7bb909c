//! What a directory can do, near or far.
//!
//! A [`Service`] stands for one directory, its *root*. A move takes two of them: files are listed
//! and read at the source, offered, sent and finished at the destination, and deleted at the source
//! when the destination has given a [`Receipt`]. [`LocalService`](crate::LocalService) is a
//! directory of this machine; a client of a remote daemon is a `Service` too, and the engine cannot
//! tell them apart. A service is not for choosing what to move: it answers, the mover decides.

use std::num::NonZeroU64;

use async_trait::async_trait;
use bytes::Bytes;

use crate::delta::{Delta, Signature};
use crate::entry::{Entry, Timestamp, Version};
use crate::error::{Error, Result};
use crate::hash::{Digest, HashState, RangeHash};
use crate::path::RelPath;
use crate::range::{ByteRange, RangeSet};

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
    /// for a cursor that is unknown or has expired.
    async fn list(&self, list: List) -> Result<Page>;

    /// Asks what stands under final names, and what has arrived of the files offered.
    async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Result<Answer>>>;

    /// Reads a block of a file, at most [`MAX_BLOCK`] bytes. Fewer bytes than asked for come only
    /// from the end of the file. Errors: `Changed` if it is not that version, `InUse` if a process
    /// has it open for writing.
    async fn read(&self, read: Read) -> Result<Block>;

    /// Reads whole files, at most [`MAX_BATCH_BYTES`] in all. Errors as `read`.
    async fn read_batch(&self, reads: Vec<ReadWhole>) -> Result<Vec<Result<Bytes>>>;

    /// Writes a block of a partial, which is made where there is none. A partial of another
    /// version of the source is begun anew, unless it is being [patched](Basis::Partial).
    async fn send(&self, send: SendBlock) -> Result<()>;

    /// Writes, verifies, makes durable and finishes whole small files and links. What
    /// [`finish`](Self::finish) says holds.
    async fn put(&self, puts: Vec<Put>) -> Result<Vec<Result<Receipt>>>;

    /// Makes directories, or sets the mode of those that exist, and makes them durable.
    async fn make_directories(&self, makes: Vec<MakeDirectory>) -> Result<Vec<Result<()>>>;

    /// Hashes a range of a final or source file. Errors: `Changed` if it is not that version.
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
    /// name does not hold what was [expected](Expect), `SyncFailed` (the partial is gone).
    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<Receipt>>>;

    /// Deletes source files that have a receipt, and directories that are empty. The file must
    /// still be the version that was read, and nobody may have it open for writing: it is renamed
    /// to a reserved name, looked at again, and unlinked or renamed back. Errors: `Changed`,
    /// `InUse`; `Conflict` for a directory that is not empty.
    async fn delete(&self, deletes: Vec<Delete>) -> Result<Vec<Result<()>>>;

    /// Sets what holds for this peer's session and answers what is in force from now on.
    async fn configure(&self, config: Config) -> Result<Config>;
}

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
            Error::new(crate::ErrorKind::Io, "asking the system for random bytes").because(error)
        })?;
        Ok(Self(bytes))
    }

    /// The run with this number; for tests, which want the same one again.
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
    /// There are partials for the next run to go on with.
    Interrupted,
}

/// Takes a directory for a run.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What for.
    pub role: Role,
    /// Which run.
    pub run: RunId,
    /// Who runs it, for whoever finds the directory taken: at most 200 bytes are kept.
    pub holder: String,
}

/// Asks for a page of a listing.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Only this file, or only what is in this directory; everything where it is `None`.
    pub within: Option<RelPath>,
    /// Whether files, links and special files are wanted.
    pub files: bool,
    /// Whether directories are wanted.
    pub directories: bool,
    /// Where the last page ended; `None` begins a listing.
    pub cursor: Option<Cursor>,
}

/// A place in a listing: opaque to all but the service that issued it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Which listing.
    pub listing: u64,
    /// Which page of it.
    pub page: u64,
}

/// A part of a listing; at most [`MAX_BATCH`] entries and failures together.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// What was found.
    pub entries: Vec<Entry>,
    /// What could not be looked at: unreadable directories, names that no path can hold.
    pub failures: Vec<ListFailure>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

/// Something in a listing that could not be looked at.
#[derive(Clone, Debug)]
pub struct ListFailure {
    /// Its path, as bytes: it may be none that a [`RelPath`] can hold.
    pub path: Vec<u8>,
    /// Why.
    pub error: Error,
}

/// Offers a file to the destination.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Its final name.
    pub path: RelPath,
    /// Whether it is a link; otherwise it is a file.
    pub link: bool,
    /// The source's version.
    pub source: Version,
    /// Its size in bytes.
    pub size: u64,
    /// When its content last changed.
    pub modified: Timestamp,
}

/// What the destination says of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What stands under the final name.
    pub present: Present,
    /// What has arrived of the file in an earlier run.
    pub partial: Option<Arrived>,
}

/// What stands under a final name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Present {
    /// Nothing.
    Absent,
    /// A file of the same kind, size and time: perhaps the same content.
    Perhaps(Version),
    /// Something else.
    Differs {
        /// Its version.
        version: Version,
        /// What it is.
        kind: PresentKind,
        /// Its size in bytes.
        size: u64,
    },
    /// An entry whose stored name is another one; the bytes of that name.
    Collides(Vec<u8>),
}

/// What kind of thing stands under a final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresentKind {
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A directory, a device or the like: never replaced.
    Other,
}

/// What has arrived of a file: hints, which the hash at the end verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Which ranges of the version offered; none where the partial is of another version.
    pub ranges: RangeSet,
    /// The hash of the source's content up to some place.
    pub hash: HashState,
    /// The size of the partial in bytes.
    pub size: u64,
}

/// Reads a block.
#[derive(Clone, Debug)]
pub struct Read {
    /// Which file.
    pub path: RelPath,
    /// The version that it must be.
    pub version: Version,
    /// Which bytes.
    pub range: ByteRange,
}

/// Reads a whole file.
#[derive(Clone, Debug)]
pub struct ReadWhole {
    /// Which file.
    pub path: RelPath,
    /// The version that it must be.
    pub version: Version,
    /// The size that it must have.
    pub size: u64,
}

/// A block of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// Its bytes.
    Data(Bytes),
    /// So many zeros, which the file system does not store.
    Hole(u64),
}

impl Block {
    /// How many bytes of content it stands for.
    pub fn len(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::Hole(len) => *len,
        }
    }

    /// Whether it stands for none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The file that a partial is to become.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its final name.
    pub path: RelPath,
    /// The source's version.
    pub source: Version,
    /// Its size in bytes.
    pub size: u64,
    /// Whether blocks of zeros are to be left as holes.
    pub sparse: bool,
}

/// Writes a block of a partial.
#[derive(Clone, Debug)]
pub struct SendBlock {
    /// Which partial.
    pub target: Target,
    /// Where the block begins.
    pub offset: u64,
    /// The block, at most [`MAX_BLOCK`] bytes.
    pub block: Block,
    /// The hash of the source's content up to some place, to be kept with the partial.
    pub hash: Option<HashState>,
}

/// A whole small file or a link for the destination.
#[derive(Clone, Debug)]
pub struct Put {
    /// Its final name.
    pub path: RelPath,
    /// What it is and holds.
    pub content: Content,
    /// Its permissions, within [`MODE_BITS`](crate::entry::MODE_BITS).
    pub mode: u32,
    /// The time to set.
    pub modified: Timestamp,
    /// What the caller expects under the final name.
    pub expect: Expect,
}

/// What a [`Put`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file with its bytes and their hash, as read from the source.
    File(Bytes, Digest),
    /// A link's target.
    Link(Vec<u8>),
}

impl Content {
    /// How many bytes of content it holds.
    pub fn len(&self) -> u64 {
        match self {
            Self::File(data, _) => data.len() as u64,
            Self::Link(target) => target.len() as u64,
        }
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A directory for the destination.
#[derive(Clone, Debug)]
pub struct MakeDirectory {
    /// Its path.
    pub path: RelPath,
    /// Its permissions, within [`MODE_BITS`](crate::entry::MODE_BITS).
    pub mode: u32,
    /// Whether it is made where it does not exist; otherwise only an existing one is changed, and
    /// `NotFound` says that there is none.
    pub create: bool,
}

/// What a caller expects under a final name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Absent,
    /// The version that the offer was answered with: it is replaced.
    Version(Version),
}

/// Asks for the hash of a range.
#[derive(Clone, Debug)]
pub struct Hash {
    /// Which file.
    pub path: RelPath,
    /// The version that it must be.
    pub version: Version,
    /// The size that it must have.
    pub size: u64,
    /// Which bytes; its ends are multiples of [`CHUNK`](crate::hash::CHUNK), or the file's end.
    pub range: ByteRange,
}

/// What a file is patched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The older file under the final name, in this version.
    Final(Version),
    /// The partial itself: what does not belong there is overwritten in place.
    Partial,
}

/// Asks for block hashes.
#[derive(Clone, Debug)]
pub struct SignatureRequest {
    /// The file to be.
    pub target: Target,
    /// Of what.
    pub basis: Basis,
    /// Which bytes of the basis; what lies beyond its end is left out.
    pub range: ByteRange,
    /// The size of a block in bytes, within [`BLOCK_SIZES`](crate::delta::BLOCK_SIZES).
    pub block: u32,
}

/// Compares a range of the source with a signature.
#[derive(Clone, Debug)]
pub struct DiffRequest {
    /// Which file.
    pub path: RelPath,
    /// The version that it must be.
    pub version: Version,
    /// The size that it must have.
    pub size: u64,
    /// Which bytes, at most [`MAX_DIFF_RANGE`]; its ends as those of [`Hash::range`].
    pub range: ByteRange,
    /// What the other side has.
    pub signature: Signature,
    /// Whether blocks are looked for only at their own place (for a partial, patched in place).
    pub in_place: bool,
}

/// A delta and the hash of what it yields.
#[derive(Clone, Debug)]
pub struct Difference {
    /// How to make the range from the basis.
    pub delta: Delta,
    /// The hash of the range.
    pub hash: RangeHash,
}

/// Writes a range of a partial from its basis.
#[derive(Clone, Debug)]
pub struct Patch {
    /// Which partial.
    pub target: Target,
    /// From what.
    pub basis: Basis,
    /// Which bytes of the partial.
    pub range: ByteRange,
    /// How.
    pub delta: Delta,
    /// As [`SendBlock::hash`].
    pub hash: Option<HashState>,
}

/// Turns a partial, or what already stands there, into the final file.
#[derive(Clone, Debug)]
pub struct Finish {
    /// Its final name.
    pub path: RelPath,
    /// From what.
    pub from: FinishFrom,
    /// The size that it must have.
    pub size: u64,
    /// The hash of what was read from the source.
    pub hash: Digest,
    /// Its permissions, within [`MODE_BITS`](crate::entry::MODE_BITS).
    pub mode: u32,
    /// The time to set.
    pub modified: Timestamp,
}

/// What [`Finish`] starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishFrom {
    /// The partial of this version of the source, to go where this is expected.
    Partial(Version, Expect),
    /// What stands under the final name in this version, which has the content already. A link
    /// counts too: its target's hash is compared.
    Existing(Version),
}

/// That a file stands under its final name at the destination: verified, and durable.
///
/// A service issues it at the end of `finish` and `put`, and nobody else does: without one there is
/// no [`Delete`] of a file. (A client of a remote service hands on the one that it was sent.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    hash: Digest,
    outcome: Outcome,
}

/// How a file came to stand under its final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was renamed there.
    Finished,
    /// It stood there already.
    Identical,
}

impl Receipt {
    /// For a service to issue, when what the type promises is true.
    pub fn issue(hash: Digest, outcome: Outcome) -> Self {
        Self { hash, outcome }
    }

    /// The hash that was verified.
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// How it came there.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// Something to delete at the source.
#[derive(Clone, Debug)]
pub enum Delete {
    /// A file or a link that is safe at the destination.
    File {
        /// Its path.
        path: RelPath,
        /// The version that was read.
        version: Version,
        /// The destination's receipt.
        receipt: Receipt,
    },
    /// A directory, if it is empty.
    Directory {
        /// Its path.
        path: RelPath,
    },
}

impl Delete {
    /// What is to be deleted.
    pub fn path(&self) -> &RelPath {
        match self {
            Self::File { path, .. } | Self::Directory { path } => path,
        }
    }
}

/// What a peer may set for its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// How fast this service sends to the peer at most, in bytes per second; `None` is no limit.
    pub send_rate: Option<NonZeroU64>,
}
