//! A TCP proxy that counts what goes through it to the other side.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::Failure;
use crate::count::Count;

/// Passes on what comes until it is dropped.
pub(crate) struct Proxy {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    /// One before `target`.
    pub(crate) async fn start(target: SocketAddr, count: Arc<Count>) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                connections.spawn(async move {
                    // Its ends see that it is gone.
                    let _ = pass(client, target, &count).await;
                });
            }
        });
        Ok(Self {
            address,
            _task: AbortOnDropHandle::new(task),
        })
    }
}

async fn pass(client: TcpStream, target: SocketAddr, count: &Count) -> std::io::Result<()> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async {
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            count.add(read);
            to_server
                .write_all(buffer.get(..read).unwrap_or_default())
                .await?;
        }
    };
    let back = async {
        copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(there, back).map(drop)
}
