//! Connections whose payloads are compressed, if both ends can.

use super::*;
use crate::frame::Lengths;
use crate::tests::doubles::send_of;

const LEN: usize = 100_000;

#[rstest]
#[case::both(true, hello::ZSTD, true)]
#[case::both_and_more(true, u64::MAX, true)]
#[case::an_older_server(true, 0, false)]
#[case::another_feature(true, !hello::ZSTD, false)]
#[case::not_wanted(false, hello::ZSTD, false)]
#[tokio::test(start_paused = true)]
async fn what_both_can_is_done(#[case] wanted: bool, #[case] features: u64, #[case] done: bool) {
    let (wire, mut dialled) = Wire::new(1, BUFFER);
    let remote = Remote {
        compress: wanted,
        ..wire.remote()
    };
    let connecting = Client::connect(remote);
    let (client, mut far) = tokio::join!(connecting, welcome_with(&mut dialled, features));
    let client = client.unwrap();
    assert_eq!(client.compresses(), done);
    let seeing = async {
        let lengths = Lengths::read(&mut far, done).await.unwrap().unwrap();
        assert_eq!(lengths.decompressed, done.then_some(LEN));
        assert_eq!(lengths.payload < LEN / 2, done);
        drop(far);
    };
    let (error, ()) = tokio::join!(client.send(send_of("a", LEN)), seeing);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Network);
}

#[tokio::test(start_paused = true)]
async fn calls_and_answers_arrive_as_they_were() {
    let doubles = Doubles::new();
    let server = Arc::new(Server::new(Arc::clone(&doubles) as _));
    let (wire, _served) = Wire::to(&server, 3, BUFFER);
    let remote = Remote {
        compress: true,
        ..wire.remote()
    };
    let client = Client::connect(remote).await.unwrap();
    assert!(client.compresses());
    let sizes = [0, 1, 511, 512, 100_000, 1 << 20];
    let reads = futures::future::try_join_all(sizes.map(|len| client.read(read_of("a", len))));
    let blocks = reads.await.unwrap();
    for (block, len) in blocks.into_iter().zip(sizes) {
        let expected = realize_core::service::Block::Data(vec![7; len as usize].into());
        assert!(block == expected, "{len}");
    }
    let sends = sizes.map(|len| client.send(send_of("a", len as usize)));
    futures::future::try_join_all(sends).await.unwrap();
    // Several parts become one payload.
    let puts = (0..100).map(|i| put_of("a", i * 100)).collect();
    let receipts = client.put(puts).await.unwrap();
    assert!(receipts.len() == 100 && receipts.iter().all(Result::is_ok));
    client.close().await;
}
