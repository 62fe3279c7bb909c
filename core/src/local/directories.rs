//! Making directories at the destination.

use std::io;
use std::sync::Arc;

use super::Storage;
use super::place::{Missing, NEW_DIRECTORY_MODE, Place, Places, sync_upward};
use crate::entry::MODE_BITS;
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::service::{MakeDirectory, Making};

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
        let missing = match make.making {
            Making::Either | Making::New => Missing::Create,
            Making::Change => Missing::Fail,
        };
        let parent = places.parent(&make.path, missing)?;
        // Looked at first: where it exists as something else, that is said of it.
        let found = parent.directory.stat(make.path.file_name());
        let absent = matches!(&found, Err(error) if error.kind() == io::ErrorKind::NotFound);
        if absent && make.making == Making::Change {
            return Err(Error::new(
                ErrorKind::NotFound,
                "there is no such directory",
            ));
        }
        let place = places.open(&make.path, missing)?;
        if !absent && make.making == Making::New {
            return Ok(place);
        }
        let mode = make.mode & MODE_BITS;
        let stat = place
            .directory
            .own_stat()
            .doing("looking at the directory")?;
        // A file system may add bits of its own to what is made, as that of the group.
        let is_unset = absent || stat.mode & MODE_BITS == NEW_DIRECTORY_MODE;
        if stat.mode & 0o7777 != mode && (is_unset || !make.keeps_others) {
            place
                .directory
                .set_mode(mode)
                .doing("setting the directory's permissions")?;
        }
        Ok(place)
    }
}
