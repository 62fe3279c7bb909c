//! The audit trail as a file of its own: a line of JSON for each file that was finished, and one for
//! each that was deleted at the source.
//!
//! The file is only ever appended to. What was finished is durable in it before the source file is
//! deleted, so of every file that is gone from a source there is a line with its hash. `ledger` writes
//! it, `trail` reads it back.
//!
//! A line has these keys:
//!
//! | key | what |
//! |---|---|
//! | `time` | when it was written, RFC 3339 in UTC |
//! | `event` | `file.finished` or `file.deleted` |
//! | `path` | the path at the destination, or of `file.deleted` at the source; not there if it is no UTF-8 |
//! | `path_hex` | its bytes in hexadecimal, where it is no UTF-8 |
//! | `bytes` | the size |
//! | `hash` | BLAKE3 in hexadecimal |
//! | `peer`, `directory` | whose directory it is about; `local` for one of this machine |
//! | `destination` | where the file was moved to: the directory of a peer with the path in it, or the path of a directory of this machine from the root |
//! | `run` | the run that moved it |

use serde::{Deserialize, Serialize};

mod ledger;
mod trail;

pub(crate) use ledger::ReceiptFile;
pub(crate) use trail::{Trail, read};

/// What a line says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    time: String,
    event: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    bytes: u64,
    hash: String,
    peer: String,
    directory: String,
    /// Not in lines of versions before it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    run: String,
}

/// The event of a file that stands at the destination.
const FINISHED: &str = "file.finished";
/// The event of a file that was deleted at the source.
const DELETED: &str = "file.deleted";
