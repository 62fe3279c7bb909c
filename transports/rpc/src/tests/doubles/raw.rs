//! A client that speaks by hand, and the frames of its words.

use std::sync::Arc;

use realize_core::Result;
use tarpc::Response;
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;
use crate::hello::{self, ClientHello, Granted};
use crate::protocol::{Call, Reply, decode_reply};
use crate::server::Server;

/// A client that speaks by hand.
pub(crate) struct Raw {
    pub(crate) stream: DuplexStream,
}

impl Raw {
    /// Connects to `server` as `peer` with `buffer` bytes each way.
    pub(crate) fn dial(
        server: &Arc<Server>,
        peer: &str,
        buffer: usize,
    ) -> (Self, JoinHandle<Result<()>>) {
        let (near, far) = duplex(buffer);
        let server = Arc::clone(server);
        let connection = connection(peer, far);
        let serving = tokio::spawn(async move { server.serve(connection).await });
        (Self { stream: near }, serving)
    }

    /// Says hello.
    pub(crate) async fn greet(&mut self, session: u8, first: bool) -> Result<Vec<String>> {
        let hello = ClientHello {
            session: id(session),
            first,
            features: 0,
            program: "a test".to_owned(),
            directory: "inbox".to_owned(),
            limits: None,
        };
        match hello::greet(&mut self.stream, &hello).await?.granted {
            Granted::Rights(rights) => Ok(rights),
            Granted::Limits(_) => panic!("nobody asked for limits"),
        }
    }

    /// Connects and opens, or joins, a session.
    pub(crate) async fn enter(
        server: &Arc<Server>,
        peer: &str,
        session: u8,
        first: bool,
    ) -> (Self, JoinHandle<Result<()>>) {
        let (mut raw, serving) = Self::dial(server, peer, 64 << 10);
        raw.greet(session, first).await.unwrap();
        (raw, serving)
    }

    pub(crate) async fn call(&mut self, id: u64, call: Call) {
        write(&mut self.stream, &request(id, call)).await;
    }

    pub(crate) async fn cancel(&mut self, id: u64) {
        write(&mut self.stream, &cancel(id)).await;
    }

    /// The next reply.
    pub(crate) async fn reply(&mut self) -> Option<Response<Reply>> {
        let frame = read(&mut self.stream).await?;
        Some(decode_reply(&frame).unwrap())
    }
}
