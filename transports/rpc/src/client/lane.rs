//! One connection of a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use realize_core::buffers::Buffers;
use realize_core::error::{Error, ErrorKind, Result};
use realize_core::transport::Duplex;
use tarpc::client::RpcError;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::compression::Compression;
use crate::link::{Link, OUTGOING, Preface, State};
use crate::protocol::RealizeServiceClient;
use crate::queues::{ClientQueues, MAX_CALLS};

/// How many calls a client has under way on one connection.
pub(super) const CALLS: usize = MAX_CALLS / 2;

/// A connection that calls are made over.
#[derive(Debug)]
pub(super) struct Lane {
    rpc: RealizeServiceClient,
    state: Arc<State>,
    /// Cancelled when nothing is sent and nothing answered any more.
    dispatched: CancellationToken,
    calls: Semaphore,
    under_way: AtomicUsize,
    /// Told at the end of each call.
    roomier: Arc<Notify>,
}

/// What became of a call.
pub(super) enum Called<T> {
    /// It was answered.
    Answered(T),
    /// The connection ended first, and whether it was carried out is not known.
    Lost,
}

impl Lane {
    /// Speaks over `stream`, on which hello has been said, and a `compression` agreed on if there is
    /// one; an `answer` to hello that is not there yet is heard first. The task ends when the
    /// connection does.
    pub(super) fn start(
        stream: Box<dyn Duplex>,
        buffers: Buffers,
        compression: Option<Compression>,
        answer: Option<Preface>,
        roomier: Arc<Notify>,
    ) -> (Self, JoinHandle<()>) {
        let state = Arc::new(State::default());
        let reporting = Arc::clone(&state);
        let link = Link::start(stream, reporting, None, buffers, compression, answer);
        let queues = ClientQueues::new(link.sender, link.incoming, Arc::clone(&state));
        let mut config = tarpc::client::Config::default();
        config.max_in_flight_requests = CALLS;
        config.pending_request_buffer = OUTGOING;
        let client = RealizeServiceClient::new(config, queues);
        let dispatch = client.dispatch;
        let writer = link.writer;
        let dispatched = CancellationToken::new();
        let dispatching = dispatched.clone().drop_guard();
        let task = tokio::spawn(async move {
            // Why it ended, the link knows.
            let _ = dispatch.await;
            drop(dispatching);
            let _ = writer.await;
        });
        let lane = Self {
            rpc: client.client,
            state,
            dispatched,
            calls: Semaphore::new(CALLS),
            under_way: AtomicUsize::new(0),
            roomier,
        };
        (lane, task)
    }

    /// Whether calls can be made.
    pub(super) fn is_alive(&self) -> bool {
        !self.state.end.is_cancelled()
    }

    /// Why it ended.
    pub(super) fn reason(&self) -> Error {
        let closed = || Error::new(ErrorKind::Network, "the connection is closed");
        self.state.reason().cloned().unwrap_or_else(closed)
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        self.state.end.cancelled().await;
    }

    /// How many calls are under way, or wait to be.
    pub(super) fn load(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Makes a call. It is given up when no byte moves over this connection for `patience`.
    ///
    /// # Errors
    /// `Timeout`; `Protocol` if the server could not answer; `Invalid` if the request is too large.
    pub(super) async fn call<T, F>(
        &self,
        patience: Duration,
        call: impl FnOnce(RealizeServiceClient) -> F,
    ) -> Result<Called<T>>
    where
        F: Future<Output = std::result::Result<T, RpcError>>,
    {
        let _under_way = UnderWay::new(self);
        let _turn = tokio::select! {
            turn = self.calls.acquire() => turn,
            () = self.ended() => return Ok(Called::Lost),
        };
        let answer = tokio::select! {
            // An answer that is there counts, however long nobody looked for it.
            biased;
            answer = call(self.rpc.clone()) => answer,
            // One made at that very moment may be in a queue that nobody looks at any more, and whose
            // end it does not see.
            () = self.dispatched.cancelled() => return Ok(Called::Lost),
            () = self.stalled(patience) => {
                let what = format!("no answer, and nothing sent, for {} s", patience.as_secs());
                return Err(Error::new(ErrorKind::Timeout, what));
            }
        };
        match answer {
            Ok(answer) => Ok(Called::Answered(answer)),
            Err(RpcError::Server(error)) => {
                let what = "the other end could not answer";
                Err(Error::new(ErrorKind::Protocol, what).because(Unanswered(error.detail)))
            }
            Err(RpcError::DeadlineExceeded) => {
                Err(Error::new(ErrorKind::Timeout, "no answer within a month"))
            }
            Err(RpcError::Send(error)) if let Some(refused) = unsent(&*error) => Err(refused),
            Err(RpcError::Shutdown | RpcError::Send(_) | RpcError::Channel(_)) => {
                self.state.end.cancel();
                Ok(Called::Lost)
            }
        }
    }

    /// Waits until no byte has moved for `patience`, beginning now.
    async fn stalled(&self, patience: Duration) {
        let mut since = Instant::now();
        loop {
            tokio::time::sleep_until(since + patience).await;
            let moved = self.state.moved();
            if moved <= since {
                return;
            }
            since = moved;
        }
    }
}

/// Why a request was not sent, where that is its own fault and not the connection's.
fn unsent(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Option<Error> {
    let error = error.downcast_ref::<Error>()?;
    (error.kind() == ErrorKind::Invalid).then(|| error.clone())
}

/// Why a server could not answer, in its own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(String);

/// Counts a call for as long as it is there.
struct UnderWay<'a>(&'a Lane);

impl<'a> UnderWay<'a> {
    fn new(lane: &'a Lane) -> Self {
        lane.under_way.fetch_add(1, Ordering::Relaxed);
        Self(lane)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        self.0.roomier.notify_waiters();
    }
}
