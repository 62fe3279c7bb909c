//! What both programs run on.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

use crate::exit::Exit;

/// Starts the runtime, with as many open files as this process may have: a batch of files holds their
/// directories open, and the 1,024 that systems give unasked are for programs that use select.
///
/// # Errors
/// The system lets it have no more threads.
pub(crate) fn start() -> Result<Runtime, Exit> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::debug!(event = "files.limited", %error, "open files stay as limited as they are");
    }
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::other(format!("starting the runtime: {error}")))
}
