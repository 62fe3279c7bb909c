//! The queues of a [`Link`](crate::link::Link) as the transports of messages that tarpc speaks
//! over.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use futures::{Sink, Stream};
use realize_core::error::{Error, ErrorKind, Result};
use tarpc::{ClientMessage, Response};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::PollSender;

use crate::budget::Budget;
use crate::frame::Frame;
use crate::link::{Incoming, Outgoing, Sender, State};
use crate::protocol::{
    Call, Malformed, Reply, answer_size, decode_call, decode_reply, encode_call, encode_reply,
    is_urgent,
};

/// How many calls of one connection a server works on at once. A client keeps to half of it, as the
/// end of a call that was given up arrives late.
pub(crate) const MAX_CALLS: usize = 32;

/// The way out, with room kept for one frame of either kind.
struct Out {
    urgent: PollSender<Outgoing>,
    bulky: PollSender<Outgoing>,
    state: Arc<State>,
}

impl Out {
    fn new(sender: Sender, state: Arc<State>) -> Self {
        Self {
            urgent: PollSender::new(sender.urgent),
            bulky: PollSender::new(sender.bulky),
            state,
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let urgent = ready!(self.urgent.poll_reserve(cx));
        let bulky = ready!(self.bulky.poll_reserve(cx));
        Poll::Ready(urgent.and(bulky).map_err(|_| closed(&self.state)))
    }

    /// Ready when there is room. Tarpc asks in turn whether there is room and whether all is flushed,
    /// until one of them is pending for the one reason or ready for the other: if a flush were ready
    /// while there is no room, that would go on for ever, within one poll. The task would not only
    /// wait busily: tokio gives a task that has been at it for long no room until it has yielded.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // What is wrong with the way out, the next look for room says.
        self.poll_ready(cx).map(|_| Ok(()))
    }

    fn send(&mut self, frame: Frame, share: Option<OwnedSemaphorePermit>) -> Result<()> {
        let queue = if is_urgent(&frame) {
            &mut self.urgent
        } else {
            &mut self.bulky
        };
        let outgoing = Outgoing {
            frame,
            _share: share,
        };
        queue.send_item(outgoing).map_err(|_| closed(&self.state))
    }
}

fn closed(state: &State) -> Error {
    let closed = || Error::new(ErrorKind::Network, "the connection is closed");
    state.reason().cloned().unwrap_or_else(closed)
}

/// A peer that breaks the protocol is not listened to any further.
fn violated(state: &State, malformed: Malformed) -> Error {
    let error = Error::new(ErrorKind::Protocol, "the other end broke the protocol");
    let error = error.because(malformed);
    state.fail(error.clone());
    error
}

/// Calls go out, replies come in.
pub(crate) struct ClientQueues {
    out: Out,
    incoming: mpsc::Receiver<Incoming>,
}

impl ClientQueues {
    pub(crate) fn new(
        sender: Sender,
        incoming: mpsc::Receiver<Incoming>,
        state: Arc<State>,
    ) -> Self {
        let out = Out::new(sender, state);
        Self { out, incoming }
    }
}

impl Stream for ClientQueues {
    type Item = Result<Response<Reply>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(incoming) = ready!(self.incoming.poll_recv(cx)) else {
            return Poll::Ready(None);
        };
        let reply = decode_reply(&incoming.frame);
        Poll::Ready(Some(reply.map_err(|e| violated(&self.out.state, e))))
    }
}

impl Sink<ClientMessage<Call>> for ClientQueues {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.out.poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: ClientMessage<Call>) -> Result<()> {
        let frame = encode_call(message).ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                "a request is larger than a frame may be",
            )
        })?;
        self.out.send(frame, None)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.out.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Calls come in, replies go out. Each call has its share of the budget, for itself and for what is
/// answered to it, until the answer is written.
pub(crate) struct ServerQueues {
    out: Out,
    incoming: mpsc::Receiver<Incoming>,
    budget: Budget,
    shares: HashMap<u64, Option<OwnedSemaphorePermit>>,
    admitting: Option<Admitting>,
}

/// A call that waits for its share.
struct Admitting {
    call: Option<ClientMessage<Call>>,
    id: u64,
    share: Option<OwnedSemaphorePermit>,
    more: BoxFuture<'static, Result<OwnedSemaphorePermit>>,
}

impl ServerQueues {
    pub(crate) fn new(
        sender: Sender,
        incoming: mpsc::Receiver<Incoming>,
        state: Arc<State>,
        budget: Budget,
    ) -> Self {
        Self {
            out: Out::new(sender, state),
            incoming,
            budget,
            shares: HashMap::new(),
            admitting: None,
        }
    }

    /// The message in a frame; a call is kept until it has its share.
    fn take(
        &mut self,
        incoming: Incoming,
    ) -> std::result::Result<Option<ClientMessage<Call>>, Malformed> {
        let message = decode_call(&incoming.frame)?;
        let request = match &message {
            ClientMessage::Request(request) => request,
            ClientMessage::Cancel { request_id, .. } => {
                self.shares.remove(request_id);
                return Ok(Some(message));
            }
            _ => return Ok(Some(message)),
        };
        if self.shares.contains_key(&request.id) {
            return Err(Malformed::Repeated);
        }
        if self.shares.len() >= MAX_CALLS {
            return Err(Malformed::TooMany);
        }
        let (id, size, budget) = (
            request.id,
            answer_size(&request.message),
            self.budget.clone(),
        );
        self.admitting = Some(Admitting {
            call: Some(message),
            id,
            share: incoming.share,
            more: Box::pin(async move { budget.take(size).await }),
        });
        Ok(None)
    }
}

impl Stream for ServerQueues {
    type Item = Result<ClientMessage<Call>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(admitting) = &mut this.admitting {
                let mut share = ready!(admitting.more.as_mut().poll(cx))?;
                if let Some(first) = admitting.share.take() {
                    share.merge(first);
                }
                this.shares.insert(admitting.id, Some(share));
                let call = admitting.call.take();
                this.admitting = None;
                return Poll::Ready(call.map(Ok));
            }
            let Some(incoming) = ready!(this.incoming.poll_recv(cx)) else {
                return Poll::Ready(None);
            };
            match this.take(incoming) {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => {}
                Err(malformed) => {
                    let error = violated(&this.out.state, malformed);
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl Sink<Response<Reply>> for ServerQueues {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.out.poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, response: Response<Reply>) -> Result<()> {
        let share = self.shares.remove(&response.request_id).flatten();
        match encode_reply(response) {
            Some(frame) => self.out.send(frame, share),
            // Not even the error fits, which is a few bytes.
            None => Ok(()),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.out.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use futures::future::poll_fn;

    use super::*;

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
}
