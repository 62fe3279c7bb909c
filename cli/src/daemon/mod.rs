//! The daemon `realized`: serves the configured directories to the peers that may have them.
//!
//! `serving` accepts connections and hands them to the server; `directories` opens what a peer asks
//! for, as far as it may; `reload` takes a changed configuration in, and `changes` says what is
//! different in it; `sweep` removes partials that nobody came back for.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use prometheus::Registry;
use realize_config::{Config, Environment, Overrides, listed};
use realize_core::registry::TransportRegistry;
use realize_core::transport::Listener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exit::{Exit, shown};
use crate::limits::keep_total;
use crate::logging::{self, Program};
use crate::metrics::{Endpoint, ServedMetrics};
use crate::network::Network;
use crate::output::{Data, Screen};
use crate::runtime;

mod accounted;
mod changes;
mod directories;
mod reload;
mod serving;
mod sweep;

use changes::comma_separated;
use directories::Served;
use serving::Serving;

/// How long what is under way may take to end once the daemon is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves directories to other machines, for realize to move files from and to.
///
/// It reads all of the configuration but [move], prints a line for each address that it listens at,
/// and runs until SIGTERM; SIGHUP has it read the configuration again.
#[derive(Debug, Parser)]
#[command(name = "realized", version, max_term_width = 100)]
struct Arguments {
    /// The configuration file [default: $REALIZE_CONFIG, or ~/.config/realize/realize.toml if it
    /// exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or per target [default: info]
    #[arg(long, value_name = "L")]
    log_level: Option<String>,
    /// How to log: human, logfmt or json [default: human on a terminal, otherwise logfmt]
    #[arg(long, value_name = "F")]
    log_format: Option<String>,
    /// Serve one connection on standard input and output, and end with it: for a program that
    /// carries bytes, such as the forced command of an ssh key
    #[arg(long, requires = "peer")]
    stdio: bool,
    /// Whom that connection is from: a name of [peers]. Whoever starts the program vouches for it
    #[arg(long, requires = "stdio", value_name = "PEER")]
    peer: Option<String>,
}

/// Where the configuration comes from, at the start and at every reload.
pub(crate) struct Origin<'a> {
    file: Option<PathBuf>,
    environment: Environment,
    overrides: Overrides,
    registry: &'a TransportRegistry,
}

impl Origin<'_> {
    fn load(&self) -> Result<Config, Exit> {
        let file = self.file.as_deref();
        Ok(Config::load(
            file,
            &self.environment,
            &self.overrides,
            self.registry,
        )?)
    }
}

/// What may be typed of `realized`.
pub(crate) fn command_line() -> clap::Command {
    Arguments::command()
}

/// Runs the daemon that the process was started as, to its end.
pub fn daemon_with(registry: &TransportRegistry) -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return crate::usage(&error),
    };
    match run(arguments, std::env::vars_os(), registry) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            exit.print("realized");
            ExitCode::from(exit.code())
        }
    }
}

fn run(
    arguments: Arguments,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    registry: &TransportRegistry,
) -> Result<(), Exit> {
    let environment: Environment = variables.into_iter().collect();
    let file = arguments.config.or_else(|| environment.file());
    let overrides = Overrides::new()
        .text("log.level", "--log-level", arguments.log_level)
        .text("log.format", "--log-format", arguments.log_format);
    let origin = Origin {
        file,
        environment,
        overrides,
        registry,
    };
    let config = origin.load()?;
    let program = match arguments.stdio {
        true => Program::Stdio,
        false => Program::Daemon,
    };
    let logging = logging::start(&config.log, program, &Screen::default())?;
    let runtime = runtime::start()?;
    runtime.spawn(logging.keep_counting());
    let ended = match &arguments.peer {
        Some(peer) => runtime.block_on(serve_stdio(&origin, &config, peer)),
        None => runtime.block_on(serve(&origin, config)),
    };
    runtime.shutdown_timeout(GRACE);
    ended
}

/// Serves one connection, from `peer`, on standard input and output.
async fn serve_stdio(origin: &Origin<'_>, config: &Config, peer: &str) -> Result<(), Exit> {
    let network = Network::new(config, origin.registry)?;
    let Some(id) = network.peers().get(peer) else {
        let known = listed(network.peers().keys().map(String::as_str));
        let what = format!("--peer {peer}: there is no such peer; there are {known}");
        return Err(Exit::usage(what));
    };
    let served = Arc::new(served(["exec"])?.alone());
    served
        .replace(config, network.peers())
        .map_err(|error| Exit::configuration(error.to_string()))?;
    let (_throttle, told) = watch::channel(config.throttle.clone());
    let _limiting = keep_total(&served.limits, told);
    let serving = Serving::new(served, network.known().clone());
    let mut signals = Signals::new()?;
    let connection = serving.serve("exec", realize_exec::stdio(id.clone()));
    tokio::pin!(connection);
    // There is one connection, for which nothing is read again.
    let stop = async { while let Wanted::Reload = signals.next().await {} };
    tokio::select! {
        () = &mut connection => return Ok(()),
        () = stop => {}
    }
    serving.drain();
    // What is not done by then is cut.
    let _ = tokio::time::timeout(GRACE, connection).await;
    Ok(())
}

/// What is to be served, to whoever comes by these transports.
fn served<'a>(transports: impl IntoIterator<Item = &'a str>) -> Result<Served, Exit> {
    let metrics = ServedMetrics::new(transports).map_err(unmeasured)?;
    Ok(Served::new(metrics))
}

fn unmeasured(error: prometheus::Error) -> Exit {
    Exit::other(format!("making the metrics: {error}"))
}

/// Serves until a signal says to stop.
async fn serve(origin: &Origin<'_>, config: Config) -> Result<(), Exit> {
    if config.listen.is_empty() {
        let what = "nothing to listen at: set addresses in [listen] of the configuration";
        return Err(Exit::configuration(what));
    }
    // Before anything can be sent to us.
    let mut signals = Signals::new()?;
    let network = Network::new(&config, origin.registry)?;
    let served = served(config.listen.iter().map(|listen| &*listen.transport))?;
    let served = Arc::new(served);
    served
        .replace(&config, network.peers())
        .map_err(|error| Exit::configuration(error.to_string()))?;
    let (throttle, told) = watch::channel(config.throttle.clone());
    let _limiting = keep_total(&served.limits, told);
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    let serving = Arc::new(Serving::new(Arc::clone(&served), network.known().clone()));
    serving.show_metrics().map_err(unmeasured)?;
    let mut listening = Vec::new();
    for listen in &config.listen {
        let transport = network.transport(&listen.transport)?;
        let listener = transport.listen(&listen.endpoint).await.map_err(|error| {
            let (name, error) = (&listen.transport, crate::exit::chain(&error));
            let address = listen.endpoint.as_str();
            tracing::error!(event = "listener.failed", transport = name, address, error);
            Exit::other(format!("listening on {name} {error}"))
        })?;
        listening.push((listen.transport.clone(), listener));
    }
    if let Some(address) = config.metrics.listen {
        let endpoint = listen_for_metrics(address, &served.metrics.registry).await?;
        tasks.spawn(endpoint.serve(stop.clone()));
    }
    let key = key(&config);
    say_started(&config, key.as_deref(), &listening);
    let (lost, data) = (CancellationToken::new(), Data::default());
    for (transport, listener) in listening {
        let address = listener.endpoint();
        data.print(&format!("listening on {transport} {address}"));
        tracing::info!(
            event = "daemon.listening",
            transport,
            address = address.as_str()
        );
        let told = (stop.clone(), lost.clone());
        tasks.spawn(Arc::clone(&serving).accept(transport, listener, tasks.clone(), told));
    }
    tasks.spawn(sweep::keep_swept(Arc::clone(&served), stop.clone()));
    // Fails where no systemd waits for it.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let mut current = config.clone();
    let signal = loop {
        let wanted = tokio::select! {
            wanted = signals.next() => wanted,
            // Whoever watches over the daemon starts it again; one that serves nothing helps nobody.
            () = lost.cancelled() => break None,
        };
        match wanted {
            Wanted::Reload => {}
            Wanted::Stop(signal) => break Some(signal),
        }
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Reloading]);
        match reload::reload(origin, &current, &key, &serving) {
            Ok(config) => {
                throttle.send_if_modified(|throttle| {
                    let changed = *throttle != config.throttle;
                    throttle.clone_from(&config.throttle);
                    changed
                });
                current = config;
            }
            Err(exit) => {
                // The lines after the first show the place to people.
                let reason = exit.message().lines().next();
                let line = exit.line();
                tracing::error!(event = "config.rejected", line, reason);
            }
        }
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!(event = "daemon.stopping", signal);
    stop.cancel();
    serving.drain();
    tasks.close();
    if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
        tracing::warn!(
            event = "daemon.cut",
            reason = "connections that did not end in time are cut; what they moved is safe"
        );
    }
    match signal {
        Some(_) => Ok(()),
        None => Err(Exit::other("a listener has failed; see the log")),
    }
}

/// The endpoint of what this daemon counts.
async fn listen_for_metrics(address: SocketAddr, registry: &Registry) -> Result<Endpoint, Exit> {
    Endpoint::bind(address, registry.clone()).await.map_err(|error| {
        tracing::error!(event = "listener.failed", transport = "metrics", address = %address, %error);
        Exit::other(format!("listening on metrics {address}: {error}"))
    })
}

/// What others know this machine by, if it has a key.
fn key(config: &Config) -> Option<String> {
    let key = realize_tls::load_private_key(config.identity.key.as_deref()?).ok()?;
    Some(key.public_key().to_string())
}

/// Says that the daemon serves from now on: as whom, where, and what.
fn say_started(config: &Config, key: Option<&str>, listening: &[(String, Box<dyn Listener>)]) {
    let file = config.file.as_deref();
    let at = |(transport, listener): &(String, Box<dyn Listener>)| {
        format!("{transport} {}", listener.endpoint())
    };
    let listeners: Vec<String> = listening.iter().map(at).collect();
    tracing::info!(
        event = "daemon.started",
        version = env!("CARGO_PKG_VERSION"),
        config = file.map(|file| shown(file.as_os_str())),
        key,
        listeners = listeners.join(","),
        directories = comma_separated(config.directories.keys())
    );
}

/// What a signal wants.
enum Wanted {
    Reload,
    /// With the name of the signal.
    Stop(&'static str),
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, Exit> {
        let listen = |kind| {
            signal(kind).map_err(|error| Exit::other(format!("listening for signals: {error}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wanted {
        tokio::select! {
            _ = self.terminate.recv() => Wanted::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Wanted::Stop("SIGINT"),
            _ = self.hangup.recv() => Wanted::Reload,
        }
    }
}
