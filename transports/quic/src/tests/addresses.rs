//! Where machines listen and dial.

use rstest::rstest;

use super::*;

#[tokio::test]
async fn each_end_is_told_who_the_other_is() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let (near, far) = machines.meet(&mut listener, &at).await;
    assert_eq!(near.peer, machines.nas_peer());
    assert_eq!(near.address, at.as_str());
    assert_eq!(far.peer, machines.cam_peer());
    assert!(far.address.starts_with("127.0.0.1:"), "{}", far.address);
}

#[rstest]
#[case("127.0.0.1:0")]
#[case("localhost:0")]
#[tokio::test]
async fn for_port_0_the_system_chooses_one_that_is_told(#[case] asked: &str) {
    let machines = Machines::new();
    let mut listener = machines.nas.listen(&endpoint(asked)).await.unwrap();
    let at = listener.endpoint();
    assert!(!at.as_str().ends_with(":0"), "{at}");
    let (near, _far) = machines.meet(&mut listener, &at).await;
    assert_eq!(near.address, at.as_str());
}

#[tokio::test]
async fn a_name_is_looked_up() {
    let machines = Machines::new();
    let listener = machines.nas.listen(&endpoint("localhost:0")).await;
    let mut listener = listener.unwrap();
    let at = listener.endpoint();
    let (_, port) = at.as_str().rsplit_once(':').unwrap();
    let by_name = endpoint(&format!("localhost:{port}"));
    let (mut near, mut far) = machines.meet(&mut listener, &by_name).await;
    talk((&mut near, &mut far), 1000).await;
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
    for host in ["127.0.0.1", "[::1]"] {
        let at = endpoint(&format!("{host}:{port}"));
        let (near, far) = machines.meet(&mut listener, &at).await;
        assert_eq!(near.address, at.as_str());
        let from = far.address.as_str();
        assert!(from.starts_with(&format!("{host}:")), "{from}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_refused_with_the_cause() {
    let machines = Machines::new();
    let (_listener, at) = machines.listen().await;
    let error = machines.nas.listen(&at).await.unwrap_err();
    assert!(matches!(error, TransportError::Address { .. }), "{error:?}");
    let text = chain(&error);
    let named = format!("{at}: cannot be listened at: ");
    assert!(text.starts_with(&named), "{text}");
    assert!(text.contains("in use"), "{text}");
}

#[tokio::test]
async fn an_address_of_another_machine_cannot_be_listened_at() {
    let machines = Machines::new();
    let at = endpoint("192.0.2.1:0");
    let error = machines.nas.listen(&at).await.unwrap_err();
    assert!(matches!(error, TransportError::Address { .. }), "{error:?}");
    assert!(chain(&error).contains("192.0.2.1:0"), "{error}");
}

#[tokio::test]
async fn who_does_not_listen_is_named() {
    let machines = Machines::new();
    let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = endpoint(&nobody.local_addr().unwrap().to_string());
    drop(nobody);
    let error = machines.dial(&at).await.unwrap_err();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(chain(&error).contains(at.as_str()), "{error}");
}

#[rstest]
#[case("127.0.0.1")]
#[case("127.0.0.1:")]
#[case("127.0.0.1:65536")]
#[case("::1:80")]
#[tokio::test]
async fn what_is_no_address_is_refused(#[case] text: &str) {
    let machines = Machines::new();
    let at = endpoint(text);
    for error in [
        machines.dial(&at).await.unwrap_err(),
        machines.nas.listen(&at).await.unwrap_err(),
    ] {
        assert!(matches!(error, TransportError::Address { .. }), "{error:?}");
        assert!(chain(&error).contains(text), "{error}");
    }
}
