//! `realize verify`.

use std::path::Path;
use std::time::{Duration, Instant};

use realize_config::Config;
use realize_core::counted::ByteCounts;
use realize_core::engine::{Mode, Observer, VerifyReport, verify_expected, verify_files};
use realize_rpc::Limits;

use super::transfer::options;
use crate::args::VerifyArguments;
use crate::ends::{Source, ends, named};
use crate::exit::{Exit, chain, code, shown};
use crate::network::Network;
use crate::output::files::{Differences, JsonFiles, Words, json_verify_summary};
use crate::output::{Data, summary};
use crate::receipts::{Trail, read};

pub(crate) async fn run(
    arguments: &VerifyArguments,
    config: &Config,
    network: &Network<'_>,
    data: &Data,
) -> Result<(), Exit> {
    if let Some(file) = &arguments.receipts {
        return against_receipts(file, arguments, config, network, data).await;
    }
    let section = &config.r#move;
    let (source, destination) = ends(&arguments.ends.names(config)?, config, network)?;
    if !destination.exists() {
        return Err(Exit::usage(
            "the destination does not exist; nothing was compared",
        ));
    }
    let mut options = options(Mode::Copy, config)?;
    // Whatever its age, a file can be compared.
    options.min_age = std::time::Duration::ZERO;
    let (from, to) = (
        source
            .open(Limits::default(), ByteCounts::default())
            .await?,
        destination
            .open(Limits::default(), ByteCounts::default())
            .await?,
    );
    options.within.clone_from(&from.within);
    let started = Instant::now();
    let observer = observer(section.json, data);
    let compared = verify_files(&*from.service, &*to.service, &options, &*observer).await?;
    tokio::join!(from.close(), to.close());
    ended(&compared, started.elapsed(), arguments, (config, data))
}

/// Compares a destination with what moves recorded of it.
async fn against_receipts(
    file: &Path,
    arguments: &VerifyArguments,
    config: &Config,
    network: &Network<'_>,
    data: &Data,
) -> Result<(), Exit> {
    let (typed, configured) = (&arguments.ends.source, &config.r#move.destination);
    let name = named(typed.as_ref(), configured.as_ref(), "destination")?;
    let place = Source::find(&name, "the destination", config, network)?;
    let here = place.name();
    let trail = read(file, &here);
    let file = shown(file.as_os_str());
    let Trail {
        expected,
        destinations,
    } = trail
        .map_err(|error| Exit::usage(format!("{file}: {}; nothing was compared", chain(&error))))?;
    if expected.is_empty() && !destinations.is_empty() {
        let there = realize_config::listed(destinations.iter().map(String::as_str));
        return Err(Exit::usage(format!(
            "{file}: no receipt is of {here}; there are some of {there}; nothing was compared"
        )));
    }
    let opened = place.open(Limits::default(), ByteCounts::default()).await?;
    let started = Instant::now();
    let observer = observer(config.r#move.json, data);
    let compared = verify_expected(&*opened.service, expected, &*observer).await?;
    opened.close().await;
    ended(&compared, started.elapsed(), arguments, (config, data))
}

fn observer(json: bool, data: &Data) -> Box<dyn Observer> {
    if !json {
        return Box::new(Differences);
    }
    let words = Words {
        done: "same",
        identical: "same",
        failed: "different",
    };
    Box::new(JsonFiles(words, data.clone()))
}

/// Says what was found, and ends accordingly.
fn ended(
    report: &VerifyReport,
    took: Duration,
    arguments: &VerifyArguments,
    (config, data): (&Config, &Data),
) -> Result<(), Exit> {
    if config.r#move.json {
        json_verify_summary(data, report, took);
    }
    summary::of_verify(report, took, arguments.verbosity.quiet);
    match (report.different, report.failed) {
        (0, 0) => Ok(()),
        (0, _) if report.forbidden > 0 => Err(Exit::silent(code::NOT_AUTHORISED)),
        (0, _) => Err(Exit::silent(code::NOT_ALL_MOVED)),
        _ => Err(Exit::silent(code::VERIFICATION)),
    }
}
