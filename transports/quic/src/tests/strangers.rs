//! Those who have proved nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use futures::future::join_all;
use realize_tls::{MAX_PENDING, MAX_PENDING_PER_ADDRESS};

use super::*;
use crate::limits::HANDSHAKE_TIMEOUT;

/// Looks again and again, until it holds.
async fn until(mut holds: impl FnMut() -> bool) {
    soon(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// The first datagram of a handshake with `nas`.
async fn hello(machines: &Machines) -> Vec<u8> {
    let stranger = QuicTransport::new(
        PrivateKey::generate().unwrap(),
        KnownPeers::default(),
        QuicOptions::default(),
    );
    let catches = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = endpoint(&catches.local_addr().unwrap().to_string());
    let expected = machines.nas_peer();
    let mut datagram = vec![0; 2048];
    let receiving = async {
        // There is an empty one too, which knocks.
        loop {
            let count = catches.recv(&mut datagram).await.unwrap();
            if count > 0 {
                return count;
            }
        }
    };
    let count = tokio::select! {
        count = soon(receiving) => count,
        dialled = stranger.dial(&at, &expected) => panic!("{dialled:?}"),
    };
    datagram.truncate(count);
    datagram
}

/// Handshakes that are begun and not gone on with, from so many addresses.
async fn flood(
    machines: &Machines,
    at: &Endpoint,
    addresses: usize,
    each: usize,
) -> Vec<UdpSocket> {
    let mut sockets = Vec::new();
    for number in 0..addresses {
        let [_, _, high, low] = u32::try_from(number).unwrap().to_be_bytes();
        let from = Ipv4Addr::new(127, 1, high, low);
        for _ in 0..each {
            let from = SocketAddr::new(IpAddr::V4(from), 0);
            sockets.push(UdpSocket::bind(from).await.unwrap());
        }
    }
    let begun = sockets.iter().map(async |socket| {
        let hello = hello(machines).await;
        socket.send_to(&hello, at.as_str()).await.unwrap();
    });
    join_all(begun).await;
    sockets
}

#[tokio::test]
async fn handshakes_that_are_not_gone_on_with_keep_nobody_out() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let _one = flood(&machines, &at, 1, 2 * MAX_PENDING_PER_ADDRESS).await;
    until(|| machines.nas.pending.taken() == MAX_PENDING_PER_ADDRESS).await;
    // Before the handshakes of the others could have ended by themselves.
    let arrives = arrives(&mut listener);
    let meeting = async { tokio::join!(machines.dial(&at), arrives) };
    let (near, mut far) = timeout(HANDSHAKE_TIMEOUT / 2, meeting).await.unwrap();
    talk((&mut near.unwrap(), &mut far), 1000).await;
}

#[tokio::test]
async fn where_many_come_from_many_addresses_they_show_first_that_these_are_theirs() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let sockets = flood(&machines, &at, MAX_PENDING, 1).await;
    // From the half on they are sent away to come again, which those do not.
    until(|| machines.nas.pending.taken() > MAX_PENDING / 2).await;
    let arrives = arrives(&mut listener);
    let meeting = async { tokio::join!(machines.dial(&at), arrives) };
    let (near, mut far) = timeout(HANDSHAKE_TIMEOUT / 2, meeting).await.unwrap();
    talk((&mut near.unwrap(), &mut far), 1000).await;
    assert!(machines.nas.pending.taken() <= MAX_PENDING / 2 + 1);
    drop(sockets);
}

#[tokio::test]
async fn whatever_else_is_sent_harms_nobody() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let (mut near, mut far) = machines.meet(&mut listener, &at).await;
    let hello = hello(&machines).await;
    let mut all = vec![
        Vec::new(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        vec![0; 1200],
        vec![0xff; 1472],
        vec![0xc0; 65_000],
        hello[..hello.len() / 2].to_vec(),
        [&hello[..], &hello[..]].concat(),
    ];
    // A hello with one byte that is another, at many places.
    all.extend((0..hello.len()).step_by(7).map(|place| {
        let mut damaged = hello.clone();
        damaged[place] ^= 0x41;
        damaged
    }));
    let garbage = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    // To either end of the connection.
    let client = machines.cam.socket().unwrap().local_addr().unwrap();
    let client = SocketAddr::from((Ipv4Addr::LOCALHOST, client.port())).to_string();
    for datagram in &all {
        for to in [at.as_str(), &client] {
            garbage.send_to(datagram, to).await.unwrap();
        }
    }
    talk((&mut near, &mut far), 100_000).await;
    let again = machines.cam_again();
    let expected = machines.nas_peer();
    let arrives = arrives(&mut listener);
    let meeting = async { tokio::join!(soon(again.dial(&at, &expected)), arrives) };
    let (near, mut far) = timeout(HANDSHAKE_TIMEOUT / 2, meeting).await.unwrap();
    talk((&mut near.unwrap(), &mut far), 1000).await;
}
