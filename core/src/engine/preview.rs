//! What a move would do.

use super::MoveOptions;
use super::complete;
use super::offered::offer;
use super::plan::{self, Choice, Item, Step};
use super::report::{Event, Failure, FileEnd, Observer, Report, Status, Stopped};
use crate::error::{Error, Result};
use crate::service::{Answer, List, Outcome, Present, Service};

/// Says what [`move_files`](super::move_files) would do, and changes nothing. A destination that
/// does not exist yet is `None`. Files whose content would have to be compared count as done: they
/// are at the destination already, or would be sent.
///
/// # Errors
/// A listing that cannot begin, a connection that is lost.
pub async fn preview_files(
    source: &dyn Service,
    destination: Option<&dyn Service>,
    options: &MoveOptions,
    observer: &dyn Observer,
) -> Result<Report> {
    let mut report = Report::default();
    let mut list = List {
        within: options.within.clone(),
        files: true,
        ..List::default()
    };
    loop {
        let page = source.list(list.clone()).await?;
        list.cursor = page.next;
        for failure in page.failures {
            if !options.filter.excludes(&failure.path) {
                failed(&mut report, observer, &failure.path, failure.error);
            }
        }
        let mut items = Vec::new();
        for entry in page.entries {
            match plan::choose(&entry, options) {
                Choice::Offer => items.push(Item::new(entry)),
                Choice::Skip => {}
                Choice::Defer(why) => {
                    report.deferred += 1;
                    let end = FileEnd {
                        path: entry.path.as_bytes(),
                        size: entry.size,
                        modified: Some(entry.modified),
                        status: Status::Deferred(why),
                    };
                    observer.event(Event::Ended(&end));
                }
                Choice::Fail(error) => failed(&mut report, observer, entry.path.as_bytes(), error),
            }
        }
        for (item, answer) in answers(destination, items).await? {
            match answer.map(|answer| plan::plan(&item, answer, options.on_conflict)) {
                Ok(Step::Fail(error)) | Err(error) => {
                    failed(&mut report, observer, item.entry.path.as_bytes(), error);
                }
                Ok(Step::Stop(error)) => {
                    failed(&mut report, observer, item.entry.path.as_bytes(), error);
                    report.stopped = Some(Stopped::Conflict);
                    return Ok(report);
                }
                Ok(step) => would_do(&mut report, observer, &item, &step),
            }
        }
        if list.cursor.is_none() {
            return Ok(report);
        }
    }
}

async fn answers(
    destination: Option<&dyn Service>,
    items: Vec<Item>,
) -> Result<Vec<(Item, Result<Answer>)>> {
    let answers = match destination {
        Some(destination) if !items.is_empty() => {
            destination.offer(items.iter().map(offer).collect()).await?
        }
        _ => items
            .iter()
            .map(|_| {
                Ok(Answer {
                    present: Present::Absent,
                    partial: None,
                })
            })
            .collect(),
    };
    let answers = complete(items.len(), answers, "offer")?;
    Ok(items.into_iter().zip(answers).collect())
}

fn would_do(report: &mut Report, observer: &dyn Observer, item: &Item, step: &Step) {
    let size = item.entry.size;
    report.done += 1;
    report.bytes = report.bytes.saturating_add(size);
    let outcome = match step {
        Step::Verify(_) => {
            report.identical += 1;
            report.identical_bytes = report.identical_bytes.saturating_add(size);
            Outcome::Identical
        }
        Step::Transfer(transfer) => {
            report.sent = report
                .sent
                .saturating_add(size.saturating_sub(transfer.have.len()));
            Outcome::Finished
        }
        _ => {
            report.sent = report.sent.saturating_add(size);
            Outcome::Finished
        }
    };
    let status = Status::Done {
        hash: None,
        outcome,
        renamed: None,
    };
    let end = FileEnd {
        path: item.entry.path.as_bytes(),
        size,
        modified: Some(item.entry.modified),
        status,
    };
    observer.event(Event::Ended(&end));
}

fn failed(report: &mut Report, observer: &dyn Observer, path: &[u8], error: Error) {
    let failure = Failure {
        path: path.to_vec(),
        error,
        copied: false,
    };
    let end = FileEnd {
        path,
        size: 0,
        modified: None,
        status: Status::Failed(&failure),
    };
    observer.event(Event::Ended(&end));
    report.add_failure(failure);
}
