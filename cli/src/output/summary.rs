//! The line at the end, and what follows it: each failure, what of it is intact, and what to do.

use std::time::Duration;

use realize_core::engine::{Failure, Report, VerifyReport};
use realize_core::path::Escaped;

use super::{count, duration, say, size};
use crate::exit::advice;

/// Says what a move or a copy did. `verb` is `Moved` or `Copied`.
pub(crate) fn of_move(verb: &str, report: &Report, took: Duration, quiet: bool) {
    if !quiet {
        let mut line = format!(
            "{verb} {}, {} ({} sent) in {}",
            count(report.done, "file"),
            size(report.bytes),
            size(report.sent),
            duration(took)
        );
        add_rest(
            &mut line,
            &[(report.deferred, "deferred"), (report.failed, "failed")],
        );
        say(&line);
    }
    report.failures.iter().for_each(failure);
    let more = report.failed.saturating_sub(report.failures.len() as u64);
    if more > 0 {
        say(&format!(
            "  and {more} more; --json and the log name every one"
        ));
    }
}

/// Says what a dry run found.
pub(crate) fn of_preview(verb: &str, report: &Report, quiet: bool) {
    if !quiet {
        let mut line = format!(
            "Would {verb} {}, {} (up to {} to be sent)",
            count(report.done, "file"),
            size(report.bytes),
            size(report.sent)
        );
        add_rest(
            &mut line,
            &[(report.deferred, "deferred"), (report.failed, "would fail")],
        );
        say(&line);
    }
    report.failures.iter().for_each(failure);
}

/// Says what a comparison found.
pub(crate) fn of_verify(report: &VerifyReport, took: Duration, quiet: bool) {
    if quiet {
        return;
    }
    let mut line = format!(
        "Verified {}, {} in {}",
        count(report.same, "file"),
        size(report.bytes),
        duration(took)
    );
    add_rest(
        &mut line,
        &[(report.different, "different"), (report.failed, "failed")],
    );
    say(&line);
}

fn add_rest(line: &mut String, counts: &[(u64, &str)]) {
    let rest: Vec<_> = counts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    if !rest.is_empty() {
        line.push_str("; ");
        line.push_str(&rest.join(", "));
    }
}

fn failure(failure: &Failure) {
    let path = Escaped(&failure.path);
    let intact = if failure.copied {
        "the source is intact, and the copy at the destination is whole"
    } else {
        "the source is intact"
    };
    let (chain, advice) = (failure.error.chain(), advice(failure.error.kind()));
    say(&format!("  {path}: {chain}; {intact}; {advice}"));
}
