//! The transport: starting programs, and being one that was started.

use async_trait::async_trait;
use realize_core::path::Escaped;
use realize_core::transport::{Connection, Endpoint, Listener, PeerId, Transport, TransportError};

use crate::config::ExecOptions;
use crate::process::Process;

/// Connects by starting a program.
#[derive(Clone, Debug)]
pub struct ExecTransport {
    options: ExecOptions,
}

impl ExecTransport {
    /// The transport with these options.
    pub fn new(options: ExecOptions) -> Self {
        Self { options }
    }
}

#[async_trait]
impl Transport for ExecTransport {
    /// Starts the program, and takes whom it connects to for `expected`. Whether it gets through
    /// shows when the stream is read: a program that ends badly is an error there, with what it
    /// said last on its standard error.
    async fn dial(
        &self,
        endpoint: &Endpoint,
        expected: &PeerId,
    ) -> Result<Connection, TransportError> {
        let words = self.options.command.words(endpoint);
        let process = Process::start(&words).map_err(|source| TransportError::Address {
            endpoint: endpoint.clone(),
            what: format!(
                "the program `{}` cannot be started",
                Escaped(words.first().map_or("", String::as_str).as_bytes())
            ),
            source: Some(source),
        })?;
        let address = words.join(" ");
        Ok(Connection::new(expected.clone(), address, process))
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        Err(TransportError::Address {
            endpoint: endpoint.clone(),
            what: "exec does not listen: have the other end start `realized --stdio --peer NAME`"
                .to_owned(),
            source: None,
        })
    }
}

/// The connection of this process, which was started to serve `peer` on its standard input and
/// output. Whoever takes it leaves both alone.
pub fn stdio(peer: PeerId) -> Connection {
    let stream = tokio::io::join(tokio::io::stdin(), tokio::io::stdout());
    Connection::new(peer, "standard input and output", stream)
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::config::Command;

    async fn dial(words: &[&str]) -> Result<Connection, TransportError> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let command = Command::new(words).unwrap();
        let transport = ExecTransport::new(ExecOptions { command });
        let peer = PeerId::new("exec:nas").unwrap();
        transport.dial(&Endpoint::new("nas").unwrap(), &peer).await
    }

    async fn read_all(words: &[&str]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        let mut connection = dial(words).await.unwrap();
        connection.stream.read_to_end(&mut all).await?;
        Ok(all)
    }

    #[tokio::test]
    async fn bytes_go_there_and_back_to_the_end() {
        let Connection { peer, stream, .. } = dial(&["cat"]).await.unwrap();
        assert_eq!(peer.as_str(), "exec:nas");
        let (mut read, mut write) = tokio::io::split(stream);
        let sent: Vec<u8> = (0..3_000_000u32).map(|i| (i >> 3) as u8).collect();
        let expected = sent.clone();
        let writing = tokio::spawn(async move {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        read.read_to_end(&mut received).await.unwrap();
        assert!(received == expected);
        writing.await.unwrap();
    }

    #[tokio::test]
    async fn the_address_is_given_to_the_program() {
        assert_eq!(
            read_all(&["echo", "to {address}"]).await.unwrap(),
            b"to nas\n"
        );
    }

    #[tokio::test]
    async fn a_program_that_fails_is_an_error_with_its_last_words() {
        let script = "echo one; echo 'Permission denied (publickey).' >&2; exit 255";
        let error = read_all(&["sh", "-c", script]).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit status: 255"), "{text}");
        assert!(text.contains("Permission denied (publickey)."), "{text}");
        let error = read_all(&["false"]).await.unwrap_err();
        assert!(error.to_string().contains("and said nothing"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = dial(&["/nonexistent/ssh"]).await.unwrap_err();
        assert!(error.to_string().contains("`/nonexistent/ssh`"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_closes_its_output_and_stays_is_an_error() {
        let error = read_all(&["sh", "-c", "exec >&-; exec sleep 1000"])
            .await
            .unwrap_err();
        assert!(error.to_string().contains("does not end"), "{error}");
    }

    #[tokio::test]
    async fn a_program_is_killed_with_its_stream_unless_that_was_closed() {
        let directory = std::env::temp_dir();
        let mark = directory.join(format!("realize-exec-{}", std::process::id()));
        let script = format!("cat >/dev/null; echo done > {}", mark.display());
        let mut connection = dial(&["sh", "-c", &script]).await.unwrap();
        connection.stream.write_all(b"x").await.unwrap();
        connection.stream.shutdown().await.unwrap();
        drop(connection);
        while !std::fs::read(&mark).is_ok_and(|text| !text.is_empty()) {
            tokio::task::yield_now().await;
        }
        std::fs::remove_file(&mark).unwrap();
    }

    #[tokio::test]
    async fn it_does_not_listen() {
        let command = Command::new(vec!["cat".to_owned()]).unwrap();
        let transport = ExecTransport::new(ExecOptions { command });
        let error = transport.listen(&Endpoint::new("x").unwrap()).await;
        assert!(error.unwrap_err().to_string().contains("--stdio"));
    }
}
