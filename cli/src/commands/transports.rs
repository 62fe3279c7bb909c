//! `realize transports`.

use realize_core::registry::TransportRegistry;

use crate::output::print;

/// Prints each transport of this program, and the options of its table.
pub(crate) fn run(transports: &TransportRegistry) {
    for factory in transports.iter() {
        print(factory.name());
        for option in factory.options() {
            print(&format!(
                "  {} = {}\n      {}",
                option.name, option.default, option.what
            ));
        }
    }
}
