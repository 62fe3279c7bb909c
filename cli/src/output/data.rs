//! Data on standard output.

use std::io::{self, Write as _};
use std::sync::{Arc, OnceLock};

use crate::exit::Exit;

/// Standard output, for data: once a line of it could not be written, no other one is. Clones are the
/// same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Data(Arc<OnceLock<io::Error>>);

impl Data {
    /// Writes a line.
    pub(crate) fn print(&self, line: &str) {
        self.note(|| writeln!(io::stdout().lock(), "{line}"));
    }

    fn note(&self, write: impl FnOnce() -> io::Result<()>) {
        if !self.has_ended()
            && let Err(error) = write()
        {
            let _ = self.0.set(error);
        }
    }

    /// Whether nothing more can be written.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.get().is_some()
    }

    /// What has become of it: that a reader had enough is no error.
    pub(crate) fn written(&self) -> Result<(), Exit> {
        match self.0.get() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Exit::other(format!("writing standard output: {error}")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_an_error_unless_nobody_wants_it() {
        for (kind, fails) in [
            (io::ErrorKind::StorageFull, true),
            (io::ErrorKind::BrokenPipe, false),
        ] {
            let data = Data::default();
            data.note(|| Ok(()));
            assert!(!data.has_ended() && data.written().is_ok());
            data.note(|| Err(kind.into()));
            data.note(|| panic!("no other line is written"));
            assert!(data.has_ended());
            assert_eq!(data.written().is_err(), fails);
        }
    }
}
