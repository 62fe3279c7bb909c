//! Where machines listen and dial.

use rstest::rstest;

use super::*;

#[tokio::test]
async fn each_end_is_told_who_the_other_is() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let (near, far) = tokio::join!(machines.dial(&at), prove(&mut listener));
    let (near, far) = (near.unwrap(), far.unwrap());
    assert_eq!(near.peer, machines.nas_peer());
    assert_eq!(near.address, at.as_str());
    assert_eq!(far.peer, machines.cam_peer());
    assert!(far.address.starts_with("127.0.0.1:"), "{}", far.address);
}

#[tokio::test]
async fn a_name_is_looked_up_on_both_sides() {
    let machines = Machines::new();
    let listener = machines.nas.listen(&endpoint("localhost:0")).await;
    let mut listener = listener.unwrap();
    let at = listener.endpoint();
    let (_, port) = at.as_str().rsplit_once(':').unwrap();
    let by_name = endpoint(&format!("localhost:{port}"));
    let (near, far) = tokio::join!(machines.dial(&by_name), prove(&mut listener));
    assert_eq!(near.unwrap().address, at.as_str());
    far.unwrap();
}

#[tokio::test]
async fn an_ipv6_listener_takes_ipv4_and_says_so() {
    let machines = Machines::new();
    let Ok(mut listener) = machines.nas.listen(&endpoint("[::]:0")).await else {
        eprintln!("NOT TESTED: IPv6, which this machine does not have");
        return;
    };
    let at = listener.endpoint();
    let port = at.as_str().strip_prefix("[::]:").unwrap();
    let by_v4 = endpoint(&format!("127.0.0.1:{port}"));
    let (near, far) = tokio::join!(machines.dial(&by_v4), prove(&mut listener));
    near.unwrap();
    let address = far.unwrap().address;
    assert!(address.starts_with("127.0.0.1:"), "{address}");

    let by_v6 = endpoint(&format!("[::1]:{port}"));
    let (near, far) = tokio::join!(machines.dial(&by_v6), prove(&mut listener));
    near.unwrap();
    let address = far.unwrap().address;
    assert!(address.starts_with("[::1]:"), "{address}");
}

#[tokio::test]
async fn a_port_in_use_is_refused_with_the_cause() {
    let machines = Machines::new();
    let (_listener, at) = machines.listen().await;
    let error = machines.nas.listen(&at).await.unwrap_err();
    assert!(matches!(error, TransportError::Address { .. }), "{error:?}");
    let text = chain(&error);
    assert!(
        text.starts_with(&format!("{at}: cannot be listened at: ")),
        "{text}"
    );
    assert!(text.contains("in use"), "{text}");
}

#[tokio::test]
async fn an_address_of_another_machine_cannot_be_listened_at() {
    let machines = Machines::new();
    let error = machines.nas.listen(&endpoint("192.0.2.1:0")).await;
    let error = error.unwrap_err();
    assert!(matches!(error, TransportError::Address { .. }), "{error:?}");
}

#[tokio::test]
async fn an_address_is_free_again_after_its_listener() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    // With a connection that fades away at the listener's side.
    let (near, far) = tokio::join!(machines.dial(&at), prove(&mut listener));
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    far.stream.shutdown().await.unwrap();
    near.stream.shutdown().await.unwrap();
    drop((far, near, listener));
    let mut listener = machines.nas.listen(&at).await.unwrap();
    let (near, far) = tokio::join!(machines.dial(&at), prove(&mut listener));
    assert!(near.is_ok() && far.is_ok());
}

#[tokio::test]
async fn nobody_listening_is_unreachable_with_the_cause() {
    let machines = Machines::new();
    let (listener, at) = machines.listen().await;
    drop(listener);
    let error = machines.dial(&at).await.unwrap_err();
    let TransportError::Unreachable { source, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(source.kind(), ErrorKind::ConnectionRefused);
    let text = chain(&error);
    assert!(
        text.starts_with(&format!("{at}: cannot be reached: ")),
        "{text}"
    );
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_unreachable() {
    let machines = Machines::new();
    let nowhere = endpoint("nowhere.invalid:9771");
    let error = machines.dial(&nowhere).await.unwrap_err();
    let TransportError::Unreachable { endpoint, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(endpoint, &nowhere);
    // Nor can it be listened at, and that is nothing to wait for.
    let error = machines.nas.listen(&nowhere).await.unwrap_err();
    assert!(matches!(error, TransportError::Address { .. }), "{error:?}");
}

#[rstest]
#[case("127.0.0.1")]
#[case("::1:9771")]
#[case("/run/realize.sock")]
#[tokio::test]
async fn a_malformed_endpoint_is_refused(#[case] text: &str) {
    let machines = Machines::new();
    let malformed = endpoint(text);
    for error in [
        machines.dial(&malformed).await.unwrap_err(),
        machines.nas.listen(&malformed).await.unwrap_err(),
    ] {
        assert!(matches!(error, TransportError::Address { .. }), "{error:?}");
        assert!(error.to_string().contains("expected HOST:PORT"), "{error}");
    }
}
