//! Runs of all programs in turn, A B C A B C, so that what else the machine does falls on all.

use std::time::Duration;

use crate::Failure;
use crate::place::Place;
use crate::rivals::{Contender, Entry, Field};
use crate::run::Runs;
use crate::table::Row;
use crate::workloads::{Base, Kind, Workload};

/// Who took longer than this in the untimed round is run once.
const SLOW: Duration = Duration::from_secs(15);

/// A contender, its row, and how often it is to run yet.
struct Lane {
    contender: Contender,
    row: Row,
    left: u32,
}

/// Runs all who take part in a workload: once untimed, unless `quick`, then `runs` times.
pub(crate) async fn timed(
    place: &Place,
    field: &Field,
    workload: Workload,
    base: &Base,
    runs: u32,
    quick: bool,
) -> Result<Vec<Row>, Failure> {
    let measured = Runs {
        place,
        base,
        kind: workload.kind(),
        limit: workload.limit(),
        watched: false,
    };
    let (mut lanes, absent) = line_up(field, workload, runs);
    let mut number = 0;
    // A limit decides how long it takes: there is nothing to warm up.
    if !quick && workload.kind() != Kind::Limited {
        for lane in &mut lanes {
            number += 1;
            match measured.one(&lane.contender, number).await {
                Ok(run) if run.time > SLOW => lane.left = lane.left.min(1),
                Ok(_) => {}
                Err(why) => lane.fail(workload, "the untimed round", &why),
            }
        }
    }
    for round in 1..=runs {
        for lane in lanes.iter_mut().filter(|lane| lane.left > 0) {
            number += 1;
            lane.left -= 1;
            match measured.one(&lane.contender, number).await {
                Ok(run) => {
                    eprintln!(
                        "{}: {}, {round} of {runs}: {:.3} s",
                        workload.title(),
                        lane.contender.name,
                        run.time.as_secs_f64()
                    );
                    lane.row.runs.push(run);
                }
                Err(why) => lane.fail(workload, &format!("run {round}"), &why),
            }
        }
    }
    Ok(lanes
        .into_iter()
        .map(|lane| lane.row)
        .chain(absent)
        .collect())
}

/// Runs all once for each of the two trees of the workload, and looks at their memory.
pub(crate) async fn peaks(place: &Place, field: &Field, base: &Base) -> Result<Vec<Row>, Failure> {
    let (mut lanes, absent) = line_up(field, Workload::Memory, 1);
    let mut number = 0;
    for base in [Some(base), base.other.as_deref()].into_iter().flatten() {
        let measured = Runs {
            place,
            base,
            kind: Workload::Memory.kind(),
            limit: None,
            watched: true,
        };
        for lane in lanes.iter_mut().filter(|lane| lane.left > 0) {
            number += 1;
            match measured.one(&lane.contender, number).await {
                Ok(run) => lane.row.runs.push(run),
                Err(why) => lane.fail(Workload::Memory, "its run", &why),
            }
        }
    }
    Ok(lanes
        .into_iter()
        .map(|lane| lane.row)
        .chain(absent)
        .collect())
}

impl Lane {
    /// A failure is said in the row, and ends it.
    fn fail(&mut self, workload: Workload, when: &str, why: &Failure) {
        let title = workload.title();
        eprintln!("{title}: {}, {when}: FAILED: {why}", self.contender.name);
        self.row.failed = Some(format!("{when} failed: {why}"));
        self.left = 0;
    }
}

/// Who takes part, and the rows of those who are not there.
fn line_up(field: &Field, workload: Workload, runs: u32) -> (Vec<Lane>, Vec<Row>) {
    let (mut lanes, mut absent) = (Vec::new(), Vec::new());
    for entry in field.entries(workload.kind(), workload.is_of_many()) {
        match entry {
            Entry::Ready(contender) => lanes.push(Lane {
                row: Row::new(&contender.name, contender.own),
                contender,
                left: runs,
            }),
            Entry::Absent(name, why) => {
                let mut row = Row::new(&name, false);
                row.absent = Some(why);
                absent.push(row);
            }
        }
    }
    (lanes, absent)
}
