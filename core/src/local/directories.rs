//! Making directories at the destination.

use std::io;
use std::sync::Arc;

use super::Storage;
use super::place::{Missing, NEW_DIRECTORY_MODE, Place, Places, sync_upward};
use crate::entry::MODE_BITS;
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::service::{MakeDirectory, Making};

/// The bits that a directory gets from the one that it is made in: it gives its group on.
const INHERITED: u32 = 0o2000;

impl Storage {
    pub(crate) fn make_directories(&self, makes: &[MakeDirectory]) -> Vec<Result<()>> {
        let mut places = self.places();
        let made: Vec<Result<Arc<Place>>> = makes
            .iter()
            .map(|make| {
                self.make_directory(&mut places, make)
                    .map_err(|e| e.at(&make.path))
            })
            .collect();
        let synced = sync_upward(made.iter().flatten());
        made.into_iter()
            .map(|made| made.and_then(|_| synced.clone()))
            .collect()
    }

    fn make_directory(&self, places: &mut Places, make: &MakeDirectory) -> Result<Arc<Place>> {
        let creates = matches!(make.making, Making::Either | Making::New);
        let missing = match creates {
            true => Missing::Create,
            false => Missing::Fail,
        };
        let parent = places.parent(&make.path, missing)?;
        // Looked at first: where it exists as something else, that is said of it.
        let found = parent.directory.stat(make.path.file_name());
        let absent = matches!(&found, Err(error) if error.kind() == io::ErrorKind::NotFound);
        if absent && !creates {
            return Err(Error::new(
                ErrorKind::NotFound,
                "there is no such directory",
            ));
        }
        let place = places.open(&make.path, missing)?;
        let mode = make.mode & MODE_BITS;
        let stat = place
            .directory
            .own_stat()
            .doing("looking at the directory")?;
        let found = stat.mode & MODE_BITS;
        let is_unset = absent || found == NEW_DIRECTORY_MODE;
        let changes = matches!(make.making, Making::Either | Making::Change);
        if found != mode && (is_unset || changes) {
            // Bits that a file system gives what is made in it, as that of the group, are its own.
            place
                .directory
                .set_mode(mode | (stat.mode & INHERITED))
                .doing("setting the directory's permissions")?;
        }
        Ok(place)
    }
}
