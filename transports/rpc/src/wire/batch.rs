//! Lists whose length is bounded, and the batches among them.

use std::fmt;
use std::marker::PhantomData;

use realize_core::service::{MAX_BATCH, MAX_BATCH_BYTES};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};

use super::error::Error;
use super::{Violation, at_most};

/// At most `MAX` of something.
///
/// Decoding keeps one more at most, to show that there were too many, and drops the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Bounded<T, const MAX: usize>(pub(crate) Vec<T>);

/// The items of a batch, or its answers.
pub(crate) type Batch<T> = Bounded<T, MAX_BATCH>;

impl<T, const MAX: usize> Bounded<T, MAX> {
    /// What is in it, unless it is too much; `what` names it.
    pub(super) fn checked(self, what: &'static str) -> Result<Vec<T>, Violation> {
        at_most(self.0.len() as u64, MAX as u64, what)?;
        Ok(self.0)
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Collect(PhantomData))
    }
}

/// Takes what a [`Bounded`] holds from a deserializer. Nothing is allocated by the length that is
/// claimed, only as items come.
struct Collect<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Collect<T, MAX> {
    type Value = Bounded<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            if items.len() <= MAX {
                items.push(item);
            }
        }
        Ok(Bounded(items))
    }
}

/// Something that a batch consists of.
pub(crate) trait Item {
    /// How many bytes of content it carries, or asks for.
    fn content(&self) -> u64 {
        0
    }
}

impl<T: From<C>, C> From<Vec<C>> for Batch<T> {
    fn from(items: Vec<C>) -> Self {
        Self(items.into_iter().map(T::from).collect())
    }
}

impl<T: Item, C: TryFrom<T, Error = Violation>> TryFrom<Batch<T>> for Vec<C> {
    type Error = Violation;

    fn try_from(batch: Batch<T>) -> Result<Self, Violation> {
        let items = batch.checked("items")?;
        let content = items.iter().map(T::content).fold(0, u64::saturating_add);
        at_most(content, MAX_BATCH_BYTES, "bytes of content in a batch")?;
        items.into_iter().map(C::try_from).collect()
    }
}

/// The answer to one item of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, DeriveDeserialize)]
pub(crate) enum Each<T> {
    /// What came of it.
    Ok(T),
    /// Why nothing came of it.
    Err(Error),
}

impl<T: From<C>, C> From<realize_core::Result<C>> for Each<T> {
    fn from(result: realize_core::Result<C>) -> Self {
        match result {
            Ok(answer) => Self::Ok(answer.into()),
            Err(error) => Self::Err(error.into()),
        }
    }
}

impl<T, C: TryFrom<T, Error = Violation>> TryFrom<Each<T>> for realize_core::Result<C> {
    type Error = Violation;

    fn try_from(answer: Each<T>) -> Result<Self, Violation> {
        Ok(match answer {
            Each::Ok(answer) => Ok(answer.try_into()?),
            Each::Err(error) => Err(error.try_into()?),
        })
    }
}

impl<T: Item> Item for Each<T> {
    fn content(&self) -> u64 {
        match self {
            Self::Ok(answer) => answer.content(),
            Self::Err(_) => 0,
        }
    }
}

/// That something was done: the answer that says no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, DeriveDeserialize)]
pub(crate) struct Done;

impl From<()> for Done {
    fn from((): ()) -> Self {
        Self
    }
}

impl TryFrom<Done> for () {
    type Error = Violation;

    fn try_from(_: Done) -> Result<(), Violation> {
        Ok(())
    }
}

impl Item for Done {}
