//! The two ends of a move, or the place to list: found once, opened for each attempt.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use realize_config::Config;
use realize_core::counted::ByteCounts;
use realize_core::transport::Transport;
use realize_core::{Error, LocalService, RelPath, Service};
use realize_rpc::{Client, Limits};

use crate::args::Ends;
use crate::exit::Exit;
use crate::in_process::{Serving, through};
use crate::location::Location;
use crate::network::Network;

mod counted;
mod local;
mod remote;

use local::{LocalDestination, LocalSource};
use remote::RemoteEnd;

/// A source, or a place to list.
#[derive(Debug)]
pub(crate) enum Source {
    /// On this machine; served in-process where a transport is given.
    Here(LocalSource, InProcess),
    /// On a peer.
    There(RemoteEnd),
}

/// A destination.
#[derive(Debug)]
pub(crate) enum Destination {
    /// On this machine; served in-process where a transport is given.
    Here(LocalDestination, InProcess),
    /// On a peer.
    There(RemoteEnd),
}

/// The transport that local ends are served over in-process, if they are.
type InProcess = Option<Arc<dyn Transport>>;

/// An end that is open.
pub(crate) struct Opened {
    pub(crate) service: Arc<dyn Service>,
    /// The one file of it that is meant; everything where it is `None`.
    pub(crate) within: Option<RelPath>,
    client: Option<Arc<Client>>,
    serving: Option<Serving>,
}

impl Opened {
    /// A local end, which is called `name` where it is served in-process.
    async fn here(
        name: &str,
        service: LocalService,
        within: Option<RelPath>,
        in_process: &InProcess,
        limits: Limits,
    ) -> Result<Self, Error> {
        let service = Arc::new(service);
        let Some(transport) = in_process else {
            return Ok(Self {
                service,
                within,
                client: None,
                serving: None,
            });
        };
        let (client, serving) = through(Arc::clone(transport), name, service, limits).await?;
        let client = Arc::new(client);
        Ok(Self {
            service: Arc::clone(&client) as _,
            within,
            client: Some(client),
            serving: Some(serving),
        })
    }

    /// Waits until a peer has answered whether this machine may have it, and for what; `None` where
    /// it is no peer's. Calls need not wait.
    pub(crate) async fn granted(&self) -> Result<Option<&[String]>, Error> {
        match (&self.client, &self.serving) {
            (Some(client), None) => client.granted().await.map(Some),
            _ => Ok(None),
        }
    }

    /// Closes a peer's connections in order. Nobody else may hold the service any more.
    pub(crate) async fn close(self) {
        let Self {
            service,
            client,
            serving,
            ..
        } = self;
        drop(service);
        if let Some(client) = client.and_then(Arc::into_inner) {
            client.close().await;
        }
        drop(serving);
    }
}

impl Source {
    /// What `text` stands for; `what` is what the command calls it.
    pub(crate) fn find(
        text: &OsStr,
        what: &str,
        config: &Config,
        network: &Network<'_>,
    ) -> Result<Self, Exit> {
        match Location::parse(text, config)? {
            Location::Path(path) => Ok(Self::Here(
                LocalSource::find(path, what)?,
                network.in_process()?,
            )),
            Location::Peer(place) => RemoteEnd::find(place, network).map(Self::There),
        }
    }

    /// Opens it. If what is read from it comes over connections, it comes as fast as `limits` say; those
    /// with a peer add their bytes to `counts`.
    pub(crate) async fn open(&self, limits: Limits, counts: ByteCounts) -> Result<Opened, Error> {
        match self {
            Self::Here(source, in_process) => {
                let within = source.within.clone();
                Opened::here("source", source.open()?, within, in_process, limits).await
            }
            Self::There(remote) => remote.open_either(limits, counts).await,
        }
    }

    /// The peer that it is on.
    pub(crate) fn peer(&self) -> Option<&str> {
        self.place().map(|(peer, _)| peer)
    }

    /// The peer that it is on, and the directory there.
    pub(crate) fn place(&self) -> Option<(&str, &str)> {
        match self {
            Self::Here(..) => None,
            Self::There(remote) => Some(remote.place()),
        }
    }

    /// Where it is, if it is on this machine.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Here(source, _) => Some(source.path()),
            Self::There(_) => None,
        }
    }

    /// What it is called by whoever looks from anywhere: the peer's directory, or a path from the root.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Here(source, _) => source.name(),
            Self::There(remote) => remote.name(),
        }
    }

    /// Whether what comes from there comes over connections.
    pub(crate) fn is_connected(&self) -> bool {
        !matches!(self, Self::Here(_, None))
    }
}

impl Destination {
    /// What `text` stands for, if files of `source` may go there.
    pub(crate) fn find(
        text: &OsStr,
        source: &Source,
        config: &Config,
        network: &Network<'_>,
    ) -> Result<Self, Exit> {
        match Location::parse(text, config)? {
            Location::Path(path) => Ok(Self::Here(
                LocalDestination::find(path, source)?,
                network.in_process()?,
            )),
            Location::Peer(place) => RemoteEnd::find(place, network).map(Self::There),
        }
    }

    /// Whether it has to be made first.
    pub(crate) fn exists(&self) -> bool {
        match self {
            Self::Here(destination, _) => destination.exists,
            Self::There(_) => true,
        }
    }

    /// Opens it; a local one that does not exist is made first. If what is sent to it goes over
    /// connections, it goes as fast as `limits` say; those with a peer add their bytes to `counts`.
    pub(crate) async fn open(&self, limits: Limits, counts: ByteCounts) -> Result<Opened, Error> {
        match self {
            Self::Here(destination, in_process) => {
                let local = destination.open()?;
                Opened::here("destination", local, None, in_process, limits).await
            }
            Self::There(remote) => remote.open(limits, counts).await,
        }
    }

    /// The peer that it is on.
    pub(crate) fn peer(&self) -> Option<&str> {
        self.place().map(|(peer, _)| peer)
    }

    /// The peer that it is on, and the directory there.
    pub(crate) fn place(&self) -> Option<(&str, &str)> {
        match self {
            Self::Here(..) => None,
            Self::There(remote) => Some(remote.place()),
        }
    }

    /// Where it is, if it is on this machine.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Here(destination, _) => Some(destination.path()),
            Self::There(_) => None,
        }
    }

    /// What it is called by whoever looks from anywhere: the peer's directory, or a path from the root.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Here(destination, _) => destination.name(),
            Self::There(remote) => remote.name(),
        }
    }

    /// Whether what goes there goes over connections.
    pub(crate) fn is_connected(&self) -> bool {
        !matches!(self, Self::Here(_, None))
    }
}

/// The two ends of these names.
pub(crate) fn ends(
    (source, destination): &(OsString, OsString),
    config: &Config,
    network: &Network<'_>,
) -> Result<(Source, Destination), Exit> {
    let source = Source::find(source, "source", config, network)?;
    let destination = Destination::find(destination, &source, config, network)?;
    Ok((source, destination))
}

impl Ends {
    /// The names of both, as they were typed, or else configured.
    pub(crate) fn names(&self, config: &Config) -> Result<(OsString, OsString), Exit> {
        let section = &config.r#move;
        let (typed, configured) = (self.source.as_ref(), section.source.as_ref());
        let source = named(typed, configured, "source")?;
        let (typed, configured) = (self.destination.as_ref(), section.destination.as_ref());
        Ok((source, named(typed, configured, "destination")?))
    }
}

/// An end that was typed or configured.
pub(crate) fn named(
    typed: Option<&OsString>,
    configured: Option<&OsString>,
    what: &str,
) -> Result<OsString, Exit> {
    typed.or(configured).cloned().ok_or_else(|| {
        Exit::usage(format!(
            "no {what}: give SOURCE and DESTINATION, or set {what} in [move] of the configuration"
        ))
    })
}
