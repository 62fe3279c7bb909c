//! The page: what a registry holds, in the text format of Prometheus.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Registry, TextEncoder};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// What the page is.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How long gathering may take, and waiting for one's turn: less than the ten seconds that Prometheus
/// waits for, so that it hears of the reason.
pub(super) const GATHERING: Duration = Duration::from_secs(5);

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    /// A collector asked what does not answer: a file system that hangs, for instance.
    #[error("gathering the metrics took longer than {} s", GATHERING.as_secs())]
    TookTooLong,
    /// A collector panicked.
    #[error("gathering the metrics failed")]
    Panicked,
    /// A metric cannot be written.
    #[error("writing the metrics")]
    Written(#[from] prometheus::Error),
}

/// A registry, from which pages are gathered one at a time. Clones share the turn.
#[derive(Clone)]
pub(super) struct Page {
    registry: Registry,
    turn: Arc<Semaphore>,
}

impl Page {
    pub(super) fn of(registry: Registry) -> Self {
        Self {
            registry,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// The page as it is now.
    ///
    /// Collectors run on a blocking thread, one whatever they do: those that nobody waits for any
    /// more hold the turn until they end. Cancel safe.
    ///
    /// # Errors
    /// [`PageError::TookTooLong`] after [`GATHERING`].
    pub(super) async fn gather(&self) -> Result<String, PageError> {
        let gathering = async {
            // Never closed.
            let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else {
                return Err(PageError::Panicked);
            };
            let registry = self.registry.clone();
            let gathered = tokio::task::spawn_blocking(move || {
                let page = TextEncoder::new().encode_to_string(&registry.gather());
                drop(turn);
                page
            });
            Ok(gathered.await.map_err(|_| PageError::Panicked)??)
        };
        timeout(GATHERING, gathering)
            .await
            .unwrap_or(Err(PageError::TookTooLong))
    }
}
