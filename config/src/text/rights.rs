//! What a peer may do.

use super::{FromText, did_you_mean};
use crate::nearest::listed;

choice! {
    /// What a peer may do in a directory.
    #[derive(Hash, PartialOrd, Ord)]
    Right {
        /// See what it holds.
        List = "list",
        /// Read what is in its files.
        Read = "read",
        /// Add files whose names are free.
        Write = "write",
        /// Put a file in the place of another.
        Replace = "replace",
        /// Delete a file.
        Delete = "delete",
    }
}

/// The one right that has nothing to do with directories: to change a daemon's limits.
#[derive(Debug)]
pub(crate) struct Control;

const CONTROL: &str = "control";

impl FromText for Control {
    fn expected() -> String {
        format!("\"{CONTROL}\"")
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            CONTROL => Ok(Self),
            _ => Err(did_you_mean(text, [CONTROL])),
        }
    }
}
