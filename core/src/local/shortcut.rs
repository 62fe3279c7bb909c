//! The shortcut between two directories of this machine. Where both are on one file system, a file is
//! moved by giving it its final name before the source's name goes; where it has to be copied all the
//! same, the copy may share its blocks.
//!
//! A file that is linked has a durable name at every moment, and nothing is copied. A rename would be shorter still, but
//! it takes the one name away while the other need not be durable yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::Storage;
use super::content::changed;
use super::fs::{Directory, File, Kind, Stat};
use super::install::GROUP;
use super::partial::{self, Stale};
use super::place::{Missing, Place, Places, sync_upward};
use super::version::{Became, LocalVersion};
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::path::Escaped;
use crate::service::{DeleteName, LinkFile, Role, SameFile, ShareFile, Shortcut, bounded};

/// From one directory of this machine to another.
#[derive(Debug)]
pub(super) struct LocalShortcut {
    source: Arc<Storage>,
    destination: Arc<Storage>,
    /// Whether both roots are on one file system.
    links: bool,
    /// Whether no file system has refused to share blocks yet.
    shares: AtomicBool,
}

/// A file that may be linked: it is on the file system of the directory that it goes to.
struct Way<'a> {
    link: &'a LinkFile,
    version: LocalVersion,
    place: Arc<Place>,
}

impl LocalShortcut {
    /// The one from `source` to `destination`, if there is any.
    pub(super) fn new(source: &Arc<Storage>, destination: &Arc<Storage>) -> Option<Self> {
        if Arc::ptr_eq(source, destination) {
            return None;
        }
        let device = |storage: &Storage| storage.root.own_stat().map(|stat| stat.device);
        Some(Self {
            source: Arc::clone(source),
            destination: Arc::clone(destination),
            links: device(source).ok()? == device(destination).ok()?,
            shares: AtomicBool::new(true),
        })
    }

    /// Runs `work` on a blocking thread, while the destination is not given back, nor the source
    /// where names in it are deleted.
    async fn blocking<T: Send + 'static>(
        &self,
        deletes: bool,
        work: impl FnOnce(&Storage, &Storage) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (source, destination) = (Arc::clone(&self.source), Arc::clone(&self.destination));
        let span = tracing::Span::current();
        let work = move || {
            let _deleting = deletes.then(|| source.work_as(Role::Source)).transpose()?;
            let _writing = destination.work_as(Role::Destination)?;
            work(&source, &destination)
        };
        tokio::task::spawn_blocking(move || span.in_scope(work))
            .await
            .map_err(|error| Error::new(ErrorKind::Io, "a storage task failed").because(error))?
    }
}

#[async_trait]
impl Shortcut for LocalShortcut {
    fn links(&self) -> bool {
        self.links
    }

    async fn link(&self, links: Vec<LinkFile>) -> Result<Vec<Result<Option<SameFile>>>> {
        bounded(&links)?;
        self.blocking(true, move |source, destination| {
            Ok(link_all(source, destination, &links))
        })
        .await
    }

    async fn delete(&self, deletes: Vec<DeleteName>) -> Result<Vec<Result<()>>> {
        bounded(&deletes)?;
        self.blocking(true, move |source, _| Ok(source.delete_names(&deletes)))
            .await
    }

    async fn share(&self, share: ShareFile) -> Result<bool> {
        if !self.shares.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let work = move |source: &Storage, destination: &Storage| {
            let path = &share.target.path;
            share_one(source, destination, &share).map_err(|error| error.at(path))
        };
        let shared = self.blocking(false, work).await?;
        self.shares.fetch_and(shared, Ordering::Relaxed);
        Ok(shared)
    }
}

fn share_one(source: &Storage, destination: &Storage, share: &ShareFile) -> Result<bool> {
    let target = &share.target;
    let _writing = destination.construction.write(&target.path)?;
    let file = source.open_version(&share.source, &target.source)?;
    let partial = destination.partial(target, Stale::Discard)?;
    let mut partial = partial.lock();
    if let Err(error) = partial.share(&*file)? {
        tracing::debug!(
            target: "realize::file",
            event = "file.not_shared",
            path = %target.path,
            reason = %error
        );
        return Ok(false);
    }
    source.check_version(&*file, &target.source)?;
    Ok(true)
}

fn link_all(
    source: &Storage,
    destination: &Storage,
    links: &[LinkFile],
) -> Vec<Result<Option<SameFile>>> {
    // Held to the end: of two files for one name, the second is refused.
    let taken = destination
        .construction
        .take_all(links.iter().map(|link| &link.target));
    let mut places = destination.places();
    let mut devices = Devices::default();
    let ways: Vec<Result<Option<Way<'_>>>> = links
        .iter()
        .zip(&taken)
        .map(|(link, taken)| match taken {
            Ok(_) => way(&mut places, &mut devices, link),
            Err(error) => Err(error.clone()),
        })
        .collect();
    let one_by_one = ways.iter().flatten().flatten().count() < GROUP;
    let synced = if one_by_one {
        Synced::default()
    } else {
        Synced::all(ways.iter().flatten().flatten())
    };
    let mut sources = Sources::new(source);
    let named: Vec<Result<Option<Arc<Place>>>> = ways
        .into_iter()
        .zip(links)
        .map(|(way, link)| {
            let linked = way.and_then(|way| {
                way.map_or(Ok(None), |way| sources.link(destination, &synced, way))
            });
            linked.map_err(|error| error.at(&link.target))
        })
        .collect();
    let durable = sync_upward(named.iter().flatten().flatten());
    named
        .into_iter()
        .map(|named| match named? {
            Some(_) => durable.clone().map(|()| Some(SameFile::issue())),
            None => Ok(None),
        })
        .collect()
}

/// How `link` may go; `None` if it leads to another file system.
fn way<'a>(
    places: &mut Places,
    devices: &mut Devices,
    link: &'a LinkFile,
) -> Result<Option<Way<'a>>> {
    let version = LocalVersion::parse(&link.version)?;
    let place = places.parent(&link.target, Missing::Create)?;
    let same = devices.of(&place)? == version.device;
    Ok(same.then_some(Way {
        link,
        version,
        place,
    }))
}

/// The file systems of directories, each asked for once.
#[derive(Default)]
struct Devices(Vec<(*const Place, u64)>);

impl Devices {
    fn of(&mut self, place: &Arc<Place>) -> Result<u64> {
        let this = Arc::as_ptr(place);
        if let Some((_, device)) = self.0.iter().rev().find(|(known, _)| *known == this) {
            return Ok(*device);
        }
        let stat = place.directory.own_stat();
        let device = stat.doing("looking at the directory")?.device;
        self.0.push((this, device));
        Ok(device)
    }
}

/// The file systems that were synced, and those where that failed: what they hold was written before
/// it was listed.
#[derive(Default)]
struct Synced(Vec<(u64, bool)>);

impl Synced {
    fn all<'a>(ways: impl Iterator<Item = &'a Way<'a>>) -> Self {
        let mut synced = Self::default();
        for way in ways {
            let (device, directory) = (way.version.device, &way.place.directory);
            if synced.of(device).is_some() || !directory.can_sync_file_system() {
                continue;
            }
            let outcome = directory.sync_file_system();
            if let Err(error) = &outcome {
                tracing::error!(
                    event = "sync.failed",
                    reason = %error,
                    "the files of a batch are copied instead of linked"
                );
            }
            synced.0.push((device, outcome.is_ok()));
        }
        synced
    }

    fn of(&self, device: u64) -> Option<bool> {
        let known = self.0.iter().find(|(known, _)| *known == device);
        known.map(|(_, synced)| *synced)
    }
}

/// The directories of the source, for the length of one call.
struct Sources<'a> {
    storage: &'a Storage,
    places: Places,
    /// Whether names in them can be deleted.
    deletable: Vec<(*const Place, bool)>,
}

impl<'a> Sources<'a> {
    fn new(storage: &'a Storage) -> Self {
        Self {
            storage,
            places: storage.places(),
            deletable: Vec::new(),
        }
    }

    /// Gives a file its final name, in the directory that is the answer. `None` stands for a file
    /// that has to go the ordinary way; nothing is left of the attempt then.
    fn link(
        &mut self,
        destination: &Storage,
        synced: &Synced,
        way: Way<'_>,
    ) -> Result<Option<Arc<Place>>> {
        let link = way.link;
        self.storage.go_on()?;
        destination.go_on()?;
        let from = self.places.parent(&link.source, Missing::Fail)?;
        let opened = self
            .storage
            .open_unsettled(&*from.directory, &link.source, &link.version);
        let (file, stat) = opened?;
        // A link would bring set-id bits along, and its other names arrive as files of their own.
        if stat.links != 1 || stat.mode & !0o777 != 0 || !self.can_delete_in(&from) {
            return Ok(None);
        }
        let durable = match synced.of(stat.device) {
            Some(synced) => synced,
            None => sync(&*file, link),
        };
        // What a failed sync left in memory cannot be trusted: it is written to another file.
        if !durable {
            return Ok(None);
        }
        let (directory, name) = (&*way.place.directory, link.target.file_name());
        if let Err(error) = directory.link(&*file, name) {
            tracing::debug!(
                target: "realize::file",
                event = "file.not_linked",
                path = %link.target,
                reason = %error
            );
            return Ok(None);
        }
        let named = directory.stat(name).doing("looking at the final file")?;
        if named.kind != Kind::File || !LocalVersion::of(&named).is_same_file(&way.version) {
            // Somebody else has put another one there by now.
            return Ok(None);
        }
        self.check(directory, name, &*file, &way.version)?;
        // What an earlier run had sent of it.
        partial::discard(directory, &destination.names, &link.target)?;
        Ok(Some(way.place))
    }

    /// Looks whether the file was still the same when it got its name, and takes it back if not: no
    /// final name is to hold what is being written.
    fn check(
        &self,
        directory: &dyn Directory,
        name: &[u8],
        file: &dyn File,
        version: &LocalVersion,
    ) -> Result<()> {
        let stat = file.stat().doing("looking at the file")?;
        let after = LocalVersion::of(&stat);
        if after.same_but_changed(version) {
            return Ok(());
        }
        take_back(directory, name, &stat)?;
        let before = *version;
        Err(changed().because(Became { before, after }))
    }

    /// Whether names in `place` can be deleted: otherwise a file would stay under two names, and not
    /// be copied.
    fn can_delete_in(&mut self, place: &Arc<Place>) -> bool {
        let this = Arc::as_ptr(place);
        if let Some((_, can)) = self
            .deletable
            .iter()
            .rev()
            .find(|(known, _)| *known == this)
        {
            return *can;
        }
        let can = self.storage.can_delete_in(&place.directory);
        self.deletable.push((this, can));
        can
    }
}

/// Makes a file durable that somebody else has written; answers whether it is.
fn sync(file: &dyn File, link: &LinkFile) -> bool {
    match file.sync() {
        Ok(()) => true,
        Err(error) => {
            let path = Escaped(link.source.as_bytes());
            tracing::error!(event = "sync.failed", path = %path, reason = %error);
            false
        }
    }
}

/// Takes the final name back from the file of `stat`, if it still stands for that and is not its only
/// one.
fn take_back(directory: &dyn Directory, name: &[u8], stat: &Stat) -> Result<()> {
    let doing = "taking the final name back from a file that changed";
    let named = directory.stat(name).doing(doing)?;
    let same = (named.device, named.inode) == (stat.device, stat.inode);
    if same && named.links > 1 {
        directory.unlink(name).doing(doing)?;
    }
    Ok(())
}
