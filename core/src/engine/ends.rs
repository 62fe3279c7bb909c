//! Claiming both ends, and giving them back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;

use super::Run;
use super::report::Report;
use crate::error::{Error, ErrorKind, Result};
use crate::service::{Claim, Ending, Origin, Role};

/// How long the ends of a run that was stopped short are asked to be given back. They are given back
/// with the connection too.
const RELEASING: Duration = Duration::from_secs(10);

impl Run {
    /// Takes both ends for this run, or neither.
    pub(super) async fn claim(&self) -> Result<()> {
        let role = if self.is_move() {
            Role::Source
        } else {
            Role::Reader
        };
        let claim = |role| Claim {
            role,
            run: self.id,
            origin: Origin::of(&self.options.source),
            holder: self.options.holder.clone(),
        };
        self.source.claim(claim(role)).await?;
        let claimed = self.destination.claim(claim(Role::Destination)).await;
        if claimed.is_err() {
            // Why there is no move says more than why the source could not be given back.
            let _ = self.source.release(Ending::Failed).await;
        }
        claimed
    }

    /// Gives both ends back. Where the run was stopped short that does not take longer than
    /// [`RELEASING`].
    pub(super) async fn release(&self, ending: Ending) -> Result<()> {
        let released = async {
            let source = self.source.release(ending);
            let destination = self.destination.release(ending);
            let (source, destination) = futures::join!(source, destination);
            source.and(destination)
        };
        if ending != Ending::Interrupted {
            return released.await;
        }
        timeout(RELEASING, released).await.unwrap_or_else(|_| {
            let what = format!("no answer within {} s", RELEASING.as_secs());
            Err(Error::new(ErrorKind::Timeout, what))
        })
    }

    /// What the ends are told of how the run ended; `to_the_end` says that nothing broke it off.
    pub(super) fn ending(&self, report: &Report, to_the_end: bool) -> Ending {
        // Partials of files that were not looked at are not nobody's.
        let whole = self.options.filter.is_everything() && self.options.within.is_none();
        if !to_the_end || report.stopped.is_some() || self.unfinished.load(Ordering::Relaxed) {
            Ending::Interrupted
        } else if report.is_clean() && whole {
            Ending::Clean
        } else if report.failed > 0 {
            Ending::Failed
        } else {
            Ending::Done
        }
    }
}
