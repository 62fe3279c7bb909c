//! What the machine did not run: no limiter can make up for a time in which it gets no processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// How late a thread may be woken: what a burst makes up for.
const LATE: Duration = Duration::from_millis(10);

/// A thread that looks how late it is woken.
pub(crate) struct Pauses {
    ends: Arc<AtomicBool>,
    millis: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Pauses {
    pub(crate) fn watch() -> Self {
        let (ends, millis) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (until, sum) = (Arc::clone(&ends), Arc::clone(&millis));
        let thread = spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let before = Instant::now();
                sleep(Duration::from_millis(1));
                let lost = before.elapsed().saturating_sub(LATE);
                let lost = u64::try_from(lost.as_millis()).unwrap_or(u64::MAX);
                sum.fetch_add(lost, Ordering::Relaxed);
            }
        });
        Self {
            ends,
            millis,
            thread: Some(thread),
        }
    }

    /// By how much the thread was later than a burst makes up for, all in all.
    pub(crate) fn lost(&self) -> Duration {
        Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

impl Drop for Pauses {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
