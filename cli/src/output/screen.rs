//! Standard error, which the bars of a move share with everything else that is said.

use std::io::{self, Write, stderr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::MultiProgress;
use tracing_subscriber::fmt::MakeWriter;

/// Standard error. While bars are on it, they give way to what is written, and come back below it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Screen(Arc<Mutex<Option<MultiProgress>>>);

impl Screen {
    /// From now on there are these bars.
    pub(super) fn show(&self, bars: &MultiProgress) {
        *self.bars() = Some(bars.clone());
    }

    /// There are none any more.
    pub(super) fn clear(&self) {
        *self.bars() = None;
    }

    fn bars(&self) -> MutexGuard<'_, Option<MultiProgress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &*self.bars() {
            Some(bars) => bars.suspend(|| stderr().write(bytes)),
            None => stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}

impl MakeWriter<'_> for Screen {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
