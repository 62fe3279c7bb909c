//! The table `[transports.quic]`, and the factory that makes a transport of it.

use std::sync::Arc;

use realize_core::number::{Number, Range};
use realize_core::registry::{BuildError, TransportContext, TransportOption, TypedFactory};
use realize_core::transport::Transport;
use realize_tls::machine_key;

use crate::transport::QuicTransport;

/// The options of the QUIC transport, as the configuration names them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuicOptions {
    /// How many streams to one peer are worth having at once; to one that is near, nearer than
    /// [`FAR`](realize_core::transport::FAR), not more than one for each connection.
    pub lanes: Number<Lanes>,
    /// Over how many connections they are spread at most.
    pub connections: Number<Connections>,
    /// How the rate is found that the way can carry.
    pub congestion: Congestion,
    /// What the way to a peer is expected to carry. With [`delay`](Self::delay) it says how many
    /// bytes may be on their way, in all connections together, as far as memory allows:
    /// [`MAX_CONNECTION_WINDOW`](crate::MAX_CONNECTION_WINDOW) for each, and not less than their
    /// streams need.
    pub bandwidth: Number<Bandwidth>,
    /// How long a packet and its answer are expected to take.
    pub delay: Number<Delay>,
    /// After so long without a packet, one is sent, so that a connection stands.
    pub keep_alive: Number<KeepAlive>,
    /// After so long without a packet from the other end, it is gone. The first packet that it does
    /// not answer starts the time anew: that is noticed up to [`keep_alive`](Self::keep_alive) later.
    pub idle_timeout: Number<IdleTimeout>,
    /// What the system is asked to buffer for a socket, in each direction.
    pub udp_buffer: Number<UdpBuffer>,
    /// The largest packet that is tried, without the headers of IP and UDP.
    pub mtu: Number<Mtu>,
    /// Whether packets are handed to the system many at a time (GSO). Where a network card refuses
    /// that, they go one by one from then on; some take them and lose them. Above an
    /// [`mtu`](Self::mtu) of 6,550 bytes they go one by one in any case.
    pub gso: bool,
}

impl Default for QuicOptions {
    fn default() -> Self {
        Self {
            lanes: Number::default(),
            connections: Number::default(),
            congestion: Congestion::default(),
            bandwidth: Number::default(),
            delay: Number::default(),
            keep_alive: Number::default(),
            idle_timeout: Number::default(),
            udp_buffer: Number::default(),
            mtu: Number::default(),
            gso: true,
        }
    }
}

/// Declares the range of an option that is a number.
macro_rules! range {
    ($name:ident, $key:literal, $min:expr, $max:expr, $default:expr, $unit:literal, $what:literal) => {
        #[doc = concat!("The range of [`QuicOptions::", $key, "`]: ", $what, ", in ", $unit, ".")]
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl Range for $name {
            const NAME: &'static str = $key;
            const MIN: u64 = $min;
            const MAX: u64 = $max;
            const DEFAULT: u64 = $default;
            const UNIT: &'static str = $unit;
            const WHAT: &'static str = $what;
        }
    };
}

range!(
    Lanes,
    "lanes",
    1,
    16,
    8,
    "streams",
    "how many streams to one peer are worth having at once"
);
range!(
    Connections,
    "connections",
    1,
    8,
    4,
    "connections",
    "over how many connections they are spread"
);
range!(
    Bandwidth,
    "bandwidth",
    1,
    100_000,
    1000,
    "Mbit/s",
    "what the way to a peer is expected to carry"
);
range!(
    Delay,
    "delay",
    1,
    2000,
    50,
    "ms",
    "how long a packet and its answer are expected to take"
);
range!(
    KeepAlive,
    "keep_alive",
    1,
    60,
    3,
    "s",
    "after how long without a packet one is sent"
);
range!(
    IdleTimeout,
    "idle_timeout",
    2,
    600,
    10,
    "s",
    "after how long without a packet the other end is gone"
);
range!(
    UdpBuffer,
    "udp_buffer",
    64 << 10,
    64 << 20,
    4 << 20,
    "bytes",
    "what the system is asked to buffer for a socket"
);
range!(
    Mtu,
    "mtu",
    1200,
    65_527,
    1452,
    "bytes",
    "the largest packet that is tried, without the headers of IP and UDP"
);

/// How the rate is found that the way can carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Congestion {
    /// By what arrives and when: keeps its rate where packets are lost at random.
    #[default]
    Bbr,
    /// By what is lost, as most of the world: fair to others, and slow where packets are lost at
    /// random.
    Cubic,
    /// By what is lost, as RFC 9002 describes it.
    NewReno,
}

/// Makes a [`QuicTransport`] from the table `[transports.quic]`, with the key of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuicFactory;

impl TypedFactory for QuicFactory {
    type Options = QuicOptions;

    fn name(&self) -> &'static str {
        "quic"
    }

    fn options(&self) -> Vec<TransportOption> {
        vec![
            Number::<Lanes>::option(),
            Number::<Connections>::option(),
            TransportOption {
                name: "congestion",
                default: "\"bbr\"".to_owned(),
                what: "how the rate is found: \"bbr\", \"cubic\" or \"newreno\"".to_owned(),
            },
            Number::<Bandwidth>::option(),
            Number::<Delay>::option(),
            Number::<KeepAlive>::option(),
            Number::<IdleTimeout>::option(),
            Number::<UdpBuffer>::option(),
            Number::<Mtu>::option(),
            TransportOption {
                name: "gso",
                default: "true".to_owned(),
                what: "whether packets are handed to the system many at a time; turn it off for a \
                       network card that loses them"
                    .to_owned(),
            },
        ]
    }

    fn make(
        &self,
        options: QuicOptions,
        context: &TransportContext,
    ) -> Result<Arc<dyn Transport>, BuildError> {
        if options.keep_alive.get() >= options.idle_timeout.get() {
            return Err(BuildError::Missing {
                what: format!(
                    "keep_alive has to be shorter than idle_timeout, and {} s is not shorter than \
                     {} s",
                    options.keep_alive.get(),
                    options.idle_timeout.get()
                ),
                source: None,
            });
        }
        let key = machine_key(context, "quic")?;
        let transport = QuicTransport::new(key, context.known.clone(), options);
        Ok(Arc::new(transport))
    }
}
