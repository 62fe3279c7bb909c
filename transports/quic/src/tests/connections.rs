//! Over how many connections streams go.

use std::time::Duration;

use futures::future::join_all;
use realize_core::transport::FAR;
use rstest::rstest;

use super::*;

fn with(connections: u64) -> Machines {
    Machines::with(QuicOptions {
        connections: number(connections),
        ..QuicOptions::default()
    })
}

#[rstest]
#[case(1, 4, 1)]
#[case(8, 4, 4)]
#[case(16, 8, 8)]
fn lanes_are_as_many_as_the_option_says_and_one_a_connection_to_a_peer_that_is_near(
    #[case] lanes: u64,
    #[case] connections: u64,
    #[case] near: usize,
) {
    let machines = Machines::with(QuicOptions {
        lanes: number(lanes),
        connections: number(connections),
        ..QuicOptions::default()
    });
    let just_near = FAR - Duration::from_micros(1);
    assert_eq!(machines.cam.lanes(just_near).get(), near);
    assert_eq!(machines.cam.lanes(FAR).get() as u64, lanes);
}

#[rstest]
#[case(1, 5, 1)]
#[case(4, 3, 3)]
#[case(4, 8, 4)]
#[case(8, 9, 8)]
#[tokio::test]
async fn streams_are_spread_over_so_many_connections(
    #[case] connections: u64,
    #[case] streams: usize,
    #[case] made: usize,
) {
    let machines = with(connections);
    let (mut listener, at) = machines.listen().await;
    let ends = machines.meet_often(&mut listener, &at, streams).await;
    assert_eq!(machines.standing().len(), made);
    // Each stream carries its own bytes.
    for (number, (mut near, mut far)) in ends.into_iter().enumerate() {
        talk((&mut near, &mut far), 1000 + number).await;
    }
}

#[rstest]
#[case(1, 5, 1)]
#[case(4, 8, 4)]
#[tokio::test]
async fn those_that_are_dialled_at_once_share_connections_too(
    #[case] connections: u64,
    #[case] streams: usize,
    #[case] made: usize,
) {
    let machines = with(connections);
    let (mut listener, at) = machines.listen().await;
    let dialling = join_all((0..streams).map(|_| machines.dial(&at)));
    let accepting = async {
        let mut far = Vec::new();
        for _ in 0..streams {
            far.push(prove(&mut listener).await.unwrap());
        }
        far
    };
    let (near, _far) = tokio::join!(dialling, accepting);
    assert!(near.iter().all(Result::is_ok), "{near:?}");
    assert_eq!(machines.standing().len(), made);
}

#[tokio::test]
async fn a_stream_goes_where_the_fewest_are() {
    let machines = with(2);
    let (mut listener, at) = machines.listen().await;
    let mut ends = machines.meet_often(&mut listener, &at, 4).await;
    let before = machines.standing();
    // One of two streams of the first connection, and the next two: one there, one to either.
    drop(ends.remove(0));
    ends.extend(machines.meet_often(&mut listener, &at, 2).await);
    let ids: Vec<_> = before.iter().map(quinn::Connection::stable_id).collect();
    let after: Vec<_> = machines
        .standing()
        .iter()
        .map(quinn::Connection::stable_id)
        .collect();
    assert_eq!(ids, after);
}

#[tokio::test]
async fn the_end_of_its_last_stream_closes_a_connection() {
    let machines = with(1);
    let (mut listener, at) = machines.listen().await;
    let mut ends = machines.meet_often(&mut listener, &at, 2).await;
    let connection = machines.standing().remove(0);
    drop(ends.pop());
    let (near, far) = ends.first_mut().unwrap();
    talk((near, far), 1000).await;
    assert_eq!(connection.close_reason(), None);
    drop(ends);
    assert_eq!(
        connection.close_reason(),
        Some(quinn::ConnectionError::LocallyClosed)
    );
    // The other end counts it no more, and another one is made.
    let (mut near, mut far) = machines.meet(&mut listener, &at).await;
    talk((&mut near, &mut far), 1000).await;
    assert_ne!(machines.standing()[0].stable_id(), connection.stable_id());
}

#[tokio::test]
async fn a_connection_that_broke_is_replaced() {
    let machines = with(1);
    let (mut listener, at) = machines.listen().await;
    let (mut near, far) = machines.meet(&mut listener, &at).await;
    let broken = machines.standing().remove(0);
    broken.close(9u32.into(), b"broken");
    // While its stream is still held.
    let (mut again, mut far_again) = machines.meet(&mut listener, &at).await;
    talk((&mut again, &mut far_again), 1000).await;
    assert_eq!(machines.standing().len(), 1);
    soon(near.stream.read_u8()).await.unwrap_err();
    drop((near, far));
    talk((&mut again, &mut far_again), 1000).await;
}

#[tokio::test]
async fn who_cannot_be_reached_is_dialled_anew_the_next_time() {
    let machines = with(1);
    let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = endpoint(&nobody.local_addr().unwrap().to_string());
    drop(nobody);
    let dialling = join_all((0..3).map(|_| machines.dial(&at)));
    for dialled in dialling.await {
        let error = dialled.unwrap_err();
        assert!(matches!(error, TransportError::Unreachable { .. }));
    }
    let mut listener = machines.nas.listen(&at).await.unwrap();
    // What is left of those may arrive yet.
    let arrives = arrives(&mut listener);
    let (near, mut far) = tokio::join!(machines.dial(&at), arrives);
    talk((&mut near.unwrap(), &mut far), 1000).await;
}
