//! All that watches a move.

use realize_core::engine::{Event, Observer};

use crate::metrics::MoverMetrics;
use crate::output::files::JsonFiles;
use crate::output::progress;

/// Passes what happens on to whoever is to be told.
pub(super) struct Watch {
    pub(super) progress: Option<Box<dyn progress::Shown>>,
    pub(super) json: Option<JsonFiles>,
    pub(super) metrics: Option<MoverMetrics>,
}

impl Observer for Watch {
    fn event(&self, event: Event<'_>) {
        if let Some(progress) = &self.progress {
            progress.event(event);
        }
        if let Some(json) = &self.json {
            json.event(event);
        }
        if let Some(metrics) = &self.metrics {
            metrics.event(event);
        }
    }
}
