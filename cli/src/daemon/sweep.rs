//! Removing partials that nobody came back for.

use std::sync::Arc;
use std::time::Duration;

use realize_core::LocalOptions;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info_span};

use super::directories::{Served, open};

/// How old a partial may get.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often there is a look.
const INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// Sweeps every directory, now and then once a day, until it is told to stop.
pub(super) async fn keep_swept(served: Arc<Served>, stop: CancellationToken) {
    loop {
        let sweeping = sweep_all(&served);
        tokio::select! {
            () = stop.cancelled() => return,
            () = sweeping => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

async fn sweep_all(served: &Served) {
    for (directory, path) in served.paths() {
        let swept = match open(path, LocalOptions::default()).await {
            Ok(service) => {
                let span = info_span!("directory", directory);
                service.sweep(MAX_AGE).instrument(span).await
            }
            Err(error) => Err(error),
        };
        match swept {
            Ok(count) => tracing::debug!(event = "sweep.finished", directory, count),
            Err(error) => tracing::warn!(
                event = "sweep.failed",
                directory,
                reason = %error.chain()
            ),
        }
    }
}
