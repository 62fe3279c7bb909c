//! A log that a test looks at.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use tracing::field::{Field, Visit};
use tracing::span;

/// Keeps the events of this thread as `LEVEL name=value name=value`, and who entered spans.
#[derive(Clone, Default)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    entered: Arc<Mutex<Vec<ThreadId>>>,
}

impl Log {
    /// What was logged.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The threads that entered a span.
    pub(crate) fn entered(&self) -> Vec<ThreadId> {
        self.entered.lock().unwrap().clone()
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields(format!("{} ", event.metadata().level()));
        event.record(&mut fields);
        self.lines.lock().unwrap().push(fields.0.trim().to_owned());
    }
    fn enter(&self, _: &span::Id) {
        self.entered.lock().unwrap().push(thread::current().id());
    }
    fn exit(&self, _: &span::Id) {}
}
