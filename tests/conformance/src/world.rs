//! Two machines, and what a transport's author says of them.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;

use futures::future::BoxFuture;
use realize_core::known_peers::KnownPeers;
use realize_core::registry::{TransportContext, TransportFactory};
use realize_core::transport::{Endpoint, PeerId, Transport};

/// A machine: its transport, and who it is to others.
#[derive(Clone, Debug)]
pub struct Party {
    /// What it dials and listens with.
    pub transport: Arc<dyn Transport>,
    /// How its transport's peers call it.
    pub identity: PeerId,
}

/// Two machines that a transport connects: one that listens, and one that dials it. Each check
/// has a world of its own, and no two have an address in common.
pub struct World {
    /// What makes the transport of its table.
    pub factory: Arc<dyn TransportFactory>,
    /// What the factory needs to make one; by default nothing.
    pub context: TransportContext,
    /// What its table must hold, in lines of TOML; by default nothing.
    pub table: String,
    /// Who listens.
    pub listener: Party,
    /// Who dials.
    pub dialler: Party,
    /// Where to listen. The system chooses a port, if the transport has those.
    pub endpoint: Endpoint,
    /// Whom the listener lets in: the very set that it looks into. At first it has the dialler
    /// alone.
    pub known: KnownPeers,
    /// One more who can dial, and is not known; by default nobody. The dialler is made a stranger
    /// too, by taking it out of [`known`](Self::known).
    pub stranger: Option<Party>,
    /// An identity that is not the listener's; by default the dialler's.
    pub unexpected: PeerId,
    /// Clients that begin a handshake and do not go on; by default none.
    pub stall: Option<Stall>,
    /// What is to live as long as the world: directories, for instance.
    pub kept: Vec<Box<dyn Any + Send + Sync>>,
}

impl World {
    /// A world of these two; what else there is to say of it is said with `World { .. }`.
    pub fn new(
        factory: impl TransportFactory + 'static,
        listener: Party,
        dialler: Party,
        endpoint: Endpoint,
    ) -> Self {
        Self {
            factory: Arc::new(factory),
            context: TransportContext::default(),
            table: String::new(),
            known: KnownPeers::default(),
            stranger: None,
            unexpected: dialler.identity.clone(),
            stall: None,
            kept: Vec::new(),
            listener,
            dialler,
            endpoint,
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("factory", &self.factory.name())
            .field("listener", &self.listener)
            .field("dialler", &self.dialler)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Makes clients that begin a handshake and do not go on.
#[derive(Clone)]
pub struct Stall(Arc<dyn Fn(Endpoint) -> BoxFuture<'static, io::Result<Stalled>> + Send + Sync>);

/// A client that has stopped, until it is dropped.
pub(crate) type Stalled = Box<dyn Any + Send>;

impl Stall {
    /// Makes them with `client`, which connects to the endpoint, goes as far as it wants to, and
    /// gives what keeps the connection: a socket, for instance.
    pub fn new<F, T>(client: impl Fn(Endpoint) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        Self(Arc::new(move |at| {
            let client = client(at);
            Box::pin(async { Ok(Box::new(client.await?) as Stalled) })
        }))
    }

    pub(crate) async fn begin(&self, at: Endpoint) -> io::Result<Stalled> {
        (self.0)(at).await
    }
}

impl fmt::Debug for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stall")
    }
}
