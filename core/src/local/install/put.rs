//! Small files and links, many at a time: written whole, verified, and synced together.

use std::io;
use std::sync::Arc;

use super::{
    Ready, Wanted, is_shorter, longer, make_names_durable, mismatch, set_attributes, shorter,
    sync_failed,
};
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::hash::Digest;
use crate::local::Storage;
use crate::local::construction::Taken;
use crate::local::fs::{Directory, write_full};
use crate::local::partial;
use crate::local::place::{Missing, Places};
use crate::path::RelPath;
use crate::service::{Content, Put, Receipt};

/// From how many files on, a batch is synced with its whole file system instead of one by one.
pub(in crate::local) const GROUP: usize = 8;

impl Storage {
    pub(crate) fn put(&self, puts: &[Put]) -> Vec<Result<Receipt>> {
        let mut places = self.places();
        let one_by_one = puts.len() < GROUP;
        // Held to the end: of two files for one name, the second is refused.
        let taken: Vec<Result<Taken>> =
            self.construction.take_all(puts.iter().map(|put| &put.path));
        let mut ready: Vec<Result<Ready<'_>>> = puts
            .iter()
            .zip(&taken)
            .map(|(put, taken)| match taken {
                Ok(_) => self.prepare(&mut places, put, one_by_one),
                Err(error) => Err(error.clone()),
            })
            .zip(puts)
            .map(|(ready, put)| ready.map_err(|error| error.at(&put.path)))
            .collect();
        let synced = match one_by_one {
            true => Ok(()),
            false => sync_file_systems(ready.iter().flatten()),
        };
        if let Err(error) = synced {
            tracing::error!(
                event = "sync.failed",
                files = ready.len(),
                reason = %error,
                "the files of a batch are written again, and synced one by one"
            );
            // It does not say which file failed, and what it left in memory cannot be trusted.
            for (ready, put) in ready.iter_mut().zip(puts) {
                if ready.is_ok() {
                    *ready = self
                        .prepare(&mut places, put, true)
                        .map_err(|e| e.at(&put.path));
                }
            }
        }
        let named = ready
            .into_iter()
            .map(|ready| {
                let ready = ready?;
                let (path, place, own) = (ready.wanted.path, Arc::clone(&ready.place), ready.own);
                let named = self.install(ready);
                if named.is_err() && self.is_own(&*place.directory, path, own) {
                    partial::discard(&*place.directory, &self.names, path)?;
                }
                named.map_err(|error| error.at(path))
            })
            .collect();
        make_names_durable(named)
    }

    /// Writes a small file or a link under its partial's name, and verifies it.
    fn prepare<'a>(&self, places: &mut Places, put: &'a Put, sync: bool) -> Result<Ready<'a>> {
        if self.partials.is_open(&put.path) {
            let what = "another file is on its way to the same name, in blocks";
            return Err(Error::new(ErrorKind::Busy, what));
        }
        let place = places.parent(&put.path, Missing::Create)?;
        let sync = sync || !place.directory.can_sync_file_system();
        self.opened.forget(&put.path);
        let directory = &*place.directory;
        let wanted = |size, hash| Wanted {
            path: &put.path,
            size,
            hash,
            mode: put.mode,
            modified: put.modified,
        };
        let written = match &put.content {
            Content::File(data, hash) => {
                let wanted = wanted(data.len() as u64, *hash);
                self.write_file(directory, &wanted, data, sync)
                    .map(|own| (wanted, own))
            }
            Content::Link(target) => {
                let wanted = wanted(target.len() as u64, Digest::of_link(target));
                self.write_link(directory, &wanted, target)
                    .map(|own| (wanted, own))
            }
        };
        match written {
            Ok((wanted, own)) => Ok(Ready {
                wanted,
                place,
                expect: &put.expect,
                own,
                partial: None,
            }),
            Err(error) => {
                // A small file is sent whole again: what is left of it only takes up space.
                let _ = partial::discard(directory, &self.names, &put.path);
                Err(error)
            }
        }
    }

    fn write_file(
        &self,
        directory: &dyn Directory,
        wanted: &Wanted<'_>,
        data: &[u8],
        sync: bool,
    ) -> Result<(u64, u64)> {
        let name = self.names.content(wanted.path);
        let file = self.anew(directory, wanted.path, || directory.create(&name))?;
        write_full(&*file, data, 0).doing("writing")?;
        let found = self.hash_file(&*file, wanted.size);
        if is_shorter(&found) {
            return Err(shorter());
        }
        let found = found?;
        if found != wanted.hash {
            return Err(mismatch(found));
        }
        set_attributes(&*file, wanted)?;
        if sync {
            file.sync()
                .map_err(|error| sync_failed(wanted.path, error))?;
        }
        let own = file.stat().doing("looking at the partial")?;
        if own.size == wanted.size {
            Ok((own.device, own.inode))
        } else {
            Err(longer())
        }
    }

    fn write_link(
        &self,
        directory: &dyn Directory,
        wanted: &Wanted<'_>,
        target: &[u8],
    ) -> Result<(u64, u64)> {
        let name = self.names.content(wanted.path);
        self.anew(directory, wanted.path, || {
            directory.create_link(&name, target)
        })?;
        let held = directory.read_link(&name).doing("reading the link back")?;
        let found = Digest::of_link(&held);
        if found != wanted.hash {
            return Err(mismatch(found));
        }
        directory
            .set_link_modified(&name, wanted.modified)
            .doing("setting the link's time")?;
        let own = directory.stat(&name).doing("looking at the partial")?;
        Ok((own.device, own.inode))
    }

    /// Creates something under a partial's name, in place of what an earlier run left there.
    fn anew<T>(
        &self,
        directory: &dyn Directory,
        path: &RelPath,
        create: impl Fn() -> io::Result<T>,
    ) -> Result<T> {
        match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // It may hold a file that a crash displaced, which is put back first.
                partial::find(directory, &self.names, path, true)?;
                partial::discard(directory, &self.names, path)?;
                create().doing("creating a partial")
            }
            other => other.doing("creating a partial"),
        }
    }
}

fn sync_file_systems<'a>(ready: impl Iterator<Item = &'a Ready<'a>>) -> io::Result<()> {
    let mut synced: Vec<u64> = Vec::new();
    let mut before = None;
    for ready in ready {
        // Most lie beside the one before.
        if before
            .replace(&ready.place)
            .is_some_and(|before| Arc::ptr_eq(before, &ready.place))
        {
            continue;
        }
        let device = ready.place.directory.own_stat()?.device;
        if !synced.contains(&device) {
            if ready.place.directory.can_sync_file_system() {
                ready.place.directory.sync_file_system()?;
            }
            synced.push(device);
        }
    }
    Ok(())
}
