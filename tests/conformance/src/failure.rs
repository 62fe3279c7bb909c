//! What a check finds.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokio::time::timeout;

/// Why a transport fails a check: what was to happen, and what happened.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(String);

/// What becomes of a check.
pub type Outcome<T = ()> = Result<T, Failure>;

/// By when what must happen has happened.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// By when what must happen soon has happened.
pub(crate) const SOON: Duration = Duration::from_secs(5);
/// How long nothing happens, where nothing must.
pub(crate) const AWHILE: Duration = Duration::from_millis(300);

impl Failure {
    /// A failure, for the reason given.
    pub fn new(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a test that returns it prints.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failure {}

/// Says of an error what was being done.
pub(crate) trait During<T> {
    fn during(self, what: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: Error> During<T> for Result<T, E> {
    fn during(self, what: impl fmt::Display) -> Outcome<T> {
        self.map_err(|error| {
            let mut text = format!("{what}: {error}");
            let mut next = error.source();
            while let Some(cause) = next {
                text = format!("{text}: {cause}");
                next = cause.source();
            }
            Failure(text)
        })
    }
}

/// A failure, unless `holds`.
pub(crate) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Failure(what())) }
}

/// What `future` is ready with, if it is in time.
pub(crate) async fn within<T>(
    limit: Duration,
    what: impl fmt::Display,
    future: impl Future<Output = T>,
) -> Outcome<T> {
    timeout(limit, future)
        .await
        .map_err(|_| Failure(format!("{what}: not within {} s", limit.as_secs_f64())))
}
