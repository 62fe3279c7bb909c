//! What stands under a final name, and what has arrived of the file that is to go there.

use std::io;

use super::Storage;
use super::fs::{Directory, Kind, Stat};
use super::partial;
use super::place::{Missing, Place};
use super::version::version_of;
use crate::error::{Doing, Error, ErrorKind, Result};
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
        // First, for in a run it may put back a file that a crash displaced.
        let partial = partial::find(
            directory,
            &self.names,
            &offer.path,
            self.has_role(Role::Destination),
        )?;
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
    if let Some(stored) = stored_name(directory, name, &stat)? {
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

/// The name that is stored for what was found as `name`, if it is another one. That can only be
/// where a look-up takes two names for one: where `name` with its case turned finds the same.
pub(super) fn stored_name(
    directory: &dyn Directory,
    name: &[u8],
    stat: &Stat,
) -> Result<Option<Vec<u8>>> {
    let Some(turned) = turn_case(name) else {
        return Ok(None);
    };
    let same = |other: &Stat| (other.device, other.inode) == (stat.device, stat.inode);
    match directory.stat(&turned) {
        Ok(other) if same(&other) => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("looking at a similar name", error)),
    }
    let mut stored = None;
    for entry in directory.entries().doing("comparing names")? {
        let entry = entry.doing("comparing names")?;
        if entry.name == name {
            return Ok(None);
        }
        if directory.stat(&entry.name).is_ok_and(|other| same(&other)) {
            stored = Some(entry.name);
        }
    }
    Ok(stored)
}

/// `name` with the case of its letters turned; `None` if that is `name` itself. Of a name with letters
/// of ASCII it is those alone: whatever takes two cases for one does so with them, while with others
/// each file system has rules of its own.
fn turn_case(name: &[u8]) -> Option<Vec<u8>> {
    if name.iter().any(u8::is_ascii_alphabetic) {
        let turn = |byte: &u8| match byte.is_ascii_lowercase() {
            true => byte.to_ascii_uppercase(),
            false => byte.to_ascii_lowercase(),
        };
        return Some(name.iter().map(turn).collect());
    }
    let text = std::str::from_utf8(name).ok()?;
    let turn = |c: char| -> String {
        if c.is_lowercase() {
            c.to_uppercase().collect()
        } else {
            c.to_lowercase().collect()
        }
    };
    let turned: String = text.chars().map(turn).collect();
    (turned != text).then(|| turned.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_turned() {
        assert_eq!(turn_case(b"aB1").unwrap(), b"Ab1");
        assert_eq!(turn_case("éß.TXT".as_bytes()).unwrap(), "éß.txt".as_bytes());
        assert_eq!(turn_case(b"a\xff").unwrap(), b"A\xff");
        assert_eq!(turn_case("é".as_bytes()).unwrap(), "É".as_bytes());
        assert_eq!(turn_case(b"123"), None);
        assert_eq!(turn_case(b"\xff"), None);
    }
}
