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
    Call, Malformed, Operation, Reply, answer_size, decode_call, decode_reply, encode_call,
    encode_reply, is_urgent,
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

    fn send(
        &mut self,
        frame: Frame,
        urgent: bool,
        share: Option<OwnedSemaphorePermit>,
    ) -> Result<()> {
        let queue = if urgent {
            &mut self.urgent
        } else {
            &mut self.bulky
        };
        let outgoing = Outgoing {
            frame,
            decompressed: None,
            share,
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
    asked: HashMap<u64, Asked>,
}

/// What is known of a call until it is answered or given up.
struct Asked {
    operation: Operation,
    urgent: bool,
}

impl ClientQueues {
    pub(crate) fn new(
        sender: Sender,
        incoming: mpsc::Receiver<Incoming>,
        state: Arc<State>,
    ) -> Self {
        let out = Out::new(sender, state);
        Self {
            out,
            incoming,
            asked: HashMap::new(),
        }
    }

    /// The reply in a frame. One of another kind than the call would make tarpc's client panic. One
    /// to no call that is known may be to one that was given up.
    fn take(&mut self, frame: &Frame) -> std::result::Result<Response<Reply>, Malformed> {
        let response = decode_reply(frame)?;
        match (self.asked.remove(&response.request_id), &response.message) {
            (Some(asked), Ok(reply)) if asked.operation != Operation::of_reply(reply) => {
                Err(Malformed::Kind)
            }
            _ => Ok(response),
        }
    }
}

impl Stream for ClientQueues {
    type Item = Result<Response<Reply>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(incoming) = ready!(self.incoming.poll_recv(cx)) else {
            return Poll::Ready(None);
        };
        let reply = self.take(&incoming.frame);
        Poll::Ready(Some(reply.map_err(|e| violated(&self.out.state, e))))
    }
}

impl Sink<ClientMessage<Call>> for ClientQueues {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.out.poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: ClientMessage<Call>) -> Result<()> {
        let asked = match &message {
            ClientMessage::Request(request) => {
                Ok((request.id, Operation::of_call(&request.message)))
            }
            ClientMessage::Cancel { request_id, .. } => Err(self.asked.remove(request_id)),
            // There is nothing else in this version of tarpc.
            _ => Err(None),
        };
        let frame = encode_call(message).ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                "a request is larger than a frame may be",
            )
        })?;
        let urgent = match asked {
            Ok((id, operation)) => {
                let urgent = is_urgent(&frame);
                self.asked.insert(id, Asked { operation, urgent });
                urgent
            }
            // The end of a call goes behind the call: one that came first would end nothing.
            Err(asked) => asked.is_none_or(|asked| asked.urgent),
        };
        self.out.send(frame, urgent, None)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.out.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Calls come in, replies go out. Each call has its shares of the peer's budgets: for itself until
/// it is answered, for its answer until that is written.
pub(crate) struct ServerQueues {
    out: Out,
    incoming: mpsc::Receiver<Incoming>,
    answers: Budget,
    shares: HashMap<u64, Shares>,
    admitting: Option<Admitting>,
}

/// What a call takes of the budgets.
struct Shares {
    _request: Option<OwnedSemaphorePermit>,
    answer: OwnedSemaphorePermit,
}

/// A call that waits for the share of its answer.
struct Admitting {
    call: Option<ClientMessage<Call>>,
    id: u64,
    request: Option<OwnedSemaphorePermit>,
    answer: BoxFuture<'static, Result<OwnedSemaphorePermit>>,
}

impl ServerQueues {
    pub(crate) fn new(
        sender: Sender,
        incoming: mpsc::Receiver<Incoming>,
        state: Arc<State>,
        answers: Budget,
    ) -> Self {
        Self {
            out: Out::new(sender, state),
            incoming,
            answers,
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
            self.answers.clone(),
        );
        self.admitting = Some(Admitting {
            call: Some(message),
            id,
            request: incoming.share,
            answer: Box::pin(async move { budget.take(size).await }),
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
                let answer = ready!(admitting.answer.as_mut().poll(cx))?;
                let shares = Shares {
                    _request: admitting.request.take(),
                    answer,
                };
                this.shares.insert(admitting.id, shares);
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
        let shares = self.shares.remove(&response.request_id);
        let share = shares.map(|shares| shares.answer);
        match encode_reply(response) {
            Some(frame) => {
                let urgent = is_urgent(&frame);
                self.out.send(frame, urgent, share)
            }
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
mod tests;
