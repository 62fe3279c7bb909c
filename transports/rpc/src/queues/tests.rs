#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::time::Duration;

use futures::future::poll_fn;
use futures::{SinkExt, StreamExt};
use rstest::rstest;
use tarpc::{Request, trace};

use super::*;
use crate::protocol::context;
use crate::tests::doubles::{cancel, claim_call, list_call, read_call, request, send_call};

/// The other side of a link, as its two tasks have it.
struct Far {
    urgent: mpsc::Receiver<Outgoing>,
    bulky: mpsc::Receiver<Outgoing>,
    arrived: mpsc::Sender<Incoming>,
    state: Arc<State>,
}

fn link() -> (Sender, mpsc::Receiver<Incoming>, Far) {
    let (urgent, next_urgent) = mpsc::channel(8);
    let (bulky, next_bulky) = mpsc::channel(8);
    let (arrived, incoming) = mpsc::channel(64);
    let far = Far {
        urgent: next_urgent,
        bulky: next_bulky,
        arrived,
        state: Arc::default(),
    };
    (Sender { urgent, bulky }, incoming, far)
}

fn client() -> (ClientQueues, Far) {
    let (sender, incoming, far) = link();
    (
        ClientQueues::new(sender, incoming, Arc::clone(&far.state)),
        far,
    )
}

fn server(answers: &Budget) -> (ServerQueues, Far) {
    let (sender, incoming, far) = link();
    let state = Arc::clone(&far.state);
    (
        ServerQueues::new(sender, incoming, state, answers.clone()),
        far,
    )
}

impl Far {
    fn arrives(&self, frame: Frame) {
        self.arrives_with(frame, None);
    }

    fn arrives_with(&self, frame: Frame, share: Option<OwnedSemaphorePermit>) {
        self.arrived.try_send(Incoming { frame, share }).unwrap();
    }
}

fn call(id: u64, message: Call) -> ClientMessage<Call> {
    let context = context();
    ClientMessage::Request(Request {
        context,
        id,
        message,
    })
}

fn give_up(request_id: u64) -> ClientMessage<Call> {
    ClientMessage::Cancel {
        trace_context: trace::Context::default(),
        request_id,
    }
}

fn reply(request_id: u64, reply: Reply) -> Response<Reply> {
    Response {
        request_id,
        message: Ok(reply),
    }
}

fn done() -> Reply {
    Reply::Claim(Ok(()).into())
}

fn is_free(budget: &Budget, bytes: usize) -> bool {
    let mut taken = Box::pin(budget.take(bytes));
    futures::FutureExt::now_or_never(&mut taken).is_some()
}

#[tokio::test]
async fn the_end_of_a_call_goes_behind_the_call() {
    let (mut queues, mut far) = client();
    queues.send(call(1, send_call("a", 10))).await.unwrap();
    queues.send(call(2, list_call("a"))).await.unwrap();
    queues.send(give_up(1)).await.unwrap();
    queues.send(give_up(2)).await.unwrap();
    let header = |outgoing: Outgoing| outgoing.frame.header;
    assert_eq!(
        header(far.bulky.try_recv().unwrap()),
        request(1, send_call("a", 10)).header
    );
    assert_eq!(header(far.bulky.try_recv().unwrap()), cancel(1).header);
    assert_eq!(
        header(far.urgent.try_recv().unwrap()),
        request(2, list_call("a")).header
    );
    assert_eq!(header(far.urgent.try_recv().unwrap()), cancel(2).header);
    assert!(queues.asked.is_empty());
}

#[tokio::test]
async fn a_reply_of_another_kind_than_the_call_ends_the_connection() {
    let (mut queues, far) = client();
    queues.send(call(1, list_call("a"))).await.unwrap();
    far.arrives(encode_reply(reply(1, done())).unwrap());
    let error = queues.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let text = "the other end broke the protocol: an answer of another kind than the call";
    assert_eq!(error.chain(), text);
    assert!(far.state.end.is_cancelled());
}

#[tokio::test]
async fn a_reply_to_a_call_that_was_given_up_may_be_anything() {
    let (mut queues, far) = client();
    queues.send(call(1, list_call("a"))).await.unwrap();
    queues.send(give_up(1)).await.unwrap();
    far.arrives(encode_reply(reply(1, done())).unwrap());
    assert!(queues.next().await.unwrap().is_ok());
    assert!(!far.state.end.is_cancelled());
}

#[tokio::test]
async fn a_request_that_fits_no_frame_is_an_error_of_its_own() {
    let (mut queues, far) = client();
    let large = call(1, send_call("a", crate::frame::MAX_PAYLOAD + 1));
    let error = queues.send(large).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    queues.send(call(2, list_call("a"))).await.unwrap();
    assert!(!far.state.end.is_cancelled());
}

#[tokio::test]
async fn a_call_keeps_its_shares_until_its_answer_is_written() {
    let (requests, answers) = (Budget::new(1 << 20), Budget::new(1 << 20));
    let (mut queues, mut far) = server(&answers);
    let share = requests.take(1 << 20).await.unwrap();
    far.arrives_with(request(1, read_call("a", 512 << 10)), Some(share));
    assert!(queues.next().await.unwrap().is_ok());
    assert!(!is_free(&requests, 1));
    assert!(!is_free(&answers, 512 << 10));
    queues.send(reply(1, done())).await.unwrap();
    assert!(is_free(&requests, 1 << 20));
    assert!(!is_free(&answers, 512 << 10));
    drop(far.urgent.try_recv().unwrap());
    assert!(is_free(&answers, 1 << 20));
}

#[tokio::test]
async fn a_call_that_is_given_up_gives_its_shares_back() {
    let (requests, answers) = (Budget::new(1 << 20), Budget::new(1 << 20));
    let (mut queues, far) = server(&answers);
    let share = requests.take(1 << 20).await.unwrap();
    far.arrives_with(request(1, read_call("a", 512 << 10)), Some(share));
    far.arrives(cancel(1));
    assert!(queues.next().await.unwrap().is_ok());
    assert!(!is_free(&answers, 512 << 10));
    assert!(matches!(
        queues.next().await,
        Some(Ok(ClientMessage::Cancel { .. }))
    ));
    assert!(is_free(&answers, 1 << 20) && is_free(&requests, 1 << 20));
    // Its number is free again, too.
    far.arrives(request(1, list_call("a")));
    assert!(queues.next().await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_the_share_of_its_answer() {
    let answers = Budget::new(1 << 20);
    let (mut queues, far) = server(&answers);
    let all = answers.take(1 << 20).await.unwrap();
    far.arrives(request(1, list_call("a")));
    let hour = Duration::from_secs(3600);
    assert!(tokio::time::timeout(hour, queues.next()).await.is_err());
    drop(all);
    assert!(queues.next().await.unwrap().is_ok());
}

fn with_rest() -> Frame {
    let mut frame = request(1, list_call("a"));
    frame.header = [&frame.header[..], &[0]].concat().into();
    frame
}

fn with_payload() -> Frame {
    Frame {
        payload: vec![vec![0].into()],
        ..request(1, claim_call())
    }
}

#[rstest]
#[case(with_rest(), "a frame that holds more than a message")]
#[case(
    with_payload(),
    "a frame that does not fit together: the content that follows is not as long as the message says"
)]
#[case(
    Frame::default(),
    "a frame that holds no message: Hit the end of buffer, expected more data"
)]
#[tokio::test]
async fn a_peer_that_breaks_the_protocol_is_not_listened_to(
    #[case] frame: Frame,
    #[case] what: &str,
) {
    let (mut queues, far) = server(&Budget::new(1 << 20));
    far.arrives(frame);
    let error = queues.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let expected = format!("the other end broke the protocol: {what}");
    assert_eq!(error.chain(), expected);
    assert!(far.state.end.is_cancelled());
    assert_eq!(far.state.reason().unwrap().chain(), expected);
}

#[tokio::test]
async fn two_calls_of_one_number_break_the_protocol() {
    let (mut queues, far) = server(&Budget::new(1 << 20));
    far.arrives(request(1, list_call("a")));
    far.arrives(request(1, list_call("b")));
    assert!(queues.next().await.unwrap().is_ok());
    let error = queues.next().await.unwrap().unwrap_err();
    assert!(error.chain().ends_with("two calls of one number"));
}

#[tokio::test]
async fn more_calls_than_there_may_be_break_the_protocol() {
    let (mut queues, far) = server(&Budget::new(64 << 20));
    for id in 0..=MAX_CALLS as u64 {
        far.arrives(request(id, read_call("a", 1)));
    }
    for _ in 0..MAX_CALLS {
        assert!(queues.next().await.unwrap().is_ok());
    }
    let error = queues.next().await.unwrap().unwrap_err();
    assert!(
        error
            .chain()
            .ends_with("more calls at once than there may be")
    );
}

/// A way out with room for so many frames of either kind, and its other end.
fn out(room: usize) -> (Out, [mpsc::Receiver<Outgoing>; 2]) {
    let ((urgent, first), (bulky, second)) = (mpsc::channel(room), mpsc::channel(room));
    let out = Out::new(Sender { urgent, bulky }, Arc::new(State::default()));
    (out, [first, second])
}

#[tokio::test]
async fn nothing_is_flushed_while_there_is_no_room() {
    let (mut full, receivers) = out(1);
    let (mut urgent, mut bulky) = (full.urgent.clone(), full.bulky.clone());
    poll_fn(|cx| full.poll_ready(cx)).await.unwrap();
    full.urgent.abort_send();
    full.bulky.abort_send();
    // Others take the room.
    poll_fn(|cx| urgent.poll_reserve(cx)).await.unwrap();
    poll_fn(|cx| bulky.poll_reserve(cx)).await.unwrap();
    assert!(futures::poll!(poll_fn(|cx| full.poll_ready(cx))).is_pending());
    assert!(futures::poll!(poll_fn(|cx| full.poll_flush(cx))).is_pending());
    drop((urgent, bulky));
    poll_fn(|cx| full.poll_flush(cx)).await.unwrap();
    poll_fn(|cx| full.poll_ready(cx)).await.unwrap();
    drop(receivers);
}

/// Tarpc's loop, in a task that tokio wants to yield.
#[tokio::test]
async fn whoever_asks_for_room_in_a_loop_gets_to_yield() {
    /// More than tokio lets a task do before it yields.
    const MANY: usize = 1000;
    let (mut out, _receivers) = out(1);
    let mut polls = 0;
    poll_fn(|cx| {
        polls += 1;
        if polls == 1 {
            while tokio::task::coop::has_budget_remaining() {
                if let Poll::Ready(turn) = tokio::task::coop::poll_proceed(cx) {
                    turn.made_progress();
                }
            }
        }
        for _ in 0..MANY {
            match out.poll_ready(cx) {
                Poll::Ready(ready) => return Poll::Ready(ready),
                Poll::Pending => ready!(out.poll_flush(cx))?,
            }
        }
        panic!("it has not yielded");
    })
    .await
    .unwrap();
    assert_eq!(polls, 2);
}
