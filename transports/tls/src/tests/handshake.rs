//! Two machines that know each other, and one that ceases to.

use rustls::ProtocolVersion;

use super::*;

#[tokio::test]
async fn both_sides_know_whom_they_talk_to() {
    let pair = Pair::new();
    let (client, server) = pair.connect().await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    let (_, at_client) = client.get_ref();
    assert_eq!(at_client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(at_client.alpn_protocol(), Some(ALPN));
    let shown = at_client.peer_certificates().unwrap();
    assert_eq!(peer_key(shown).as_ref(), Ok(pair.server.public_key()));
    assert_eq!(shown[0].len(), PublicKey::SPKI_LEN);
    let (_, at_server) = server.get_ref();
    assert_eq!(at_server.alpn_protocol(), Some(ALPN));
    assert_eq!(at_server.server_name(), None);
    let shown = at_server.peer_certificates().unwrap();
    assert_eq!(peer_key(shown).as_ref(), Ok(pair.client.public_key()));

    client.write_all(b"there").await.unwrap();
    client.flush().await.unwrap();
    let mut bytes = [0; 5];
    server.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"there");
    server.write_all(b"and back").await.unwrap();
    server.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, b"and back");
}

#[tokio::test]
async fn a_key_of_a_file_is_the_same_to_the_other_end() {
    let mut pair = Pair::new();
    pair.client = PrivateKey::from_pem(pair.client.to_pem().as_bytes()).unwrap();
    let (client, server) = pair.connect().await;
    assert!(client.is_ok() && server.is_ok());
}

#[tokio::test]
async fn a_revoked_key_is_refused_from_the_next_connection_on() {
    let pair = Pair::new();
    let (client_config, server_config) = (pair.client_config(), pair.server_config());
    let (client, server) = connect(client_config.clone(), server_config.clone()).await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    // With a ticket, were there one, the client could come back.
    server.write_all(b"hello").await.unwrap();
    server.flush().await.unwrap();
    let mut bytes = [0; 5];
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(client.get_ref().1.tls13_tickets_received(), 0);

    pair.known.replace([]).unwrap();
    let (client, server) = connect(client_config.clone(), server_config.clone()).await;
    let found = *pair.client.public_key();
    assert_eq!(
        refused_key(&of_tls(server.unwrap_err())),
        Some(&RefusedKey::Unknown { found })
    );
    learns_of_refusal(client).await;

    pair.known.replace([found.peer_id().unwrap()]).unwrap();
    let (client, server) = connect(client_config, server_config).await;
    assert!(client.is_ok() && server.is_ok());
}

#[tokio::test]
async fn every_connection_is_a_full_handshake() {
    let pair = Pair::new();
    let (client_config, server_config) = (pair.client_config(), pair.server_config());
    for _ in 0..3 {
        let (client, server) = connect(client_config.clone(), server_config.clone()).await;
        let (client, server) = (client.unwrap(), server.unwrap());
        let full = Some(rustls::HandshakeKind::Full);
        assert_eq!(client.get_ref().1.handshake_kind(), full);
        assert_eq!(server.get_ref().1.handshake_kind(), full);
    }
    assert_eq!(server_config.send_tls13_tickets, 0);
    assert_eq!(server_config.max_early_data_size, 0);
    assert!(!client_config.enable_early_data);
    assert!(!server_config.ticketer.enabled());
}
