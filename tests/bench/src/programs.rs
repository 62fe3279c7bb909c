//! The programs that are measured, beside this one.

use std::env;
use std::path::PathBuf;

use crate::Failure;

/// Where realize's programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) realize: PathBuf,
    pub(crate) realized: PathBuf,
}

impl Programs {
    /// Those that were built into the directory in which this program is.
    ///
    /// # Errors
    /// One is not there, with what to do.
    pub(crate) fn find() -> Result<Self, Failure> {
        let own = env::current_exe()?;
        let directory = own.parent().ok_or("this program is in no directory")?;
        let beside = |name: &str| {
            let program = directory.join(name);
            if program.is_file() {
                Ok(program)
            } else {
                let release = if cfg!(debug_assertions) {
                    ""
                } else {
                    " --release"
                };
                Err(format!(
                    "there is no {}: build it first, with `cargo build{release}`",
                    program.display()
                ))
            }
        };
        Ok(Self {
            realize: beside("realize")?,
            realized: beside("realized")?,
        })
    }
}
