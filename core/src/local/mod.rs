//! [`LocalService`]: a directory of this machine.
//!
//! It stands on the file-system seam ([`fs`]) and the clock; each operation runs on a blocking
//! thread and is complete, or not begun, whatever becomes of the future that asked for it. The
//! modules are: `place` (directories below the root), `walk` and `listing`, `content` (reading,
//! hashing, patching), `partial` and `state` (files under construction), `install` (verify, sync,
//! rename), `delete`, `put_back`, `lease`, and `version` (which state of a file something was said about).

use std::any::Any;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use self::construction::Construction;
use self::fs::{Directory, FileSystem};
use self::lease::Lease;
use self::listing::{Duties, Listings};
use self::names::PartialNames;
use self::opened::{OpenedFiles, OpenedPartials};
use self::os::OsFileSystem;
use self::place::Places;
use self::shortcut::LocalShortcut;
use self::version::Linked;
use crate::buffers::Buffers;
use crate::clock::{Clock, SystemClock};
use crate::delta::Signature;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::RangeHash;
use crate::service::{
    Answer, Block, Claim, Config, Delete, DiffRequest, Difference, Ending, Finish, Hash, List,
    MAX_BATCH_BYTES, MAX_DIFF_RANGE, MakeDirectory, Offer, Origin, Page, Patch, Put, Read,
    ReadWhole, Receipt, Role, SendBlock, Service, Shortcut, SignatureRequest, bounded,
};
use crate::transport::PeerId;

mod construction;
mod content;
mod delete;
mod directories;
pub mod fs;
mod hashing;
mod install;
mod lease;
mod listing;
mod names;
mod offer;
mod opened;
mod os;
mod packed;
mod partial;
mod place;
mod probe;
mod put_back;
mod read_back;
mod relation;
mod shortcut;
mod state;
mod stored;
mod sweep;
mod version;
mod walk;
mod workers;

pub use self::os::OsFileSystem as SystemFileSystem;
pub use self::relation::{Relation, relation};
pub use self::version::version_size;
pub use self::walk::MAX_DEPTH;
pub use self::workers::Workers;

/// A destination with less free space than this, in bytes, is said to be low on it.
const LOW_SPACE: u64 = 1 << 30;

/// How many buffers of [`MAX_DIFF_RANGE`] bytes are kept when they are not in use.
const MAX_IDLE_PIECES: usize = 2;

/// What a [`LocalService`] stands on, and for whom it works.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// Where directories are opened.
    pub file_system: Arc<dyn FileSystem>,
    /// The time, for the age of what was left behind.
    pub clock: Arc<dyn Clock>,
    /// Whose files these are: partials of different peers do not meet.
    pub peer: PeerId,
    /// How many calls are worked on at once; others wait.
    pub workers: Workers,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            file_system: Arc::new(OsFileSystem),
            clock: Arc::new(SystemClock),
            peer: PeerId::local(),
            workers: Workers::default(),
        }
    }
}

/// A directory of this machine as a [`Service`].
#[derive(Clone, Debug)]
pub struct LocalService {
    storage: Arc<Storage>,
    workers: Workers,
    /// The one thread that gives the directory back.
    releasing: Workers,
}

/// What the blocking side of a [`LocalService`] works with.
#[derive(Debug)]
struct Storage {
    root: Arc<dyn Directory>,
    clock: Arc<dyn Clock>,
    names: PartialNames,
    leases: Mutex<Vec<Lease>>,
    listings: Listings,
    linked: Linked,
    opened: OpenedFiles,
    partials: OpenedPartials,
    buffers: Buffers,
    /// For what is compared with a signature.
    pieces: Buffers,
    construction: Construction,
    /// Held while files are deleted or put back: two at once would take the reserved place from
    /// each other.
    deleting: Arc<Mutex<()>>,
    /// Read by whatever changes the directory, or reads much of a file; written by a release, which
    /// waits for the end of what a cancelled run has begun.
    working: RwLock<()>,
    /// Set while a release waits: what reads long files ends early.
    ending: AtomicBool,
}

impl LocalService {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// The directory does not exist, is none, or cannot be opened.
    pub fn open(path: &Path, options: LocalOptions) -> Result<Self> {
        let root = options
            .file_system
            .open_root(path)
            .map_err(|error| Error::io(format!("opening {}", path.display()), error))?;
        let names = PartialNames::of(options.peer.as_str());
        let storage = Storage {
            root,
            clock: options.clock,
            construction: Construction::new(names.clone()),
            names,
            leases: Mutex::default(),
            listings: Listings::default(),
            linked: Linked::default(),
            opened: OpenedFiles::default(),
            partials: OpenedPartials::default(),
            buffers: Buffers::default(),
            pieces: Buffers::of(MAX_DIFF_RANGE as usize, MAX_IDLE_PIECES),
            deleting: Arc::default(),
            working: RwLock::default(),
            ending: AtomicBool::new(false),
        };
        Ok(Self {
            storage: Arc::new(storage),
            workers: options.workers,
            releasing: Workers::new(1),
        })
    }

    /// Runs `work` on a blocking thread, once a worker is free. What it logs is within the spans that
    /// it was asked in.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Storage) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let worker = self.workers.take().await?;
        self.on_thread(worker, work).await
    }

    /// Runs `work` on a blocking thread, and drops `permit` when it is done.
    async fn on_thread<T: Send + 'static>(
        &self,
        permit: OwnedSemaphorePermit,
        work: impl FnOnce(&Storage) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let storage = Arc::clone(&self.storage);
        let span = tracing::Span::current();
        let working = move || {
            let done = span.in_scope(|| work(&storage));
            drop(permit);
            done
        };
        tokio::task::spawn_blocking(working)
            .await
            .map_err(|error| Error::new(ErrorKind::Io, "a storage task failed").because(error))?
    }
}

impl Storage {
    /// Directories for one call. Once the directory is a destination, none of the source's own is
    /// among them.
    fn places(&self) -> Places {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let lease = leases.iter().find(|lease| lease.role == Role::Destination);
        Places::new(
            &self.root,
            lease.map(|lease| names::probe(lease.run, Role::Source)),
        )
    }

    fn duties(&self) -> Duties {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let lease = leases.iter().find(|lease| lease.role != Role::Destination);
        Duties {
            forbidden: lease.map(|lease| names::probe(lease.run, Role::Destination)),
            put_back: lease
                .filter(|lease| lease.role == Role::Source)
                .map(|lease| (Arc::clone(&self.deleting), lease.unclean)),
        }
    }

    /// Lets a change begin, if the directory is claimed in `role`; until the answer is dropped, it
    /// is not given back.
    fn work_as(&self, role: Role) -> Result<RwLockReadGuard<'_, ()>> {
        let working = self.reading();
        self.check_role(role).map(|()| working)
    }

    fn check_role(&self, role: Role) -> Result<()> {
        if self.has_role(role) {
            return Ok(());
        }
        let what = "the directory is not claimed for this";
        Err(Error::new(ErrorKind::Invalid, what))
    }

    /// From which source files come.
    fn origin(&self) -> Origin {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let destination = leases.iter().find(|l| l.role == Role::Destination);
        destination.map(|lease| lease.origin).unwrap_or_default()
    }

    /// Until the answer is dropped, the directory is not given back.
    fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.working.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails once the directory is about to be given back: what takes long asks now and then.
    fn go_on(&self) -> Result<()> {
        if self.ending.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Io, "the run has ended"));
        }
        Ok(())
    }

    fn has_role(&self, role: Role) -> bool {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.iter().any(|lease| lease.role == role)
    }

    fn claim(&self, claim: &Claim) -> Result<()> {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let held = leases
            .iter()
            .any(|lease| lease.role == claim.role && lease.run == claim.run);
        if !held {
            leases.push(Lease::take(&*self.root, claim)?);
            if claim.role == Role::Destination {
                self.look_at_space();
            }
        }
        Ok(())
    }

    /// Says so if there is little room left for what is about to come.
    fn look_at_space(&self) {
        match self.root.free_space() {
            Ok(free) if free < LOW_SPACE => tracing::warn!(event = "disk.low", free),
            // What cannot be had is missed when it is written.
            _ => {}
        }
    }

    fn release(&self, ending: Ending) -> Result<()> {
        self.ending.store(true, Ordering::Relaxed);
        let _alone = self.working.write().unwrap_or_else(PoisonError::into_inner);
        self.ending.store(false, Ordering::Relaxed);
        self.partials.close_all();
        self.opened.forget_all();
        let leases =
            std::mem::take(&mut *self.leases.lock().unwrap_or_else(PoisonError::into_inner));
        let mut outcome = Ok(());
        for lease in leases {
            let mut ending = ending;
            if ending == Ending::Clean && lease.unclean && lease.role == Role::Destination {
                match self.sweep_own(lease.origin) {
                    Ok(false) => {}
                    // The lease file stays, and tells the others' next runs to sweep theirs.
                    Ok(true) => ending = Ending::Done,
                    // It stays, and tells the next run to sweep again.
                    Err(error) => {
                        ending = Ending::Interrupted;
                        outcome = outcome.and(Err(error));
                    }
                }
            }
            outcome = outcome.and(lease.give_back(&*self.root, ending));
        }
        outcome
    }
}

#[async_trait]
impl Service for LocalService {
    async fn claim(&self, claim: Claim) -> Result<()> {
        self.blocking(move |storage| storage.claim(&claim)).await
    }

    /// It waits for no worker: those that there are may be at work for nobody, and are to hear of it.
    async fn release(&self, ending: Ending) -> Result<()> {
        let alone = self.releasing.take().await?;
        self.on_thread(alone, move |storage| storage.release(ending))
            .await
    }

    async fn list(&self, list: List) -> Result<Page> {
        self.blocking(move |s| s.listings.page(&s.root, &list, &s.duties()))
            .await
    }

    async fn offer(&self, offers: Vec<Offer>) -> Result<Vec<Result<Answer>>> {
        bounded(&offers)?;
        self.blocking(move |storage| Ok(storage.offer(&offers)))
            .await
    }

    async fn read(&self, read: Read) -> Result<Block> {
        self.blocking(move |storage| storage.read(&read).map_err(|e| e.at(&read.path)))
            .await
    }

    async fn read_batch(&self, reads: Vec<ReadWhole>) -> Result<Vec<Result<Bytes>>> {
        bounded(&reads)?;
        self.blocking(move |storage| storage.read_batch(&reads))
            .await
    }

    async fn send(&self, send: SendBlock) -> Result<()> {
        self.blocking(move |storage| storage.send(&send).map_err(|e| e.at(&send.target.path)))
            .await
    }

    async fn put(&self, puts: Vec<Put>) -> Result<Vec<Result<Receipt>>> {
        bounded(&puts)?;
        let bytes = puts
            .iter()
            .map(|put| put.content.len())
            .fold(0, u64::saturating_add);
        if bytes > MAX_BATCH_BYTES {
            let what = "the batch holds more bytes than a batch may";
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        self.blocking(move |storage| {
            let _working = storage.work_as(Role::Destination)?;
            Ok(storage.put(&puts))
        })
        .await
    }

    async fn make_directories(&self, makes: Vec<MakeDirectory>) -> Result<Vec<Result<()>>> {
        bounded(&makes)?;
        self.blocking(move |storage| {
            let _working = storage.work_as(Role::Destination)?;
            Ok(storage.make_directories(&makes))
        })
        .await
    }

    async fn hash(&self, hash: Hash) -> Result<RangeHash> {
        self.blocking(move |storage| storage.hash(&hash).map_err(|e| e.at(&hash.path)))
            .await
    }

    async fn calculate_signature(&self, request: SignatureRequest) -> Result<Signature> {
        self.blocking(move |storage| {
            storage
                .calculate_signature(&request)
                .map_err(|e| e.at(&request.target.path))
        })
        .await
    }

    async fn diff(&self, request: DiffRequest) -> Result<Difference> {
        self.blocking(move |storage| storage.diff(&request).map_err(|e| e.at(&request.path)))
            .await
    }

    async fn apply_patch(&self, patch: Patch) -> Result<()> {
        self.blocking(move |storage| {
            storage
                .apply_patch(&patch)
                .map_err(|error| error.at(&patch.target.path))
        })
        .await
    }

    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<Receipt>>> {
        bounded(&finishes)?;
        self.blocking(move |storage| {
            let _working = storage.work_as(Role::Destination)?;
            let (finished, replaced) = storage.finish(&finishes);
            // The answer need not wait until what they took up is free.
            if !replaced.is_empty() {
                tokio::task::spawn_blocking(move || drop(replaced));
            }
            Ok(finished)
        })
        .await
    }

    async fn delete(&self, deletes: Vec<Delete>) -> Result<Vec<Result<()>>> {
        bounded(&deletes)?;
        self.blocking(move |storage| {
            let _working = storage.work_as(Role::Source)?;
            Ok(storage.delete(&deletes))
        })
        .await
    }

    /// Nothing is sent over a network from here: no limit is in force, whatever is asked.
    async fn configure(&self, _config: Config) -> Result<Config> {
        Ok(Config::default())
    }

    fn shortcut(&self, source: &dyn Service) -> Option<Arc<dyn Shortcut>> {
        let source: &Self = source.as_any()?.downcast_ref()?;
        Some(Arc::new(LocalShortcut::new(
            &source.storage,
            &self.storage,
        )?))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}
