//! The table of a broken transport.

use std::sync::Arc;

use realize_core::registry::{
    BuildError, TableError, TransportContext, TransportFactory, TransportOption, TransportTable,
};
use realize_core::transport::Transport;

use crate::fault::Fault;
use crate::machine::Machine;

/// What holds where nothing is said.
const DEFAULT: u32 = 7;

fn default_size() -> u32 {
    DEFAULT
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    #[serde(default = "default_size")]
    size: u32,
}

#[derive(serde::Deserialize)]
struct Lax {
    #[serde(default = "default_size")]
    size: u32,
}

/// The size that a table says, and whether it is to say nothing else.
fn size(table: &TransportTable<'_>, strict: bool) -> Result<u32, TableError> {
    if strict {
        table.parse().map(|options: Strict| options.size)
    } else {
        table.parse().map(|options: Lax| options.size)
    }
}

/// Makes a [`Machine`].
#[derive(Debug)]
pub(crate) struct Factory(pub(crate) Fault);

impl TransportFactory for Factory {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn options(&self) -> Vec<TransportOption> {
        let default = match self.0 {
            Fault::MisstatesItsDefault => "8".to_owned(),
            Fault::GarblesItsDefault => "seven".to_owned(),
            _ => DEFAULT.to_string(),
        };
        vec![TransportOption {
            name: "size",
            default,
            what: "nothing of importance".to_owned(),
        }]
    }

    fn check(&self, table: &TransportTable<'_>) -> Result<(), TableError> {
        let strict = self.0 != Fault::SwallowsOptions;
        size(table, strict).map(drop).map_err(|error| match self.0 {
            Fault::PointsElsewhere => TableError {
                span: Some(0..9),
                ..error
            },
            Fault::NamesNothing => TableError {
                what: "an option is wrong".to_owned(),
                ..error
            },
            _ => error,
        })
    }

    fn build(
        &self,
        table: &TransportTable<'_>,
        _context: &TransportContext,
    ) -> Result<Arc<dyn Transport>, BuildError> {
        if self.0 != Fault::MakesUnchecked {
            self.check(table)?;
        }
        let mut machine = Machine::new("nas", self.0);
        machine.size = size(table, false)?;
        Ok(Arc::new(machine))
    }
}
