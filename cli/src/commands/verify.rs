//! `realize verify`.

use std::time::Instant;

use realize_config::Config;
use realize_core::engine::{Mode, verify_files};
use realize_rpc::Limits;

use super::transfer::options;
use crate::args::VerifyArguments;
use crate::ends::ends;
use crate::exit::{Exit, code};
use crate::network::Network;
use crate::output::files::{Differences, JsonFiles, Words, json_verify_summary};
use crate::output::summary;

pub(crate) async fn run(
    arguments: &VerifyArguments,
    config: &Config,
    network: &Network<'_>,
) -> Result<(), Exit> {
    let section = &config.r#move;
    let (source, destination) = ends(&arguments.ends, config, network)?;
    if !destination.exists() {
        return Err(Exit::usage(
            "the destination does not exist; nothing was compared",
        ));
    }
    let mut options = options(Mode::Copy, config)?;
    // Whatever its age, a file can be compared.
    options.min_age = std::time::Duration::ZERO;
    let (from, to) = (
        source.open(Limits::default()).await?,
        destination.open(Limits::default()).await?,
    );
    options.within.clone_from(&from.within);
    let started = Instant::now();
    let report = if section.json {
        let words = Words {
            done: "same",
            identical: "same",
            failed: "different",
        };
        verify_files(&*from.service, &*to.service, &options, &JsonFiles(words)).await?
    } else {
        verify_files(&*from.service, &*to.service, &options, &Differences).await?
    };
    from.close().await;
    to.close().await;
    if section.json {
        json_verify_summary(&report, started.elapsed());
    }
    summary::of_verify(&report, started.elapsed(), arguments.verbosity.quiet);
    match (report.different, report.failed) {
        (0, 0) => Ok(()),
        (0, _) => Err(Exit::silent(code::NOT_ALL_MOVED)),
        _ => Err(Exit::silent(code::VERIFICATION)),
    }
}
