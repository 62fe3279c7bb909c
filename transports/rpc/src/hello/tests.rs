#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::num::NonZeroU64;
use std::time::Duration;

use proptest::prelude::*;
use rstest::rstest;
use tokio::io::duplex;

use super::*;
use crate::limits::Change;
use crate::tests::doubles::LONG;

fn hello() -> ClientHello {
    ClientHello {
        session: [7; 16],
        first: true,
        features: 3,
        program: "p".to_owned(),
        directory: "inbox".to_owned(),
        limits: None,
    }
}

/// What `send` writes.
async fn sent(hello: &impl Serialize) -> Vec<u8> {
    let (mut near, mut far) = duplex(1 << 17);
    send(&mut near, hello).await.unwrap();
    drop(near);
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).await.unwrap();
    bytes
}

/// What a server makes of these bytes, and what it answers to them.
async fn listened(bytes: &[u8]) -> (Result<ClientHello>, Vec<u8>) {
    let (mut near, mut far) = duplex(1 << 17);
    near.write_all(bytes).await.unwrap();
    near.shutdown().await.unwrap();
    let heard = listen(&mut far).await;
    drop(far);
    let mut answered = Vec::new();
    near.read_to_end(&mut answered).await.unwrap();
    (heard, answered)
}

/// What a client makes of an answer of these bytes.
async fn greeted(bytes: &[u8]) -> Result<Granted> {
    let (mut near, mut far) = duplex(1 << 17);
    far.write_all(bytes).await.unwrap();
    far.shutdown().await.unwrap();
    tokio::time::timeout(LONG, greet(&mut near, &hello()))
        .await
        .unwrap()
        .map(|greeted| greeted.granted)
}

fn welcome(grants: Vec<String>) -> ServerHello {
    ServerHello {
        features: 0,
        program: "q".to_owned(),
        outcome: Outcome::Welcome(Bounded(grants)),
    }
}

#[tokio::test]
async fn the_bytes_of_both_hellos_stay() {
    let mut expected = b"realize\0\x00\x01\x00\x1b".to_vec();
    expected.extend([7; 16]);
    expected.extend(b"\x01\x03\x01p\x05inbox\x00");
    assert_eq!(sent(&hello()).await, expected);

    let grants = vec!["list".to_owned(), "read".to_owned()];
    let expected = b"realize\0\x00\x01\x00\x0f\x00\x01q\x00\x02\x04list\x04read";
    assert_eq!(sent(&welcome(grants)).await, expected);

    let limits = InForce {
        up: NonZeroU64::new(300),
        down: None,
    };
    let limits = ServerHello {
        features: 0,
        program: "q".to_owned(),
        outcome: Outcome::Limits(limits),
    };
    let expected = b"realize\0\x00\x01\x00\x08\x00\x01q\x02\x01\xac\x02\x00";
    assert_eq!(sent(&limits).await, expected);
    let asking = ClientHello {
        directory: String::new(),
        limits: Some(LimitChange {
            up: Change::Lift,
            down: Change::Set(NonZeroU64::MIN),
        }),
        ..hello()
    };
    let mut expected = b"realize\0\x00\x01\x00\x19".to_vec();
    expected.extend([7; 16]);
    expected.extend(b"\x01\x03\x01p\x00\x01\x01\x02\x01");
    assert_eq!(sent(&asking).await, expected);

    let refused = ServerHello {
        features: 0,
        program: "q".to_owned(),
        outcome: Outcome::Refused(Error::new(ErrorKind::Busy, "no").into()),
    };
    let expected = b"realize\0\x00\x01\x00\x0a\x00\x01q\x01\x09\x02no\x00\x00";
    assert_eq!(sent(&refused).await, expected);
}

#[tokio::test]
async fn both_ends_understand_each_other() {
    let (mut near, mut far) = duplex(1024);
    let server = async {
        let heard = listen(&mut far).await.unwrap();
        assert_eq!(heard, hello());
        let rights = Granted::Rights(vec!["list".to_owned()]);
        answer(&mut far, 6, Ok(rights)).await.unwrap();
    };
    let said = hello();
    let (greeted, ()) = tokio::join!(greet(&mut near, &said), server);
    let greeted = greeted.unwrap();
    assert_eq!(greeted.granted, Granted::Rights(vec!["list".to_owned()]));
    // What only one of them can is not done.
    assert_eq!(greeted.features, 3 & 6);
}

#[tokio::test]
async fn a_refusal_arrives_with_its_kind_its_text_and_its_cause() {
    let (mut near, mut far) = duplex(1024);
    let server = async {
        listen(&mut far).await.unwrap();
        let refusal = Error::new(ErrorKind::Denied, "opening").because(io::Error::other("locked"));
        answer(&mut far, FEATURES, Err(refusal)).await.unwrap();
    };
    let said = hello();
    let (refused, ()) = tokio::join!(greet(&mut near, &said), server);
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(error.chain(), "opening: locked");
}

#[rstest]
#[case(0)]
#[case(2)]
#[case(u16::MAX)]
#[tokio::test]
async fn another_version_is_named_at_both_ends(#[case] version: u16) {
    let both = |error: &Error| {
        let text = error.chain();
        text.contains(&format!("version {version} ")) && text.ends_with("this one version 1")
    };
    let mut bytes = sent(&hello()).await;
    bytes.splice(8..10, version.to_be_bytes());
    let (heard, answered) = listened(&bytes).await;
    let error = heard.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(both(&error), "{}", error.chain());
    // The client hears the version of the server, in what holds for every version.
    assert_eq!(answered.get(..10), Some(&b"realize\0\x00\x01"[..]));

    let mut bytes = sent(&welcome(Vec::new())).await;
    bytes.splice(8..10, version.to_be_bytes());
    let error = greeted(&bytes).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(both(&error), "{}", error.chain());
}

#[rstest]
#[case(b"HTTP/1.1 400 Bad Request\r\n")]
#[case(b"SSH-2.0-OpenSSH_9.2\r\n")]
#[case(b"realize1\x00\x01\x00\x00")]
#[tokio::test]
async fn something_else_is_told_from_realize(#[case] bytes: &[u8]) {
    let error = greeted(bytes).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let (heard, answered) = listened(bytes).await;
    assert_eq!(heard.unwrap_err().kind(), ErrorKind::Protocol);
    assert_eq!(answered, b"");
}

#[tokio::test]
async fn a_hello_is_cut_at_every_byte() {
    let (client, server) = (sent(&hello()).await, sent(&welcome(Vec::new())).await);
    for cut in 0..client.len() {
        let (heard, answered) = listened(&client[..cut]).await;
        assert_eq!(heard.unwrap_err().kind(), ErrorKind::Network, "{cut}");
        assert_eq!(answered, b"");
    }
    assert!(listened(&client).await.0.is_ok());
    for cut in 0..server.len() {
        let error = greeted(&server[..cut]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{cut}");
    }
    assert!(greeted(&server).await.is_ok());
}

#[tokio::test]
async fn what_follows_a_hello_in_its_length_is_refused() {
    let mut bytes = sent(&hello()).await;
    bytes.push(0);
    *bytes.get_mut(11).unwrap() += 1;
    assert_eq!(
        listened(&bytes).await.0.unwrap_err().kind(),
        ErrorKind::Protocol
    );
}

#[rstest]
#[case(MAX_TEXT, 1, true)]
#[case(MAX_TEXT + 1, 1, false)]
#[case(1, MAX_TEXT, true)]
#[case(1, MAX_TEXT + 1, false)]
#[tokio::test]
async fn the_texts_of_a_client_are_bounded(
    #[case] program: usize,
    #[case] directory: usize,
    #[case] fits: bool,
) {
    let long = ClientHello {
        program: "p".repeat(program),
        directory: "d".repeat(directory),
        limits: None,
        ..hello()
    };
    let (heard, _) = listened(&sent(&long).await).await;
    match heard {
        Ok(heard) => assert!(fits && heard == long),
        Err(error) => assert!(!fits && error.kind() == ErrorKind::Protocol),
    }
}

#[rstest]
#[case(MAX_GRANTS, MAX_TEXT, true)]
#[case(MAX_GRANTS + 1, 1, false)]
#[case(1, MAX_TEXT + 1, false)]
#[tokio::test]
async fn the_texts_of_a_server_are_bounded(
    #[case] grants: usize,
    #[case] len: usize,
    #[case] fits: bool,
) {
    let grants = vec!["g".repeat(len); grants];
    match greeted(&sent(&welcome(grants.clone())).await).await {
        Ok(found) => assert!(fits && found == Granted::Rights(grants)),
        Err(error) => assert!(!fits && error.kind() == ErrorKind::Protocol),
    }
}

/// A stream that cannot be written to, as the other end has gone, after it said something.
#[tokio::test]
async fn what_a_peer_said_before_it_went_is_the_reason() {
    let (mut near, mut far) = duplex(1024);
    answer(&mut far, 0, Err(Error::new(ErrorKind::Busy, "full")))
        .await
        .unwrap();
    drop(far);
    let error = greet(&mut near, &hello()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
}

#[tokio::test(start_paused = true)]
async fn silence_is_for_whoever_waits_to_bound() {
    let (_near, mut far) = duplex(1024);
    let hour = Duration::from_secs(3600);
    assert!(tokio::time::timeout(hour, listen(&mut far)).await.is_err());
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(future)
}

proptest! {
    #[test]
    fn any_bytes_are_a_hello_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = run(listened(&bytes));
        let _ = run(greeted(&bytes));
        let mut behind = b"realize\0\x00\x01".to_vec();
        behind.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
        behind.extend(&bytes);
        let _ = run(listened(&behind));
        let _ = run(greeted(&behind));
    }

    #[test]
    fn a_hello_with_a_byte_changed_is_a_hello_or_an_error(at in 0usize..39, to in any::<u8>()) {
        let mut bytes = run(sent(&hello()));
        prop_assert_eq!(bytes.len(), 39);
        bytes[at] = to;
        let _ = run(listened(&bytes));
    }
}
