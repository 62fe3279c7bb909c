//! Every message, there and back: by hand, at random, and as no honest end would send it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::fmt::Debug;

use bytes::Bytes;
use realize_core::delta::Signature as CoreSignature;
use realize_core::hash::RangeHash as CoreRangeHash;
use realize_core::service;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) use super::content::Basis;
pub(super) use super::delta::{BlockHash, BlockSum, Delta, DeltaOp};
pub(super) use super::entry::{Entry, EntryKind, Special};
pub(super) use super::finish::{Content, Expect, FinishFrom, Outcome};
pub(super) use super::hash::{HashState, Subtree};
pub(super) use super::listing::ListFailure;
pub(super) use super::offer::{Arrived, Present, PresentKind};
pub(super) use super::parts::{Path, RangeSet, Timestamp, Version};
pub(super) use super::payload::Payloads;
pub(super) use super::run::Role;
pub(super) use super::*;

mod errors;
mod golden;
mod hostile;
mod payloads;
mod round_trips;
mod samples;
mod sizes;

/// A message, with or without payloads.
trait Message: Clone + Debug + PartialEq + Serialize + DeserializeOwned {
    fn bulk(&mut self) -> Option<&mut dyn Payloads> {
        None
    }
}

macro_rules! messages {
    (plain: $($plain:ty),+; bulk: $($bulk:ty),+) => {
        $(impl Message for $plain {})+
        $(impl Message for $bulk {
            fn bulk(&mut self) -> Option<&mut dyn Payloads> {
                Some(self)
            }
        })+
    };
}

messages! {
    plain: Claim, Ending, List, Batch<Offer>, Read, Batch<ReadWhole>, Batch<MakeDirectory>, Hash,
        SignatureRequest, DiffRequest, Batch<Finish>, Batch<Delete>, Config, Page,
        Batch<Each<Answer>>, Batch<Each<Receipt>>, Batch<Each<Done>>, RangeHash, Signature, Error;
    bulk: SendBlock, Batch<Put>, Patch, Block, Batch<Each<Payload>>, Difference
}

/// Why a message was refused.
#[derive(Debug, PartialEq)]
enum Refusal {
    Encoding(postcard::Error),
    Violation(Violation),
}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// The message itself, and what follows it.
fn encode<M: Message>(message: &M) -> (Vec<u8>, Bytes) {
    let mut message = message.clone();
    let bulk = message.bulk().map_or_else(Vec::new, detach);
    (postcard::to_stdvec(&message).unwrap(), bulk.concat().into())
}

fn decode<M: Message>(header: &[u8], bulk: Bytes) -> Result<M, Refusal> {
    let mut message: M = postcard::from_bytes(header).map_err(Refusal::Encoding)?;
    match message.bulk() {
        Some(payloads) => attach(payloads, bulk)?,
        None if bulk.is_empty() => {}
        None => return Err(Violation::Payload.into()),
    }
    Ok(message)
}

fn receive<M: Message, C: TryFrom<M, Error = Violation>>(
    header: &[u8],
    bulk: Bytes,
) -> Result<C, Refusal> {
    Ok(C::try_from(decode::<M>(header, bulk)?)?)
}

/// The types of core that a message becomes.
type Results<C> = Vec<realize_core::Result<C>>;

/// Tries to receive a message, and says whether it was one.
type Receiver = fn(&[u8], Bytes) -> bool;

macro_rules! receivers {
    ($($message:ty => $core:ty),+ $(,)?) => {
        &[$((stringify!($message), |header, bulk| {
            receive::<$message, $core>(header, bulk).is_ok()
        })),+]
    };
}

/// All messages.
const RECEIVERS: &[(&str, Receiver)] = receivers! {
    Claim => service::Claim,
    Ending => service::Ending,
    List => service::List,
    Batch<Offer> => Vec<service::Offer>,
    Read => service::Read,
    Batch<ReadWhole> => Vec<service::ReadWhole>,
    SendBlock => service::SendBlock,
    Batch<Put> => Vec<service::Put>,
    Batch<MakeDirectory> => Vec<service::MakeDirectory>,
    Hash => service::Hash,
    SignatureRequest => service::SignatureRequest,
    DiffRequest => service::DiffRequest,
    Patch => service::Patch,
    Batch<Finish> => Vec<service::Finish>,
    Batch<Delete> => Vec<service::Delete>,
    Config => service::Config,
    Page => service::Page,
    Batch<Each<Answer>> => Results<service::Answer>,
    Block => service::Block,
    Batch<Each<Payload>> => Results<Bytes>,
    Batch<Each<Receipt>> => Results<service::Receipt>,
    Batch<Each<Done>> => Results<()>,
    RangeHash => CoreRangeHash,
    Signature => CoreSignature,
    Difference => service::Difference,
    Error => realize_core::Error,
};
