//! Tables in Markdown, and the numbers in them.

use std::fmt::Write;

use crate::run::Run;
use crate::workloads::{Base, Workload};

const MIB: f64 = (1u64 << 20) as f64;

/// What a program came to in a workload.
#[derive(Debug)]
pub(crate) struct Row {
    name: String,
    /// Whether it is realize.
    own: bool,
    pub(crate) runs: Vec<Run>,
    pub(crate) failed: Option<String>,
    pub(crate) absent: Option<String>,
}

impl Row {
    pub(crate) fn new(name: &str, own: bool) -> Self {
        Self {
            name: name.to_owned(),
            own,
            runs: Vec::new(),
            failed: None,
            absent: None,
        }
    }

    /// False if a run of realize's failed. What others do is in the table.
    pub(crate) fn is_well(&self) -> bool {
        !self.own || self.failed.is_none()
    }

    fn seconds(&self) -> Vec<f64> {
        let seconds = self.runs.iter().map(|run| run.time.as_secs_f64());
        seconds.collect()
    }
}

/// The middle of the numbers, their least and their greatest; `None` for none.
fn summary(numbers: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (least, greatest) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    let median = if sorted.len().is_multiple_of(2) {
        f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, upper)
    } else {
        upper
    };
    Some((median, least, greatest))
}

/// The ratio of the medians, and the least and the greatest of the rounds.
fn ratio(rival: &[f64], own: &[f64]) -> Option<(f64, f64, f64)> {
    let rounds: Vec<_> = rival
        .iter()
        .zip(own)
        .map(|(rival, own)| rival / own)
        .collect();
    let (_, least, greatest) = summary(&rounds)?;
    Some((summary(rival)?.0 / summary(own)?.0, least, greatest))
}

/// The workload as a section with its table.
pub(crate) fn show(workload: Workload, base: &Base, rows: &[Row]) -> String {
    let content = base.count.bytes as f64 / MIB;
    let files = if base.count.files == 1 {
        "file"
    } else {
        "files"
    };
    let mut text = format!("### {}\n\n", workload.title());
    if let Some(other) = &base.other {
        let _ = write!(
            text,
            "The largest process of each side; {content:.0} MiB in one file, and {} files.\n\n",
            other.count.files
        );
        text.push_str(
            "| program | large: client, MiB | server, MiB | small: client, MiB | server, MiB |\n\
             |---|--:|--:|--:|--:|\n",
        );
    } else {
        let _ = write!(text, "{} {files}, {content:.0} MiB.\n\n", base.count.files);
        text.push_str(
            "| program | median, s | least to greatest, s | time / realize's (range) | MiB/s | passed, MiB | runs |\n\
             |---|--:|--:|--:|--:|--:|--:|\n",
        );
    }
    let own = rows.iter().find(|row| row.own).map(Row::seconds);
    let own = own.unwrap_or_default();
    for row in rows {
        let name = cell(&row.name);
        if let Some(why) = &row.absent {
            let _ = writeln!(text, "| {name} | absent: {} |", cell(why));
            continue;
        }
        if let Some(why) = &row.failed {
            let _ = writeln!(text, "| {name} | FAILED: {} |", cell(why));
            continue;
        }
        let line = if workload == Workload::Memory {
            memory(row)
        } else {
            times(row, &own, base)
        };
        let _ = writeln!(text, "| {name} | {} |", line.join(" | "));
    }
    text
}

fn times(row: &Row, own: &[f64], base: &Base) -> Vec<String> {
    let seconds = row.seconds();
    let Some((median, least, greatest)) = summary(&seconds) else {
        return Vec::new();
    };
    let ratio = ratio(&seconds, own).map_or_else(String::new, |(ratio, least, greatest)| {
        format!("{ratio:.2} ({least:.2}–{greatest:.2})")
    });
    let passed: Vec<_> = row.runs.iter().map(|run| run.passed as f64 / MIB).collect();
    let passed = summary(&passed).map_or_else(String::new, |(median, ..)| format!("{median:.2}"));
    vec![
        format!("{median:.3}"),
        format!("{least:.3}–{greatest:.3}"),
        ratio,
        format!("{:.2}", base.count.bytes as f64 / MIB / median),
        passed,
        seconds.len().to_string(),
    ]
}

fn memory(row: &Row) -> Vec<String> {
    let peaks = row.runs.iter().filter_map(|run| run.peaks);
    let sides = peaks.flat_map(|peaks| [peaks.client, peaks.server]);
    sides
        .map(|bytes| format!("{:.1}", bytes as f64 / MIB))
        .collect()
}

/// Text that stays within its cell.
fn cell(text: &str) -> String {
    text.replace('|', "/").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(summary(&[3.0, 1.0, 2.0]), Some((2.0, 1.0, 3.0)));
        assert_eq!(summary(&[4.0, 1.0]), Some((2.5, 1.0, 4.0)));
        assert_eq!(summary(&[]), None);
    }

    #[test]
    fn a_ratio_is_of_medians_and_its_range_of_rounds() {
        let found = ratio(&[2.0, 4.0, 9.0], &[1.0, 4.0, 3.0]);
        assert_eq!(found, Some((4.0 / 3.0, 1.0, 3.0)));
    }

    #[test]
    fn what_programs_say_stays_in_its_cell() {
        assert_eq!(cell("a | b\nc"), "a / b c");
    }
}
