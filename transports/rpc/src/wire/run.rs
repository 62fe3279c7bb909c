//! Runs, and what a peer sets for its session.

use std::num::NonZeroU64;

use realize_core::service::{self, Origin, RunId};
use serde::{Deserialize, Serialize};

use super::parts::cut_text;
use super::{Violation, at_most};

/// The longest holder of a [`Claim`], in bytes: what a service keeps. What is longer is cut.
const MAX_HOLDER: usize = 200;

/// What a run takes a directory for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    Source,
    Reader,
    Destination,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    Clean,
    Done,
    Failed,
    Interrupted,
}

/// Takes a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) role: Role,
    pub(crate) run: [u8; 16],
    pub(crate) origin: [u8; 16],
    pub(crate) holder: String,
}

/// What holds for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    /// In bytes per second; `None` is no limit.
    pub(crate) send_rate: Option<u64>,
    /// Likewise.
    pub(crate) receive_rate: Option<u64>,
}

impl From<service::Claim> for Claim {
    fn from(claim: service::Claim) -> Self {
        Self {
            role: match claim.role {
                service::Role::Source => Role::Source,
                service::Role::Reader => Role::Reader,
                service::Role::Destination => Role::Destination,
            },
            run: *claim.run.as_bytes(),
            origin: *claim.origin.as_bytes(),
            holder: cut_text(claim.holder, MAX_HOLDER),
        }
    }
}

impl TryFrom<Claim> for service::Claim {
    type Error = Violation;

    fn try_from(claim: Claim) -> Result<Self, Violation> {
        let holder = claim.holder;
        at_most(holder.len() as u64, MAX_HOLDER as u64, "bytes in a holder")?;
        Ok(Self {
            role: match claim.role {
                Role::Source => service::Role::Source,
                Role::Reader => service::Role::Reader,
                Role::Destination => service::Role::Destination,
            },
            run: RunId::from_bytes(claim.run),
            origin: Origin::from_bytes(claim.origin),
            holder,
        })
    }
}

impl From<service::Ending> for Ending {
    fn from(ending: service::Ending) -> Self {
        match ending {
            service::Ending::Clean => Self::Clean,
            service::Ending::Done => Self::Done,
            service::Ending::Failed => Self::Failed,
            service::Ending::Interrupted => Self::Interrupted,
        }
    }
}

impl TryFrom<Ending> for service::Ending {
    type Error = Violation;

    fn try_from(ending: Ending) -> Result<Self, Violation> {
        Ok(match ending {
            Ending::Clean => Self::Clean,
            Ending::Done => Self::Done,
            Ending::Failed => Self::Failed,
            Ending::Interrupted => Self::Interrupted,
        })
    }
}

impl From<service::Config> for Config {
    fn from(config: service::Config) -> Self {
        Self {
            send_rate: config.send_rate.map(NonZeroU64::get),
            receive_rate: config.receive_rate.map(NonZeroU64::get),
        }
    }
}

impl TryFrom<Config> for service::Config {
    type Error = Violation;

    fn try_from(config: Config) -> Result<Self, Violation> {
        let rate = |rate| NonZeroU64::new(rate).ok_or(Violation::Rate);
        Ok(Self {
            send_rate: config.send_rate.map(rate).transpose()?,
            receive_rate: config.receive_rate.map(rate).transpose()?,
        })
    }
}
