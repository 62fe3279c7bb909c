//! Units of work: what one task does at a time.

use super::plan::{Item, Step, Transfer};
use crate::entry::Version;
use crate::service::Expect;

/// How many small files travel together at most.
const MAX_FILES: usize = 128;
/// How many bytes of small files travel together at most, unless one is larger.
const MAX_BYTES: u64 = 1 << 20;
/// How many files get their final names together at most: nothing of them is read or sent, and they
/// are synced together.
const MAX_LINKED: usize = 256;
/// How many files are compared together at most.
const MAX_COMPARED: usize = 64;
/// How many bytes are compared together at most, unless one file is larger.
const MAX_COMPARED_BYTES: u64 = 64 << 20;

/// What one task does.
pub(super) enum Unit {
    /// Gives files their final names by the shortcut; what it refuses goes the way that was planned.
    Link(Vec<(Item, Step)>),
    /// Sends small files whole.
    Put(Vec<(Item, Expect)>),
    /// Compares files with what is there.
    Verify(Vec<(Item, Version)>),
    /// Sends a large file in blocks.
    Transfer(Box<Item>, Transfer),
}

/// Gathers steps into units.
#[derive(Default)]
pub(super) struct Units {
    /// Whether there is a shortcut for files that are absent at the destination.
    links: bool,
    linked: Vec<(Item, Step)>,
    puts: Vec<(Item, Expect)>,
    put_bytes: u64,
    compared: Vec<(Item, Version)>,
    compared_bytes: u64,
}

impl Units {
    pub(super) fn new(links: bool) -> Self {
        Self {
            links,
            ..Self::default()
        }
    }

    /// Adds a step; answers the unit that is full. Small files travel together up to `most` bytes, if
    /// that is less than what else bounds them.
    pub(super) fn add(&mut self, (item, step): (Item, Step), most: u64) -> Option<Unit> {
        let size = item.entry.size;
        if self.links && step.can_link(&item) {
            let unit = (self.linked.len() >= MAX_LINKED).then(|| self.take_linked());
            self.linked.push((item, step));
            return unit;
        }
        match step {
            Step::Put(expect) => {
                let bytes = self.put_bytes.saturating_add(size);
                let full = self.puts.len() >= MAX_FILES
                    || (!self.puts.is_empty() && bytes > MAX_BYTES.min(most));
                let unit = full.then(|| self.take_puts());
                self.put_bytes = self.put_bytes.saturating_add(size);
                self.puts.push((item, expect));
                unit
            }
            Step::Verify(version) => {
                let bytes = self.compared_bytes.saturating_add(size);
                let full = self.compared.len() >= MAX_COMPARED
                    || (!self.compared.is_empty() && bytes > MAX_COMPARED_BYTES);
                let unit = full.then(|| self.take_compared());
                self.compared_bytes = self.compared_bytes.saturating_add(size);
                self.compared.push((item, version));
                unit
            }
            Step::Transfer(transfer) => Some(Unit::Transfer(Box::new(item), transfer)),
            // Settled before it comes here.
            Step::Rename | Step::Fail(_) | Step::Stop(_) => None,
        }
    }

    /// What has not filled a unit.
    pub(super) fn rest(mut self) -> Vec<Unit> {
        let units = [self.take_linked(), self.take_puts(), self.take_compared()];
        let empty = |unit: &Unit| match unit {
            Unit::Link(files) => files.is_empty(),
            Unit::Put(puts) => puts.is_empty(),
            Unit::Verify(items) => items.is_empty(),
            Unit::Transfer(..) => false,
        };
        units.into_iter().filter(|unit| !empty(unit)).collect()
    }

    fn take_linked(&mut self) -> Unit {
        Unit::Link(std::mem::take(&mut self.linked))
    }

    fn take_puts(&mut self) -> Unit {
        self.put_bytes = 0;
        Unit::Put(std::mem::take(&mut self.puts))
    }

    fn take_compared(&mut self) -> Unit {
        self.compared_bytes = 0;
        Unit::Verify(std::mem::take(&mut self.compared))
    }
}
