//! The calls of a connection, each handed to the session's service.

use std::sync::Arc;

use realize_core::Service;
use realize_core::error::{Error, ErrorKind, Result};
use realize_core::service::{Claim, Ending};
use tarpc::context::Context;

use super::session::{Session, Sessions, pause};
use crate::link::State;
use crate::protocol::RealizeService;
use crate::wire::{self, Batch, Done, Each, Violation};

/// What is said of a request that breaks the protocol; which rule it breaks is the cause.
const INVALID: &str = "the request is not valid";

/// Answers the calls of one connection.
#[derive(Clone)]
pub(super) struct Handler {
    sessions: Arc<Sessions>,
    session: Arc<Session>,
    state: Arc<State>,
}

impl Handler {
    pub(super) fn new(sessions: Arc<Sessions>, session: Arc<Session>, state: Arc<State>) -> Self {
        Self {
            sessions,
            session,
            state,
        }
    }

    /// Has the service do what `request` asks. One that breaks the protocol is told so, and the
    /// connection closes.
    async fn answer<W, C, F, R, A>(
        &self,
        request: W,
        call: impl FnOnce(Arc<dyn Service>, C) -> F,
    ) -> Each<A>
    where
        C: TryFrom<W, Error = Violation>,
        F: Future<Output = Result<R>>,
        A: From<R>,
    {
        let result = match C::try_from(request) {
            Ok(request) => call(Arc::clone(&self.session.service), request).await,
            Err(violation) => {
                tracing::warn!(
                    event = "protocol.violation",
                    peer = self.session.name,
                    directory = self.session.directory,
                    what = INVALID,
                    value = chain(&violation),
                );
                self.state.drain.cancel();
                Err(Error::new(ErrorKind::Protocol, INVALID).because(violation))
            }
        };
        result.into()
    }

    /// Takes the directory; waits for an older session of the same peer to give it back.
    async fn take(&self, service: Arc<dyn Service>, claim: Claim) -> Result<()> {
        let role = claim.role;
        loop {
            // Before: it may have come back by the time that the answer is here.
            let was_returning = self.sessions.is_returning(&self.session);
            match service.claim(claim.clone()).await {
                Err(error)
                    if error.kind() == ErrorKind::Busy
                        && (was_returning || self.sessions.make_way(&self.session, role).await) =>
                {
                    pause().await;
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    self.session.note_claim(Some(role));
                    return Ok(());
                }
            }
        }
    }

    /// Gives the directory back.
    async fn give_back(&self, service: Arc<dyn Service>, ending: Ending) -> Result<()> {
        service.release(ending).await?;
        self.session.note_claim(None);
        Ok(())
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl RealizeService for Handler {
    async fn claim(self, _: Context, claim: wire::Claim) -> Each<Done> {
        self.answer(claim, |service, claim| self.take(service, claim))
            .await
    }

    async fn release(self, _: Context, ending: wire::Ending) -> Each<Done> {
        self.answer(ending, |service, ending| self.give_back(service, ending))
            .await
    }

    async fn list(self, _: Context, list: wire::List) -> Each<wire::Page> {
        self.answer(
            list,
            |service, list| async move { service.list(list).await },
        )
        .await
    }

    async fn offer(
        self,
        _: Context,
        offers: Batch<wire::Offer>,
    ) -> Each<Batch<Each<wire::Answer>>> {
        self.answer(offers, |service, offers| async move {
            service.offer(offers).await
        })
        .await
    }

    async fn read(self, _: Context, read: wire::Read) -> Each<wire::Block> {
        self.answer(
            read,
            |service, read| async move { service.read(read).await },
        )
        .await
    }

    async fn read_batch(
        self,
        _: Context,
        reads: Batch<wire::ReadWhole>,
    ) -> Each<Batch<Each<wire::Payload>>> {
        self.answer(reads, |service, reads| async move {
            service.read_batch(reads).await
        })
        .await
    }

    async fn send(self, _: Context, send: wire::SendBlock) -> Each<Done> {
        self.answer(
            send,
            |service, send| async move { service.send(send).await },
        )
        .await
    }

    async fn put(self, _: Context, puts: Batch<wire::Put>) -> Each<Batch<Each<wire::Receipt>>> {
        self.answer(puts, |service, puts| async move { service.put(puts).await })
            .await
    }

    async fn make_directories(
        self,
        _: Context,
        makes: Batch<wire::MakeDirectory>,
    ) -> Each<Batch<Each<Done>>> {
        self.answer(makes, |service, makes| async move {
            service.make_directories(makes).await
        })
        .await
    }

    async fn hash(self, _: Context, hash: wire::Hash) -> Each<wire::RangeHash> {
        self.answer(
            hash,
            |service, hash| async move { service.hash(hash).await },
        )
        .await
    }

    async fn calculate_signature(
        self,
        _: Context,
        request: wire::SignatureRequest,
    ) -> Each<wire::Signature> {
        self.answer(request, |service, request| async move {
            service.calculate_signature(request).await
        })
        .await
    }

    async fn diff(self, _: Context, request: wire::DiffRequest) -> Each<wire::Difference> {
        self.answer(request, |service, request| async move {
            service.diff(request).await
        })
        .await
    }

    async fn apply_patch(self, _: Context, patch: wire::Patch) -> Each<Done> {
        self.answer(patch, |service, patch| async move {
            service.apply_patch(patch).await
        })
        .await
    }

    async fn finish(
        self,
        _: Context,
        finishes: Batch<wire::Finish>,
    ) -> Each<Batch<Each<wire::Receipt>>> {
        self.answer(finishes, |service, finishes| async move {
            service.finish(finishes).await
        })
        .await
    }

    async fn delete(self, _: Context, deletes: Batch<wire::Delete>) -> Each<Batch<Each<Done>>> {
        self.answer(deletes, |service, deletes| async move {
            service.delete(deletes).await
        })
        .await
    }

    async fn configure(self, _: Context, config: wire::Config) -> Each<wire::Config> {
        let session = &self.session;
        self.answer(config, |service, config| async move {
            // It says whether the peer may; how fast is sent is the connection's.
            service.configure(config).await?;
            Ok(session.configure(config))
        })
        .await
    }
}
