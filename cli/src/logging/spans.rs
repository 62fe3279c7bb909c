//! What is known of the spans around an event.

use tracing::Subscriber;
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::fields::{Seen, Value};

/// Keeps the fields of each span with it, those of the spans around it among them.
pub(super) struct Spans;

/// The fields of a span, and of those around it: the inner ones first, no name twice. What a span
/// gets to know later, those that are in it already do not have.
#[derive(Default)]
pub(super) struct SpanFields(Vec<(&'static str, Kept)>);

#[derive(Clone)]
enum Kept {
    Text(String),
    /// A number, or a yes or no, as it is written.
    Plain(String),
}

impl SpanFields {
    /// The fields, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        self.0.iter().map(|(name, kept)| match kept {
            Kept::Text(text) => (*name, Value::Text(text)),
            Kept::Plain(text) => (*name, Value::Plain(text)),
        })
    }

    fn set(&mut self, name: &'static str, value: Value<'_>) {
        let mut text = String::new();
        if value.write(&mut text).is_err() {
            return;
        }
        let kept = match value {
            Value::Plain(_) => Kept::Plain(text),
            Value::Text(_) | Value::Shown(_) => Kept::Text(text),
        };
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = kept,
            None => self.0.push((name, kept)),
        }
    }

    fn inherit(&mut self, around: &Self) {
        for (name, kept) in &around.0 {
            if !self.0.iter().any(|(known, _)| known == name) {
                self.0.push((name, kept.clone()));
            }
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        let mut fields = SpanFields::default();
        attributes.record(&mut Seen(&mut |name, value| fields.set(name, value)));
        if let Some(parent) = span.parent()
            && let Some(around) = parent.extensions().get()
        {
            fields.inherit(around);
        }
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            values.record(&mut Seen(&mut |name, value| fields.set(name, value)));
        }
    }
}
