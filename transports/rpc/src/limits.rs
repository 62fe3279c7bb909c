//! How fast the bytes of connections go, in either direction.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use realize_core::throttle::{RateLimitStream, Throttle, Throttles};
use realize_core::transport::Duplex;
use serde::{Deserialize, Serialize};

/// The limits of the connections with a peer. Bytes pass each of those of their direction.
#[derive(Clone, Default)]
pub struct Limits {
    /// Of what is sent to it.
    pub send: Vec<Arc<dyn Throttle>>,
    /// Of what is received from it: a peer that sends faster is held back.
    pub receive: Vec<Arc<dyn Throttle>>,
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("send", &lowest(&self.send))
            .field("receive", &lowest(&self.receive))
            .finish()
    }
}

/// What becomes of one limit of a daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It stays.
    #[default]
    Keep,
    /// It is lifted.
    Lift,
    /// It is so many bytes per second from now on.
    Set(NonZeroU64),
}

impl Change {
    /// The limit after this change of `rate`.
    pub fn of(self, rate: Option<NonZeroU64>) -> Option<NonZeroU64> {
        match self {
            Self::Keep => rate,
            Self::Lift => None,
            Self::Set(rate) => Some(rate),
        }
    }
}

/// What becomes of the limits of a daemon, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitChange {
    /// Of what it sends.
    pub up: Change,
    /// Of what it receives.
    pub down: Change,
}

/// The limits of a daemon that are in force, in all, in bytes per second; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Of what it sends.
    pub up: Option<NonZeroU64>,
    /// Of what it receives.
    pub down: Option<NonZeroU64>,
}

/// The lowest of the rates in force, in bytes per second; `None` where there is none.
pub(crate) fn lowest(throttles: &[Arc<dyn Throttle>]) -> Option<NonZeroU64> {
    throttles
        .iter()
        .filter_map(|throttle| throttle.rate())
        .min()
}

/// What the bytes of one connection pass; more is added when it is known whose it is.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    send: Throttles,
    receive: Throttles,
}

impl Passed {
    /// Adds what limits a connection.
    pub(crate) fn add(&self, limits: &Limits) {
        for throttle in &limits.send {
            self.send.add(Arc::clone(throttle));
        }
        for throttle in &limits.receive {
            self.receive.add(Arc::clone(throttle));
        }
    }

    /// `stream`, held to what there is, and to what is added.
    pub(crate) fn hold(&self, stream: Box<dyn Duplex>) -> Box<dyn Duplex> {
        let limited = RateLimitStream::new(stream, self.send.clone());
        Box::new(limited.pace_reads(self.receive.clone()))
    }
}
