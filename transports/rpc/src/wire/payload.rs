//! Bulk content, which follows a message as it is.
//!
//! In the message itself a [`Payload`] is its length. Whoever sends takes the bytes out with
//! [`detach`] and writes them after the message, one after the other; whoever receives hands what
//! followed the message to [`attach`]. No byte of content is copied for it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Violation;
use super::batch::{Bounded, Each, Item};

/// Bytes that travel outside the message that they belong to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payload {
    len: u32,
    #[serde(skip)]
    bytes: Bytes,
}

impl Payload {
    /// How many bytes it has, also while they are elsewhere.
    pub(crate) fn len(&self) -> u64 {
        u64::from(self.len)
    }
}

/// Content is for no log.
impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payload({} bytes)", self.len)
    }
}

impl From<Bytes> for Payload {
    /// Of bytes that no `u32` can count, which no message may hold, the length is cut, and the
    /// other end refuses them.
    fn from(bytes: Bytes) -> Self {
        Self {
            len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            bytes,
        }
    }
}

impl TryFrom<Payload> for Bytes {
    type Error = Violation;

    /// The bytes, unless they were never attached.
    fn try_from(payload: Payload) -> Result<Self, Violation> {
        if payload.bytes.len() as u64 == payload.len() {
            Ok(payload.bytes)
        } else {
            Err(Violation::Payload)
        }
    }
}

impl Item for Payload {
    fn content(&self) -> u64 {
        self.len()
    }
}

/// A message that has payloads.
pub(crate) trait Payloads {
    /// Calls `visit` on each payload, in the order in which their bytes follow the message. Both
    /// ends share it: the order of the fields and of the items.
    fn payloads(&mut self, visit: &mut dyn FnMut(&mut Payload));
}

impl Payloads for Payload {
    fn payloads(&mut self, visit: &mut dyn FnMut(&mut Payload)) {
        visit(self);
    }
}

impl<T: Payloads, const MAX: usize> Payloads for Bounded<T, MAX> {
    fn payloads(&mut self, visit: &mut dyn FnMut(&mut Payload)) {
        self.0.iter_mut().for_each(|item| item.payloads(visit));
    }
}

impl<T: Payloads> Payloads for Each<T> {
    fn payloads(&mut self, visit: &mut dyn FnMut(&mut Payload)) {
        match self {
            Self::Ok(answer) => answer.payloads(visit),
            Self::Err(_) => {}
        }
    }
}

/// Takes the bytes out of a message's payloads, in their order; empty ones are left out. The
/// lengths stay.
pub(crate) fn detach(message: &mut (impl Payloads + ?Sized)) -> Vec<Bytes> {
    let mut taken = Vec::new();
    message.payloads(&mut |payload| {
        let bytes = std::mem::take(&mut payload.bytes);
        if !bytes.is_empty() {
            taken.push(bytes);
        }
    });
    taken
}

/// Puts `bytes`, which followed the message, into its payloads, as many in each as it says.
///
/// # Errors
/// [`Violation::Payload`] if they are not exactly as many as all payloads have; the message is as it
/// was.
pub(crate) fn attach(
    message: &mut (impl Payloads + ?Sized),
    mut bytes: Bytes,
) -> Result<(), Violation> {
    let mut sum = 0u64;
    message.payloads(&mut |payload| sum = sum.saturating_add(payload.len()));
    if sum != bytes.len() as u64 {
        return Err(Violation::Payload);
    }
    message.payloads(&mut |payload| {
        // Within what is there, for the sum of all is as much.
        let len = (payload.len as usize).min(bytes.len());
        payload.bytes = bytes.split_to(len);
    });
    Ok(())
}
