//! Metrics that are looked up when they are asked for.

use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, Opts, Registry, Result};

/// A family of series that is filled anew at every look: what is gone by then is not shown.
pub(super) struct Live<V> {
    family: Mutex<V>,
    desc: Vec<Desc>,
    fill: Box<dyn Fn(&V) + Send + Sync>,
}

/// A family that can be emptied.
pub(super) trait Family: Collector {
    /// Makes an empty one.
    fn new(opts: Opts, labels: &[&str]) -> Result<Self>
    where
        Self: Sized;
    /// Empties it.
    fn reset(&self);
}

impl Family for GaugeVec {
    fn new(opts: Opts, labels: &[&str]) -> Result<Self> {
        GaugeVec::new(opts, labels)
    }

    fn reset(&self) {
        GaugeVec::reset(self);
    }
}

impl Family for IntCounterVec {
    fn new(opts: Opts, labels: &[&str]) -> Result<Self> {
        IntCounterVec::new(opts, labels)
    }

    fn reset(&self) {
        IntCounterVec::reset(self);
    }
}

impl<V: Family + 'static> Live<V> {
    /// Has `registry` show what `fill` puts into the family, at every look.
    pub(super) fn register(
        registry: &Registry,
        (name, help): (&str, &str),
        labels: &[&str],
        fill: impl Fn(&V) + Send + Sync + 'static,
    ) -> Result<()> {
        let family = V::new(Opts::new(name, help), labels)?;
        registry.register(Box::new(Self {
            desc: family.desc().into_iter().cloned().collect(),
            family: Mutex::new(family),
            fill: Box::new(fill),
        }))
    }
}

impl<V: Family> Collector for Live<V> {
    fn desc(&self) -> Vec<&Desc> {
        self.desc.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let family = self.family.lock().unwrap_or_else(PoisonError::into_inner);
        family.reset();
        (self.fill)(&family);
        family.collect()
    }
}
