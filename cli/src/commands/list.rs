//! `realize list`.

use std::time::{Duration, UNIX_EPOCH};

use realize_config::Config;
use realize_core::counted::ByteCounts;
use realize_core::entry::{Entry, EntryKind, Timestamp};
use realize_core::path::Escaped;
use realize_core::service::List;
use realize_rpc::Limits;
use serde_json::json;

use crate::args::ListArguments;
use crate::ends::Source;
use crate::exit::{Exit, code};
use crate::network::Network;
use crate::output::{Data, say, size};

pub(crate) async fn run(
    arguments: &ListArguments,
    config: &Config,
    network: &Network<'_>,
    data: &Data,
) -> Result<(), Exit> {
    let source = Source::find(&arguments.location, "the directory", config, network)?;
    let opened = source
        .open(Limits::default(), ByteCounts::default())
        .await?;
    let mut list = List {
        within: opened.within.clone(),
        files: true,
        directories: true,
        cursor: None,
    };
    let mut failed = false;
    loop {
        let page = opened.service.list(list.clone()).await?;
        list.cursor = page.next;
        for entry in &page.entries {
            data.print(&if config.r#move.json {
                as_json(entry)
            } else {
                as_line(entry)
            });
        }
        for failure in page.failures {
            failed = true;
            say(&format!(
                "{}: {}",
                Escaped(&failure.path),
                failure.error.chain()
            ));
        }
        // Nobody wants the rest, or there is no room for it.
        if list.cursor.is_none() || data.has_ended() {
            break;
        }
    }
    opened.close().await;
    if failed {
        Err(Exit::silent(code::OTHER))
    } else {
        Ok(())
    }
}

fn kind(entry: &Entry) -> &'static str {
    match &entry.kind {
        EntryKind::File { .. } => "file",
        EntryKind::Link { .. } => "link",
        EntryKind::Directory { .. } => "directory",
        EntryKind::Special(_) => "special",
    }
}

fn as_line(entry: &Entry) -> String {
    let target = match &entry.kind {
        EntryKind::Link { target } => format!(" -> {}", Escaped(target)),
        EntryKind::Directory { .. } => "/".to_owned(),
        EntryKind::Special(special) => format!(" ({special})"),
        EntryKind::File { .. } => String::new(),
    };
    let bytes = match &entry.kind {
        EntryKind::File { .. } => size(entry.size),
        _ => "-".to_owned(),
    };
    let (mode, time) = (entry.mode, time(entry.modified));
    format!("{mode:04o} {bytes:>10} {time} {}{target}", entry.path)
}

fn as_json(entry: &Entry) -> String {
    let target = match &entry.kind {
        EntryKind::Link { target } => Some(Escaped(target).to_string()),
        _ => None,
    };
    let object = json!({
        "path": entry.path.to_string(),
        "kind": kind(entry),
        "bytes": entry.size,
        "mode": format!("{:04o}", entry.mode),
        "modified": time(entry.modified),
        "target": target,
    });
    object.to_string()
}

/// The time in UTC, to the second; what lies outside the years that can be written is given in
/// seconds since 1970.
fn time(modified: Timestamp) -> String {
    /// The end of the year 9999.
    const LAST: u64 = 253_402_300_799;
    match u64::try_from(modified.seconds) {
        Ok(seconds) if seconds <= LAST => {
            humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
        }
        _ => format!("@{}", modified.seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_have_no_year_are_shown_too() {
        let shown = |seconds| time(Timestamp { seconds, nanos: 0 });
        assert_eq!(shown(0), "1970-01-01T00:00:00Z");
        assert_eq!(shown(-1), "@-1");
        assert_eq!(shown(i64::MAX), format!("@{}", i64::MAX));
    }
}
