//! Serving directories to peers.
//!
//! Whoever accepts connections hands each to [`Server::serve`], which returns at its end. A
//! connection is about one directory, opened by whoever implements [`Directories`] for one peer;
//! all lanes of a session share what was opened. What a peer asks is bounded: in the size of a
//! frame, in calls at once, and in the memory that they and their answers take. A call that panics
//! ends its connection, and no other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use realize_core::Service;
use realize_core::buffers::Buffers;
use realize_core::error::{Error, ErrorKind, Result};
use realize_core::transport::{Connection, Duplex, PeerId};
use tarpc::server::{BaseChannel, Channel};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info_span};

use crate::budget::Budgets;
use crate::compression::Compression;
use crate::hello::{self, ClientHello, Granted};
use crate::limits::{InForce, LimitChange, Limits, Passed};
use crate::link::{Link, State};
use crate::protocol::RealizeService;
use crate::queues::{MAX_CALLS, ServerQueues};

mod handler;
mod session;

use handler::Handler;
use session::{Entered, Sessions};

/// How long a connection may take to say hello.
const HELLO: Duration = Duration::from_secs(10);

/// What a server serves.
#[async_trait]
pub trait Directories: Send + Sync + std::fmt::Debug {
    /// Opens a directory for a session of `peer`, by the name that it asks for. Errors:
    /// `Forbidden`, in the same words whether there is no such directory or it is none of the
    /// peer's.
    async fn open(&self, peer: &PeerId, directory: &str) -> Result<Opened>;

    /// Changes the limits that hold for all peers together, as `peer` asks; answers what is in force
    /// from then on. Errors: `Forbidden` if it is not the peer's to know.
    fn limits(&self, peer: &PeerId, change: LimitChange) -> Result<InForce>;

    /// What `peer` may do in which directories, in words for people: at most [`MAX_GRANTS`](crate::MAX_GRANTS) texts
    /// of at most 256 bytes.
    fn overview(&self, peer: &PeerId) -> Vec<String>;
}

/// A directory, opened for one session.
pub struct Opened {
    /// What it can do; it does nothing that the peer may not ask for.
    pub service: Arc<dyn Service>,
    /// What the peer may do, in words for people: at most [`MAX_GRANTS`](crate::MAX_GRANTS) texts of at most 256
    /// bytes.
    pub grants: Vec<String>,
    /// What this machine calls the peer, for logs.
    pub peer: String,
    /// How fast the connections of the session go, besides what the peer asks for.
    pub limits: Limits,
}

/// Serves directories over connections.
#[derive(Debug)]
pub struct Server {
    directories: Arc<dyn Directories>,
    sessions: Arc<Sessions>,
    buffers: Buffers,
    compression: Compression,
    drain: CancellationToken,
}

impl Server {
    /// A server of `directories`.
    pub fn new(directories: Arc<dyn Directories>) -> Self {
        let buffers = Buffers::default();
        Self {
            directories,
            sessions: Arc::default(),
            compression: Compression::new(buffers.clone()),
            buffers,
            drain: CancellationToken::new(),
        }
    }

    /// Ends every connection once what is under way on it has been answered; each
    /// [`serve`](Self::serve) returns then.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Cuts the connections of every peer that is not `wanted`, now.
    pub fn cut(&self, wanted: impl Fn(&PeerId) -> bool) {
        self.sessions.cut(wanted);
    }

    /// Serves a connection until its end. When the future is dropped the connection is cut.
    ///
    /// # Errors
    /// Why it ended, unless the peer, or this server, closed it in order.
    pub async fn serve(&self, connection: Connection) -> Result<()> {
        let Connection { peer, stream, .. } = connection;
        let passed = Passed::default();
        let mut stream = passed.hold(stream);
        let state = Arc::new(State::default());
        // However it ends: whoever holds the state sees it.
        let _ended = state.end.clone().drop_guard();
        let welcomed = timeout(HELLO, self.welcome(&peer, &mut stream, &state)).await;
        let welcomed = welcomed.unwrap_or_else(|_| {
            let what = format!("no hello within {} s", HELLO.as_secs());
            Err(Error::new(ErrorKind::Timeout, what))
        });
        match welcomed? {
            Some((entered, compression)) => {
                passed.add(&entered.session.limits);
                let span = info_span!("directory", directory = entered.session.directory);
                let working = self.work(&entered, stream, compression);
                working.instrument(span).await
            }
            None => Ok(()),
        }
    }

    /// Hears a client's hello, lets it into its session, and answers; with the session comes what
    /// was agreed on to compress payloads, if it was. There is none for a client that only asks what
    /// it may do.
    async fn welcome(
        &self,
        peer: &PeerId,
        stream: &mut Box<dyn Duplex>,
        state: &Arc<State>,
    ) -> Result<Option<(Entered<'_>, Option<Compression>)>> {
        let hello = hello::listen(stream).await?;
        let agreed = hello.features & hello::FEATURES;
        if hello.directory.is_empty() {
            let answer = match hello.limits {
                None => Ok(Granted::Rights(self.directories.overview(peer))),
                Some(change) => self.directories.limits(peer, change).map(Granted::Limits),
            };
            let sent = hello::answer_last(stream, hello::FEATURES, answer).await;
            return sent.map(|()| None).map_err(|error| hello::network(&error));
        }
        let entered = if hello.first {
            self.begin(peer, &hello, state).await
        } else {
            self.sessions
                .join(peer, hello.session, &hello.directory, state)
        };
        let entered = match entered {
            Ok(entered) => entered,
            Err(error) => {
                // Why there is no session counts, whether it could be said or not.
                let _ = hello::answer_last(stream, hello::FEATURES, Err(error.clone())).await;
                return Err(error);
            }
        };
        let rights = Ok(Granted::Rights(entered.session.grants.clone()));
        let sent = hello::answer(stream, hello::FEATURES, rights).await;
        sent.map_err(|error| hello::network(&error))?;
        let compresses = agreed & hello::ZSTD != 0;
        Ok(Some((
            entered,
            compresses.then(|| self.compression.clone()),
        )))
    }

    /// Opens a directory for a session. Where peers were [cut](Self::cut) meanwhile it is opened
    /// again: who may have it is known as of now.
    async fn begin(
        &self,
        peer: &PeerId,
        hello: &ClientHello,
        state: &Arc<State>,
    ) -> Result<Entered<'_>> {
        let (id, directory) = (hello.session, &hello.directory);
        loop {
            let cuts = self.sessions.cuts();
            let opened = self.directories.open(peer, directory).await?;
            let begun = self
                .sessions
                .begin(cuts, peer, id, directory, opened, state);
            if let Some(entered) = begun.transpose() {
                return entered;
            }
        }
    }

    async fn work(
        &self,
        entered: &Entered<'_>,
        stream: Box<dyn Duplex>,
        compression: Option<Compression>,
    ) -> Result<()> {
        let (session, state) = (&entered.session, &entered.state);
        let Budgets { requests, answers } = session.budgets.clone();
        let buffers = self.buffers.clone();
        let link = Link::start(
            stream,
            Arc::clone(state),
            Some(requests),
            buffers,
            compression,
            None,
        );
        let queues = ServerQueues::new(link.sender, link.incoming, Arc::clone(state), answers);
        let config = tarpc::server::Config {
            pending_response_buffer: MAX_CALLS,
        };
        let mut requests = Box::pin(BaseChannel::new(config, queues).requests());
        let handler = Handler::new(
            Arc::clone(&self.sessions),
            Arc::clone(session),
            Arc::clone(state),
        );
        let mut handlers = JoinSet::new();
        let mut draining = false;
        loop {
            tokio::select! {
                biased;
                () = session.cut.cancelled() => {
                    state.fail(session.over());
                    break;
                }
                () = state.end.cancelled() => break,
                () = self.drain.cancelled(), if !draining => {
                    draining = true;
                    state.drain.cancel();
                }
                Some(ended) = handlers.join_next() => {
                    if ended.is_err_and(|error| error.is_panic()) {
                        state.fail(Error::new(ErrorKind::Io, "a call panicked"));
                        break;
                    }
                }
                request = requests.next() => match request {
                    Some(Ok(request)) => {
                        let answered = request.execute(handler.clone().serve());
                        handlers.spawn(answered.in_current_span());
                    }
                    // A queue's error is the connection's, which has ended with it.
                    Some(Err(_)) => break,
                    // Nothing more is read, and everything is answered.
                    None => break,
                },
            }
        }
        drop(requests);
        if !state.end.is_cancelled() {
            tokio::select! {
                biased;
                () = session.cut.cancelled() => state.fail(session.over()),
                // What is written ends within bounds of its own.
                _ = link.writer => {}
            }
        }
        state.fault().map_or(Ok(()), |error| Err(error.clone()))
    }
}

#[cfg(test)]
mod tests;
