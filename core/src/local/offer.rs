//! What stands under a final name, and what has arrived of the file that is to go there.

use std::io;

use super::Storage;
use super::fs::{Directory, Kind};
use super::partial;
use super::place::{Missing, Place};
use super::stored::stored_name;
use super::version::version_of;
use crate::error::{Doing, ErrorKind, Result};
use crate::hash::HashState;
use crate::range::RangeSet;
use crate::service::{Answer, Arrived, Offer, Present, PresentKind, Role};

impl Storage {
    pub(crate) fn offer(&self, offers: &[Offer]) -> Vec<Result<Answer>> {
        let mut places = self.places();
        let mut answer = |offer: &Offer| match places.parent(&offer.path, Missing::Fail) {
            Ok(place) => self.answer(&place, offer),
            // No directory, no file.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Answer {
                present: Present::Absent,
                partial: None,
            }),
            Err(error) => Err(error),
        };
        offers
            .iter()
            .map(|offer| answer(offer).map_err(|e| e.at(&offer.path)))
            .collect()
    }

    fn answer(&self, place: &Place, offer: &Offer) -> Result<Answer> {
        let directory = &*place.directory;
        // First, for in a run it may put back a file that a crash displaced; or one that a call
        // displaces in this moment, which is that call's.
        let alone = match self.has_role(Role::Destination) {
            true => self.construction.try_take(&offer.path),
            false => None,
        };
        let partial = partial::find(directory, &self.names, &offer.path, alone.is_some())?;
        let present = present(directory, offer)?;
        let partial = partial.map(|(size, state)| {
            let state =
                state.filter(|state| state.source == offer.source && state.size == offer.size);
            let (ranges, hash) = state.map_or_else(
                || (RangeSet::new(), HashState::default()),
                |state| (state.ranges, state.hash),
            );
            Arrived { ranges, hash, size }
        });
        Ok(Answer { present, partial })
    }
}

fn present(directory: &dyn Directory, offer: &Offer) -> Result<Present> {
    let name = offer.path.file_name();
    let stat = match directory.stat(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Present::Absent),
        other => other.doing("looking at the final name")?,
    };
    if let Some(stored) = stored_name(directory, name, || Ok(stat))? {
        return Ok(Present::Collides(stored));
    }
    let version = version_of(&stat)?;
    let kind = match stat.kind {
        Kind::File => PresentKind::File,
        Kind::Link => PresentKind::Link,
        _ => PresentKind::Other,
    };
    let same = match kind {
        PresentKind::File => {
            !offer.link && stat.size == offer.size && stat.modified == offer.modified
        }
        PresentKind::Link => offer.link && stat.size == offer.size,
        PresentKind::Other => false,
    };
    if same {
        Ok(Present::Perhaps(version))
    } else {
        Ok(Present::Differs {
            version,
            kind,
            size: stat.size,
        })
    }
}
