//! The table `[transports.channel]`, and the factory that makes a transport of it.

use std::sync::Arc;

use realize_core::number::{Number, Range};
use realize_core::registry::{BuildError, TransportContext, TransportOption, TypedFactory};
use realize_core::transport::Transport;

use crate::transport::ChannelTransport;

/// The options of the channel transport, as the configuration names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelOptions {
    /// How much a connection holds in each direction, in bytes. A writer that is this far ahead of
    /// its reader waits.
    pub buffer: Number<Buffer>,
}

/// The range of [`ChannelOptions::buffer`]: 1 KiB to 16 MiB, by default 256 KiB.
#[derive(Clone, Copy, Debug)]
pub enum Buffer {}

impl Range for Buffer {
    const NAME: &'static str = "buffer";
    const MIN: u64 = 1 << 10;
    const MAX: u64 = 16 << 20;
    const DEFAULT: u64 = 256 << 10;
    const UNIT: &'static str = "bytes";
    const WHAT: &'static str = "how much a connection holds in each direction";
}

/// Makes a [`ChannelTransport`] from the table `[transports.channel]`.
///
/// Each transport that it makes has a table of names of its own: who wants to dial what they listen
/// at keeps the one transport and shares it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChannelFactory;

impl TypedFactory for ChannelFactory {
    type Options = ChannelOptions;

    fn name(&self) -> &'static str {
        "channel"
    }

    fn options(&self) -> Vec<TransportOption> {
        vec![Number::<Buffer>::option()]
    }

    fn make(
        &self,
        options: ChannelOptions,
        _context: &TransportContext,
    ) -> Result<Arc<dyn Transport>, BuildError> {
        Ok(Arc::new(ChannelTransport::new(options)))
    }
}

#[cfg(test)]
mod tests {
    use realize_core::registry::{TableError, TransportRegistry, TransportTable};
    use rstest::rstest;

    use super::*;

    /// What `[transports.channel]` followed by `line` makes.
    fn options(line: &str) -> Result<ChannelOptions, (TableError, String)> {
        let text = format!("[transports.channel]\n{line}\n");
        let table = TransportTable::find(&text, "channel").unwrap();
        table.parse().map_err(|error: TableError| {
            let place = text[error.span.clone().unwrap()].to_owned();
            (error, place)
        })
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(options("").unwrap().buffer.get(), 256 * 1024);
        let absent: ChannelOptions = TransportTable::empty().parse().unwrap();
        assert_eq!(absent, ChannelOptions::default());
    }

    #[rstest]
    #[case(1024, true)]
    #[case(65536, true)]
    #[case(16_777_216, true)]
    #[case(1023, false)]
    #[case(16_777_217, false)]
    fn a_buffer_has_a_range(#[case] bytes: u64, #[case] taken: bool) {
        let options = options(&format!("buffer = {bytes}"));
        assert_eq!(options.map(|o| o.buffer.get()).ok(), taken.then_some(bytes));
    }

    #[test]
    fn an_unknown_option_is_named() {
        let (error, place) = options("bufer = 4096").unwrap_err();
        assert!(error.what.contains("`bufer`"), "{}", error.what);
        assert!(error.what.contains("`buffer`"), "{}", error.what);
        assert_eq!(place, "bufer");
    }

    #[test]
    fn the_factory_is_found_by_its_name_and_heeds_the_table() {
        let registry = TransportRegistry::new().register(ChannelFactory).unwrap();
        let factory = registry.get("channel").unwrap();
        let context = TransportContext::default();
        assert!(factory.build(&TransportTable::empty(), &context).is_ok());
        let table = TransportTable::find("transports.channel.buffer = 1", "channel").unwrap();
        assert!(factory.build(&table, &context).is_err());
        assert!(factory.check(&table).is_err());
    }
}
