//! What became of each file: as JSON objects, or in a dry run as lines.

use std::time::Duration;

use realize_core::engine::{Event, FileEnd, Observer, Report, Status, VerifyReport};
use realize_core::path::Escaped;
use realize_core::service::Outcome;
use serde_json::{Map, Value, json};

use super::{Data, say, size};

/// What files are called when they are done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    /// A file that was sent.
    pub(crate) done: &'static str,
    /// A file that was there already.
    pub(crate) identical: &'static str,
    /// A file that was not.
    pub(crate) failed: &'static str,
}

/// Prints an object for each file on standard output.
#[derive(Debug)]
pub(crate) struct JsonFiles(pub(crate) Words, pub(crate) Data);

impl Observer for JsonFiles {
    fn event(&self, event: Event<'_>) {
        let Event::Ended(end) = event else { return };
        let mut object = Map::new();
        object.insert("event".into(), "file".into());
        object.insert("path".into(), Escaped(end.path).to_string().into());
        object.insert("status".into(), self.0.of(end).into());
        object.insert("bytes".into(), end.size.into());
        match end.status {
            Status::Done { hash, renamed, .. } => {
                if let Some(hash) = hash {
                    object.insert("hash".into(), hash.to_string().into());
                }
                if let Some(renamed) = renamed {
                    object.insert("renamed".into(), renamed.to_string().into());
                }
            }
            Status::Deferred(reason) => {
                object.insert("reason".into(), reason.into());
            }
            Status::Failed(failure) => {
                object.insert("reason".into(), failure.error.chain().into());
                object.insert("kind".into(), format!("{:?}", failure.error.kind()).into());
                object.insert("copied".into(), failure.copied.into());
            }
            Status::Gone => {}
        }
        self.1.print(&Value::Object(object).to_string());
    }
}

impl Words {
    fn of(&self, end: &FileEnd<'_>) -> &'static str {
        match end.status {
            Status::Done {
                outcome: Outcome::Identical,
                ..
            } => self.identical,
            Status::Done { .. } => self.done,
            Status::Deferred(_) => "deferred",
            Status::Failed(_) => self.failed,
            Status::Gone => "gone",
        }
    }
}

/// Prints a line for each file on standard output.
#[derive(Debug)]
pub(crate) struct LineFiles(pub(crate) Words, pub(crate) Data);

impl Observer for LineFiles {
    fn event(&self, event: Event<'_>) {
        let Event::Ended(end) = event else { return };
        let (status, path, size) = (self.0.of(end), Escaped(end.path), size(end.size));
        self.1.print(&format!("{status}: {path} ({size})"));
    }
}

/// Says on standard error what does not compare as the same.
#[derive(Debug)]
pub(crate) struct Differences;

impl Observer for Differences {
    fn event(&self, event: Event<'_>) {
        if let Event::Ended(FileEnd {
            path,
            status: Status::Failed(failure),
            ..
        }) = event
        {
            say(&format!("{}: {}", Escaped(path), failure.error.chain()));
        }
    }
}

/// Prints the summary object of a move or a copy.
pub(crate) fn json_summary(data: &Data, report: &Report, took: Duration) {
    let summary = json!({
        "event": "summary",
        "moved": report.done,
        "identical": report.identical,
        "deferred": report.deferred,
        "failed": report.failed,
        "bytes": report.bytes,
        "sent": report.sent,
        "directories": report.directories,
        "seconds": took.as_secs_f64(),
    });
    data.print(&summary.to_string());
}

/// Prints the summary object of a comparison.
pub(crate) fn json_verify_summary(data: &Data, report: &VerifyReport, took: Duration) {
    let summary = json!({
        "event": "summary",
        "same": report.same,
        "different": report.different,
        "failed": report.failed,
        "bytes": report.bytes,
        "seconds": took.as_secs_f64(),
    });
    data.print(&summary.to_string());
}
