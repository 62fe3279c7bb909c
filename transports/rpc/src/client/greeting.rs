//! Reaching a peer: dialling it, and saying hello.

use std::time::Duration;

use realize_core::error::{Error, ErrorKind, Result};
use realize_core::transport::{Connection, TransportError};
use tokio::time::{Instant, timeout};

use super::Remote;
use crate::hello::{self, ClientHello, Greeted, SessionId};
use crate::limits::{LimitChange, Passed};

/// How long dialling and saying hello may take, together.
pub(super) const CONNECTING: Duration = Duration::from_secs(20);

/// That the answer to hello is none to what was asked.
pub(super) fn unasked() -> Error {
    let what = "the answer to hello is none to what was asked";
    Error::new(ErrorKind::Protocol, what)
}

/// Dials a peer and says hello. How long the answer took is about what any other will take.
pub(super) async fn greet(
    remote: &Remote,
    session: SessionId,
    first: bool,
    directory: &str,
    limits: Option<LimitChange>,
) -> Result<(Connection, Greeted, Duration)> {
    let dialled = remote.transport.dial(&remote.endpoint, &remote.peer).await;
    let mut connection = dialled.map_err(dialling)?;
    let passed = Passed::default();
    passed.add(&remote.limits);
    connection.stream = passed.hold(connection.stream);
    let hello = ClientHello {
        session,
        first,
        features: if remote.compress { hello::ZSTD } else { 0 },
        program: hello::program(),
        directory: directory.to_owned(),
        limits,
    };
    let asked = Instant::now();
    let greeted = hello::greet(&mut connection.stream, &hello).await?;
    Ok((connection, greeted, asked.elapsed()))
}

/// Bounds the time that connecting takes, and says in its errors to whom.
pub(super) async fn within_time<T>(
    remote: &Remote,
    connecting: impl Future<Output = Result<T>>,
) -> Result<T> {
    let made = timeout(CONNECTING, connecting).await.unwrap_or_else(|_| {
        let what = format!("no connection within {} s", CONNECTING.as_secs());
        Err(Error::new(ErrorKind::Timeout, what))
    });
    made.map_err(|error| {
        let doing = format!("{} ({}): {}", remote.name, remote.endpoint, error.doing());
        error.with_doing(doing)
    })
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
