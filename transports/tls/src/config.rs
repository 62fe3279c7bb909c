//! TLS as both ends speak it: 1.3 alone, each showing its raw public key (RFC 7250).
//!
//! Nothing of a connection outlives it. There are no tickets, no resumption and no early data: each
//! connection proves both keys afresh, so a revoked key has no way back in, and nothing that was
//! sent can be replayed.

use std::net::Ipv4Addr;
use std::sync::Arc;

use realize_core::known_peers::KnownPeers;
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, Error, ServerConfig};

use crate::key::{PrivateKey, PublicKey};
use crate::verifier::{ExpectedServer, KnownClients};

/// The protocol that realize speaks over TLS, by its name in ALPN.
pub const ALPN: &[u8] = b"realize/1";

/// What a server is, with the key of this machine, for the clients that are in `known`, as
/// [`PublicKey::peer_id`] names them, when they connect; `alpn` is the name of the protocol, [`ALPN`]. A client that names another protocol
/// is refused; one that names none is not, over a stream: what is spoken has to say what it is.
///
/// # Errors
/// An error of rustls if it takes neither the key nor TLS 1.3, which no key that
/// [`PrivateKey`] holds should lead to.
pub fn server_config(
    key: &PrivateKey,
    known: &KnownPeers,
    alpn: &[u8],
) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(provider());
    let clients = Arc::new(KnownClients {
        known: known.clone(),
        algorithms: provider.signature_verification_algorithms,
    });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(shown(
            key,
        )?)));
    config.alpn_protocols = vec![alpn.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.send_half_rtt_data = false;
    // The order is the client's, unless this end is the one that lacks the instructions.
    config.ignore_client_order = !aes_in_hardware();
    Ok(Arc::new(config))
}

/// What a client is, with the key of this machine, that wants the server whose key is `expected`
/// and no other; `alpn` is the name of the protocol, [`ALPN`].
///
/// # Errors
/// As [`server_config`].
pub fn client_config(
    key: &PrivateKey,
    expected: &PublicKey,
    alpn: &[u8],
) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(provider());
    let server = Arc::new(ExpectedServer {
        key: *expected,
        algorithms: provider.signature_verification_algorithms,
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(server)
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(shown(
            key,
        )?)));
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    Ok(Arc::new(config))
}

/// A server's name, where rustls asks for one: a server is known by its key, and its name is
/// neither sent nor looked at. Where a text is asked for, it is `0.0.0.0`.
pub fn server_name() -> ServerName<'static> {
    ServerName::from(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// The key of this machine, as it is shown to the other end.
fn shown(key: &PrivateKey) -> Result<Arc<CertifiedKey>, Error> {
    let spki = CertificateDer::from(key.public_key().to_spki().to_vec());
    Ok(Arc::new(CertifiedKey::new(vec![spki], key.signing_key()?)))
}

/// The cryptography: that of AWS-LC, with the cipher first that this machine is fastest at.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    let aes = [
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
    ];
    let chacha = [cipher_suite::TLS13_CHACHA20_POLY1305_SHA256];
    provider.cipher_suites = if aes_in_hardware() {
        [aes.as_slice(), &chacha].concat()
    } else {
        [chacha.as_slice(), &aes].concat()
    };
    provider
}

/// Whether the processor has instructions for AES; where it has none, as in some small boards,
/// ChaCha20 is several times as fast.
fn aes_in_hardware() -> bool {
    #[cfg(target_arch = "x86_64")]
    let aes = std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    let aes = std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let aes = false;
    aes
}
