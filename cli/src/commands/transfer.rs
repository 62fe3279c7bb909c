//! `realize move` and `realize copy`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use realize_config::Config;
use realize_core::engine::{
    Event, Filter, Mode, MoveOptions, Observer, OnConflict, move_files, preview_files,
};
use realize_core::{LocalService, Service};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::args::MoveArguments;
use crate::exit::{Exit, Interruption, of_report};
use crate::location::{Source, ends};
use crate::output::files::{JsonFiles, LineFiles, Words, json_summary};
use crate::output::{progress, summary};

pub(crate) async fn run(
    mode: Mode,
    arguments: &MoveArguments,
    config: &Config,
) -> Result<(), Exit> {
    let (source, destination) = ends(&arguments.ends, config)?;
    let options = options(mode, &source, config)?;
    let from = source.open()?;
    if arguments.dry_run {
        let to = destination
            .exists()
            .then(|| destination.open())
            .transpose()?;
        return preview(&from, to.as_ref(), &options, arguments, config).await;
    }
    let ends = (from, destination.open()?);
    carry_out(ends, options, arguments, config).await
}

/// The engine's options for what the configuration and the flags say.
pub(super) fn options(mode: Mode, source: &Source, config: &Config) -> Result<MoveOptions, Exit> {
    let section = &config.r#move;
    let filter = Filter::new(&section.include, &section.exclude)
        .map_err(|error| Exit::usage(error.to_string()))?;
    Ok(MoveOptions {
        within: source.within.clone(),
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
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    format!("realize, process {} on {host}", std::process::id())
}

async fn preview(
    source: &LocalService,
    destination: Option<&LocalService>,
    options: &MoveOptions,
    arguments: &MoveArguments,
    config: &Config,
) -> Result<(), Exit> {
    let verb = if options.mode == Mode::Move {
        "move"
    } else {
        "copy"
    };
    let words = Words {
        done: if options.mode == Mode::Move {
            "would move"
        } else {
            "would copy"
        },
        identical: "would compare",
        failed: "would fail",
    };
    let started = Instant::now();
    let destination = destination.map(|service| service as &dyn Service);
    let report = if config.r#move.json {
        preview_files(source, destination, options, &JsonFiles(words)).await?
    } else {
        preview_files(source, destination, options, &LineFiles(words)).await?
    };
    if config.r#move.json {
        json_summary(&report, started.elapsed());
    }
    summary::of_preview(verb, &report, arguments.verbosity.quiet);
    of_report(&report, None)
}

async fn carry_out(
    (source, destination): (LocalService, LocalService),
    options: MoveOptions,
    arguments: &MoveArguments,
    config: &Config,
) -> Result<(), Exit> {
    let (verb, done) = match options.mode {
        Mode::Move => ("Moved", "moved"),
        Mode::Copy => ("Copied", "copied"),
    };
    let section = &config.r#move;
    let quiet = arguments.verbosity.quiet;
    let words = Words {
        done,
        identical: "identical",
        failed: "failed",
    };
    let shown = Arc::new(Watch {
        progress: progress::observer(section.progress, quiet),
        json: section.json.then_some(JsonFiles(words)),
    });
    let cancel = CancellationToken::new();
    let interruption = Interruptions::watch(&cancel, section.max_duration)?;
    let started = Instant::now();
    let observer: Arc<dyn Observer> = Arc::clone(&shown) as _;
    let ended = move_files(
        Arc::new(source),
        Arc::new(destination),
        options,
        observer,
        cancel,
    )
    .await;
    if let Some(progress) = &shown.progress {
        progress.end();
    }
    let report = ended?;
    if section.json {
        json_summary(&report, started.elapsed());
    }
    summary::of_move(verb, &report, started.elapsed(), quiet);
    of_report(&report, interruption.get())
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
