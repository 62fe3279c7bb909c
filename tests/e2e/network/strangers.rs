//! Whoever speaks to a daemon without being a mover, and whatever a mover finds in a daemon's place.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use realize_core::known_peers::KnownPeers;
use realize_core::transport::{Connection, Endpoint, Transport};
use realize_tcp::{TcpOptions, TcpTransport};
use realize_test_kit::odd_tree::{bytes, snapshot};
use realize_tls::{PrivateKey, load_private_key};
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use super::machines::{Daemon, EVERYTHING, Machines, Way, assert_moved, write};
use crate::memory::high_water;
use crate::program::wait_until;

/// How many come at once.
const CROWD: usize = 1000;
/// The most that the daemon may hold in memory all the while, in KiB.
const LIMIT_KIB: u64 = 64 << 10;
/// How long something may take that takes no time.
const SOON: Duration = Duration::from_secs(60);
/// What hello begins with: the magic and the version.
const HELLO: &[u8] = b"realize\0\0\x01";

/// Holds the daemon to serving on, within its memory.
#[track_caller]
fn assert_serves(machines: &Machines, daemon: &Daemon) {
    write(&machines.source(), "d/file", &bytes(3, 100_000));
    let before = snapshot(&machines.source()).unwrap();
    let outcome = machines.mover(Way::ToNas).run();
    assert_eq!(outcome.code(), 0, "{outcome}\nthe daemon: {}", daemon.log());
    assert_moved(&before, &machines.source(), &machines.inbox(), &outcome);
    let status = format!("/proc/{}/status", daemon.running.pid());
    let peak = high_water(&fs::read_to_string(status).unwrap()).unwrap();
    assert!(peak < LIMIT_KIB, "{peak} KiB");
}

/// What each of a crowd does once it is connected.
#[rstest]
#[case::silence(b"")]
#[case::half_of_tls(b"\x16\x03\x01\x02\x00\x01\x00")]
#[case::garbage(&[0xa5; 4096])]
#[case::http(b"GET / HTTP/1.1\r\nHost: nas\r\n\r\n")]
fn a_crowd_of_strangers_keeps_nobody_out(#[case] said: &[u8]) {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    let crowd: Vec<TcpStream> = (0..CROWD)
        .map(|i| {
            let mut stream = TcpStream::connect(&daemon.address).unwrap();
            // Whom the daemon has had enough of already may say no more.
            let _ = stream.write_all(said);
            if i % 2 == 0 {
                let _ = stream.shutdown(Shutdown::Write);
            }
            stream
        })
        .collect();

    assert_serves(&machines, &daemon);

    drop(crowd);
    // A line for each would be another way to fill a disk.
    let log = daemon.log();
    let lines = log.matches("event=peer.rejected").count();
    assert!((1..50).contains(&lines), "{lines} lines: {log}");
    daemon.stop().expect(0);
}

fn key(machines: &Machines, name: &str) -> PrivateKey {
    load_private_key(&machines.path(name).join("key.pem")).unwrap()
}

/// The cam's key, in the hands of something else than realize.
async fn impostor(machines: &Machines, daemon: &Daemon) -> Connection {
    let known = KnownPeers::default();
    let transport = TcpTransport::new(key(machines, "cam"), known, TcpOptions::default());
    let nas = key(machines, "nas").public_key().peer_id().unwrap();
    let address = Endpoint::new(&*daemon.address).unwrap();
    transport.dial(&address, &nas).await.unwrap()
}

/// A client's hello about this directory.
fn hello(directory: &str) -> Vec<u8> {
    let mut body = vec![9; 16];
    body.extend([1, 0]);
    for text in ["test", directory] {
        body.push(u8::try_from(text.len()).unwrap());
        body.extend(text.as_bytes());
    }
    // It does not ask for limits.
    body.push(0);
    let len = u16::try_from(body.len()).unwrap();
    [HELLO, &len.to_be_bytes(), &body].concat()
}

/// One whom the daemon knows says this, and hears the end of the connection.
#[rstest]
#[case::http(b"GET / HTTP/1.1\r\n\r\n".to_vec(), "it began with `GET /")]
#[case::another_version(b"realize\0\x03\xe7\0\0".to_vec(), "version 999")]
#[case::a_hello_that_is_none([HELLO, b"\0\x04\xff\xff\xff\xff"].concat(), "hello")]
#[case::a_frame_without_end(
    [hello("inbox"), vec![0xff; 8]].concat(),
    "a frame of 4294967295 and 4294967295 bytes"
)]
#[case::a_frame_of_garbage(
    [hello("inbox"), vec![0, 0, 0, 64, 0, 0, 0, 0], vec![0xff; 64]].concat(),
    "protocol.violation"
)]
#[case::a_payload_of_nothing(
    [hello("inbox"), vec![0, 0, 0, 0, 0, 0, 1, 0], vec![0; 256]].concat(),
    "protocol.violation"
)]
fn one_with_a_key_who_breaks_the_protocol_is_cut(#[case] said: Vec<u8>, #[case] logged: &str) {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    Runtime::new().unwrap().block_on(async {
        let mut connection = impostor(&machines, &daemon).await;
        connection.stream.write_all(&said).await.unwrap();
        let mut answer = Vec::new();
        let read = connection.stream.read_to_end(&mut answer);
        // How it ends is not ours to say; that it does, is.
        let _ = tokio::time::timeout(SOON, read).await.expect("cut");
    });
    daemon.logs("event=protocol.violation");
    assert!(daemon.log().contains(logged), "{}", daemon.log());
    assert_serves(&machines, &daemon);
}

#[rstest]
#[case("private")]
#[case("../inbox")]
#[case("none")]
fn one_with_a_key_learns_of_no_other_directory(#[case] directory: &str) {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    let answer = Runtime::new().unwrap().block_on(async {
        let mut connection = impostor(&machines, &daemon).await;
        connection
            .stream
            .write_all(&hello(directory))
            .await
            .unwrap();
        let mut answer = Vec::new();
        let read = connection.stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(SOON, read).await.expect("refused");
        answer
    });
    let text = String::from_utf8_lossy(&answer).replace(directory, "DIRECTORY");
    assert!(
        text.starts_with("realize\0") && text.contains("DIRECTORY"),
        "{text:?}"
    );
    assert!(
        !text.contains(&*machines.path("").to_string_lossy()),
        "{text:?}"
    );
}

#[test]
fn a_crowd_with_a_key_that_says_nothing_more_keeps_nobody_out() {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    let runtime = Runtime::new().unwrap();
    let crowd = runtime.block_on(async {
        let mut crowd = Vec::new();
        for i in 0..CROWD / 5 {
            let mut connection = impostor(&machines, &daemon).await;
            // Before hello, and in the middle of it.
            let said = if i % 2 == 0 { &[] } else { HELLO };
            connection.stream.write_all(said).await.unwrap();
            connection.stream.flush().await.unwrap();
            crowd.push(connection);
        }
        crowd
    });
    assert_serves(&machines, &daemon);
    drop(crowd);
    daemon.stop().expect(0);
}

/// Somebody who answers each connection with these words, and is no daemon.
fn someone_else(said: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(said);
            let _ = stream.shutdown(Shutdown::Write);
            thread::spawn(move || stream.read_to_end(&mut Vec::new()));
        }
    });
    address
}

#[rstest]
#[case::ssh(b"SSH-2.0-OpenSSH_9.2p1\r\n")]
#[case::http(b"HTTP/1.1 400 Bad Request\r\n\r\n")]
#[case::nothing(b"")]
fn something_else_at_the_port_is_said_to_be_that(#[case] said: &'static [u8]) {
    let machines = Machines::new();
    let address = someone_else(said);
    machines.configure_cam(&address, machines.nas_key());
    write(&machines.source(), "file", b"content");
    let before = snapshot(&machines.source()).unwrap();

    let outcome = machines.mover(Way::ToNas).with(["--retries", "0"]);

    let outcome = outcome.run().expect(5).says(&["nas", &address]);
    crate::ends::assert_same(&before, &machines.source(), &outcome);
}

/// What holds the nas's key, and says this to whoever dials.
#[rstest]
#[case::another_version(b"realize\0\x03\xe7\0\0".to_vec(), "version 999")]
#[case::something_else(b"220 nas ESMTP ready\r\n".to_vec(), "220 nas ESMTP ready")]
#[case::garbage(vec![0xa5; 4096], "does not speak realize's protocol")]
#[case::a_hello_that_is_none([HELLO, b"\0\x04\xff\xff\xff\xff"].concat(), "hello")]
fn a_peer_that_does_not_speak_the_protocol_is_not_tried_again(
    #[case] said: Vec<u8>,
    #[case] why: &str,
) {
    let machines = Machines::new();
    let runtime = Runtime::new().unwrap();
    let cam = key(&machines, "cam").public_key().peer_id().unwrap();
    let known = KnownPeers::new([cam]).unwrap();
    let transport = TcpTransport::new(key(&machines, "nas"), known, TcpOptions::default());
    let mut listener = runtime
        .block_on(transport.listen(&Endpoint::new("127.0.0.1:0").unwrap()))
        .unwrap();
    machines.configure_cam(listener.endpoint().as_str(), machines.nas_key());
    write(&machines.source(), "file", b"content");
    let before = snapshot(&machines.source()).unwrap();
    runtime.spawn(async move {
        let _transport = transport;
        loop {
            let mut connection = listener.accept().await.unwrap().await.unwrap();
            let _ = connection.stream.write_all(&said).await;
            let _ = connection.stream.shutdown().await;
            let _ = connection.stream.read_to_end(&mut Vec::new()).await;
        }
    });

    let outcome = machines.mover(Way::ToNas).run();

    let outcome = outcome
        .expect(1)
        .says(&["nas", why, "the sources are intact"]);
    assert!(
        !outcome.stderr_text().contains("event=run.retrying"),
        "{outcome}"
    );
    crate::ends::assert_same(&before, &machines.source(), &outcome);
}

#[test]
fn a_name_that_does_not_resolve_ends_with_5() {
    let machines = Machines::new();
    machines.configure_cam("nas.invalid:9771", machines.nas_key());
    write(&machines.source(), "file", b"content");
    let outcome = machines.mover(Way::ToNas).with(["--retries", "1"]);
    outcome.run().expect(5).says(&["nas.invalid", "intact"]);
    assert!(machines.source().join("file").exists());
}

#[test]
fn a_port_in_use_is_named() {
    let machines = Machines::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    machines.configure_nas(&address, EVERYTHING);
    let config = machines.nas_config();
    let realized = crate::program::realized(["--config".as_ref(), config.as_os_str()]);
    let outcome = realized.run().expect(1);
    outcome.says(&["tcp", &address, "in use", "event=listener.failed"]);
}

#[test]
fn a_daemon_that_is_left_in_the_middle_of_everything_serves_on() {
    let machines = Machines::new();
    let daemon = machines.start(EVERYTHING);
    Runtime::new().unwrap().block_on(async {
        for cut in 0..hello("inbox").len() {
            let mut connection = impostor(&machines, &daemon).await;
            connection
                .stream
                .write_all(&hello("inbox")[..cut])
                .await
                .unwrap();
            connection.stream.flush().await.unwrap();
        }
    });
    wait_until("the daemon to see them go", SOON, || {
        let log = daemon.log();
        log.matches("peer.connected").count() == log.matches("peer.disconnected").count()
    });
    assert_serves(&machines, &daemon);
}
