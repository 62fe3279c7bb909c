//! A shorter way between two services of one machine, on which no content passes the mover.

use async_trait::async_trait;

use crate::entry::Version;
use crate::error::Result;
use crate::path::RelPath;
use crate::service::Target;

/// A shorter way from a source to a destination.
///
/// A destination that knows the source for one of its own kind, on the same machine, offers one
/// ([`Service::shortcut`](super::Service::shortcut)). Each file may be refused: it then goes the
/// ordinary way, which is as good as if nobody had asked.
///
/// # What binds an implementation
/// What binds a [`Service`](super::Service) does. Both ends must be claimed.
#[async_trait]
pub trait Shortcut: Send + Sync {
    /// Whether it is worth asking for [`link`](Self::link).
    fn links(&self) -> bool;

    /// Gives source files their final names at the destination, beside the names they have. The
    /// content is durable before, and the name after. `None` is the answer for a file that has to go
    /// the ordinary way: it has other names, its final one is taken, or the file system refuses.
    /// Errors: `Changed` if it is not that version, `InUse` if a process has it open for writing.
    async fn link(&self, links: Vec<LinkFile>) -> Result<Vec<Result<Option<SameFile>>>>;

    /// Deletes the source's names of files that have their final ones. The name must still stand for
    /// that very file, which must have another name, and nobody may have it open for writing.
    /// Errors: `Changed`, `InUse`.
    async fn delete(&self, deletes: Vec<DeleteName>) -> Result<Vec<Result<()>>>;

    /// Makes the partial of a file hold what the source's does, in blocks that both share. All of it
    /// has arrived then; it is verified and finished like any other. `false` is the answer where the
    /// file system cannot: nothing has arrived. Errors: `Changed`, `InUse`.
    async fn share(&self, share: ShareFile) -> Result<bool>;
}

/// Makes a partial of the blocks of a source file.
#[derive(Clone, Debug)]
pub struct ShareFile {
    /// Its path at the source.
    pub source: RelPath,
    /// The partial, with the version that the source must be.
    pub target: Target,
}

/// Gives a source file its final name.
#[derive(Clone, Debug)]
pub struct LinkFile {
    /// Its path at the source.
    pub source: RelPath,
    /// The version that it must be.
    pub version: Version,
    /// Its final name, under which nothing may stand.
    pub target: RelPath,
}

/// That a source file stands under its final name too: one file, durable, with two names, both
/// durable.
///
/// A shortcut issues it at the end of `link`, and nobody else does: without one there is no
/// [`DeleteName`]. No message carries it, for a peer's files are none of this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SameFile(());

impl SameFile {
    /// For a shortcut to issue, when what the type promises is true.
    pub fn issue() -> Self {
        Self(())
    }
}

/// A source's name to delete.
#[derive(Clone, Debug)]
pub struct DeleteName {
    /// The path.
    pub path: RelPath,
    /// The version that was linked. The file is to be the same one, whatever is in it by now: what
    /// is written to it is at the destination too.
    pub version: Version,
    /// That it has its final name.
    pub same: SameFile,
}
