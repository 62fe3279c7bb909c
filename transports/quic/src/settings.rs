//! What QUIC is told of windows, timers and congestion: how the options become quinn's.

use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::{BbrConfig, CubicConfig, NewRenoConfig};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TransportConfig,
    VarInt,
};
use realize_core::known_peers::KnownPeers;
use realize_tls::{ALPN, MAX_PENDING, PrivateKey, PublicKey, client_config, server_config};

use crate::config::{Congestion, QuicOptions};
use crate::limits::{MAX_CONNECTION_WINDOW, MAX_STREAMS, STREAM_WINDOW};

/// How many bytes of a connection are kept before its handshake is begun.
const BUFFERED: u64 = 64 << 10;

/// The largest packet of which ten fit into what the system takes at once, which is 65,507 bytes.
/// Larger ones would be refused by the system, and count as lost.
const MAX_SEGMENT: u64 = 65_507 / 10;

/// What a connection is like, at either end.
pub(crate) fn transport(options: &QuicOptions) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    let windows = Windows::of(options);
    config
        .max_concurrent_bidi_streams(MAX_STREAMS.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(windows.stream.into())
        .receive_window(windows.connection.into())
        .send_window(u64::from(windows.connection) * 2)
        .keep_alive_interval(Some(Duration::from_secs(options.keep_alive.get())))
        .max_idle_timeout(idle_timeout(options))
        .enable_segmentation_offload(options.gso && options.mtu.get() <= MAX_SEGMENT);
    let mut discovery = MtuDiscoveryConfig::default();
    // The range of the option fits.
    discovery.upper_bound(u16::try_from(options.mtu.get()).unwrap_or(u16::MAX));
    config.mtu_discovery_config(Some(discovery));
    match options.congestion {
        Congestion::Bbr => config.congestion_controller_factory(Arc::new(BbrConfig::default())),
        Congestion::Cubic => config.congestion_controller_factory(Arc::new(CubicConfig::default())),
        Congestion::NewReno => {
            config.congestion_controller_factory(Arc::new(NewRenoConfig::default()))
        }
    };
    Arc::new(config)
}

/// How many bytes may arrive before they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    /// Of one stream.
    pub(crate) stream: u32,
    /// Of all streams of one connection.
    pub(crate) connection: u32,
}

impl Windows {
    /// A connection's window is its part of bandwidth times delay, not more than memory is for, and
    /// not less than its streams have together: one that is full because nobody reads must not hold
    /// up the others. QUIC tells of room in a connection's window when an eighth of it has been read,
    /// so all streams but one leave twice that to the last.
    pub(crate) fn of(options: &QuicOptions) -> Self {
        let most = u64::from(MAX_CONNECTION_WINDOW);
        let streams = options.lanes.get().div_ceil(options.connections.get());
        let others = (streams - 1).max(1);
        let stream = u64::from(STREAM_WINDOW)
            .min(most / streams)
            .min(most / 4 * 3 / others);
        // Mbit/s times ms are kbit.
        let bytes = options.bandwidth.get() * options.delay.get() * 125;
        let part = bytes.div_ceil(options.connections.get());
        let fit = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
        let least = if streams == 1 { stream } else { most };
        Self {
            stream: fit(stream),
            connection: fit(part.clamp(least, most)),
        }
    }
}

fn idle_timeout(options: &QuicOptions) -> Option<IdleTimeout> {
    let timeout = Duration::from_secs(options.idle_timeout.get());
    // The range of the option fits into what QUIC can say.
    IdleTimeout::try_from(timeout).ok()
}

/// What a client is that wants the server whose key is `expected`.
///
/// # Errors
/// What rustls or quinn do not take; there should be nothing.
pub(crate) fn client(
    key: &PrivateKey,
    expected: &PublicKey,
    transport: Arc<TransportConfig>,
) -> Result<ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
    let tls = client_config(key, expected, ALPN)?;
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport);
    Ok(config)
}

/// What a server is for those in `known`.
///
/// # Errors
/// As [`client`].
pub(crate) fn server(
    key: &PrivateKey,
    known: &KnownPeers,
    transport: Arc<TransportConfig>,
) -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let tls = server_config(key, known, ALPN)?;
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config
        .transport_config(transport)
        .max_incoming(MAX_PENDING)
        .incoming_buffer_size(BUFFERED)
        .incoming_buffer_size_total(BUFFERED * 16);
    Ok(config)
}

/// What a socket is. Its secrets follow from the machine's key, so that a daemon that was started
/// again can tell the peers of the one before that it knows nothing of their connections.
pub(crate) fn endpoint(key: &PrivateKey, options: &QuicOptions) -> EndpointConfig {
    let reset = key.derive("realize quic stateless reset");
    let reset = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, reset.as_slice());
    let mut config = EndpointConfig::new(Arc::new(reset));
    let ids = key.derive("realize quic connection ids");
    let ids = ids
        .iter()
        .take(8)
        .fold(0, |key, byte| key << 8 | u64::from(*byte));
    config.cid_generator(move || Box::new(quinn_proto::HashedConnectionIdGenerator::from_key(ids)));
    let size = u16::try_from(options.mtu.get()).unwrap_or(u16::MAX);
    // It refuses what is less than 1200, which the range of the option does too.
    let _ = config.max_udp_payload_size(size.max(1472));
    config
}

#[cfg(test)]
mod tests {
    use realize_core::number::Number;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::by_default(8, 4, 1000, 50, (1 << 20, 2 << 20))]
    #[case::a_stream_each(4, 4, 1000, 50, (1 << 20, 1_562_500))]
    #[case::a_stream_each_on_a_slow_way(4, 4, 10, 20, (1 << 20, 1 << 20))]
    #[case::a_stream_each_on_a_long_fat_way(4, 4, 10_000, 300, (1 << 20, 2 << 20))]
    #[case::more_connections_than_lanes(1, 8, 100, 120, (1 << 20, 1 << 20))]
    #[case::an_odd_number_of_lanes(5, 4, 10, 20, (1 << 20, 2 << 20))]
    #[case::three_to_a_connection(3, 1, 10, 20, (699_050, 2 << 20))]
    #[case::all_over_one(16, 1, 1000, 50, (104_857, 2 << 20))]
    fn windows_are_for_the_way_and_the_streams_within_memory(
        #[case] lanes: u64,
        #[case] connections: u64,
        #[case] bandwidth: u64,
        #[case] delay: u64,
        #[case] (stream, connection): (u32, u32),
    ) {
        let options = QuicOptions {
            lanes: Number::new(lanes).unwrap(),
            connections: Number::new(connections).unwrap(),
            bandwidth: Number::new(bandwidth).unwrap(),
            delay: Number::new(delay).unwrap(),
            ..QuicOptions::default()
        };
        let expected = Windows { stream, connection };
        assert_eq!(Windows::of(&options), expected);
    }

    #[test]
    fn streams_that_are_full_leave_room_to_the_last_of_their_connection() {
        for (lanes, connections) in (1..=16).flat_map(|l| (1..=8).map(move |c| (l, c))) {
            let options = QuicOptions {
                lanes: Number::new(lanes).unwrap(),
                connections: Number::new(connections).unwrap(),
                ..QuicOptions::default()
            };
            let Windows { stream, connection } = Windows::of(&options);
            let streams = u32::try_from(lanes.div_ceil(connections)).unwrap();
            assert!(stream * streams <= connection, "{lanes}, {connections}");
            let left = connection - stream * (streams - 1);
            assert!(left >= connection / 4, "{lanes}, {connections}");
        }
    }
}
