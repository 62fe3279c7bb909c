//! `realize move` and `realize copy`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::Registry;
use realize_config::{Config, InvalidPushUrl, Throttle};
use realize_core::Error;
use realize_core::engine::{
    Broken, Event, Filter, Mode, MoveOptions, Observer, OnConflict, Report, Stopped, move_files,
    preview_files,
};
use realize_rpc::Limits;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::args::MoveArguments;
use crate::ends::{Destination, Source, ends};
use crate::exit::{Exit, Interruption, chain, of_report};
use crate::limits::MoverLimits;
use crate::metrics::{self, Endpoint, PushTarget, push};
use crate::network::Network;
use crate::output::files::{JsonFiles, LineFiles, Words, json_summary};
use crate::output::{progress, summary};
use crate::retry::Retries;

pub(crate) async fn run(
    mode: Mode,
    arguments: &MoveArguments,
    config: &Config,
    network: &Network<'_>,
) -> Result<(), Exit> {
    let (source, destination) = ends(&arguments.ends, config, network)?;
    let options = options(mode, config)?;
    let is_limited = config.throttle != Throttle::default();
    if is_limited && !source.is_connected() && !destination.is_connected() {
        tracing::warn!(
            event = "limit.unheeded",
            "both ends are on this machine, and no connection is between them that could be \
             limited: `--transport channel` makes one"
        );
    }
    let limits = MoverLimits::new(config, source.peer(), destination.peer());
    let transfer = Transfer {
        limits,
        source,
        destination,
        options,
        config,
        quiet: arguments.verbosity.quiet,
    };
    if arguments.dry_run {
        return transfer.preview().await;
    }
    let registry = metrics::registry().map_err(|error| Exit::other(error.to_string()))?;
    let gateway = gateway(config)?;
    let _serving = serve(config.r#move.metrics_listen, &registry).await;
    let ended = transfer.carry_out().await;
    if let Some(gateway) = &gateway
        && let Err(error) = push(gateway, &registry).await
    {
        tracing::warn!(event = "metrics.push_failed", url = %gateway, error = %chain(&error));
    }
    ended
}

/// Where the metrics are sent to when all is done.
fn gateway(config: &Config) -> Result<Option<PushTarget>, Exit> {
    let url = config.metrics.push.as_deref();
    let target = url.map(|url| PushTarget::parse(url, &host()));
    let fault = |error: InvalidPushUrl| config.fault(&["metrics", "push"], error.to_string());
    Ok(target.transpose().map_err(fault)?)
}

/// Serves the metrics until the guard is dropped. A move goes on without.
async fn serve(address: Option<SocketAddr>, registry: &Registry) -> Option<DropGuard> {
    let address = address?;
    match Endpoint::bind(address, registry.clone()).await {
        Ok(endpoint) => {
            let stop = CancellationToken::new();
            tokio::spawn(endpoint.serve(stop.clone()));
            Some(stop.drop_guard())
        }
        Err(error) => {
            tracing::warn!(event = "metrics.unserved", address = %address, %error);
            None
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
        let source = self.source.open(Limits::default()).await?;
        let destination = if self.destination.exists() {
            Some(self.destination.open(Limits::default()).await?)
        } else {
            None
        };
        let options = MoveOptions {
            within: source.within.clone(),
            ..self.options
        };
        let observer: &dyn Observer = if json {
            &JsonFiles(words)
        } else {
            &LineFiles(words)
        };
        let to = destination.as_ref().map(|opened| &*opened.service);
        let report = preview_files(&*source.service, to, &options, observer).await?;
        source.close().await;
        if let Some(destination) = destination {
            destination.close().await;
        }
        if json {
            json_summary(&report, started.elapsed());
        }
        summary::of_preview(verb, &report, self.quiet);
        of_report(&report, None)
    }

    /// Moves, and goes on where it was when the network interrupts.
    async fn carry_out(self) -> Result<(), Exit> {
        let section = &self.config.r#move;
        let cancel = CancellationToken::new();
        let interruption = Interruptions::watch(&cancel, section.max_duration)?;
        let started = Instant::now();
        let mut retries = Retries::new(section);
        let mut before = Report::default();
        let ended = loop {
            let Broken { error, report } = match self.attempt(&cancel).await {
                Ok(report) => break Ok(report.following(&before)),
                Err(broken) => broken,
            };
            let progressed = report.sent > 0 || report.done > 0;
            before = report.following(&before);
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
            json_summary(report, started.elapsed());
        }
        if ended.is_ok() || report.done > 0 || report.sent > 0 {
            let verb = match self.options.mode {
                Mode::Move => "Moved",
                Mode::Copy => "Copied",
            };
            summary::of_move(verb, report, started.elapsed(), self.quiet);
        }
        of_report(&ended?, interruption.get())
    }

    /// One try, from opening both ends to closing them.
    async fn attempt(&self, cancel: &CancellationToken) -> Result<Report, Broken> {
        let opening = async {
            let source = self.source.open(self.limits.for_source()).await?;
            let destination = self.destination.open(self.limits.for_destination()).await?;
            Ok::<_, Error>((source, destination))
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
            progress: progress::observer(section.progress, self.quiet),
            json: section.json.then_some(JsonFiles(words)),
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
            Arc::clone(&shown) as _,
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
        source.close().await;
        destination.close().await;
        ended
    }
}

/// All that watches a move.
struct Watch {
    progress: Option<Box<dyn progress::Shown>>,
    json: Option<JsonFiles>,
}

impl Observer for Watch {
    fn event(&self, event: Event<'_>) {
        if let Some(progress) = &self.progress {
            progress.event(event);
        }
        if let Some(json) = &self.json {
            json.event(event);
        }
    }
}

/// What may stop a move from outside, and what did.
struct Interruptions(Arc<Mutex<Option<Interruption>>>);

impl Interruptions {
    /// Cancels at a signal, or when the time has run out. A second signal ends the process.
    fn watch(cancel: &CancellationToken, limit: Option<Duration>) -> Result<Self, Exit> {
        let listen = |kind| {
            signal(kind).map_err(|error| Exit::other(format!("listening for signals: {error}")))
        };
        let (mut interrupt, mut terminate) = (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
        );
        let cause = Arc::new(Mutex::new(None));
        let (noted, cancel) = (Arc::clone(&cause), cancel.clone());
        tokio::spawn(async move {
            let time = async {
                match limit {
                    Some(limit) => tokio::time::sleep(limit).await,
                    None => std::future::pending().await,
                }
            };
            let why = tokio::select! {
                _ = interrupt.recv() => Interruption::Signal(2),
                _ = terminate.recv() => Interruption::Signal(15),
                () = time => Interruption::TimeRanOut,
            };
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
            cancel.cancel();
            let signal: u8 = tokio::select! {
                _ = interrupt.recv() => 2,
                _ = terminate.recv() => 15,
            };
            std::process::exit(128 + i32::from(signal));
        });
        Ok(Self(cause))
    }

    fn get(&self) -> Option<Interruption> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
