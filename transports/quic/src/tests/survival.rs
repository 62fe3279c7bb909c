//! What connections survive, and what they do not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::socket::bind_anywhere;

/// How many bytes go, in pieces of so many.
const ALL: usize = 24 << 20;
const PIECE: usize = 1 << 20;

/// Carries datagrams between one client and a listener. Its port towards the listener can be changed.
pub(super) struct Proxy {
    pub(super) at: Endpoint,
    pub(super) silent: Arc<AtomicBool>,
    moves: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    pub(super) async fn new(to: &Endpoint) -> Self {
        let to: SocketAddr = to.as_str().parse().unwrap();
        let front = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = endpoint(&front.local_addr().unwrap().to_string());
        let (silent, moves) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (quiet, moving) = (silent.clone(), moves.clone());
        let task = tokio::spawn(async move {
            let mut back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let (mut client, mut moved) = (None, 0);
            let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
            loop {
                if moved != moving.load(Ordering::SeqCst) {
                    moved += 1;
                    back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                }
                tokio::select! {
                    Ok((count, from)) = front.recv_from(&mut up) => {
                        client = Some(from);
                        if !quiet.load(Ordering::SeqCst) {
                            let _ = back.send_to(&up[..count], to).await;
                        }
                    }
                    Ok(count) = back.recv(&mut down) => {
                        if let Some(client) = client && !quiet.load(Ordering::SeqCst) {
                            let _ = front.send_to(&down[..count], client).await;
                        }
                    }
                }
            }
        });
        Self {
            at,
            silent,
            moves,
            _task: AbortOnDropHandle::new(task),
        }
    }
}

/// Sends many bytes each way, and changes the address after every few of them.
async fn send_while(mut ends: (Connection, Connection), mut change: impl FnMut()) {
    for piece in 0..ALL / PIECE {
        if piece % 8 == 4 {
            change();
        }
        let (near, far) = (&mut ends.0, &mut ends.1);
        talk((near, far), PIECE).await;
    }
    let (mut near, mut far) = ends;
    let mut byte = [0];
    let (ended, read) = tokio::join!(
        soon(near.stream.shutdown()),
        soon(far.stream.read(&mut byte))
    );
    ended.unwrap();
    assert_eq!(read.unwrap(), 0);
}

#[tokio::test]
async fn a_stream_goes_on_when_its_client_has_another_socket() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let ends = machines.meet(&mut listener, &at).await;
    let socket = machines.cam.socket().unwrap();
    let before = socket.local_addr().unwrap();
    send_while(ends, || {
        socket.rebind(bind_anywhere(4 << 20).unwrap()).unwrap();
    })
    .await;
    assert_ne!(before, socket.local_addr().unwrap());
    // It was the same connection all the while, and there is no other.
    assert!(machines.cam.pool.connections().len() == 1);
}

#[tokio::test]
async fn a_stream_goes_on_when_a_router_gives_its_client_another_port() {
    let machines = Machines::new();
    let (mut listener, at) = machines.listen().await;
    let proxy = Proxy::new(&at).await;
    let ends = machines.meet(&mut listener, &proxy.at).await;
    send_while(ends, || {
        proxy.moves.fetch_add(1, Ordering::SeqCst);
    })
    .await;
}

#[test]
fn who_listens_again_resets_the_connections_of_before() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let (clients, before) = (runtime(), runtime());
    let machines = Machines::new();
    // As a program that was killed: nobody is told anything.
    let (at, mut near, gone) = before.block_on(async {
        let (mut listener, at) = machines.listen().await;
        let dials = machines.cam.clone();
        let (to, expected) = (at.clone(), machines.nas_peer());
        let dialling = clients.spawn(async move { soon(dials.dial(&to, &expected)).await });
        let mut far = prove(&mut listener).await.unwrap();
        let mut near = dialling.await.unwrap().unwrap();
        talk((&mut near, &mut far), 1000).await;
        (at, near, (far, listener))
    });
    before.shutdown_timeout(SOON);
    drop(gone);
    clients.block_on(async {
        let options = QuicOptions::default();
        let known = machines.nas.known.clone();
        let nas = QuicTransport::new(machines.nas.key.clone(), known, options);
        let mut listener = soon(async {
            loop {
                match nas.listen(&at).await {
                    Ok(listener) => return listener,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        })
        .await;
        // Well before it would be given up for lack of packets.
        let idle = Duration::from_secs(machines.cam.options.idle_timeout.get());
        let began = Instant::now();
        // It may have heard of it already, by what it had still to say to the one before.
        let error = match near.stream.write_all(&[7; 100]).await {
            Ok(()) => timeout(idle / 2, near.stream.read_u8()).await.unwrap(),
            Err(error) => Err(error),
        };
        assert!(began.elapsed() < idle / 2);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::ConnectionReset);
        // And the next one is made.
        let (mut near, mut far) = machines.meet(&mut listener, &at).await;
        talk((&mut near, &mut far), 1000).await;
    });
}
