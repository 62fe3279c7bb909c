//! What goes wrong, and when: counts the calls at the seam and makes chosen ones fail.
//!
//! Every call through the traits that touches the system is a step, numbered from 1. The names are
//! `open_root`; on names in a directory `open_directory`, `open`, `create`, `create_directory`,
//! `create_link`, `stat`, `read_link`, `set_link_modified`, `rename`, `link`, `unlink`,
//! `remove_directory`; on a directory `directory.entries`, `directory.next` (one for some names of
//! a listing), `directory.stat`, `directory.set_mode`, `directory.sync`, `sync_file_system`,
//! `free_space`; on a file `file.stat`, `file.read`, `file.write`, `file.set_size`,
//! `file.copy`, `file.share`, `file.punch_hole`, `file.next_data`, `file.set_mode`, `file.set_modified`,
//! `file.sync`, `file.try_lock`, `file.has_writer`.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many calls the log remembers.
const LOG_LEN: usize = 256;

/// A call at the seam.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number, from 1.
    pub number: u64,
    /// Its name, of those listed at [`Script`]'s module.
    pub name: &'static str,
    /// The name in the directory that it is about, or under which the file was opened; for a
    /// rename both, with ` -> ` between.
    pub subject: Vec<u8>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.number,
            self.name,
            self.subject.escape_ascii()
        )
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It fails with this errno. A failed `file.sync` leaves the pages it should have written
    /// marked as clean, as kernels do: a second one succeeds without having written them.
    Fail(i32),
    /// It and every later call that matches fail with this errno.
    FailFromHere(i32),
    /// A read or write does half of what was asked.
    Short,
    /// A write stores its data with this bit of it flipped (counted modulo its length).
    FlipBit(u64),
    /// The power goes: this and every later call fail with `EIO`.
    PowerOff,
}

/// A sync that answers that all is well and makes nothing durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// [`File::sync`](realize_core::local::fs::File::sync).
    FileSync,
    /// [`Directory::sync`](realize_core::local::fs::Directory::sync).
    DirectorySync,
    /// [`Directory::sync_file_system`](realize_core::local::fs::Directory::sync_file_system).
    FileSystemSync,
}

/// The script of one [`SimFileSystem`](super::SimFileSystem). What it counts begins at 1.
#[derive(Default)]
pub struct Script {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    calls: u64,
    log: VecDeque<Call>,
    rules: Vec<Rule>,
    lies: BTreeSet<Lie>,
}

struct Rule {
    matches: Box<dyn Fn(&Call) -> bool + Send>,
    /// How many more calls match until it acts.
    left: u64,
    then: Then,
}

enum Then {
    Affect(Effect),
    Run(Box<dyn FnOnce() + Send>),
}

/// What the script has decided for one call.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) errno: Option<i32>,
    pub(super) power_off: bool,
    pub(super) short: bool,
    pub(super) flip: Option<u64>,
}

impl Script {
    /// Affects the `nth` call that matches, counted from now.
    pub fn at(&self, matches: impl Fn(&Call) -> bool + Send + 'static, nth: u64, effect: Effect) {
        self.add(matches, nth, Then::Affect(effect));
    }

    /// Fails the `nth` call.
    pub fn fail(&self, nth: u64, errno: i32) {
        self.at(move |call| call.number == nth, 1, Effect::Fail(errno));
    }

    /// Fails the `nth` call and all after it.
    pub fn fail_from(&self, nth: u64, errno: i32) {
        self.at(
            move |call| call.number >= nth,
            1,
            Effect::FailFromHere(errno),
        );
    }

    /// Makes the `nth` read from now short.
    pub fn short_read(&self, nth: u64) {
        self.at(|call| call.name == "file.read", nth, Effect::Short);
    }

    /// Makes the `nth` write from now short.
    pub fn short_write(&self, nth: u64) {
        self.at(|call| call.name == "file.write", nth, Effect::Short);
    }

    /// Flips a bit in what the `nth` write from now stores.
    pub fn flip_bit(&self, nth: u64, bit: u64) {
        self.at(|call| call.name == "file.write", nth, Effect::FlipBit(bit));
    }

    /// Cuts the power at the `nth` call, which has no effect any more.
    pub fn power_off_at(&self, nth: u64) {
        self.at(move |call| call.number >= nth, 1, Effect::PowerOff);
    }

    /// Makes syncs of this kind do nothing.
    pub fn lie(&self, lie: Lie) {
        self.lock().lies.insert(lie);
    }

    /// Runs `action` once, before the `nth` call from now that matches. No lock is held meanwhile,
    /// so it can use the file system.
    pub fn on_call(
        &self,
        matches: impl Fn(&Call) -> bool + Send + 'static,
        nth: u64,
        action: impl FnOnce() + Send + 'static,
    ) {
        self.add(matches, nth, Then::Run(Box::new(action)));
    }

    /// Takes back everything it was told; the count and the log stay.
    pub fn clear(&self) {
        let mut inner = self.lock();
        inner.lies.clear();
        let rules = std::mem::take(&mut inner.rules);
        drop(inner);
        // A rule's closure may own a file system, and so this script.
        drop(rules);
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// The last calls, oldest first.
    pub fn log(&self) -> Vec<Call> {
        self.lock().log.iter().cloned().collect()
    }

    fn add(&self, matches: impl Fn(&Call) -> bool + Send + 'static, nth: u64, then: Then) {
        assert!(nth > 0, "calls are counted from 1");
        self.lock().rules.push(Rule {
            matches: Box::new(matches),
            left: nth,
            then,
        });
    }

    /// Counts a call, runs what was to be run before it, and says what becomes of it.
    pub(super) fn step(&self, name: &'static str, subject: &[u8]) -> Verdict {
        let mut inner = self.lock();
        inner.calls += 1;
        let call = Call {
            number: inner.calls,
            name,
            subject: subject.to_vec(),
        };
        let (verdict, actions) = inner.judge(&call);
        if inner.log.len() == LOG_LEN {
            inner.log.pop_front();
        }
        inner.log.push_back(call);
        drop(inner);
        for action in actions {
            action();
        }
        verdict
    }

    pub(super) fn lies(&self, lie: Lie) -> bool {
        self.lock().lies.contains(&lie)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn judge(&mut self, call: &Call) -> (Verdict, Vec<Box<dyn FnOnce() + Send>>) {
        let mut verdict = Verdict::default();
        let mut actions = Vec::new();
        let due = |rule: &mut Rule| {
            if !(rule.matches)(call) {
                return false;
            }
            rule.left = rule.left.saturating_sub(1);
            rule.left == 0
        };
        // `FailFromHere` stays, always due from now on; every other rule acts once.
        for mut rule in std::mem::take(&mut self.rules) {
            let due = due(&mut rule);
            match rule.then {
                Then::Affect(Effect::FailFromHere(errno)) => {
                    if due {
                        verdict.errno = Some(errno);
                    }
                    self.rules.push(rule);
                }
                _ if !due => self.rules.push(rule),
                Then::Affect(Effect::Fail(errno)) => verdict.errno = Some(errno),
                Then::Affect(Effect::Short) => verdict.short = true,
                Then::Affect(Effect::FlipBit(bit)) => verdict.flip = Some(bit),
                Then::Affect(Effect::PowerOff) => verdict.power_off = true,
                Then::Run(action) => actions.push(action),
            }
        }
        (verdict, actions)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        f.debug_struct("Script")
            .field("calls", &inner.calls)
            .field("rules", &inner.rules.len())
            .field("lies", &inner.lies)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
