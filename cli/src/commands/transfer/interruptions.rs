//! Signals, and the time that a move has.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::{Exit, Interruption};

/// What may stop a move from outside, and what did.
pub(super) struct Interruptions(Arc<Mutex<Option<Interruption>>>);

impl Interruptions {
    /// Cancels at a signal, or when the time has run out. A second signal ends the process.
    pub(super) fn watch(cancel: &CancellationToken, limit: Option<Duration>) -> Result<Self, Exit> {
        let listen = |kind| {
            signal(kind).map_err(|error| Exit::other(format!("listening for signals: {error}")))
        };
        let (mut interrupt, mut terminate) = (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
        );
        let cause = Arc::new(Mutex::new(None));
        let (noted, cancel) = (Arc::clone(&cause), cancel.clone());
        tokio::spawn(async move {
            let time = async {
                match limit {
                    Some(limit) => tokio::time::sleep(limit).await,
                    None => std::future::pending().await,
                }
            };
            let why = tokio::select! {
                _ = interrupt.recv() => Interruption::Signal(2),
                _ = terminate.recv() => Interruption::Signal(15),
                () = time => Interruption::TimeRanOut,
            };
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
            cancel.cancel();
            let signal: u8 = tokio::select! {
                _ = interrupt.recv() => 2,
                _ = terminate.recv() => 15,
            };
            std::process::exit(128 + i32::from(signal));
        });
        Ok(Self(cause))
    }

    /// What stopped it, if something did.
    pub(super) fn get(&self) -> Option<Interruption> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
