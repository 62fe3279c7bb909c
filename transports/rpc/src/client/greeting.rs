//! Reaching a peer: dialling it, and saying hello.

use std::time::Duration;

use realize_core::error::{Error, ErrorKind, Result};
use realize_core::transport::{Connection, TransportError};
use tokio::time::timeout;

use super::Remote;
use crate::hello::{self, ClientHello, Granted, SessionId};
use crate::limits::{LimitChange, Passed};

/// How long dialling and saying hello may take, together.
pub(super) const CONNECTING: Duration = Duration::from_secs(20);

/// That the answer to hello is none to what was asked.
pub(super) fn unasked() -> Error {
    let what = "the answer to hello is none to what was asked";
    Error::new(ErrorKind::Protocol, what)
}

impl Remote {
    /// The same error, with whom it is about and where that is.
    pub(super) fn named(&self, error: Error) -> Error {
        let doing = format!("{} ({}): {}", self.name, self.endpoint, error.doing());
        error.with_doing(doing)
    }
}

/// Dials a peer; the connection goes as fast as the remote's limits say.
pub(super) async fn dial(remote: &Remote) -> Result<Connection> {
    let dialled = remote.transport.dial(&remote.endpoint, &remote.peer).await;
    let mut connection = dialled.map_err(dialling)?;
    let passed = Passed::default();
    passed.add(&remote.limits);
    connection.stream = passed.hold(connection.stream);
    Ok(connection)
}

/// What is said to a peer whose directory is wanted; `first` opens the session.
pub(super) fn session_hello(remote: &Remote, session: SessionId, first: bool) -> ClientHello {
    ClientHello {
        session,
        first,
        features: if remote.compress { hello::ZSTD } else { 0 },
        program: hello::program(),
        directory: remote.directory.clone(),
        limits: None,
    }
}

/// Dials a peer to ask it something that is about no directory, and hears the answer.
pub(super) async fn ask(remote: &Remote, limits: Option<LimitChange>) -> Result<Granted> {
    let asking = async {
        let mut connection = dial(remote).await?;
        let hello = ClientHello {
            session: SessionId::default(),
            first: true,
            features: 0,
            program: hello::program(),
            directory: String::new(),
            limits,
        };
        let greeted = hello::greet(&mut connection.stream, &hello).await?;
        Ok(greeted.granted)
    };
    within_time(remote, asking).await
}

/// Bounds the time that connecting takes, and says in its errors to whom.
pub(super) async fn within_time<T>(
    remote: &Remote,
    connecting: impl Future<Output = Result<T>>,
) -> Result<T> {
    let made = timeout(CONNECTING, connecting).await;
    made.unwrap_or_else(|_| Err(too_slow()))
        .map_err(|error| remote.named(error))
}

/// That the peer let [`CONNECTING`] pass.
pub(super) fn too_slow() -> Error {
    let what = format!("no connection within {} s", CONNECTING.as_secs());
    Error::new(ErrorKind::Timeout, what)
}

/// A transport's error as a service's.
fn dialling(error: TransportError) -> Error {
    let kind = match &error {
        TransportError::Unreachable { .. } | TransportError::Closed => ErrorKind::Network,
        TransportError::Identity { .. } => ErrorKind::Forbidden,
        TransportError::Address { .. } => ErrorKind::Invalid,
        TransportError::Io(inner) => return hello::network(inner),
        _ => ErrorKind::Network,
    };
    Error::new(kind, "connecting").because(error)
}
