//! The table `[transports.channel]`, and the factory that makes a transport of it.

use std::fmt;
use std::sync::Arc;

use realize_core::registry::{
    BuildError, TableError, TransportContext, TransportFactory, TransportOption, TransportTable,
};
use realize_core::transport::Transport;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use crate::transport::ChannelTransport;

/// The options of the channel transport, as the configuration names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelOptions {
    /// How much a connection holds in each direction, in bytes: an integer from 1024 (1 KiB) to
    /// 16777216 (16 MiB), by default 262144 (256 KiB). A writer that is this far ahead of its reader
    /// waits.
    pub buffer: BufferSize,
}

/// A number of bytes that a connection may hold in each direction, from [`BufferSize::MIN`] to
/// [`BufferSize::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BufferSize(usize);

impl BufferSize {
    /// The smallest: 1 KiB.
    pub const MIN: Self = Self(1024);
    /// The largest: 16 MiB.
    pub const MAX: Self = Self(16 * 1024 * 1024);
    /// What holds where nothing is said: 256 KiB.
    pub const DEFAULT: Self = Self(256 * 1024);

    /// A buffer of so many bytes; `None` outside the range.
    pub fn new(bytes: usize) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0)
            .contains(&bytes)
            .then_some(Self(bytes))
    }

    /// The number of bytes.
    pub fn bytes(self) -> usize {
        self.0
    }
}

impl Default for BufferSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Reads a [`BufferSize`] such that whatever is wrong with it, the error tells the unit and range.
struct BufferVisitor;

impl Visitor<'_> for BufferVisitor {
    type Value = BufferSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (BufferSize::MIN.0, BufferSize::MAX.0);
        write!(f, "a buffer of {min} to {max} bytes, as an integer")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<BufferSize, E> {
        let size = usize::try_from(value).ok().and_then(BufferSize::new);
        size.ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<BufferSize, E> {
        let size = usize::try_from(value).ok().and_then(BufferSize::new);
        size.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
    }
}

impl<'de> Deserialize<'de> for BufferSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(BufferVisitor)
    }
}

/// Makes a [`ChannelTransport`] from the table `[transports.channel]`.
///
/// Each transport that it makes has a table of names of its own: who wants to dial what they listen
/// at keeps the one transport and shares it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChannelFactory;

impl TransportFactory for ChannelFactory {
    fn name(&self) -> &'static str {
        "channel"
    }

    fn options(&self) -> Vec<TransportOption> {
        vec![TransportOption {
            name: "buffer",
            default: BufferSize::DEFAULT.bytes().to_string(),
            what: "how much a connection holds in each direction, in bytes, 1024 to 16777216",
        }]
    }

    fn check(&self, table: &TransportTable<'_>) -> Result<(), TableError> {
        table.parse::<ChannelOptions>().map(drop)
    }

    fn build(
        &self,
        table: &TransportTable<'_>,
        _context: &TransportContext,
    ) -> Result<Arc<dyn Transport>, BuildError> {
        let options: ChannelOptions = table.parse()?;
        Ok(Arc::new(ChannelTransport::new(options)))
    }
}

#[cfg(test)]
mod tests {
    use realize_core::registry::TransportRegistry;
    use rstest::rstest;

    use super::*;

    /// What `[transports.channel]` followed by `line` makes.
    fn options(line: &str) -> Result<ChannelOptions, (TableError, String)> {
        let text = format!("[transports.channel]\n{line}\n");
        let table = TransportTable::find(&text, ChannelFactory.name()).unwrap();
        table.parse().map_err(|error: TableError| {
            let place = text[error.span.clone().unwrap()].to_owned();
            (error, place)
        })
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(options("").unwrap().buffer.bytes(), 256 * 1024);
        let absent: ChannelOptions = TransportTable::empty().parse().unwrap();
        assert_eq!(absent, ChannelOptions::default());
    }

    #[rstest]
    #[case(1024)]
    #[case(65536)]
    #[case(16_777_216)]
    fn a_buffer_in_range_is_taken(#[case] bytes: usize) {
        let options = options(&format!("buffer = {bytes}")).unwrap();
        assert_eq!(options.buffer.bytes(), bytes);
    }

    #[rstest]
    #[case("1023")]
    #[case("16777217")]
    #[case("-1")]
    #[case("0")]
    #[case("9223372036854775808")]
    #[case("\"64K\"")]
    #[case("1024.5")]
    fn a_buffer_out_of_range_is_refused_with_the_range(#[case] value: &str) {
        let (error, place) = options(&format!("buffer = {value}")).unwrap_err();
        let range = "expected a buffer of 1024 to 16777216 bytes, as an integer";
        assert!(error.what.contains(range), "{}", error.what);
        assert_eq!(place, value);
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
