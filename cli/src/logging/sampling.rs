//! Warnings that come again and again: the first few are written, and then how many more there were.
//!
//! A stranger that knocks a thousand times a second is to fill no disk, and to hide nobody else. So
//! warnings are told apart by where in the code they come from and by what is in the fields [`TOLD_BY`];
//! of each kind [`ONE_BY_ONE`] are let through in a [`PERIOD`]. What is left out is said in one line of
//! the same kind, with its number in `more`, when the period is over. Warnings about a path are each
//! about something else, and all are let through; so are errors, and whatever is no warning.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::fields::{Fields, Value};

/// How many warnings of one kind are written in a [`PERIOD`].
const ONE_BY_ONE: u64 = 10;
/// After so long the others are counted in one line.
const PERIOD: Duration = Duration::from_secs(60);
/// How many kinds from one place in the code are told apart in a [`PERIOD`]; all others are taken for
/// one more. With [`MAX_TEXT`] and the number of places, this bounds what is remembered.
const MAX_KINDS: usize = 16;
/// How much is remembered of a field, in bytes.
const MAX_TEXT: usize = 256;
/// The fields that tell one kind from another.
const TOLD_BY: [&str; 4] = ["event", "transport", "peer", "reason"];
/// The field of a warning that is never left out.
const PATH: &str = "path";

/// Writes a line about what came from where the metadata say.
type Say = Box<dyn Fn(&'static Metadata<'static>, &dyn Fields) + Send + Sync>;

/// Leaves warnings out.
pub(super) struct Sampling(pub(super) Arc<Sampler>);

impl<S: Subscriber> Layer<S> for Sampling {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() != Level::WARN || metadata.fields().field(PATH).is_some() {
            return true;
        }
        self.0.admit(metadata, event, Instant::now())
    }
}

/// Counts warnings.
pub(super) struct Sampler {
    /// The kinds of each place in the code, at most [`MAX_KINDS`] and one.
    places: Mutex<HashMap<Identifier, Vec<Kind>>>,
    /// Told when something has been left out.
    left_out: Notify,
    say: Say,
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler").finish_non_exhaustive()
    }
}

/// Warnings of one kind, in a period that is under way.
struct Kind {
    metadata: &'static Metadata<'static>,
    told_by: ToldBy,
    since: Instant,
    count: u64,
}

impl Kind {
    /// How many were left out.
    fn more(&self) -> u64 {
        self.count.saturating_sub(ONE_BY_ONE)
    }

    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= PERIOD
    }
}

/// What is in the fields [`TOLD_BY`], in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ToldBy([Option<String>; TOLD_BY.len()]);

impl ToldBy {
    fn of(fields: &dyn Fields) -> Self {
        let mut told_by = Self::default();
        fields.each(&mut |name, value| {
            let place = TOLD_BY.iter().position(|known| *known == name);
            if let Some(kept) = place.and_then(|place| told_by.0.get_mut(place)) {
                let mut start = Start(String::new());
                // It ends early where the text is longer.
                let _ = value.write(&mut start);
                *kept = Some(start.0);
            }
        });
        told_by
    }

    /// The event alone: what the kinds have in common that are not told apart.
    fn others(&self) -> Self {
        let [event, ..] = &self.0;
        Self([event.clone(), None, None, None])
    }
}

/// The beginning of a text.
struct Start(String);

impl fmt::Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_TEXT.saturating_sub(self.0.len());
        let part = text.get(..text.floor_char_boundary(room));
        self.0.push_str(part.unwrap_or_default());
        if text.len() > room {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

/// The line about what was left out.
struct More<'a>(&'a Kind);

impl Fields for More<'_> {
    fn each(&self, see: &mut dyn FnMut(&'static str, Value<'_>)) {
        for (name, value) in TOLD_BY.into_iter().zip(&self.0.told_by.0) {
            if let Some(value) = value {
                see(name, Value::Text(value));
            }
        }
        see("more", Value::Plain(&self.0.more()));
    }
}

impl Sampler {
    /// Says by `say` what was left out.
    pub(super) fn new(say: Say) -> Self {
        Self {
            places: Mutex::default(),
            left_out: Notify::new(),
            say,
        }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Identifier, Vec<Kind>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a warning is to be written. What was left out of earlier periods of the place that it
    /// comes from is said first.
    fn admit(
        &self,
        metadata: &'static Metadata<'static>,
        fields: &dyn Fields,
        now: Instant,
    ) -> bool {
        let told_by = ToldBy::of(fields);
        let mut places = self.places();
        let kinds = places.entry(metadata.callsite()).or_default();
        let over: Vec<Kind> = kinds.extract_if(.., |kind| kind.is_over(now)).collect();
        let count = count(kinds, metadata, told_by, now);
        drop(places);
        self.say(&over);
        if count > ONE_BY_ONE {
            self.left_out.notify_one();
        }
        count <= ONE_BY_ONE
    }

    /// Says what was left out of periods that are over.
    fn say_what_is_over(&self, now: Instant) {
        self.take(|kind| kind.is_over(now));
    }

    /// Says what was left out up to now.
    pub(super) fn say_everything(&self) {
        self.take(|_| true);
    }

    fn take(&self, wanted: impl Fn(&Kind) -> bool) {
        let mut places = self.places();
        let taken = places
            .values_mut()
            .flat_map(|kinds| kinds.extract_if(.., |kind| wanted(kind)));
        let taken: Vec<Kind> = taken.collect();
        drop(places);
        self.say(&taken);
    }

    fn say(&self, kinds: &[Kind]) {
        for kind in kinds.iter().filter(|kind| kind.more() > 0) {
            (self.say)(kind.metadata, &More(kind));
        }
    }

    /// When the first of the periods is over of which something was left out.
    fn due(&self) -> Option<Instant> {
        let places = self.places();
        let kinds = places.values().flatten();
        let due = kinds.filter(|kind| kind.more() > 0).map(|kind| kind.since);
        due.min().map(|since| since + PERIOD)
    }

    /// Says what was left out whenever a period is over. It never ends.
    pub(super) async fn keep_counting(&self) {
        loop {
            match self.due() {
                Some(due) => {
                    sleep_until(due).await;
                    self.say_what_is_over(Instant::now());
                }
                None => self.left_out.notified().await,
            }
        }
    }
}

/// Counts a warning among the `kinds` of its place; answers the how manieth of its kind it is.
fn count(
    kinds: &mut Vec<Kind>,
    metadata: &'static Metadata<'static>,
    told_by: ToldBy,
    now: Instant,
) -> u64 {
    let is_known = kinds.iter().any(|kind| kind.told_by == told_by);
    let told_by = if is_known || kinds.len() < MAX_KINDS {
        told_by
    } else {
        told_by.others()
    };
    if let Some(kind) = kinds.iter_mut().find(|kind| kind.told_by == told_by) {
        kind.count = kind.count.saturating_add(1);
        return kind.count;
    }
    kinds.push(Kind {
        metadata,
        told_by,
        since: now,
        count: 1,
    });
    1
}

#[cfg(test)]
mod tests;
