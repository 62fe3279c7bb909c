//! `realize transports`.

use realize_core::registry::TransportRegistry;

use crate::output::Data;

/// Prints each transport of this program, and the options of its table.
pub(crate) fn run(transports: &TransportRegistry, data: &Data) {
    for factory in transports.iter() {
        data.print(factory.name());
        for option in factory.options() {
            data.print(&format!(
                "  {} = {}\n      {}",
                option.name, option.default, option.what
            ));
        }
    }
}
