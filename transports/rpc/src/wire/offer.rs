//! What the destination says of a file before anything is sent.

use bytes::Bytes;
use realize_core::path::MAX_NAME_LEN;
use realize_core::service;
use serde::{Deserialize, Serialize};

use super::batch::Item;
use super::hash::HashState;
use super::parts::{Path, RangeSet, Timestamp, Version, cut_bytes, size};
use super::{Violation, at_most};

/// The longest name of [`Present::Collides`], in bytes; what is longer is cut.
const MAX_STORED_NAME: usize = MAX_NAME_LEN;

/// Offers a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offer {
    pub(crate) path: Path,
    pub(crate) link: bool,
    pub(crate) source: Version,
    pub(crate) size: u64,
    pub(crate) modified: Timestamp,
}

/// What the destination says of an [`Offer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) present: Present,
    pub(crate) partial: Option<Arrived>,
}

/// What stands under a final name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Present {
    Absent,
    Perhaps(Version),
    Differs {
        version: Version,
        kind: PresentKind,
        size: u64,
    },
    Collides(Bytes),
}

/// What kind of thing stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PresentKind {
    File,
    Link,
    Other,
}

/// What has arrived of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arrived {
    pub(crate) ranges: RangeSet,
    pub(crate) hash: HashState,
    pub(crate) size: u64,
}

impl From<service::Offer> for Offer {
    fn from(offer: service::Offer) -> Self {
        Self {
            path: offer.path.into(),
            link: offer.link,
            source: offer.source.into(),
            size: offer.size,
            modified: offer.modified.into(),
        }
    }
}

impl TryFrom<Offer> for service::Offer {
    type Error = Violation;

    fn try_from(offer: Offer) -> Result<Self, Violation> {
        Ok(Self {
            path: offer.path.try_into()?,
            link: offer.link,
            source: offer.source.try_into()?,
            size: size(offer.size)?,
            modified: offer.modified.try_into()?,
        })
    }
}

impl Item for Offer {}

impl From<service::Answer> for Answer {
    fn from(answer: service::Answer) -> Self {
        Self {
            present: answer.present.into(),
            partial: answer.partial.map(Arrived::from),
        }
    }
}

impl TryFrom<Answer> for service::Answer {
    type Error = Violation;

    fn try_from(answer: Answer) -> Result<Self, Violation> {
        Ok(Self {
            present: answer.present.try_into()?,
            partial: answer.partial.map(Arrived::try_into).transpose()?,
        })
    }
}

impl Item for Answer {}

impl From<service::Present> for Present {
    fn from(present: service::Present) -> Self {
        match present {
            service::Present::Absent => Self::Absent,
            service::Present::Perhaps(version) => Self::Perhaps(version.into()),
            service::Present::Differs {
                version,
                kind,
                size,
            } => Self::Differs {
                version: version.into(),
                kind: match kind {
                    service::PresentKind::File => PresentKind::File,
                    service::PresentKind::Link => PresentKind::Link,
                    service::PresentKind::Other => PresentKind::Other,
                },
                size,
            },
            service::Present::Collides(stored) => {
                Self::Collides(cut_bytes(stored, MAX_STORED_NAME))
            }
        }
    }
}

impl TryFrom<Present> for service::Present {
    type Error = Violation;

    fn try_from(present: Present) -> Result<Self, Violation> {
        Ok(match present {
            Present::Absent => Self::Absent,
            Present::Perhaps(version) => Self::Perhaps(version.try_into()?),
            Present::Differs {
                version,
                kind,
                size: bytes,
            } => Self::Differs {
                version: version.try_into()?,
                kind: match kind {
                    PresentKind::File => service::PresentKind::File,
                    PresentKind::Link => service::PresentKind::Link,
                    PresentKind::Other => service::PresentKind::Other,
                },
                size: size(bytes)?,
            },
            Present::Collides(stored) => {
                let max = MAX_STORED_NAME as u64;
                at_most(stored.len() as u64, max, "bytes in a stored name")?;
                Self::Collides(stored.into())
            }
        })
    }
}

impl From<service::Arrived> for Arrived {
    fn from(arrived: service::Arrived) -> Self {
        Self {
            ranges: arrived.ranges.into(),
            hash: arrived.hash.into(),
            size: arrived.size,
        }
    }
}

impl TryFrom<Arrived> for service::Arrived {
    type Error = Violation;

    fn try_from(arrived: Arrived) -> Result<Self, Violation> {
        Ok(Self {
            ranges: arrived.ranges.try_into()?,
            hash: arrived.hash.try_into()?,
            size: size(arrived.size)?,
        })
    }
}
