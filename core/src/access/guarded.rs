//! The service that allows a peer what the policy says, and nothing else.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::issued::{Issued, Key};
use super::policy::AccessPolicy;
use super::rights::{Right, Rights};
use crate::delta::Signature;
use crate::entry::EntryKind;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::RangeHash;
use crate::path::Escaped;
use crate::service::{
    Answer, Basis, Block, Claim, Config, Delete, DiffRequest, Difference, Ending, Expect, Finish,
    FinishFrom, Hash, List, MakeDirectory, Making, Offer, Page, Patch, Put, Read, ReadWhole,
    Receipt, Role, SendBlock, Service, SignatureRequest, bounded, pass,
};
use crate::transport::PeerId;

/// The service of one directory, for one peer: what the peer has no right to never reaches it.
///
/// The [`AccessPolicy`] is asked at every call, so that a change of it holds from the next call on.
/// A refusal is [`Forbidden`](ErrorKind::Forbidden), names the rights that are missing and the
/// directory, and says nothing of what is in it. An item of a batch that takes more than its batch
/// is refused alone.
///
/// | operation | rights |
/// |---|---|
/// | `claim` | list, read and delete as source; list and read as reader; write as destination |
/// | `list` | list |
/// | `read`, `read_batch`, `hash`, `diff` | read |
/// | `offer` | write; or list and read, which tell as much |
/// | `send` | write |
/// | `make_directories` | write; without replace too, directories that were there keep their modes |
/// | `calculate_signature`, `apply_patch` | write; read too, if the basis is a final file |
/// | `put`, `finish` | write; for an item that replaces a version, replace too |
/// | `delete` | delete |
/// | `configure` | any |
/// | `release` | any; without it what was claimed is given back, as by a run that was interrupted |
///
/// To finish what [exists](FinishFrom::Existing) takes no more than write, though it can set the
/// time and mode of a file that somebody else put there. The content is proven by its hash, which
/// the peer must have. Without it a peer that may only write could not settle a file whose copy
/// had arrived before an interruption, and would offer it again for ever.
///
/// A file is deleted only in a version that this service has read out: by a read, a hash or a
/// diff, or, as a link's content is its target, by a listing. Of others `delete` says
/// [`Changed`](ErrorKind::Changed), and they are left for the next run. A bounded number is
/// remembered ([`MAX_ISSUED`](super::MAX_ISSUED)). That a copy exists elsewhere is the peer's word.
///
/// One of these belongs to one session of the peer: its lanes share it. The service inside must be
/// one that works for that peer, for partials are its own.
pub struct Guarded {
    inner: Arc<dyn Service>,
    policy: AccessPolicy,
    peer: PeerId,
    /// What logs call the peer.
    name: String,
    directory: String,
    issued: Issued,
}

impl Guarded {
    /// Lets `peer` use `inner`, which is the `directory` of that name in the policy.
    pub fn new(
        inner: Arc<dyn Service>,
        policy: AccessPolicy,
        peer: PeerId,
        directory: impl Into<String>,
    ) -> Self {
        Self {
            inner,
            policy,
            name: peer.to_string(),
            peer,
            directory: directory.into(),
            issued: Issued::default(),
        }
    }

    /// The same, with the name that logs call the peer by, instead of its identity.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    fn granted(&self) -> Rights {
        self.policy.rights(&self.peer, &self.directory)
    }

    /// Fails unless the peer has every right that is `needed`.
    fn check(&self, operation: &str, needed: impl Into<Rights>) -> Result<()> {
        let missing = needed.into().without(self.granted());
        if missing.is_empty() {
            return Ok(());
        }
        self.log(operation);
        Err(self.denied(missing))
    }

    /// Fails unless the peer has some right.
    fn check_any(&self, operation: &str) -> Result<()> {
        if !self.granted().is_empty() {
            return Ok(());
        }
        self.log(operation);
        let directory = Escaped(self.directory.as_bytes());
        let what = format!("no right is granted in the directory {directory}");
        Err(Error::new(ErrorKind::Forbidden, what))
    }

    /// Refuses the items of a batch that replace something, if that is not granted.
    fn check_items<T>(
        &self,
        operation: &str,
        items: Vec<T>,
        replaces: impl Fn(&T) -> bool,
    ) -> Vec<Result<T>> {
        let missing = Rights::from(Right::Replace).without(self.granted());
        let refused = |item: &T| !missing.is_empty() && replaces(item);
        // Once for all of them.
        if items.iter().any(refused) {
            self.log(operation);
        }
        let check = |item: T| {
            if refused(&item) {
                Err(self.denied(missing))
            } else {
                Ok(item)
            }
        };
        items.into_iter().map(check).collect()
    }

    fn log(&self, operation: &str) {
        tracing::warn!(
            event = "access.denied",
            peer = self.name,
            directory = self.directory,
            operation
        );
    }

    fn denied(&self, missing: Rights) -> Error {
        let directory = Escaped(self.directory.as_bytes());
        let what = format!("not granted in the directory {directory}: {missing}");
        Error::new(ErrorKind::Forbidden, what)
    }

    /// Refuses to delete a file that was not read out in this version.
    fn check_issued(&self, delete: &Delete) -> Result<()> {
        match delete {
            Delete::File { path, version, .. } if !self.issued.holds(Key::of(path, version)) => {
                let what = "this service has not read that version out in this session";
                Err(Error::new(ErrorKind::Changed, what).at(path))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Service for Guarded {
    async fn claim(&self, claim: Claim) -> Result<()> {
        let needed = match claim.role {
            Role::Source => Rights::from([Right::List, Right::Read, Right::Delete]),
            Role::Reader => Rights::from([Right::List, Right::Read]),
            Role::Destination => Right::Write.into(),
        };
        self.check("claim", needed)?;
        self.inner.claim(claim).await
    }

    async fn release(&self, ending: Ending) -> Result<()> {
        // Whoever has lost all rights is in nobody's way.
        let ending = match self.granted().is_empty() {
            true => Ending::Interrupted,
            false => ending,
        };
        self.inner.release(ending).await
    }

    async fn list(&self, list: List) -> Result<Page> {
        self.check("list", Right::List)?;
        let page = self.inner.list(list).await?;
        for entry in &page.entries {
            if matches!(entry.kind, EntryKind::Link { .. }) {
                self.issued.add(Key::of(&entry.path, &entry.version));
            }
        }
        Ok(page)
    }

    async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Result<Answer>>> {
        // Whoever compares offers too, and changes nothing by it.
        let reader = Rights::from([Right::List, Right::Read]);
        if !reader.without(self.granted()).is_empty() {
            self.check("offer", Right::Write)?;
        }
        self.inner.offer(offers).await
    }

    async fn read(&self, read: Read) -> Result<Block> {
        self.check("read", Right::Read)?;
        let key = Key::of(&read.path, &read.version);
        let block = self.inner.read(read).await?;
        self.issued.add(key);
        Ok(block)
    }

    async fn read_batch(&self, reads: Vec<ReadWhole>) -> Result<Vec<Result<Bytes>>> {
        self.check("read_batch", Right::Read)?;
        bounded(&reads)?;
        let key = |read: &ReadWhole| Key::of(&read.path, &read.version);
        let keys: Vec<Key> = reads.iter().map(key).collect();
        let contents = self.inner.read_batch(reads).await?;
        for (key, content) in keys.into_iter().zip(&contents) {
            if content.is_ok() {
                self.issued.add(key);
            }
        }
        Ok(contents)
    }

    async fn send(&self, send: SendBlock) -> Result<()> {
        self.check("send", Right::Write)?;
        self.inner.send(send).await
    }

    async fn put(&self, puts: Vec<Put>) -> Result<Vec<Result<Receipt>>> {
        self.check("put", Right::Write)?;
        let replaces = |put: &Put| matches!(put.expect, Expect::Version(_));
        let puts = self.check_items("put", puts, replaces);
        pass(puts, |puts| self.inner.put(puts)).await
    }

    async fn make_directories(&self, makes: Vec<MakeDirectory>) -> Result<Vec<Result<()>>> {
        self.check("make_directories", Right::Write)?;
        let may_change = self.granted().contains(Right::Replace);
        let allowed = |make: MakeDirectory| MakeDirectory {
            making: match make.making {
                Making::Change if !may_change => Making::Unset,
                Making::Either if !may_change => Making::New,
                making => making,
            },
            ..make
        };
        let makes = makes.into_iter().map(allowed).collect();
        self.inner.make_directories(makes).await
    }

    async fn hash(&self, hash: Hash) -> Result<RangeHash> {
        self.check("hash", Right::Read)?;
        let key = Key::of(&hash.path, &hash.version);
        let hashed = self.inner.hash(hash).await?;
        self.issued.add(key);
        Ok(hashed)
    }

    async fn calculate_signature(&self, request: SignatureRequest) -> Result<Signature> {
        self.check("calculate_signature", to_patch(&request.basis))?;
        self.inner.calculate_signature(request).await
    }

    async fn diff(&self, request: DiffRequest) -> Result<Difference> {
        self.check("diff", Right::Read)?;
        let key = Key::of(&request.path, &request.version);
        let difference = self.inner.diff(request).await?;
        self.issued.add(key);
        Ok(difference)
    }

    async fn apply_patch(&self, patch: Patch) -> Result<()> {
        self.check("apply_patch", to_patch(&patch.basis))?;
        self.inner.apply_patch(patch).await
    }

    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<Receipt>>> {
        self.check("finish", Right::Write)?;
        let replaces = |finish: &Finish| match &finish.from {
            FinishFrom::Partial(_, expect) => matches!(expect, Expect::Version(_)),
            FinishFrom::Existing(_) => false,
        };
        let finishes = self.check_items("finish", finishes, replaces);
        pass(finishes, |finishes| self.inner.finish(finishes)).await
    }

    async fn delete(&self, deletes: Vec<Delete>) -> Result<Vec<Result<()>>> {
        self.check("delete", Right::Delete)?;
        let check = |delete: Delete| self.check_issued(&delete).map(|()| delete);
        let deletes = deletes.into_iter().map(check).collect();
        pass(deletes, |deletes| self.inner.delete(deletes)).await
    }

    async fn configure(&self, config: Config) -> Result<Config> {
        self.check_any("configure")?;
        self.inner.configure(config).await
    }

    fn window(&self) -> usize {
        self.inner.window()
    }

    fn block_size(&self) -> u64 {
        self.inner.block_size()
    }
}

/// What it takes to patch from `basis`: what is copied from a final file, or compared with it,
/// tells what is in it.
fn to_patch(basis: &Basis) -> Rights {
    match basis {
        Basis::Final(_) => [Right::Read, Right::Write].into(),
        Basis::Partial => Right::Write.into(),
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("peer", &self.peer)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}
