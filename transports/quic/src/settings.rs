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

/// What a connection is like, at either end.
pub(crate) fn transport(options: &QuicOptions) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    let window = window(options);
    config
        .max_concurrent_bidi_streams(MAX_STREAMS.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(window.into())
        .send_window(u64::from(window) * 2)
        .keep_alive_interval(Some(Duration::from_secs(options.keep_alive.get())))
        .max_idle_timeout(idle_timeout(options))
        .enable_segmentation_offload(options.gso);
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

/// How many bytes of one connection may be on their way: its part of bandwidth times delay, not less
/// than one stream may have, and not more than memory is for.
fn window(options: &QuicOptions) -> u32 {
    // Mbit/s times ms are kbit.
    let bytes = options.bandwidth.get() * options.delay.get() * 125;
    let part = bytes.div_ceil(options.connections.get());
    let part = u32::try_from(part).unwrap_or(u32::MAX);
    part.clamp(STREAM_WINDOW, MAX_CONNECTION_WINDOW)
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
    #[case::by_default(1000, 50, 4, 1_562_500)]
    #[case::a_slow_way(10, 20, 4, STREAM_WINDOW)]
    #[case::a_long_fat_way(10_000, 300, 4, MAX_CONNECTION_WINDOW)]
    #[case::few_connections(100, 120, 1, 1_500_000)]
    fn a_window_is_for_the_way_within_memory(
        #[case] bandwidth: u64,
        #[case] delay: u64,
        #[case] connections: u64,
        #[case] expected: u32,
    ) {
        let options = QuicOptions {
            bandwidth: Number::new(bandwidth).unwrap(),
            delay: Number::new(delay).unwrap(),
            connections: Number::new(connections).unwrap(),
            ..QuicOptions::default()
        };
        assert_eq!(window(&options), expected);
    }
}
