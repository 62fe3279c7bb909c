//! A directory below the root of another service, as a service of its own.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::delta::Signature;
use crate::entry::{Entry, EntryKind};
use crate::error::{Error, ErrorKind, Result};
use crate::hash::RangeHash;
use crate::path::RelPath;
use crate::service::{
    Answer, Block, Claim, Config, Delete, DiffRequest, Difference, Ending, Finish, Hash, List,
    ListFailure, MAX_BATCH, MakeDirectory, Making, Offer, Page, Patch, Put, Read, ReadWhole,
    Receipt, Role, SendBlock, Service, SignatureRequest, pass,
};

/// The permissions of a directory that is made because it was named as the destination: what one of
/// this machine gets by the usual umask.
const NEW_ROOT_MODE: u32 = 0o755;

/// A view on the directory at a path below another service's root.
///
/// Paths are those below that directory: they get the prefix on their way in, and lose it on their
/// way out. The directory itself is the root of the view, and so is neither listed nor deleted. One
/// that comes back from elsewhere is [`Protocol`](ErrorKind::Protocol); one that the prefix makes
/// too long is [`Invalid`](ErrorKind::Invalid), for its item alone.
///
/// As the destination of a run the directory is made if it does not exist, and those above it, each
/// with the mode 0755. Those that exist stay as they are.
///
/// What is not said of a path goes through as it is: claims take the whole of the service inside,
/// so two views of one directory exclude each other, and overlap as the ends of one move. A clean
/// end of a run is passed on as [`Ending::Done`], for partials elsewhere are not nobody's.
pub struct Subtree {
    inner: Arc<dyn Service>,
    prefix: RelPath,
}

impl Subtree {
    /// The view of `inner` on the directory at `prefix`, which need not exist.
    pub fn new(inner: Arc<dyn Service>, prefix: RelPath) -> Self {
        Self { inner, prefix }
    }

    /// Gives a path its prefix.
    fn inward(&self, path: &mut RelPath) -> Result<()> {
        match self.prefix.append(path) {
            Ok(whole) => *path = whole,
            Err(error) => {
                let what = "the path is too long below the directory that it is in";
                let error = Error::new(ErrorKind::Invalid, what).because(error);
                return Err(error.at(path));
            }
        }
        Ok(())
    }

    /// Makes the directory that is the root of the view.
    async fn make_root(&self) -> Result<()> {
        let above = std::iter::successors(Some(self.prefix.clone()), RelPath::parent);
        let mut makes: Vec<_> = above
            .map(|path| MakeDirectory {
                path,
                mode: NEW_ROOT_MODE,
                making: Making::New,
            })
            .collect();
        // From the top, or those below would make the ones above on their way.
        makes.reverse();
        for makes in makes.chunks(MAX_BATCH) {
            let made = self.inner.make_directories(makes.to_vec()).await?;
            made.into_iter().collect::<Result<()>>()?;
        }
        Ok(())
    }

    /// Has a batch answered, whose items have the paths that `path` finds.
    async fn each<T, U, F>(
        &self,
        items: Vec<T>,
        path: impl Fn(&mut T) -> &mut RelPath,
        call: impl FnOnce(Vec<T>) -> F,
    ) -> Result<Vec<Result<U>>>
    where
        F: Future<Output = Result<Vec<Result<U>>>>,
    {
        let give = |mut item: T| self.inward(path(&mut item)).map(|()| item);
        let items = items.into_iter().map(give).collect();
        let outward = |result: Result<U>| result.map_err(|error| self.outward(error));
        let call = async |items| match call(items).await {
            Ok(results) => Ok(results.into_iter().map(outward).collect()),
            Err(error) => Err(self.outward(error)),
        };
        pass(items, call).await
    }

    /// Takes the prefix from the path of an error. At or above the root of the view it has none.
    fn outward(&self, error: Error) -> Error {
        let Some(path) = error.path() else {
            return error;
        };
        let inside = path.below(&self.prefix);
        let above = *path == self.prefix || self.prefix.below(path).is_some();
        if inside.is_some() || above {
            return error.map_path(|_| inside);
        }
        elsewhere().because(error)
    }

    fn page_outward(&self, page: Page) -> Result<Page> {
        let entries = page.entries.into_iter();
        let entries = entries.filter_map(|entry| self.entry_outward(entry).transpose());
        let failures = page.failures.into_iter();
        let failures = failures.map(|failure| self.failure_outward(failure));
        Ok(Page {
            entries: entries.collect::<Result<_>>()?,
            failures: failures.collect::<Result<_>>()?,
            next: page.next,
        })
    }

    /// Takes the prefix from an entry; `None` for the root of the view.
    fn entry_outward(&self, entry: Entry) -> Result<Option<Entry>> {
        if entry.path == self.prefix {
            return match entry.kind {
                EntryKind::Directory { .. } => Ok(None),
                // As one that holds nothing it would pass for an empty directory.
                _ => Err(Error::new(ErrorKind::Conflict, "it is no directory")),
            };
        }
        let path = entry.path.below(&self.prefix).ok_or_else(elsewhere)?;
        Ok(Some(Entry { path, ..entry }))
    }

    fn failure_outward(&self, failure: ListFailure) -> Result<ListFailure> {
        let rest = failure.path.strip_prefix(self.prefix.as_bytes());
        let path = match rest {
            Some([]) => Vec::new(),
            Some([b'/', inner @ ..]) => inner.to_vec(),
            _ => return Err(elsewhere()),
        };
        let error = self.outward(failure.error);
        Ok(ListFailure { path, error })
    }
}

fn elsewhere() -> Error {
    Error::new(
        ErrorKind::Protocol,
        "the answer is about a path outside the directory that was asked for",
    )
}

#[async_trait]
impl Service for Subtree {
    async fn claim(&self, claim: Claim) -> Result<()> {
        let role = claim.role;
        let claimed = self.inner.claim(claim).await;
        claimed.map_err(|error| self.outward(error))?;
        if role != Role::Destination {
            return Ok(());
        }
        let made = self.make_root().await;
        if made.is_err() {
            // Why there is no destination says more than why it could not be given back.
            let _ = self.inner.release(Ending::Failed).await;
        }
        made.map_err(|error| self.outward(error))
    }

    async fn release(&self, ending: Ending) -> Result<()> {
        let ending = match ending {
            Ending::Clean => Ending::Done,
            other => other,
        };
        let released = self.inner.release(ending).await;
        released.map_err(|error| self.outward(error))
    }

    async fn list(&self, mut list: List) -> Result<Page> {
        match &mut list.within {
            Some(within) => self.inward(within)?,
            None => list.within = Some(self.prefix.clone()),
        }
        match self.inner.list(list).await {
            Ok(page) => self.page_outward(page),
            Err(error) => Err(self.outward(error)),
        }
    }

    async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Result<Answer>>> {
        self.each(
            offers,
            |offer| &mut offer.path,
            |offers| self.inner.offer(offers),
        )
        .await
    }

    async fn read(&self, mut read: Read) -> Result<Block> {
        self.inward(&mut read.path)?;
        let block = self.inner.read(read).await;
        block.map_err(|error| self.outward(error))
    }

    async fn read_batch(&self, reads: Vec<ReadWhole>) -> Result<Vec<Result<Bytes>>> {
        self.each(
            reads,
            |read| &mut read.path,
            |reads| self.inner.read_batch(reads),
        )
        .await
    }

    async fn send(&self, mut send: SendBlock) -> Result<()> {
        self.inward(&mut send.target.path)?;
        let sent = self.inner.send(send).await;
        sent.map_err(|error| self.outward(error))
    }

    async fn put(&self, puts: Vec<Put>) -> Result<Vec<Result<Receipt>>> {
        self.each(puts, |put| &mut put.path, |puts| self.inner.put(puts))
            .await
    }

    async fn make_directories(&self, makes: Vec<MakeDirectory>) -> Result<Vec<Result<()>>> {
        self.each(
            makes,
            |make| &mut make.path,
            |makes| self.inner.make_directories(makes),
        )
        .await
    }

    async fn hash(&self, mut hash: Hash) -> Result<RangeHash> {
        self.inward(&mut hash.path)?;
        let hashed = self.inner.hash(hash).await;
        hashed.map_err(|error| self.outward(error))
    }

    async fn calculate_signature(&self, mut request: SignatureRequest) -> Result<Signature> {
        self.inward(&mut request.target.path)?;
        let signature = self.inner.calculate_signature(request).await;
        signature.map_err(|error| self.outward(error))
    }

    async fn diff(&self, mut request: DiffRequest) -> Result<Difference> {
        self.inward(&mut request.path)?;
        let difference = self.inner.diff(request).await;
        difference.map_err(|error| self.outward(error))
    }

    async fn apply_patch(&self, mut patch: Patch) -> Result<()> {
        self.inward(&mut patch.target.path)?;
        let patched = self.inner.apply_patch(patch).await;
        patched.map_err(|error| self.outward(error))
    }

    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<Receipt>>> {
        self.each(
            finishes,
            |finish| &mut finish.path,
            |finishes| self.inner.finish(finishes),
        )
        .await
    }

    async fn delete(&self, deletes: Vec<Delete>) -> Result<Vec<Result<()>>> {
        self.each(deletes, Delete::path_mut, |deletes| {
            self.inner.delete(deletes)
        })
        .await
    }

    async fn configure(&self, config: Config) -> Result<Config> {
        let config = self.inner.configure(config).await;
        config.map_err(|error| self.outward(error))
    }

    fn window(&self) -> usize {
        self.inner.window()
    }

    fn block_size(&self) -> u64 {
        self.inner.block_size()
    }
}

impl fmt::Debug for Subtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subtree")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
