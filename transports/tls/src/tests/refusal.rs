//! Everybody else: strangers, impostors, older protocols, certificates.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, ResolvesClientCert};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};

use super::*;

/// Believes everybody: what a client may be that is none of ours.
#[derive(Debug)]
struct Gullible {
    raw: bool,
}

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ED25519,
            SignatureScheme::ECDSA_NISTP256_SHA256,
        ]
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.raw
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

/// A client that believes everybody and shows what `resolver` says, if anything.
fn foreign_client(
    version: &'static rustls::SupportedProtocolVersion,
    raw: bool,
    resolver: Option<Arc<dyn ResolvesClientCert>>,
) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible { raw }));
    Arc::new(match resolver {
        Some(resolver) => builder.with_client_cert_resolver(resolver),
        None => builder.with_no_client_auth(),
    })
}

/// `shown` with the power to sign of `signing`.
fn identity(shown: &[u8], signing: &PrivateKey) -> Arc<CertifiedKey> {
    let shown = CertificateDer::from(shown.to_vec());
    Arc::new(CertifiedKey::new(
        vec![shown],
        signing.signing_key().unwrap(),
    ))
}

/// That the server refuses `client` within the handshake, and with which error.
async fn refuses(pair: &Pair, client: Arc<ClientConfig>) -> Error {
    let (client, server) = connect(client, pair.server_config()).await;
    let error = of_tls(server.unwrap_err());
    // Either the client is told in its handshake, or when it reads.
    if let Ok(mut client) = client {
        client.read_u8().await.unwrap_err();
    }
    error
}

#[tokio::test]
async fn a_client_that_finds_another_server_sends_it_nothing() {
    let pair = Pair::new();
    let other = PrivateKey::generate().unwrap();
    let expected = *other.public_key();
    let config = client_config(&pair.client, &expected, ALPN).unwrap();
    let (client, server) = connect(config, pair.server_config()).await;
    let found = *pair.server.public_key();
    let error = of_tls(client.unwrap_err());
    let refused = refused_key(&error).unwrap();
    assert_eq!(refused, &RefusedKey::Unexpected { expected, found });
    assert_eq!(
        refused.to_string(),
        format!("expected {expected}, found {found}")
    );
    // The server got no further than the alert: no stream, no key of the client, no byte.
    let error = of_tls(server.unwrap_err());
    assert!(
        refused_by_peer(&error) && refused_key(&error).is_none(),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_stranger_is_refused_by_the_server_and_learns_of_it_when_it_reads() {
    let mut pair = Pair::new();
    pair.client = PrivateKey::generate().unwrap();
    let found = *pair.client.public_key();
    let (client, server) = pair.connect().await;
    let error = of_tls(server.unwrap_err());
    let refused = refused_key(&error).unwrap();
    assert_eq!(refused, &RefusedKey::Unknown { found });
    assert_eq!(refused.to_string(), format!("{found} is not known here"));
    learns_of_refusal(client).await;
}

#[tokio::test]
async fn a_server_that_knows_nobody_lets_nobody_in() {
    let mut pair = Pair::new();
    pair.known = KnownPeers::default();
    let (client, server) = pair.connect().await;
    assert!(server.is_err());
    learns_of_refusal(client).await;
}

#[tokio::test]
async fn a_peer_whose_name_is_not_its_key_is_let_in_by_nothing() {
    let pair = Pair::new();
    let text = pair.client.public_key().to_string();
    let key = text.strip_prefix("ed25519:").unwrap();
    let others = [
        format!("other:{key}"),
        format!("ed25519:{}", key.trim_end_matches('=')),
        "local:".to_owned(),
    ];
    let others = others.map(|other| PeerId::new(other).unwrap());
    pair.known.replace(others).unwrap();
    let (client, server) = pair.connect().await;
    assert!(server.is_err());
    learns_of_refusal(client).await;
}

#[tokio::test]
async fn a_known_public_key_without_its_private_key_is_refused() {
    let pair = Pair::new();
    let thief = PrivateKey::generate().unwrap();
    let stolen = identity(&pair.client.public_key().to_spki(), &thief);
    let resolver = Arc::new(AlwaysResolvesClientRawPublicKeys::new(stolen));
    let error = refuses(&pair, foreign_client(&TLS13, true, Some(resolver))).await;
    assert!(matches!(error, Error::InvalidCertificate(_)), "{error:?}");
    assert!(error.to_string().contains("BadSignature"), "{error}");
}

#[tokio::test]
async fn a_server_with_the_public_key_alone_is_refused() {
    let pair = Pair::new();
    let thief = PrivateKey::generate().unwrap();
    let mut config = ServerConfig::clone(&pair.server_config());
    let stolen = identity(&pair.server.public_key().to_spki(), &thief);
    config.cert_resolver = Arc::new(AlwaysResolvesServerRawPublicKeys::new(stolen));
    let (client, server) = connect(pair.client_config(), Arc::new(config)).await;
    let error = of_tls(client.unwrap_err());
    assert!(error.to_string().contains("BadSignature"), "{error}");
    assert!(server.is_err());
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let pair = Pair::new();
    let spki = pair.client.public_key().to_spki();
    for shown in [
        &[][..],
        &spki[..43],
        &[spki.as_slice(), &[0]].concat(),
        &[0x30; 4096],
    ] {
        let resolver = AlwaysResolvesClientRawPublicKeys::new(identity(shown, &pair.client));
        let client = foreign_client(&TLS13, true, Some(Arc::new(resolver)));
        let error = refuses(&pair, client).await;
        assert!(!matches!(error, Error::AlertReceived(_)), "{error:?}");
    }
}

#[tokio::test]
async fn two_keys_are_refused() {
    let pair = Pair::new();
    let mut two = CertifiedKey::clone(&identity(&pair.client.public_key().to_spki(), &pair.client));
    two.cert.push(two.cert[0].clone());
    let resolver = AlwaysResolvesClientRawPublicKeys::new(Arc::new(two));
    let error = refuses(
        &pair,
        foreign_client(&TLS13, true, Some(Arc::new(resolver))),
    )
    .await;
    let count = RefusedKey::Unreadable(KeyError::Count { found: 2 });
    assert_eq!(refused_key(&error), Some(&count), "{error:?}");
}

#[tokio::test]
async fn a_client_without_a_key_is_refused() {
    let pair = Pair::new();
    let error = refuses(&pair, foreign_client(&TLS13, true, None)).await;
    assert!(
        matches!(
            error,
            Error::NoCertificatesPresented | Error::PeerIncompatible(_)
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_client_with_a_certificate_is_refused() {
    let pair = Pair::new();
    // The key in the certificate is a known one, and what is around it decides nothing.
    let certificate = identity(&pair.client.public_key().to_spki(), &pair.client);
    let resolver = Arc::new(SingleCertAndKey::from(certificate));
    for raw in [false, true] {
        let error = refuses(&pair, foreign_client(&TLS13, raw, Some(resolver.clone()))).await;
        assert!(matches!(error, Error::PeerIncompatible(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_with_a_certificate_is_refused() {
    let pair = Pair::new();
    let certificate = identity(&pair.server.public_key().to_spki(), &pair.server);
    let resolver: Arc<dyn ResolvesServerCert> =
        Arc::new(SingleCertAndKey::from(CertifiedKey::clone(&certificate)));
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    let (client, server) = connect(pair.client_config(), Arc::new(config)).await;
    assert!(client.is_err() && server.is_err());
}

#[tokio::test]
async fn tls_1_2_is_refused_on_both_sides() {
    let pair = Pair::new();
    let error = refuses(&pair, foreign_client(&TLS12, false, None)).await;
    assert!(matches!(error, Error::PeerIncompatible(_)), "{error:?}");

    let key = identity(&pair.server.public_key().to_spki(), &pair.server);
    let old = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    let (client, server) = connect(pair.client_config(), Arc::new(old)).await;
    assert!(client.is_err());
    let error = of_tls(server.unwrap_err());
    let incompatible = PeerIncompatible::Tls12NotOfferedOrEnabled;
    assert!(matches!(error, Error::PeerIncompatible(e) if e == incompatible));
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let pair = Pair::new();
    let other = client_config(&pair.client, pair.server.public_key(), b"h2").unwrap();
    let error = refuses(&pair, other).await;
    assert_eq!(error, Error::NoApplicationProtocol);
}

#[tokio::test]
async fn noise_is_refused() {
    let pair = Pair::new();
    let noise = [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 64],
        &[0xff; 70_000],
        &[0x16, 3, 1, 0xff],
    ];
    for bytes in noise {
        let (mut near, far) = tokio::io::duplex(128 * 1024);
        near.write_all(bytes).await.unwrap();
        near.shutdown().await.unwrap();
        let server = TlsAcceptor::from(pair.server_config()).accept(far).await;
        assert!(server.is_err());
    }
}

#[test]
fn refusals_are_told_from_other_alerts() {
    for alert in [42, 43, 44, 45, 46, 48, 49, 116] {
        assert!(is_refusal(alert));
    }
    for alert in [0, 10, 20, 40, 47, 50, 51, 70, 80, 109, 120] {
        assert!(!is_refusal(alert));
    }
    assert!(!refused_by_peer(&Error::DecryptError));
    assert!(tls_error(&io::Error::other("else")).is_none());
    assert_eq!(peer_key(&[]), Err(KeyError::Count { found: 0 }));
}
