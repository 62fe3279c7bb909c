//! The first words on a connection: who speaks which version of what, and about which directory.
//!
//! Either end begins with the magic `realize` and a NUL, the version of its protocol (16 bits,
//! big-endian), the length of what follows (likewise) and what follows, in postcard. So much holds
//! for every version, so that two ends of different versions can tell each other. The client speaks
//! first; the server answers once it has decided. A client that wants no feature may send frames
//! behind its hello before it has heard the answer: the server reads nothing beyond the hello until
//! it has answered, and hears out whom it lets go.

use std::io;
use std::time::Duration;

use realize_core::error::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::limits::{InForce, LimitChange};
use crate::wire::{self, Bounded};

/// What a connection begins with.
const MAGIC: [u8; 8] = *b"realize\0";
/// The version of the protocol: of the messages in `wire`, of the frames, of what is asked when.
pub(crate) const VERSION: u16 = 1;
/// How many more bytes are read of something that is no hello, to say what it was.
const BANNER: usize = 120;
/// How long they are waited for.
const BANNER_TIME: Duration = Duration::from_millis(200);
/// How long a client that gets no session may take to hear why and to close, and how many bytes are
/// read of it meanwhile.
const PARTING: Duration = Duration::from_secs(2);
const MAX_PARTING: u64 = 1 << 20;
/// The longest text of a hello, in bytes.
const MAX_TEXT: usize = 256;
/// How many texts a server says at most of what a peer may do.
pub const MAX_GRANTS: usize = 64;

/// The feature of compressing payloads with zstd, as `frame` says.
pub(crate) const ZSTD: u64 = 1;
/// What this program can do beyond its version.
pub(crate) const FEATURES: u64 = ZSTD;

/// A random name for all lanes of one client of one directory.
pub(crate) type SessionId = [u8; 16];

/// What a client says first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClientHello {
    /// Which session this connection is a lane of.
    pub(crate) session: SessionId,
    /// Whether it opens the session; otherwise the session must be there.
    pub(crate) first: bool,
    /// What the client can do beyond its version, and wants to, a bit each. What both ends name is
    /// done.
    pub(crate) features: u64,
    /// The program and its version, for logs.
    pub(crate) program: String,
    /// The directory that it is about; none where the client only asks, and nothing follows the
    /// answer.
    pub(crate) directory: String,
    /// Where it only asks: for the limits of the daemon, and what is to become of them. None where
    /// it asks what it may do.
    pub(crate) limits: Option<LimitChange>,
}

/// What a server answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ServerHello {
    /// What the server can do beyond its version, a bit each.
    pub(crate) features: u64,
    /// The program and its version, for logs.
    pub(crate) program: String,
    /// Whether there is a session.
    pub(crate) outcome: Outcome,
}

/// Whether there is a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// What the peer may do in the directory, in words for people.
    Welcome(Bounded<String, MAX_GRANTS>),
    /// Why there is none.
    Refused(wire::Error),
    /// The limits in force, for a client that asks for them.
    Limits(InForce),
}

/// What a server lets a client have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Granted {
    /// What it may do in the directory, or where it may do what, in words for people.
    Rights(Vec<String>),
    /// The limits in force.
    Limits(InForce),
}

/// What a server answers a client that it lets in.
#[derive(Debug)]
pub(crate) struct Greeted {
    pub(crate) granted: Granted,
    /// What both ends named of what can be done beyond the version.
    pub(crate) features: u64,
}

impl ClientHello {
    fn is_bounded(&self) -> bool {
        self.program.len() <= MAX_TEXT && self.directory.len() <= MAX_TEXT
    }
}

impl ServerHello {
    fn is_bounded(&self) -> bool {
        let grants = match &self.outcome {
            Outcome::Welcome(grants) => grants.0.as_slice(),
            Outcome::Refused(_) | Outcome::Limits(_) => &[],
        };
        self.program.len() <= MAX_TEXT
            && grants.len() <= MAX_GRANTS
            && grants.iter().all(|grant| grant.len() <= MAX_TEXT)
    }
}

/// This program, as a hello names it.
pub(crate) fn program() -> String {
    concat!("realize ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// Says hello as a client, and hears the answer: what the server lets it have, and can do. Cancel
/// safe as the stream is given up with it.
///
/// # Errors
/// As [`hear`].
pub(crate) async fn greet(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    hello: &ClientHello,
) -> Result<Greeted> {
    say(stream, hello).await?;
    hear(stream, hello.features).await
}

/// Says hello as a client.
///
/// # Errors
/// As [`hear`]: a peer that refuses this machine may be gone before it could be written to, and what
/// it said before it went is the better reason.
pub(crate) async fn say(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    hello: &ClientHello,
) -> Result<()> {
    let Err(unsaid) = send(stream, hello).await else {
        return Ok(());
    };
    match hear(stream, hello.features).await {
        Err(error) if error.kind() != ErrorKind::Network => Err(error),
        _ => Err(network(&unsaid)),
    }
}

/// Hears what a server answers a client that named `features`.
///
/// # Errors
/// What the server gave as a reason; `Protocol` where no realize, or another version, is there;
/// `Forbidden` where the transport says that the peer refused this machine; `Network`.
pub(crate) async fn hear(stream: &mut (impl AsyncRead + Unpin), features: u64) -> Result<Greeted> {
    let answer: ServerHello = match receive(stream).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            return Err(error.with_kind(ErrorKind::Protocol));
        }
        other => other?,
    };
    if !answer.is_bounded() {
        return Err(protocol("the answer to hello is longer than it may be"));
    }
    let granted = match answer.outcome {
        Outcome::Welcome(grants) => Granted::Rights(grants.0),
        Outcome::Limits(limits) => Granted::Limits(limits),
        Outcome::Refused(error) => {
            let unreadable = |violation| protocol("a refusal that is none").because(violation);
            return Err(Error::try_from(error).unwrap_or_else(unreadable));
        }
    };
    Ok(Greeted {
        granted,
        features: features & answer.features,
    })
}

/// Hears what a client says first.
///
/// # Errors
/// As [`greet`]. A client of another version has then been told which one this is.
pub(crate) async fn listen(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<ClientHello> {
    match receive::<ClientHello>(stream).await {
        Ok(hello) if hello.is_bounded() => Ok(hello),
        Ok(hello) => {
            let (program, directory) = (hello.program.len(), hello.directory.len());
            let what = format!("texts of {program} and {directory} bytes");
            Err(protocol("a hello is longer than it may be").because(Said(what)))
        }
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            let other = error.clone().with_kind(ErrorKind::Protocol);
            let _ = answer_last(stream, FEATURES, Err(other.clone())).await;
            Err(other)
        }
        Err(error) => Err(error),
    }
}

/// Answers a client's hello. `features` is what the server can do beyond its version.
///
/// # Errors
/// The stream's.
pub(crate) async fn answer(
    stream: &mut (impl AsyncWrite + Unpin),
    features: u64,
    outcome: Result<Granted>,
) -> io::Result<()> {
    let hello = ServerHello {
        features,
        program: program(),
        outcome: match outcome {
            Ok(Granted::Rights(grants)) => Outcome::Welcome(Bounded(grants)),
            Ok(Granted::Limits(limits)) => Outcome::Limits(limits),
            Err(error) => Outcome::Refused(error.into()),
        },
    };
    send(stream, &hello).await
}

/// Answers a client with whom nothing follows, and hears it out: a connection that is closed while
/// something is on its way, either way, may lose the answer.
///
/// # Errors
/// The stream's, where it could not be answered.
pub(crate) async fn answer_last(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    features: u64,
    outcome: Result<Granted>,
) -> io::Result<()> {
    answer(stream, features, outcome).await?;
    let parting = async {
        stream.shutdown().await?;
        let mut rest = stream.take(MAX_PARTING);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    // It is closed whatever becomes of this.
    let _ = timeout(PARTING, parting).await;
    Ok(())
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), hello: &impl Serialize) -> io::Result<()> {
    let body = postcard::to_stdvec(hello).map_err(io::Error::other)?;
    let len = u16::try_from(body.len()).map_err(io::Error::other)?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(&body);
    stream.write_all(&bytes).await?;
    stream.flush().await
}

/// Errors: `Unsupported` for another version.
async fn receive<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> Result<T> {
    let mut magic = [0; MAGIC.len()];
    read(stream, &mut magic).await?;
    if magic != MAGIC {
        return Err(stranger(stream, &magic).await);
    }
    let mut numbers = [0; 4];
    read(stream, &mut numbers).await?;
    let [a, b, c, d] = numbers;
    let (version, len) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    if version != VERSION {
        let what = "the other end speaks another version of realize's protocol";
        let versions = format!("it speaks version {version} and this one version {VERSION}");
        return Err(Error::new(ErrorKind::Unsupported, what).because(Said(versions)));
    }
    let mut body = vec![0; usize::from(len)];
    read(stream, &mut body).await?;
    match postcard::take_from_bytes(&body) {
        Ok((hello, [])) => Ok(hello),
        Ok((_, rest)) => {
            let what = format!("{} bytes more", rest.len());
            Err(protocol("a hello has something behind it").because(Said(what)))
        }
        Err(error) => Err(protocol("a hello that cannot be read").because(error)),
    }
}

/// What to say of an end that begins with something else: a banner tells a person what is there.
async fn stranger(stream: &mut (impl AsyncRead + Unpin), first: &[u8]) -> Error {
    let mut said = first.to_vec();
    let mut more = [0; BANNER];
    // Whatever has come with it.
    if let Ok(Ok(count)) = timeout(BANNER_TIME, stream.read(&mut more)).await {
        said.extend_from_slice(more.get(..count).unwrap_or_default());
    }
    let line = said.split(|byte| b"\r\n".contains(byte)).next();
    // It is escaped where a chain of errors is written.
    let line = String::from_utf8_lossy(line.unwrap_or_default());
    protocol("what is there does not speak realize's protocol")
        .because(Said(format!("it began with `{line}`")))
}

async fn read(stream: &mut (impl AsyncRead + Unpin), bytes: &mut [u8]) -> Result<()> {
    match stream.read_exact(bytes).await {
        Ok(_) => Ok(()),
        Err(error) => Err(network(&error)),
    }
}

/// A stream's error as a service's. One of kind `PermissionDenied` is how a transport says that the
/// other end refused this machine.
pub(crate) fn network(error: &io::Error) -> Error {
    let (kind, doing) = match error.kind() {
        io::ErrorKind::PermissionDenied => (ErrorKind::Forbidden, "connecting"),
        io::ErrorKind::UnexpectedEof => {
            return Error::new(ErrorKind::Network, "the other end closed the connection");
        }
        io::ErrorKind::TimedOut => (ErrorKind::Timeout, "the connection"),
        io::ErrorKind::InvalidData => (ErrorKind::Protocol, "the other end broke the protocol"),
        _ => (ErrorKind::Network, "the connection broke"),
    };
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    Error::new(kind, doing).because(Said(text))
}

fn protocol(what: &str) -> Error {
    Error::new(ErrorKind::Protocol, what)
}

/// What the other end did, or what a stream's error said: streams' errors cannot be cloned.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);

#[cfg(test)]
mod tests;
