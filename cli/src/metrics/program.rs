//! What every program says of itself.

use prometheus::process_collector::ProcessCollector;
use prometheus::{IntGauge, Opts, Registry};

/// A registry that holds the version of this program, and what the system knows of its process.
///
/// # Errors
/// That of a metric which is there twice: none.
pub(crate) fn registry() -> prometheus::Result<Registry> {
    let registry = Registry::new();
    registry.register(Box::new(ProcessCollector::for_self()))?;
    let info = Opts::new("realize_build_info", "1, for the version of this program.")
        .const_label("version", env!("CARGO_PKG_VERSION"));
    let info = IntGauge::with_opts(info)?;
    info.set(1);
    registry.register(Box::new(info))?;
    Ok(registry)
}
