//! Whole moves over a transport, in both directions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use realize_core::engine::{Mode, MoveOptions, Report, move_files};
use realize_core::transport::{Endpoint, Listener, PeerId, Transport};
use realize_core::{Error, ErrorKind, LocalOptions, LocalService, Service};
use realize_rpc::{Client, Directories, InForce, LimitChange, Limits, Opened, Remote, Server};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::content::Random;
use crate::failure::{During, Failure, Outcome, ensure};
use crate::tree::{moved, plant};
use crate::world::World;

/// The name of the directory that is served.
const DIRECTORY: &str = "inbox";

/// Which end the files are at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// They go to the one who listens.
    Push,
    /// They come from there.
    Pull,
}

/// Serves one directory to whoever comes.
#[derive(Debug)]
struct One(PathBuf);

#[async_trait]
impl Directories for One {
    async fn open(&self, peer: &PeerId, directory: &str) -> realize_core::Result<Opened> {
        if directory != DIRECTORY {
            return Err(Error::new(
                ErrorKind::Forbidden,
                "no such directory for you",
            ));
        }
        let options = LocalOptions {
            peer: peer.clone(),
            ..LocalOptions::default()
        };
        Ok(Opened {
            service: Arc::new(LocalService::open(&self.0, options)?),
            grants: Vec::new(),
            peer: "cam".to_owned(),
            limits: Limits::default(),
        })
    }

    fn limits(&self, _: &PeerId, _: LimitChange) -> realize_core::Result<InForce> {
        Err(Error::new(ErrorKind::Forbidden, "not this peer's to know"))
    }

    fn overview(&self, _peer: &PeerId) -> Vec<String> {
        Vec::new()
    }
}

/// A daemon, until it is dropped.
pub(super) struct Serving(JoinHandle<()>);

impl Serving {
    pub(super) fn new(mut listener: Box<dyn Listener>, root: &Path) -> Self {
        let server = Arc::new(Server::new(Arc::new(One(root.to_owned()))));
        Self(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok(handshake) = accepted else { continue };
                        let server = server.clone();
                        connections.spawn(async move {
                            if let Ok(connection) = handshake.await {
                                // How it ends, the client finds out.
                                let _ = server.serve(connection).await;
                            }
                        });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        }))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Moves what is in `here` to the served directory, or the other way round.
pub(super) async fn carry(
    world: &World,
    transport: Arc<dyn Transport>,
    at: &Endpoint,
    here: &Path,
    way: Way,
) -> Outcome<Report> {
    let client = Client::connect(Remote {
        name: "nas".to_owned(),
        peer: world.listener.identity.clone(),
        transport,
        endpoint: at.clone(),
        directory: DIRECTORY.to_owned(),
        limits: Limits::default(),
        compress: false,
    });
    let client = Arc::new(client.await.during("connecting")?);
    let local = LocalService::open(here, LocalOptions::default()).during("opening a directory")?;
    let (local, remote): (Arc<dyn Service>, Arc<dyn Service>) = (Arc::new(local), client.clone());
    let (source, destination) = match way {
        Way::Push => (local, remote),
        Way::Pull => (remote, local),
    };
    let options = MoveOptions::new(Mode::Move);
    let cancel = CancellationToken::new();
    let ended = move_files(source, destination, options, Arc::new(()), cancel).await;
    let report = ended.map_err(|broken| broken.error).during("moving")?;
    let client = Arc::into_inner(client);
    client
        .ok_or_else(|| Failure::new("the move has ended, and something of it goes on"))?
        .close()
        .await;
    Ok(report)
}

pub(crate) async fn tree(world: &World) -> Outcome {
    let (listener, at) = world.listen().await?;
    let there = tempfile::tempdir().during("making a directory")?;
    let serving = Serving::new(listener, there.path());
    let here = tempfile::tempdir().during("making a directory")?;
    let before = plant(here.path(), &mut Random(8))?;
    for way in [Way::Push, Way::Pull] {
        let transport = world.dialler.transport.clone();
        let report = carry(world, transport, &at, here.path(), way).await?;
        ensure(report.is_clean(), || {
            format!("not everything has moved: {report:?}")
        })?;
        let (source, destination) = match way {
            Way::Push => (&here, &there),
            Way::Pull => (&there, &here),
        };
        moved(&before, source.path(), destination.path()).during(format!("{way:?}"))?;
    }
    drop(serving);
    Ok(())
}
