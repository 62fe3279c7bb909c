//! `realize move` and `realize copy`.

use std::sync::Arc;
use std::time::Instant;

use realize_config::{Config, Throttle};
use realize_core::counted::ByteCounts;
use realize_core::engine::{
    Broken, Filter, Mode, MoveOptions, Observer, OnConflict, Report, Stopped, Witnesses,
    move_files, preview_files,
};
use realize_rpc::Limits;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::args::MoveArguments;
use crate::ends::{Destination, Source, ends};
use crate::exit::{Exit, of_report, shown};
use crate::limits::MoverLimits;
use crate::metrics::MoverMetrics;
use crate::network::Network;
use crate::output::files::{JsonFiles, LineFiles, Words, json_summary};
use crate::output::{Data, Screen, progress, summary};
use crate::receipts::ReceiptFile;
use crate::retry::Retries;

mod interruptions;
mod measured;
mod watch;

use interruptions::Interruptions;
use measured::Measured;
use watch::Watch;

pub(crate) async fn run(
    mode: Mode,
    arguments: &MoveArguments,
    config: &Config,
    network: &Network<'_>,
    screen: &Screen,
    data: &Data,
) -> Result<(), Exit> {
    let names = arguments.ends.names(config)?;
    let (source, destination) = ends(&names, config, network)?;
    let options = options(mode, config)?;
    unheeded(&config.throttle, &source, &destination);
    let about = About::of(&source, &destination);
    let mut transfer = Transfer {
        limits: MoverLimits::new(config, source.peer(), destination.peer()),
        source,
        destination,
        options: MoveOptions {
            source: shown(&names.0),
            destination: shown(&names.1),
            ..options
        },
        config,
        quiet: arguments.verbosity.quiet,
        receipts: None,
        screen,
        data,
    };
    if arguments.dry_run {
        return transfer.preview().await;
    }
    transfer.receipts = receipts(config, &about, &transfer.destination)?;
    let measured = Measured::new(config, &about, &transfer.limits, &host()).await?;
    // Warnings are to bear it, whatever else is logged.
    let span = tracing::error_span!("move", peer = about.peer, directory = about.directory);
    let metrics = measured.as_ref().map(|measured| &measured.metrics);
    let ended = transfer.carry_out(metrics).instrument(span).await;
    if let Some(measured) = measured {
        measured.end(ended.is_ok()).await;
    }
    ended
}

/// Says so if there are limits, and none of them is of a way that anything goes.
fn unheeded(throttle: &Throttle, source: &Source, destination: &Destination) {
    let periods = throttle.schedule.iter().map(|period| period.rates);
    let all = || periods.clone().chain([throttle.rates]);
    let up = all().any(|rates| rates.up.is_some());
    let down = all().any(|rates| rates.down.is_some());
    let (from, to) = (source.is_connected(), destination.is_connected());
    if !(up || down) || (up && to) || (down && from) {
        return;
    }
    let why = match (from, to) {
        (false, false) => {
            "both ends are on this machine, and no connection is between them that could be \
             limited: `--transport channel` makes one"
        }
        (true, _) => "what comes from the source is limited by `down`, and that is not set",
        (false, true) => "what goes to the destination is limited by `up`, and that is not set",
    };
    tracing::warn!(event = "limit.unheeded", "{why}");
}

/// The file that what is moved is recorded in, if there is to be one.
fn receipts(
    config: &Config,
    about: &About,
    destination: &Destination,
) -> Result<Option<Arc<ReceiptFile>>, Exit> {
    let Some(path) = &config.r#move.receipts else {
        return Ok(None);
    };
    let opened = ReceiptFile::open(path, (&about.peer, &about.directory), &destination.name());
    let opened = opened.map_err(|error| {
        let path = shown(path.as_os_str());
        Exit::other(format!(
            "opening the receipts {path}: {error}; nothing was moved"
        ))
    })?;
    Ok(Some(Arc::new(opened)))
}

/// What a move is about, in logs, metrics and receipts: the destination, if that is on a peer, or
/// else the source.
pub(crate) struct About {
    /// The peer, or `local`.
    pub(crate) peer: String,
    /// The directory there, or `local`.
    pub(crate) directory: String,
    /// The peers at either end.
    pub(crate) source: Option<String>,
    pub(crate) destination: Option<String>,
}

impl About {
    /// The value of the label `directory`: `nas:inbox`, or `local`.
    pub(crate) fn label(&self) -> String {
        match (&self.source, &self.destination) {
            (None, None) => "local".to_owned(),
            _ => format!("{}:{}", self.peer, self.directory),
        }
    }

    fn of(source: &Source, destination: &Destination) -> Self {
        let place = destination.place().or(source.place());
        let (peer, directory) = place.unwrap_or(("local", "local"));
        Self {
            peer: peer.to_owned(),
            directory: directory.to_owned(),
            source: source.peer().map(str::to_owned),
            destination: destination.peer().map(str::to_owned),
        }
    }
}

/// The engine's options for what the configuration and the flags say.
pub(super) fn options(mode: Mode, config: &Config) -> Result<MoveOptions, Exit> {
    let section = &config.r#move;
    let filter = Filter::new(&section.include, &section.exclude)
        .map_err(|error| Exit::usage(error.to_string()))?;
    Ok(MoveOptions {
        filter,
        min_age: section.min_age,
        on_conflict: match section.on_conflict {
            realize_config::OnConflict::Replace => OnConflict::Replace,
            realize_config::OnConflict::Keep => OnConflict::Keep,
            realize_config::OnConflict::Rename => OnConflict::Rename,
            realize_config::OnConflict::Fail => OnConflict::Fail,
        },
        keep_directories: section.keep_directories,
        holder: holder(),
        ..MoveOptions::new(mode)
    })
}

/// Who this is, for whoever finds a directory taken.
fn holder() -> String {
    format!("realize, process {} on {}", std::process::id(), host())
}

/// The name of this machine.
fn host() -> String {
    let names = rustix::system::uname();
    names.nodename().to_string_lossy().into_owned()
}

/// A move, or a copy, and its two ends.
struct Transfer<'a> {
    source: Source,
    destination: Destination,
    limits: MoverLimits,
    options: MoveOptions,
    config: &'a Config,
    quiet: bool,
    receipts: Option<Arc<ReceiptFile>>,
    screen: &'a Screen,
    data: &'a Data,
}

impl Transfer<'_> {
    async fn preview(self) -> Result<(), Exit> {
        let is_move = self.options.mode == Mode::Move;
        let (verb, done) = if is_move {
            ("move", "would move")
        } else {
            ("copy", "would copy")
        };
        let words = Words {
            done,
            identical: "would compare",
            failed: "would fail",
        };
        let json = self.config.r#move.json;
        let started = Instant::now();
        let source = self
            .source
            .open(Limits::default(), ByteCounts::default())
            .await?;
        let destination = if self.destination.exists() {
            let (limits, counts) = (Limits::default(), ByteCounts::default());
            Some(self.destination.open(limits, counts).await?)
        } else {
            None
        };
        let options = MoveOptions {
            within: source.within.clone(),
            ..self.options
        };
        let observer: &dyn Observer = if json {
            &JsonFiles(words, self.data.clone())
        } else {
            &LineFiles(words, self.data.clone())
        };
        let to = destination.as_ref().map(|opened| &*opened.service);
        let report = preview_files(&*source.service, to, &options, observer).await?;
        source.close().await;
        if let Some(destination) = destination {
            destination.close().await;
        }
        if json {
            json_summary(self.data, &report, started.elapsed());
        }
        summary::of_preview(verb, &report, self.quiet);
        of_report(&report, None)
    }

    /// Moves, and goes on where it was when the network interrupts.
    async fn carry_out(self, metrics: Option<&MoverMetrics>) -> Result<(), Exit> {
        let section = &self.config.r#move;
        let cancel = CancellationToken::new();
        let interruption = Interruptions::watch(&cancel, section.max_duration)?;
        let started = Instant::now();
        let mut retries = Retries::new(section);
        let mut before = Report::default();
        let ended = loop {
            let Broken { error, report } = match self.attempt(&cancel, metrics).await {
                Ok(report) => break Ok(report.following(&before, self.options.mode)),
                Err(broken) => broken,
            };
            let progressed = report.has_progressed(self.options.mode);
            before = report.following(&before, self.options.mode);
            let delay = Some(error.kind())
                .filter(|kind| kind.is_retryable())
                .and_then(|_| retries.next(progressed));
            let Some(delay) = delay else {
                break Err(error);
            };
            tracing::warn!(
                event = "run.retrying",
                attempt = retries.attempt(),
                delay = delay.as_secs_f64(),
                cause = %error.chain()
            );
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = cancel.cancelled() => {
                    before.stopped = Some(Stopped::Cancelled);
                    break Ok(before.clone());
                }
            }
        };
        let report = ended.as_ref().unwrap_or(&before);
        if section.json {
            json_summary(self.data, report, started.elapsed());
        }
        if ended.is_ok() || report.done > 0 || report.sent > 0 {
            let verb = match self.options.mode {
                Mode::Move => "Moved",
                Mode::Copy => "Copied",
            };
            summary::of_move(verb, report, started.elapsed(), self.quiet);
        }
        match ended {
            Ok(report) => of_report(&report, interruption.get()),
            Err(error) => Err(Exit::of_broken(&error, &before)),
        }
    }

    /// One try, from opening both ends to closing them.
    async fn attempt(
        &self,
        cancel: &CancellationToken,
        metrics: Option<&MoverMetrics>,
    ) -> Result<Report, Broken> {
        if let Some(metrics) = metrics {
            metrics.begin();
        }
        let counts = |peer: Option<&str>| {
            let traffic = metrics.zip(peer);
            traffic.map_or_else(ByteCounts::default, |(metrics, peer)| metrics.wire(peer))
        };
        let opening = async {
            let source = self.limits.for_source();
            let source = self.source.open(source, counts(self.source.peer()));
            let destination = self.limits.for_destination();
            let counts = counts(self.destination.peer());
            let destination = self.destination.open(destination, counts);
            tokio::try_join!(source, destination)
        };
        let (source, destination) = tokio::select! {
            biased;
            () = cancel.cancelled() => {
                return Ok(Report {
                    stopped: Some(Stopped::Cancelled),
                    ..Report::default()
                });
            }
            opened = opening => opened?,
        };
        let section = &self.config.r#move;
        let words = Words {
            done: match self.options.mode {
                Mode::Move => "moved",
                Mode::Copy => "copied",
            },
            identical: "identical",
            failed: "failed",
        };
        let shown = Arc::new(Watch {
            progress: progress::observer(section.progress, self.quiet, self.screen),
            json: section.json.then(|| JsonFiles(words, self.data.clone())),
            metrics: metrics.cloned(),
        });
        let options = MoveOptions {
            within: source.within.clone(),
            ..self.options.clone()
        };
        let throttle = &self.config.throttle;
        let stop = cancel.child_token();
        let limiting = self
            .limits
            .keep(throttle, &*source.service, &*destination.service);
        let moving = move_files(
            Arc::clone(&source.service),
            Arc::clone(&destination.service),
            options,
            Witnesses {
                observer: Arc::clone(&shown) as _,
                metrics: metrics.map(|metrics| metrics.engine.clone()),
                ledger: self.receipts.clone().map(|receipts| receipts as _),
            },
            stop.clone(),
        );
        tokio::pin!(moving);
        let ended = tokio::select! {
            biased;
            error = limiting => {
                // What was done until then counts, and the ends are given back.
                stop.cancel();
                let (Ok(mut report) | Err(Broken { mut report, .. })) = moving.await;
                report.stopped = None;
                Err(Broken { error, report })
            }
            ended = &mut moving => ended,
        };
        if let Some(progress) = &shown.progress {
            progress.end();
        }
        tokio::join!(source.close(), destination.close());
        ended
    }
}
