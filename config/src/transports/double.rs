//! Transports that have names and tables, and carry nothing.

use std::sync::Arc;

use realize_core::registry::{
    BuildError, TableError, TransportContext, TransportFactory, TransportOption, TransportRegistry,
    TransportTable,
};
use realize_core::transport::Transport;
use serde::Deserialize;

/// A registry of channel, exec, quic and tcp.
pub(crate) fn four() -> TransportRegistry {
    ["channel", "exec", "quic", "tcp"]
        .into_iter()
        .fold(TransportRegistry::new(), |registry, name| {
            registry.register(Named(name)).unwrap()
        })
}

/// A registry of one.
pub(crate) fn only(name: &'static str) -> TransportRegistry {
    TransportRegistry::new().register(Named(name)).unwrap()
}

struct Named(&'static str);

/// What each of them has in its table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    congestion: Option<Congestion>,
    window: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Congestion {
    Bbr,
    Cubic,
}

impl TransportFactory for Named {
    fn name(&self) -> &'static str {
        self.0
    }

    fn options(&self) -> Vec<TransportOption> {
        Vec::new()
    }

    fn check(&self, table: &TransportTable<'_>) -> Result<(), TableError> {
        let table: Table = table.parse()?;
        match (table.congestion, table.window) {
            (Some(Congestion::Cubic), Some(0)) => Err(TableError {
                what: "cubic needs a window".to_owned(),
                span: None,
            }),
            (None | Some(Congestion::Bbr | Congestion::Cubic), _) => Ok(()),
        }
    }

    fn build(
        &self,
        _table: &TransportTable<'_>,
        _context: &TransportContext,
    ) -> Result<Arc<dyn Transport>, BuildError> {
        Err(BuildError::Missing {
            what: "a network".to_owned(),
            source: None,
        })
    }
}
