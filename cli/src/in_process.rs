//! Local ends served within this process and dialled like any peer's, over a transport that can do
//! that: so a local move goes the whole way that one to another machine goes, limits included.

use std::sync::Arc;

use async_trait::async_trait;
use realize_core::transport::{Endpoint, PeerId, Transport, TransportError};
use realize_core::{Error, ErrorKind, Result, Service};
use realize_rpc::{Client, Directories, InForce, LimitChange, Limits, Opened, Remote, Server};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// The name of the one directory that is served.
const DIRECTORY: &str = "here";

/// Whether local ends are served in-process over the transport of this name.
pub(crate) fn is_in_process(transport: &str) -> bool {
    transport == "channel"
}

/// A service that is served; it is served no longer when this is dropped.
pub(crate) struct Serving {
    _accepting: AbortOnDropHandle<()>,
}

/// Serves `service` at `name`, and connects to it; what is sent to it goes as fast as `limits` say.
pub(crate) async fn through(
    transport: Arc<dyn Transport>,
    name: &str,
    service: Arc<dyn Service>,
    limits: Limits,
) -> Result<(Client, Serving)> {
    let failed = |error: TransportError| {
        Error::new(ErrorKind::Invalid, "serving a directory in-process").because(error)
    };
    let endpoint = Endpoint::new(name)
        .map_err(|error| Error::new(ErrorKind::Invalid, "a name").because(error))?;
    let mut listener = transport.listen(&endpoint).await.map_err(failed)?;
    let server = Arc::new(Server::new(Arc::new(One(service))));
    let accepting = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok(handshake) = listener.accept().await {
            let server = Arc::clone(&server);
            connections.spawn(async move {
                if let Ok(connection) = handshake.await {
                    // Its client is in this process, and hears of the end as well.
                    let _ = server.serve(connection).await;
                }
            });
            while connections.try_join_next().is_some() {}
        }
    });
    let remote = Remote {
        name: name.to_owned(),
        peer: PeerId::local(),
        transport,
        endpoint,
        directory: DIRECTORY.to_owned(),
        limits,
        // What does not leave this machine is not worth the work.
        compress: false,
    };
    let client = Client::connect(remote).await?;
    let serving = Serving {
        _accepting: AbortOnDropHandle::new(accepting),
    };
    Ok((client, serving))
}

/// One service, for whoever is in this process.
struct One(Arc<dyn Service>);

impl std::fmt::Debug for One {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("One")
    }
}

#[async_trait]
impl Directories for One {
    async fn open(&self, _: &PeerId, _: &str) -> Result<Opened> {
        Ok(Opened {
            service: Arc::clone(&self.0),
            grants: Vec::new(),
            peer: "local".to_owned(),
            limits: Limits::default(),
        })
    }

    fn limits(&self, _: &PeerId, _: LimitChange) -> Result<InForce> {
        Err(Error::new(ErrorKind::Forbidden, "not this peer's to know"))
    }

    fn overview(&self, _: &PeerId) -> Vec<String> {
        Vec::new()
    }
}
