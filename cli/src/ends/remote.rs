//! A directory of a peer as one end.

use std::sync::{Arc, Once};

use realize_core::counted::ByteCounts;
use realize_core::entry::{Entry, EntryKind};
use realize_core::service::List;
use realize_core::{Error, ErrorKind, RelPath, Service, Subtree};
use realize_rpc::{Client, Limits, Remote};

use super::Opened;
use super::counted::CountedTransport;
use crate::exit::Exit;
use crate::location::PeerPlace;
use crate::network::Network;

/// A directory of a peer, and perhaps what is meant in it.
#[derive(Debug)]
pub(crate) struct RemoteEnd {
    remote: Remote,
    within: Option<RelPath>,
    /// Says that the peer cannot do what was asked for, the first time that it is connected with.
    refused: Once,
}

impl RemoteEnd {
    pub(super) fn find(place: PeerPlace, network: &Network<'_>) -> Result<Self, Exit> {
        Ok(Self {
            remote: network.remote(&place.peer, &place.directory)?,
            within: place.within,
            refused: Once::new(),
        })
    }

    /// The name of the peer, and of the directory there.
    pub(super) fn place(&self) -> (&str, &str) {
        (&self.remote.name, &self.remote.directory)
    }

    /// The same as it may be typed, with the path in it.
    pub(super) fn name(&self) -> String {
        let (peer, directory) = self.place();
        match &self.within {
            Some(within) => format!("{peer}:{directory}/{within}"),
            None => format!("{peer}:{directory}"),
        }
    }

    async fn connect(
        &self,
        limits: Limits,
        counts: ByteCounts,
    ) -> Result<(Arc<Client>, Arc<dyn Service>), Error> {
        let transport = Arc::clone(&self.remote.transport);
        let remote = Remote {
            limits,
            transport: Arc::new(CountedTransport::new(transport, counts)),
            ..self.remote.clone()
        };
        let client = Arc::new(Client::connect(remote).await?);
        if self.remote.compress && !client.compresses() {
            self.refused.call_once(|| {
                tracing::warn!(
                    event = "compression.refused",
                    peer = self.remote.name,
                    "the peer cannot compress: content travels as it is"
                );
            });
        }
        let service = Arc::clone(&client) as _;
        Ok((client, service))
    }

    /// Opens it as a directory; its connections go as fast as `limits` say, and add
    /// their bytes to `counts`.
    pub(super) async fn open(&self, limits: Limits, counts: ByteCounts) -> Result<Opened, Error> {
        let (client, mut service) = self.connect(limits, counts).await?;
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
    pub(super) async fn open_either(
        &self,
        limits: Limits,
        counts: ByteCounts,
    ) -> Result<Opened, Error> {
        let Some(within) = &self.within else {
            return self.open(limits, counts).await;
        };
        let (client, service) = self.connect(limits, counts).await?;
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
            within: file
                .map_err(|error| Error::new(ErrorKind::Invalid, "the path").because(error))?,
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
    let is_it =
        |entry: &Entry| entry.path == *path && !matches!(entry.kind, EntryKind::Directory { .. });
    Ok(page.entries.iter().any(is_it))
}
