//! The table `[transports.tcp]`, and the factory that makes a transport of it.

use std::fmt;
use std::sync::Arc;

use realize_core::number::{Number, Range};
use realize_core::registry::{BuildError, TransportContext, TransportOption, TypedFactory};
use realize_core::transport::Transport;
use realize_tls::machine_key;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use crate::transport::TcpTransport;

/// The options of the TCP transport, as the configuration names them.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TcpOptions {
    /// How many connections to one peer are worth having at once, where it is near.
    pub lanes: Number<Lanes>,
    /// How many there are worth having to one that is far: 5 ms and more to an answer.
    pub far_lanes: Number<FarLanes>,
    /// The congestion control of our sockets, as the system names it. By default it is `bbr`, which
    /// takes a lost packet for no sign of a full way, where the system has it, and else the
    /// system's. One that is named and that the system refuses is a warning in the log.
    pub congestion: Congestion,
}

/// The range of [`TcpOptions::lanes`]: 1 to 16 connections, by default 2.
#[derive(Clone, Copy, Debug)]
pub enum Lanes {}

impl Range for Lanes {
    const NAME: &'static str = "lanes";
    const MIN: u64 = 1;
    const MAX: u64 = 16;
    const DEFAULT: u64 = 2;
    const UNIT: &'static str = "connections";
    const WHAT: &'static str = "how many connections to one peer are worth having at once";
}

/// The range of [`TcpOptions::far_lanes`]: 1 to 16 connections, by default 4.
#[derive(Clone, Copy, Debug)]
pub enum FarLanes {}

impl Range for FarLanes {
    const NAME: &'static str = "far_lanes";
    const MIN: u64 = 1;
    const MAX: u64 = 16;
    const DEFAULT: u64 = 4;
    const UNIT: &'static str = "connections";
    const WHAT: &'static str =
        "how many connections are worth having at once to a peer that is 5 ms away or more";
}

/// The name of a congestion control, none for the system's, or `auto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Congestion(String);

impl Default for Congestion {
    fn default() -> Self {
        Self(AUTOMATIC.to_owned())
    }
}

/// The name that stands for [`PREFERRED`], where the system has it.
const AUTOMATIC: &str = "auto";
/// The congestion control that is used where none is named.
const PREFERRED: &str = "bbr";

impl Congestion {
    /// The longest name, in bytes: 15, as in Linux.
    pub const MAX_LEN: usize = 15;

    /// The congestion control of that name, the system's if it is empty; `None` if it is too long,
    /// or has anything but letters, digits, `-` and `_`.
    pub fn new(name: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let fits = name.len() <= Self::MAX_LEN && name.bytes().all(plain);
        fits.then(|| Self(name.to_owned()))
    }

    /// The name that the system is to be asked for; `None` for its own.
    pub fn name(&self) -> Option<&str> {
        match &*self.0 {
            "" => None,
            AUTOMATIC => Some(PREFERRED),
            name => Some(name),
        }
    }

    /// Whether none was named: that the system has not the one that is asked for is no wonder then.
    pub fn is_automatic(&self) -> bool {
        self.0 == AUTOMATIC
    }
}

/// Reads a [`Congestion`] such that whatever is wrong with it, the error tells what it may be.
struct CongestionVisitor;

impl Visitor<'_> for CongestionVisitor {
    type Value = Congestion;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let max = Congestion::MAX_LEN;
        write!(
            f,
            "the name of a congestion control, of 1 to {max} letters, digits, - and _, \"\" for the \
             system's, or \"auto\""
        )
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Congestion, E> {
        let congestion = Congestion::new(value);
        congestion.ok_or_else(|| E::invalid_value(Unexpected::Str(value), &self))
    }
}

impl<'de> Deserialize<'de> for Congestion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(CongestionVisitor)
    }
}

/// Makes a [`TcpTransport`] from the table `[transports.tcp]`, with the key of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpFactory;

impl TypedFactory for TcpFactory {
    type Options = TcpOptions;

    fn name(&self) -> &'static str {
        "tcp"
    }

    fn options(&self) -> Vec<TransportOption> {
        vec![
            Number::<Lanes>::option(),
            Number::<FarLanes>::option(),
            TransportOption {
                name: "congestion",
                default: "\"auto\"".to_owned(),
                what: "the system's name of a congestion control, of up to 15 characters, as \
                       \"cubic\"; \"\" is the system's own choice, \"auto\" is bbr where the system \
                       has it"
                    .to_owned(),
            },
        ]
    }

    fn make(
        &self,
        options: TcpOptions,
        context: &TransportContext,
    ) -> Result<Arc<dyn Transport>, BuildError> {
        let key = machine_key(context, "tcp")?;
        let known = context.known.clone();
        Ok(Arc::new(TcpTransport::new(key, known, options)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use realize_core::registry::{TableError, TransportRegistry, TransportTable};
    use realize_tls::{PrivateKey, save_private_key};
    use rstest::rstest;

    use super::*;

    /// What `[transports.tcp]` followed by `line` makes.
    fn options(line: &str) -> Result<TcpOptions, (TableError, String)> {
        let text = format!("[transports.tcp]\n{line}\n");
        let table = TransportTable::find(&text, "tcp").unwrap();
        table.parse().map_err(|error: TableError| {
            let place = text[error.span.clone().unwrap()].to_owned();
            (error, place)
        })
    }

    #[test]
    fn nothing_said_is_the_default() {
        let default = options("").unwrap();
        assert_eq!((default.lanes.get(), default.far_lanes.get()), (2, 4));
        assert_eq!(default.congestion.name(), Some("bbr"));
        assert!(default.congestion.is_automatic());
        let absent: TcpOptions = TransportTable::empty().parse().unwrap();
        assert_eq!(absent, default);
        // What the options say of their defaults is what holds.
        for option in TcpFactory.options() {
            let said = format!("{} = {}", option.name, option.default);
            assert_eq!(options(&said).unwrap(), default);
        }
    }

    #[rstest]
    #[case(0, false)]
    #[case(1, true)]
    #[case(16, true)]
    #[case(17, false)]
    fn lanes_have_a_range(#[case] count: u64, #[case] taken: bool) {
        let options = options(&format!("lanes = {count}"));
        assert_eq!(options.map(|o| o.lanes.get()).ok(), taken.then_some(count));
    }

    #[rstest]
    #[case("bbr", Some("bbr"))]
    #[case("my-own_control2", Some("my-own_control2"))]
    #[case("", None)]
    fn a_congestion_control_is_a_name(#[case] name: &str, #[case] taken: Option<&str>) {
        let options = options(&format!("congestion = \"{name}\"")).unwrap();
        assert_eq!(options.congestion.name(), taken);
    }

    #[rstest]
    #[case("\"sixteen_letters_\"")]
    #[case("\"b b r\"")]
    #[case("\"bbr\\u0000\"")]
    #[case("3")]
    fn what_is_no_name_is_refused(#[case] value: &str) {
        let (error, place) = options(&format!("congestion = {value}")).unwrap_err();
        let expected = "expected the name of a congestion control, of 1 to 15 letters";
        assert!(error.what.contains(expected), "{}", error.what);
        assert_eq!(place, value);
    }

    #[test]
    fn an_unknown_option_is_named() {
        let (error, place) = options("lane = 3").unwrap_err();
        assert!(error.what.contains("`lane`"), "{}", error.what);
        assert!(error.what.contains("`lanes`"), "{}", error.what);
        assert_eq!(place, "lane");
    }

    fn build(table: &str, key_file: Option<PathBuf>) -> Result<Arc<dyn Transport>, BuildError> {
        let registry = TransportRegistry::new().register(TcpFactory).unwrap();
        let factory = registry.get("tcp").unwrap();
        let table = TransportTable::find(table, "tcp").unwrap();
        let context = TransportContext {
            key_file,
            ..TransportContext::default()
        };
        assert_eq!(
            factory.check(&table).is_ok(),
            !matches!(factory.build(&table, &context), Err(BuildError::Table(_)))
        );
        factory.build(&table, &context)
    }

    #[test]
    fn the_factory_is_found_by_its_name_and_heeds_the_table() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("nas.key");
        save_private_key(&file, &PrivateKey::generate().unwrap()).unwrap();
        let transport = build("transports.tcp.lanes = 5", Some(file.clone())).unwrap();
        assert_eq!(transport.lanes(Duration::from_millis(4)).get(), 5);
        assert_eq!(transport.lanes(Duration::from_millis(5)).get(), 4);
        let error = build("transports.tcp.lanes = 0", Some(file)).unwrap_err();
        assert!(matches!(error, BuildError::Table(_)), "{error}");
    }

    #[test]
    fn without_a_key_the_factory_says_how_to_get_one() {
        let error = build("", None).unwrap_err();
        let text = "tcp needs this machine's key: make one with `realize keygen FILE` and name it \
                    in [identity] key = ...";
        assert_eq!(error.to_string(), text);

        let directory = tempfile::tempdir().unwrap();
        let error = build("", Some(directory.path().join("none"))).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("cannot use the one of [identity]")
        );
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("none: cannot be read"), "{source}");
    }
}
