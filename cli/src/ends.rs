//! The two ends of a move, or the place to list: found once, opened for each attempt.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use realize_config::Config;
use realize_core::entry::EntryKind;
use realize_core::local::{Relation, SystemFileSystem, relation};
use realize_core::service::List;
use realize_core::transport::Transport;
use realize_core::{Error, LocalOptions, LocalService, RelPath, Service, Subtree};
use realize_rpc::{Client, Remote};

use crate::args::Ends;
use crate::exit::{Exit, shown};
use crate::in_process::{Serving, through};
use crate::location::{Location, parent};
use crate::mounts::Mounts;
use crate::network::Network;

/// A directory of a peer, and perhaps what is meant in it.
#[derive(Debug)]
pub(crate) struct RemoteEnd {
    remote: Remote,
    within: Option<RelPath>,
}

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
        let (client, serving) = through(Arc::clone(transport), name, service).await?;
        let client = Arc::new(client);
        Ok(Self {
            service: Arc::clone(&client) as _,
            within,
            client: Some(client),
            serving: Some(serving),
        })
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

impl RemoteEnd {
    async fn connect(&self) -> Result<(Arc<Client>, Arc<dyn Service>), Error> {
        let client = Arc::new(Client::connect(self.remote.clone()).await?);
        let service = Arc::clone(&client) as _;
        Ok((client, service))
    }

    /// Opens it as a directory.
    async fn open(&self) -> Result<Opened, Error> {
        let (client, mut service) = self.connect().await?;
        if let Some(within) = &self.within {
            service = Arc::new(Subtree::new(service, within.clone()));
        }
        Ok(Opened {
            service,
            within: None,
            client: Some(client),
            serving: None,
        })
    }

    /// Opens it as a directory or a file, whichever it is.
    async fn open_either(&self) -> Result<Opened, Error> {
        let Some(within) = &self.within else {
            return self.open().await;
        };
        let (client, service) = self.connect().await?;
        let (root, file) = if is_file(&*service, within).await? {
            (within.parent(), Some(within.file_name()))
        } else {
            (Some(within.clone()), None)
        };
        let file = file.map(|name| RelPath::join(None, name)).transpose();
        let service = match root {
            Some(root) => Arc::new(Subtree::new(service, root)) as _,
            None => service,
        };
        Ok(Opened {
            service,
            within: file.map_err(|error| {
                Error::new(realize_core::ErrorKind::Invalid, "the path").because(error)
            })?,
            client: Some(client),
            serving: None,
        })
    }
}

/// Whether what is at `path` is one file, or the like, rather than a directory.
async fn is_file(service: &dyn Service, path: &RelPath) -> Result<bool, Error> {
    let list = List {
        within: Some(path.clone()),
        files: true,
        ..List::default()
    };
    let page = service.list(list).await?;
    let is_it = |entry: &realize_core::entry::Entry| {
        entry.path == *path && !matches!(entry.kind, EntryKind::Directory { .. })
    };
    Ok(page.entries.iter().any(is_it))
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
            Location::Peer {
                peer,
                directory,
                within,
            } => Ok(Self::There(RemoteEnd {
                remote: network.remote(&peer, &directory)?,
                within,
            })),
        }
    }

    pub(crate) async fn open(&self) -> Result<Opened, Error> {
        match self {
            Self::Here(source, in_process) => {
                let within = source.within.clone();
                Opened::here("source", source.open()?, within, in_process).await
            }
            Self::There(remote) => remote.open_either().await,
        }
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
            Location::Peer {
                peer,
                directory,
                within,
            } => Ok(Self::There(RemoteEnd {
                remote: network.remote(&peer, &directory)?,
                within,
            })),
        }
    }

    /// Whether it has to be made first.
    pub(crate) fn exists(&self) -> bool {
        match self {
            Self::Here(destination, _) => destination.exists,
            Self::There(_) => true,
        }
    }

    /// Opens it; a local one that does not exist is made first.
    pub(crate) async fn open(&self) -> Result<Opened, Error> {
        match self {
            Self::Here(destination, in_process) => {
                Opened::here("destination", destination.open()?, None, in_process).await
            }
            Self::There(remote) => remote.open().await,
        }
    }
}

/// A source of this machine: a directory, and perhaps one file in it.
#[derive(Debug)]
pub(crate) struct LocalSource {
    root: PathBuf,
    within: Option<RelPath>,
}

impl LocalSource {
    fn find(path: PathBuf, what: &str) -> Result<Self, Exit> {
        // A link to a directory is the directory; any other link is itself what is meant.
        let directory = fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        if directory {
            return Ok(Self {
                root: path,
                within: None,
            });
        }
        if let Err(error) = fs::symlink_metadata(&path) {
            let path = shown(path.as_os_str());
            return Err(Exit::usage(format!(
                "{what} {path}: {error}; nothing was changed"
            )));
        }
        let name = path.file_name().unwrap_or_default();
        let within = RelPath::new(name.as_bytes())
            .map_err(|error| Exit::usage(format!("{what} {}: {error}", shown(path.as_os_str()))))?;
        Ok(Self {
            root: parent(&path),
            within: Some(within),
        })
    }

    fn open(&self) -> Result<LocalService, Error> {
        LocalService::open(&self.root, LocalOptions::default())
    }
}

/// A destination of this machine: a directory that exists, or will.
#[derive(Debug)]
pub(crate) struct LocalDestination {
    path: PathBuf,
    exists: bool,
}

impl LocalDestination {
    fn find(path: PathBuf, source: &Source) -> Result<Self, Exit> {
        let named = || format!("destination {}", shown(path.as_os_str()));
        let exists = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => true,
            Ok(_) => {
                let what = "is a file, and a destination is a directory; nothing was changed";
                return Err(Exit::usage(format!("{} {what}", named())));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(Exit::usage(format!("{}: {error}", named()))),
        };
        if !exists && !parent(&path).is_dir() {
            let what = "cannot be made: the directory that is to hold it does not exist";
            return Err(Exit::usage(format!(
                "{} {what}; nothing was changed",
                named()
            )));
        }
        let destination = Self { path, exists };
        if let Source::Here(source, _) = source {
            destination.check_apart(source)?;
        }
        Ok(destination)
    }

    fn check_apart(&self, source: &LocalSource) -> Result<(), Exit> {
        let existing = if self.exists {
            self.path.clone()
        } else {
            parent(&self.path)
        };
        let relation = relation(&SystemFileSystem, &existing, &source.root)?;
        let wrong = match (relation, &source.within) {
            (Relation::Same, _) if self.exists => "is the source itself",
            (Relation::Same | Relation::Inside, None) => "lies inside the source",
            (Relation::Around, None) if self.exists => "contains the source",
            _ if source.within.is_none() && shares_mounts(&self.path, &source.root) => {
                "shares files with the source, by a mount"
            }
            _ => return Ok(()),
        };
        let path = shown(self.path.as_os_str());
        Err(Exit::usage(format!(
            "destination {path} {wrong}; nothing was changed"
        )))
    }

    /// Opens it; makes it first, durably, where it does not exist.
    fn open(&self) -> Result<LocalService, Error> {
        if !self.exists {
            let created = match fs::create_dir(&self.path) {
                // Another move was faster; which of the two works here, the lease says.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            };
            let made = created
                .and_then(|()| File::open(parent(&self.path)))
                .and_then(|directory| directory.sync_all());
            made.map_err(|error| {
                let path = shown(self.path.as_os_str());
                Error::io(format!("making the destination {path}"), error)
            })?;
        }
        LocalService::open(&self.path, LocalOptions::default())
    }
}

/// Whether mounts make files of one directory files of the other too. The first need not exist.
fn shares_mounts(one: &Path, other: &Path) -> bool {
    let absolute = |path: &Path| match fs::canonicalize(path) {
        Err(_) => {
            let above = fs::canonicalize(parent(path)).ok()?;
            Some(above.join(path.file_name()?))
        }
        found => found.ok(),
    };
    match (absolute(one), absolute(other)) {
        (Some(one), Some(other)) => Mounts::read().share(&one, &other),
        _ => false,
    }
}

/// The two ends that were typed, or else configured.
pub(crate) fn ends(
    typed: &Ends,
    config: &Config,
    network: &Network<'_>,
) -> Result<(Source, Destination), Exit> {
    let section = &config.r#move;
    let source = named(typed.source.as_ref(), section.source.as_ref(), "source")?;
    let destination = named(
        typed.destination.as_ref(),
        section.destination.as_ref(),
        "destination",
    )?;
    let source = Source::find(&source, "source", config, network)?;
    let destination = Destination::find(&destination, &source, config, network)?;
    Ok((source, destination))
}

/// An end that was typed or configured.
fn named(
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
