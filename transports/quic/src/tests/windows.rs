//! What is not read holds up nobody else.

use realize_core::transport::FAR;
use rstest::rstest;

use super::*;
use crate::settings::Windows;

#[rstest]
#[case::by_default(8, 4)]
#[case::two_to_a_connection(2, 1)]
#[case::an_odd_number(5, 2)]
#[case::all_over_one(16, 1)]
#[tokio::test]
async fn lanes_that_nobody_reads_leave_room_to_the_last(
    #[case] lanes: u64,
    #[case] connections: u64,
) {
    let options = QuicOptions {
        lanes: number(lanes),
        connections: number(connections),
        ..QuicOptions::default()
    };
    // The first byte of a stream has been read, but it may not have been said yet.
    let full = bytes(Windows::of(&options).stream as usize - 1);
    let machines = Machines::with(options);
    let (mut listener, at) = machines.listen().await;
    let count = machines.cam.lanes(FAR).get();
    let mut ends = machines.meet_often(&mut listener, &at, count).await;
    assert_eq!(machines.standing().len() as u64, connections);
    let (mut near, mut far) = ends.pop().unwrap();
    for (near, far) in &mut ends {
        soon(near.stream.write_all(&full)).await.unwrap();
        soon(far.stream.write_all(&full)).await.unwrap();
    }
    talk((&mut near, &mut far), 4 << 20).await;
    // What was held up arrives when it is read.
    for (near, far) in &mut ends {
        let mut read = vec![0; full.len()];
        soon(far.stream.read_exact(&mut read)).await.unwrap();
        assert!(read == full, "other bytes arrived");
        soon(near.stream.read_exact(&mut read)).await.unwrap();
        assert!(read == full, "other bytes arrived");
    }
}
