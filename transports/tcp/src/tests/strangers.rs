//! Those who speak no TLS, or nothing at all.

use super::*;
use realize_tls::MAX_PENDING_PER_ADDRESS;

/// Machines that do not wait for a handshake for long.
fn impatient() -> Machines {
    Machines::with_timeouts(Timeouts {
        handshake: Duration::from_millis(100),
        ..Timeouts::default()
    })
}

#[tokio::test]
async fn many_silent_connections_keep_no_honest_one_out() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let accepting = tokio::spawn(async move {
        let mut handshakes = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                handshake = listener.accept() => drop(handshakes.spawn(handshake.unwrap())),
                Some(done) = handshakes.join_next() => {
                    if let Ok(connection) = done.unwrap() {
                        return connection;
                    }
                }
            }
        }
    });
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(at.as_str()).await.unwrap());
    }
    // Before the handshakes of the silent ones could have ended by themselves.
    let within = crate::HANDSHAKE_TIMEOUT / 2;
    let near = timeout(within, machines.dial(&at)).await.unwrap();
    let far = timeout(within, accepting).await.unwrap().unwrap();
    assert!(near.is_ok());
    assert_eq!(far.peer, machines.cam_peer());
    // The oldest gave way: they are closed.
    let first = silent.first_mut().unwrap();
    soon(first.read_u8()).await.unwrap_err();
}

#[tokio::test]
async fn places_are_bounded_and_the_oldest_gives_way() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let mut held = Vec::new();
    for i in 0..2 * MAX_PENDING_PER_ADDRESS {
        let silent = TcpStream::connect(at.as_str()).await.unwrap();
        held.push((silent, soon(listener.accept()).await.unwrap()));
        assert_eq!(
            machines.nas.pending.taken(),
            (i + 1).min(MAX_PENDING_PER_ADDRESS)
        );
    }
    let (_silent, oldest) = held.remove(0);
    let error = handshake_error(soon(oldest).await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert!(error.to_string().contains("gave way"), "{error}");
    // Those that were never looked at give their places back too.
    drop(held);
    assert_eq!(machines.nas.pending.taken(), 0);
}

#[tokio::test]
async fn a_finished_handshake_gives_its_place_back() {
    let machines = Machines::new();
    let (_near, _far) = machines.connect().await;
    assert_eq!(machines.nas.pending.taken(), 0);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_given_up() {
    let machines = impatient();
    let (mut listener, at) = machines.listen().await;
    let mut silent = TcpStream::connect(at.as_str()).await.unwrap();
    let error = handshake_error(prove(&mut listener).await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "no handshake within 0.1 s");
    assert_eq!(soon(silent.read(&mut [0])).await.unwrap(), 0);
    assert_eq!(machines.nas.pending.taken(), 0);
}

#[tokio::test]
async fn the_time_runs_from_when_the_connection_was_accepted() {
    let machines = impatient();
    let (mut listener, at) = machines.listen().await;
    let _silent = TcpStream::connect(at.as_str()).await.unwrap();
    let handshake = soon(listener.accept()).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(101)).await;
    // Polled for the first time when it is too late already.
    let error = at_once(handshake).await.expect("it waits again");
    assert_eq!(
        handshake_error(error.unwrap_err()).kind(),
        ErrorKind::TimedOut
    );
}

/// What `future` is ready with, if it is ready within a few polls.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    for _ in 0..8 {
        tokio::select! {
            biased;
            done = &mut future => return Some(done),
            () = tokio::task::yield_now() => {}
        }
    }
    None
}

#[test]
fn a_handshake_may_take_ten_seconds() {
    let timeouts = Timeouts::default();
    assert_eq!(timeouts.handshake, Duration::from_secs(10));
    assert_eq!(timeouts.connect, Duration::from_secs(10));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let machines = impatient();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = endpoint(&silent.local_addr().unwrap().to_string());
    let error = machines.dial(&at).await.unwrap_err();
    let TransportError::Unreachable { source, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(source.kind(), ErrorKind::TimedOut);
    assert!(chain(&error).contains("no handshake within 0.1 s"));
}

#[tokio::test]
async fn plain_http_is_refused_with_a_readable_cause() {
    let machines = Machines::with_timeouts(Timeouts {
        linger: Duration::from_millis(100),
        ..Timeouts::default()
    });
    let (mut listener, at) = machines.listen().await;
    let mut browser = TcpStream::connect(at.as_str()).await.unwrap();
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let error = handshake_error(prove(&mut listener).await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(error.to_string(), "what came is not TLS 1.3");
    assert!(error.source().is_some());
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_refused_with_a_readable_cause() {
    let machines = Machines::new();
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = endpoint(&other.local_addr().unwrap().to_string());
    let serve = async {
        let (mut socket, _) = other.accept().await.unwrap();
        socket.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        socket
    };
    let (error, _socket) = tokio::join!(machines.dial(&at), soon(serve));
    let error = error.unwrap_err();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(
        chain(&error).contains("what came is not TLS 1.3"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_client_that_leaves_in_the_handshake_is_an_error_of_it_alone() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    drop(TcpStream::connect(at.as_str()).await.unwrap());
    let error = handshake_error(prove(&mut listener).await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    let (near, far) = tokio::join!(machines.dial(&at), prove(&mut listener));
    assert!(near.is_ok() && far.is_ok());
}
