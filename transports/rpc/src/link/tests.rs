#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use realize_core::error::ErrorKind;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::frame::{Lengths, read_frame};
use crate::tests::doubles::{LONG, bytes, read, write};

mod compressed;

struct Ends {
    link: Link,
    state: Arc<State>,
    far: DuplexStream,
}

fn ends(buffer: usize, budget: Option<Budget>) -> Ends {
    ends_with(buffer, budget, None)
}

fn ends_with(buffer: usize, budget: Option<Budget>, compression: Option<Compression>) -> Ends {
    let (near, far) = duplex(buffer);
    let state = Arc::new(State::default());
    let buffers = Buffers::default();
    let link = Link::start(
        Box::new(near),
        Arc::clone(&state),
        budget,
        buffers,
        compression,
        None,
    );
    Ends { link, state, far }
}

fn frame(header: &'static [u8], payload: usize) -> Frame {
    Frame {
        header: Bytes::from_static(header),
        payload: vec![vec![7; payload].into()],
    }
}

fn outgoing(frame: Frame) -> Outgoing {
    Outgoing {
        frame,
        decompressed: None,
        share: None,
    }
}

async fn ended(state: &State) -> Error {
    timeout(LONG, state.end.cancelled()).await.unwrap();
    state.reason().unwrap().clone()
}

/// Keeps the other end from taking this one for gone, for as long as the future is polled.
async fn keep_alive(stream: &mut (impl AsyncWriteExt + Unpin)) {
    loop {
        stream.write_all(&[0; PREFIX]).await.unwrap();
        tokio::time::sleep(KEEP_ALIVE).await;
    }
}

fn is_about(elapsed: Duration, expected: Duration) -> bool {
    elapsed >= expected && elapsed < expected + Duration::from_millis(100)
}

#[tokio::test(start_paused = true)]
async fn a_keep_alive_is_sent_after_silence_and_not_while_frames_go() {
    let mut ends = ends(1 << 16, None);
    let begun = Instant::now();
    let mut word = [1; PREFIX];
    ends.far.read_exact(&mut word).await.unwrap();
    assert_eq!(word, [0; PREFIX]);
    assert!(is_about(begun.elapsed(), KEEP_ALIVE));

    for _ in 0..5 {
        tokio::time::sleep(KEEP_ALIVE - Duration::from_secs(1)).await;
        let sent = frame(b"x", 1);
        let expected = bytes(&sent);
        ends.link.sender.urgent.send(outgoing(sent)).await.unwrap();
        let mut found = vec![0; expected.len()];
        ends.far.read_exact(&mut found).await.unwrap();
        assert_eq!(found, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_silent_is_taken_for_gone() {
    let ends = ends(1 << 16, None);
    let begun = Instant::now();
    let error = ended(&ends.state).await;
    assert!(is_about(begun.elapsed(), SILENCE));
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.chain(), "the connection: nothing was heard for 30 s",);
}

#[tokio::test(start_paused = true)]
async fn keep_alives_alone_keep_a_connection_for_hours() {
    let mut ends = ends(1 << 20, None);
    let hours = Duration::from_secs(5 * 3600);
    assert!(timeout(hours, keep_alive(&mut ends.far)).await.is_err());
    assert!(!ends.state.end.is_cancelled());
    assert!(ends.state.heard().elapsed() <= KEEP_ALIVE);
    // They are no progress, and nothing to look at.
    assert!(ends.state.moved().elapsed() >= hours);
    assert!(ends.link.incoming.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_end_is_held_up_while_there_is_no_room_for_what_it_says() {
    let budget = Budget::new(4 << 10);
    let all = budget.take(4 << 10).await.unwrap();
    let mut ends = ends(1 << 16, Some(budget));
    let sent = frame(b"x", 100);
    for _ in 0..INCOMING + 2 {
        write(&mut ends.far, &sent).await;
    }
    tokio::time::sleep(SILENCE * 2).await;
    assert!(ends.state.is_held_up());
    // There is room in memory, and none in the queue.
    drop(all);
    tokio::time::sleep(SILENCE / 2).await;
    assert!(ends.state.is_held_up());
    for _ in 0..INCOMING + 2 {
        assert_eq!(ends.link.incoming.recv().await.unwrap().frame, sent);
    }
    tokio::time::sleep(KEEP_ALIVE).await;
    assert!(!ends.state.is_held_up());
}

#[tokio::test(start_paused = true)]
async fn an_end_that_takes_nothing_is_taken_for_gone() {
    let ends = ends(1024, None);
    let (_reads_nothing, mut far) = tokio::io::split(ends.far);
    let sent = outgoing(frame(b"x", 100_000));
    ends.link.sender.bulky.send(sent).await.unwrap();
    let begun = Instant::now();
    let error = tokio::select! {
        () = keep_alive(&mut far) => unreachable!(),
        error = ended(&ends.state) => error,
    };
    assert!(is_about(begun.elapsed(), SILENCE));
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let what = "the connection: the other end has taken nothing for 30 s";
    assert_eq!(error.chain(), what);
}

#[tokio::test(start_paused = true)]
async fn what_an_end_said_before_it_took_no_more_is_the_reason() {
    let (near_read, mut says) = duplex(1024);
    let (near_write, takes) = duplex(1024);
    let state = Arc::new(State::default());
    let refused = || Error::new(ErrorKind::Forbidden, "what the preface said");
    let preface: Preface = Box::new(move |stream| {
        Box::pin(async move {
            let _ = stream.read_u8().await;
            Err(refused())
        })
    });
    let link = Link::start(
        Box::new(tokio::io::join(near_read, near_write)),
        Arc::clone(&state),
        None,
        Buffers::default(),
        None,
        Some(preface),
    );
    drop(takes);
    let sent = outgoing(frame(b"x", 10));
    link.sender.bulky.send(sent).await.unwrap();
    tokio::time::sleep(LAST_WORDS / 2).await;
    says.write_all(&[0]).await.unwrap();
    assert_eq!(ended(&state).await.kind(), ErrorKind::Forbidden);
}

#[tokio::test(start_paused = true)]
async fn a_slow_end_is_not_gone() {
    let ends = ends(64, None);
    let (mut reads, mut writes) = tokio::io::split(ends.far);
    let sent = frame(b"x", 1000);
    let len = bytes(&sent).len();
    ends.link.sender.bulky.send(outgoing(sent)).await.unwrap();
    let reading = async {
        // What the stream holds at the end it has taken.
        for _ in 0..len - 64 {
            tokio::time::sleep(SILENCE / 2).await;
            reads.read_u8().await.unwrap();
        }
    };
    tokio::select! {
        () = keep_alive(&mut writes) => unreachable!(),
        () = reading => {}
        error = ended(&ends.state) => unreachable!("{}", error.chain()),
    }
}

#[tokio::test(start_paused = true)]
async fn urgent_frames_go_before_bulky_ones_at_a_frames_end() {
    let mut ends = ends(64, None);
    let sender = ends.link.sender;
    for name in [&b"first"[..], b"second", b"third"] {
        let sent = outgoing(frame(name, 200_000));
        sender.bulky.send(sent).await.unwrap();
    }
    // The first is on its way.
    let mut begun = [0; 100];
    ends.far.read_exact(&mut begun).await.unwrap();
    let sent = outgoing(Frame {
        header: Bytes::from_static(b"urgent"),
        payload: Vec::new(),
    });
    sender.urgent.send(sent).await.unwrap();
    drop(sender);
    let mut all = begun.to_vec();
    ends.far.read_to_end(&mut all).await.unwrap();
    let mut all = all.as_slice();
    let mut order = Vec::new();
    while let Some(lengths) = Lengths::read(&mut all, false).await.unwrap() {
        let frame = read_frame(&mut all, lengths, &Buffers::default()).await;
        order.push(frame.unwrap().header);
    }
    assert_eq!(order, ["first", "urgent", "second", "third"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_put_is_written_before_the_stream_is_closed() {
    let mut ends = ends(64, None);
    let sender = ends.link.sender;
    let mut expected = Vec::new();
    for i in 0..10 {
        let sent = frame(b"x", i * 50_000);
        expected.extend(bytes(&sent));
        sender.bulky.send(outgoing(sent)).await.unwrap();
    }
    drop(sender);
    let mut found = Vec::new();
    ends.far.read_to_end(&mut found).await.unwrap();
    assert!(found == expected);
    timeout(LONG, ends.link.writer).await.unwrap().unwrap();
    assert!(ends.state.end.is_cancelled());
    assert!(ends.state.reason().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_end_that_does_not_take_the_close_is_not_waited_for() {
    let ends = ends(64, None);
    let sent = outgoing(frame(b"x", 1000));
    ends.link.sender.bulky.send(sent).await.unwrap();
    drop(ends.link.sender);
    let begun = Instant::now();
    timeout(LONG, ends.link.writer).await.unwrap().unwrap();
    assert!(begun.elapsed() <= SILENCE + CLOSING + Duration::from_secs(1));
}

#[rstest]
#[case::in_the_lengths(3)]
#[case::in_the_header(PREFIX + 1)]
#[case::in_the_payload(PREFIX + 5 + 4)]
#[case::between_frames(PREFIX + 5 + 10)]
#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_ends_the_connection(#[case] cut: usize) {
    let mut ends = ends(1 << 16, None);
    let all = bytes(&frame(b"whole", 10));
    ends.far.write_all(&all).await.unwrap();
    ends.far.write_all(&all[..cut]).await.unwrap();
    drop(ends.far);
    assert!(ends.link.incoming.recv().await.is_some());
    let second = ends.link.incoming.recv().await;
    assert_eq!(second.is_some(), cut == all.len());
    let error = ended(&ends.state).await;
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(error.chain(), "the other end closed the connection");
}

#[tokio::test(start_paused = true)]
async fn lengths_beyond_their_bounds_are_a_breach_of_the_protocol() {
    let mut ends = ends(1 << 16, None);
    ends.far.write_all(&[0xff; PREFIX]).await.unwrap();
    let error = ended(&ends.state).await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn a_share_is_given_back_when_its_frame_is_written() {
    let budget = Budget::new(10 << 10);
    let mut ends = ends(64, None);
    let sent = Outgoing {
        frame: frame(b"x", 200_000),
        decompressed: None,
        share: Some(budget.take(10 << 10).await.unwrap()),
    };
    let len = bytes(&sent.frame).len();
    ends.link.sender.bulky.send(sent).await.unwrap();
    let mut most = vec![0; len - 100];
    ends.far.read_exact(&mut most).await.unwrap();
    let more = budget.take(1);
    tokio::pin!(more);
    assert!(futures::poll!(&mut more).is_pending());
    let mut rest = [0; 100];
    ends.far.read_exact(&mut rest).await.unwrap();
    drop(timeout(LONG, more).await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn shares_are_given_back_when_the_connection_breaks() {
    let budget = Budget::new(10 << 10);
    let ends = ends(64, None);
    for _ in 0..5 {
        let sent = Outgoing {
            frame: frame(b"x", 200_000),
            decompressed: None,
            share: Some(budget.take(2 << 10).await.unwrap()),
        };
        ends.link.sender.bulky.send(sent).await.unwrap();
    }
    let all = budget.take(10 << 10);
    tokio::pin!(all);
    assert!(futures::poll!(&mut all).is_pending());
    ends.state.fail(Error::new(ErrorKind::Network, "a test"));
    drop(timeout(LONG, all).await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_end_that_waits_for_memory_is_not_silent() {
    let budget = Budget::new(10 << 10);
    let all = budget.take(10 << 10).await.unwrap();
    let mut ends = ends(1 << 20, Some(budget));
    write(&mut ends.far, &frame(b"waits", 5000)).await;
    let hours = Duration::from_secs(3 * 3600);
    assert!(timeout(hours, ends.link.incoming.recv()).await.is_err());
    assert!(!ends.state.end.is_cancelled());
    drop(all);
    let came = timeout(LONG, ends.link.incoming.recv()).await.unwrap();
    assert_eq!(came.unwrap().frame.header, "waits");
    // And now it is silent.
    let begun = Instant::now();
    assert_eq!(ended(&ends.state).await.kind(), ErrorKind::Timeout);
    assert!(is_about(begun.elapsed(), SILENCE));
}

#[tokio::test(start_paused = true)]
async fn bytes_of_a_frame_that_takes_its_time_are_progress() {
    let mut ends = ends(1 << 16, None);
    for byte in bytes(&frame(b"slow", 100)) {
        ends.far.write_u8(byte).await.unwrap();
        tokio::time::sleep(SILENCE / 2).await;
    }
    let moved = ends.state.moved().elapsed();
    assert!(
        moved <= SILENCE / 2 + Duration::from_millis(10),
        "{moved:?}"
    );
    let mut ends = self::ends(1 << 16, None);
    for byte in bytes(&frame(b"slow", 100)).into_iter().take(50) {
        ends.far.write_u8(byte).await.unwrap();
        tokio::time::sleep(SILENCE / 2).await;
    }
    let moved = ends.state.moved().elapsed();
    assert!(
        moved <= SILENCE / 2 + Duration::from_millis(10),
        "{moved:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_reason_counts() {
    let ends = ends(64, None);
    ends.state.fail(Error::new(ErrorKind::Protocol, "first"));
    ends.state.fail(Error::new(ErrorKind::Network, "second"));
    assert_eq!(ended(&ends.state).await.doing(), "first");
    // Both tasks end, and let the stream go.
    let mut far = ends.far;
    assert!(read(&mut far).await.is_none());
}

/// The system forgets what was written to a socket that is closed before all that came was read.
#[tokio::test]
async fn what_was_said_last_arrives_though_the_other_end_goes_on_sending() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
    let (far, near) = tokio::join!(far, listener.accept());
    let (mut far, near) = (far.unwrap(), near.unwrap().0);
    far.write_all(&[1; 64 << 10]).await.unwrap();
    let state = Arc::new(State::default());
    state.drain.cancel();
    let link = Link::start(
        Box::new(near),
        Arc::clone(&state),
        None,
        Buffers::default(),
        None,
        None,
    );
    let last = frame(b"the last answer", 2 << 20);
    let Link { sender, writer, .. } = link;
    let len = last.header.len() + last.payload_len();
    sender.bulky.send(outgoing(last)).await.unwrap();
    drop(sender);
    // All is written by then, and waits to be read.
    let _ = timeout(LINGER / 4, writer).await;
    let mut heard = Vec::new();
    far.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard.len(), PREFIX + len);
    drop(far);
    timeout(LONG, state.end.cancelled()).await.unwrap();
}
