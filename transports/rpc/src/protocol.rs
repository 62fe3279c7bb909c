//! The calls of a [`Service`](realize_core::Service) as tarpc knows them, and how each becomes a
//! frame.
//!
//! What travels is not tarpc's own message but a number, and the call or its answer. No deadline
//! crosses the wire: whether the other end is alive is known from the connection, and how long
//! something may take is each end's own affair. Nor does a trace: the two ends are two people's.

use std::time::{Duration, Instant};

use bytes::Bytes;
use realize_core::delta::MAX_SIGNATURE_BLOCKS;
use realize_core::path::MAX_PATH_LEN;
use realize_core::service::MAX_BATCH;
use serde::{Deserialize, Serialize};
use tarpc::context::Context;
use tarpc::trace;
use tarpc::{ClientMessage, Request, Response, ServerError};

use crate::frame::{Frame, MAX_PAYLOAD};
use crate::wire::{self, Batch, Done, Each, MAX_MESSAGE, Violation, attach, detach};

/// How long tarpc lets a call live, at either end. It is a last resort: [`SILENCE`](crate::link)
/// and the client's look at the bytes that move come long before. (Some two years and more make
/// tarpc's timers panic.)
const CALL_LIMIT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How much is kept of why a server could not answer, in bytes.
const MAX_WHY: usize = 1 << 10;
/// Headers of more than this many bytes go after the urgent frames.
const URGENT: usize = 16 << 10;

/// The answer to a call about one thing.
type One<T> = Each<T>;
/// The answers to a batch.
type Many<T> = Each<Batch<Each<T>>>;

/// What a directory can do, as it is asked over a connection.
#[tarpc::service]
pub(crate) trait RealizeService {
    async fn claim(claim: wire::Claim) -> One<Done>;
    async fn release(ending: wire::Ending) -> One<Done>;
    async fn list(list: wire::List) -> One<wire::Page>;
    async fn offer(offers: Batch<wire::Offer>) -> Many<wire::Answer>;
    async fn read(read: wire::Read) -> One<wire::Block>;
    async fn read_batch(reads: Batch<wire::ReadWhole>) -> Many<wire::Payload>;
    async fn send(send: wire::SendBlock) -> One<Done>;
    async fn put(puts: Batch<wire::Put>) -> Many<wire::Receipt>;
    async fn make_directories(makes: Batch<wire::MakeDirectory>) -> Many<Done>;
    async fn hash(hash: wire::Hash) -> One<wire::RangeHash>;
    async fn calculate_signature(request: wire::SignatureRequest) -> One<wire::Signature>;
    async fn diff(request: wire::DiffRequest) -> One<wire::Difference>;
    async fn apply_patch(patch: wire::Patch) -> One<Done>;
    async fn finish(finishes: Batch<wire::Finish>) -> Many<wire::Receipt>;
    async fn delete(deletes: Batch<wire::Delete>) -> Many<Done>;
    async fn configure(config: wire::Config) -> One<wire::Config>;
}

pub(crate) type Call = RealizeServiceRequest;
pub(crate) type Reply = RealizeServiceResponse;

macro_rules! operations {
    ($($name:ident),+ $(,)?) => {
        /// Which call it is, or is answered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Operation {
            $($name),+
        }

        impl Operation {
            pub(crate) fn of_call(call: &Call) -> Self {
                match call {
                    $(Call::$name { .. } => Self::$name),+
                }
            }

            pub(crate) fn of_reply(reply: &Reply) -> Self {
                match reply {
                    $(Reply::$name(_) => Self::$name),+
                }
            }
        }
    };
}

operations! {
    Claim, Release, List, Offer, Read, ReadBatch, Send, Put, MakeDirectories, Hash,
    CalculateSignature, Diff, ApplyPatch, Finish, Delete, Configure,
}

/// From the client to the server.
#[derive(Debug, Serialize, Deserialize)]
enum Up<C> {
    Call(u64, C),
    Cancel(u64),
}

/// From the server to the client.
#[derive(Debug, Serialize, Deserialize)]
enum Down<R> {
    Reply(u64, R),
    /// The server could not answer at all, and why.
    Failed(u64, String),
}

/// When a call that begins now ends at the latest.
pub(crate) fn context() -> Context {
    let mut context = Context::current();
    context.deadline = Instant::now() + CALL_LIMIT;
    context
}

/// Takes the bulk bytes out of a call.
fn detach_call(call: &mut Call) -> Vec<Bytes> {
    match call {
        Call::Send { send } => detach(send),
        Call::Put { puts } => detach(puts),
        Call::ApplyPatch { patch } => detach(patch),
        _ => Vec::new(),
    }
}

fn attach_call(call: &mut Call, bytes: Bytes) -> Result<(), Violation> {
    match call {
        Call::Send { send } => attach(send, bytes),
        Call::Put { puts } => attach(puts, bytes),
        Call::ApplyPatch { patch } => attach(patch, bytes),
        _ => nothing(&bytes),
    }
}

/// Takes the bulk bytes out of a reply.
fn detach_reply(reply: &mut Reply) -> Vec<Bytes> {
    match reply {
        Reply::Read(Each::Ok(block)) => detach(block),
        Reply::ReadBatch(Each::Ok(results)) => detach(results),
        Reply::Diff(Each::Ok(difference)) => detach(difference),
        _ => Vec::new(),
    }
}

fn attach_reply(reply: &mut Reply, bytes: Bytes) -> Result<(), Violation> {
    match reply {
        Reply::Read(Each::Ok(block)) => attach(block, bytes),
        Reply::ReadBatch(Each::Ok(results)) => attach(results, bytes),
        Reply::Diff(Each::Ok(difference)) => attach(difference, bytes),
        _ => nothing(&bytes),
    }
}

/// For messages that carry no bytes.
fn nothing(bytes: &Bytes) -> Result<(), Violation> {
    if bytes.is_empty() {
        Ok(())
    } else {
        Err(Violation::Payload)
    }
}

/// What is wrong with a frame.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Malformed {
    /// It holds no message.
    #[error("a frame that holds no message")]
    Message(#[from] postcard::Error),
    /// Something follows the message.
    #[error("a frame that holds more than a message")]
    Rest,
    /// Its bytes are not those of the message.
    #[error("a frame that does not fit together")]
    Payload(#[from] Violation),
    /// It begins a call of a number that another call has.
    #[error("two calls of one number")]
    Repeated,
    /// It answers a call with what is no answer to it.
    #[error("an answer of another kind than the call")]
    Kind,
    /// It is one call too many.
    #[error("more calls at once than there may be")]
    TooMany,
}

/// The frame of what a client sends; `None` if it is too large for one.
pub(crate) fn encode_call(message: ClientMessage<Call>) -> Option<Frame> {
    match message {
        ClientMessage::Request(Request {
            id, mut message, ..
        }) => {
            let payload = detach_call(&mut message);
            encode(&Up::Call(id, message), payload)
        }
        ClientMessage::Cancel { request_id, .. } => {
            encode(&Up::<Call>::Cancel(request_id), Vec::new())
        }
        // There is nothing else in this version of tarpc.
        _ => None,
    }
}

/// What a client sent.
pub(crate) fn decode_call(frame: &Frame) -> Result<ClientMessage<Call>, Malformed> {
    match decode(&frame.header)? {
        Up::Call(id, mut message) => {
            attach_call(&mut message, payload(frame))?;
            let context = context();
            Ok(ClientMessage::Request(Request {
                context,
                id,
                message,
            }))
        }
        Up::Cancel(request_id) => {
            nothing(&payload(frame))?;
            Ok(ClientMessage::Cancel {
                trace_context: trace::Context::default(),
                request_id,
            })
        }
    }
}

/// The frame of what a server answers. An answer that is too large for one becomes an error of that
/// call alone.
pub(crate) fn encode_reply(response: Response<Reply>) -> Option<Frame> {
    let id = response.request_id;
    let failed = |why: String| encode(&Down::<Reply>::Failed(id, why), Vec::new());
    match response.message {
        Ok(mut reply) => {
            let payload = detach_reply(&mut reply);
            let what = "the answer is larger than a frame may be";
            encode(&Down::Reply(id, reply), payload).or_else(|| failed(what.to_owned()))
        }
        Err(error) => failed(error.detail),
    }
}

/// What a server answered.
pub(crate) fn decode_reply(frame: &Frame) -> Result<Response<Reply>, Malformed> {
    let (request_id, message) = match decode(&frame.header)? {
        Down::Reply(id, mut reply) => {
            attach_reply(&mut reply, payload(frame))?;
            (id, Ok(reply))
        }
        Down::Failed(id, mut why) => {
            nothing(&payload(frame))?;
            why.truncate(why.floor_char_boundary(MAX_WHY));
            let error = ServerError::new(std::io::ErrorKind::Other, why);
            (id, Err(error))
        }
    };
    Ok(Response {
        request_id,
        message,
    })
}

fn encode(message: &impl Serialize, payload: Vec<Bytes>) -> Option<Frame> {
    let header = postcard::to_stdvec(message).ok()?.into();
    let frame = Frame { header, payload };
    let fits = frame.header.len() <= MAX_MESSAGE && frame.payload_len() <= MAX_PAYLOAD;
    fits.then_some(frame)
}

fn decode<'a, T: Deserialize<'a>>(header: &'a [u8]) -> Result<T, Malformed> {
    match postcard::take_from_bytes(header)? {
        (message, []) => Ok(message),
        _ => Err(Malformed::Rest),
    }
}

/// The payload of a frame that came in, which is in one piece.
fn payload(frame: &Frame) -> Bytes {
    frame.payload.first().cloned().unwrap_or_default()
}

/// Whether a frame goes before those that are large.
pub(crate) fn is_urgent(frame: &Frame) -> bool {
    frame.payload.is_empty() && frame.header.len() <= URGENT
}

/// How many bytes the answer to a call may take.
pub(crate) fn answer_size(call: &Call) -> usize {
    /// What any answer may take, and the one about an item of a batch besides its path.
    const SMALL: u64 = 1 << 10;
    /// What is said of an offer, with the ranges of a partial and the state of its hash.
    const OFFERED: u64 = 4 << 10;
    /// What a block takes in a signature: its two sums.
    const SUMS: u64 = 17;
    let range = |range: &wire::Range| range.end.saturating_sub(range.start);
    let bytes = match call {
        Call::Read { read } => range(&read.range),
        Call::ReadBatch { reads } => items(&reads.0, |read| {
            SMALL
                .saturating_add(read.size)
                .saturating_add(len(&read.path.0))
        }),
        Call::Diff { request } => range(&request.range),
        Call::CalculateSignature { request } => {
            let blocks = range(&request.range) / u64::from(request.block.max(1));
            let blocks = blocks.saturating_add(1);
            blocks.min(MAX_SIGNATURE_BLOCKS as u64) * SUMS
        }
        // As many as fit in a page, with paths of any length.
        Call::List { .. } => MAX_BATCH as u64 * (MAX_PATH_LEN as u64 + SMALL),
        Call::Offer { offers } => items(&offers.0, |offer| OFFERED + len(&offer.path.0)),
        Call::Put { puts } => items(&puts.0, |put| SMALL + len(&put.path.0)),
        Call::MakeDirectories { makes } => items(&makes.0, |make| SMALL + len(&make.path.0)),
        Call::Finish { finishes } => items(&finishes.0, |finish| SMALL + len(&finish.path.0)),
        Call::Delete { deletes } => items(&deletes.0, |delete| match delete {
            wire::Delete::File { path, .. } | wire::Delete::Directory { path } => {
                SMALL + len(&path.0)
            }
        }),
        Call::Claim { .. }
        | Call::Release { .. }
        | Call::Send { .. }
        | Call::Hash { .. }
        | Call::ApplyPatch { .. }
        | Call::Configure { .. } => 0,
    };
    usize::try_from(bytes.saturating_add(SMALL)).unwrap_or(usize::MAX)
}

fn items<T>(items: &[T], size: impl Fn(&T) -> u64) -> u64 {
    items.iter().map(size).fold(0, u64::saturating_add)
}

fn len(path: &Bytes) -> u64 {
    path.len() as u64
}

#[cfg(test)]
pub(crate) mod tests;
