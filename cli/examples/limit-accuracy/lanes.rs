//! Two machines, and lanes between them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use realize_core::known_peers::KnownPeers;
use realize_core::registry::{TransportContext, TransportTable};
use realize_core::transport::{Duplex, Endpoint, Listener, PeerId, Transport};
use realize_tls::{PrivateKey, save_private_key};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, Sink};

use crate::Failure;
use crate::count::Count;
use crate::proxy::Proxy;

/// What is measured over.
pub(crate) const TRANSPORTS: [&str; 3] = ["tcp", "quic", "channel"];

/// No transport: what is written is gone, and nothing is ever read.
pub(crate) const MEMORY: &str = "memory";

/// Both ends of each lane.
pub(crate) struct Lanes {
    pub(crate) dialled: Vec<Box<dyn Duplex>>,
    pub(crate) accepted: Vec<Box<dyn Duplex>>,
    /// What has to live as long as they do.
    _machines: Option<Machines>,
    _listener: Option<Box<dyn Listener>>,
}

/// One that dials and one that listens.
pub(crate) struct Machines {
    transports: Option<[Arc<dyn Transport>; 2]>,
    listener: PeerId,
    endpoint: &'static str,
    _keys: TempDir,
}

impl Machines {
    /// Two that are connected by the transport `name`, with keys that nobody else has.
    pub(crate) fn new(name: &str) -> Result<Self, Failure> {
        let keys = tempfile::tempdir()?;
        let registry = realize_cli::default_transports();
        let (key_file, id) = key(&keys, "listener")?;
        let (dialler_key, dialler) = key(&keys, "dialler")?;
        let known = KnownPeers::new([dialler])?;
        let listens = TransportContext {
            key_file: Some(key_file),
            known,
        };
        let dials = TransportContext {
            key_file: Some(dialler_key),
            known: KnownPeers::default(),
        };
        let is_channel = name == "channel";
        let transports = registry.get(name).map(|factory| {
            let build = |context| factory.build(&TransportTable::empty(), context);
            let listens = build(&listens)?;
            // Both ends of a channel share it.
            let dials = if is_channel {
                Arc::clone(&listens)
            } else {
                build(&dials)?
            };
            Ok::<_, Failure>([dials, listens])
        });
        Ok(Self {
            transports: transports.transpose()?,
            listener: if is_channel { PeerId::local() } else { id },
            endpoint: if is_channel { "here" } else { "127.0.0.1:0" },
            _keys: keys,
        })
    }

    /// So many lanes between them.
    pub(crate) async fn connect(self, lanes: usize) -> Result<Lanes, Failure> {
        let Some([_, listens]) = &self.transports else {
            let sinks = || (0..lanes).map(|_| Box::new(Memory(tokio::io::sink())) as _);
            return Ok(Lanes {
                dialled: sinks().collect(),
                accepted: sinks().collect(),
                _machines: None,
                _listener: None,
            });
        };
        let listener = listens.listen(&Endpoint::new(self.endpoint)?).await?;
        let at = listener.endpoint();
        self.meet(listener, &at, lanes).await
    }

    /// One lane, through a proxy that counts what is sent to the listener.
    pub(crate) async fn connect_through(
        self,
        count: Arc<Count>,
    ) -> Result<(Lanes, Proxy), Failure> {
        let [_, listens] = self.transports.as_ref().ok_or("memory has no proxy")?;
        let listener = listens.listen(&Endpoint::new(self.endpoint)?).await?;
        let proxy = Proxy::start(listener.endpoint().as_str().parse()?, count).await?;
        let at = Endpoint::new(proxy.address.to_string())?;
        Ok((self.meet(listener, &at, 1).await?, proxy))
    }

    async fn meet(
        self,
        mut listener: Box<dyn Listener>,
        at: &Endpoint,
        lanes: usize,
    ) -> Result<Lanes, Failure> {
        let [dials, _] = self.transports.as_ref().ok_or("memory is not dialled")?;
        let (mut dialled, mut accepted) = (Vec::new(), Vec::new());
        for _ in 0..lanes {
            let accept = async { listener.accept().await?.await };
            let (here, there) = tokio::try_join!(dials.dial(at, &self.listener), accept)?;
            dialled.push(here.stream);
            accepted.push(there.stream);
        }
        Ok(Lanes {
            dialled,
            accepted,
            _machines: Some(self),
            _listener: Some(listener),
        })
    }
}

/// A new key in `directory`, and who has it.
fn key(directory: &TempDir, name: &str) -> Result<(std::path::PathBuf, PeerId), Failure> {
    let key = PrivateKey::generate()?;
    let file = directory.path().join(name);
    save_private_key(&file, &key)?;
    Ok((file, key.public_key().peer_id()?))
}

/// Takes what is written, and has nothing to read.
struct Memory(Sink);

impl AsyncWrite for Memory {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
