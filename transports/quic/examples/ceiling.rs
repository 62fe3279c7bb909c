//! How fast this transport is beside QUIC itself, over loopback.
//!
//! The same bytes go over one stream of quinn, with the settings of the transport by default, then
//! over the transport as one stream, and as all of its lanes; in turn, several times. What is printed
//! are medians.
//!
//! ```text
//! cargo run --release -p realize-quic --example ceiling -- [MIB] [ROUNDS]
//! ```

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use quinn::congestion::BbrConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig};
use realize_core::known_peers::KnownPeers;
use realize_core::transport::{Endpoint, Transport};
use realize_quic::{MAX_CONNECTION_WINDOW, MAX_STREAMS, QuicOptions, QuicTransport, STREAM_WINDOW};
use realize_tls::{ALPN, PrivateKey, client_config, server_config};
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How many bytes are written and read at once.
const CHUNK: usize = 256 * 1024;
const MIB: u64 = 1 << 20;

#[tokio::main]
async fn main() -> Fallible<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let (mib, rounds) = (number(512)?, number(5)?);
    let machines = Machines::new()?;
    let lanes = u64::try_from(machines.dials.lanes(Duration::ZERO).get())?;
    let names = [
        "quinn, one stream".to_owned(),
        "this transport, one lane".to_owned(),
        format!("this transport, {lanes} lanes"),
    ];
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        let [bare, one, all] = &mut times;
        bare.push(machines.bare(mib * MIB).await?);
        one.push(machines.lanes(mib * MIB, 1).await?);
        all.push(machines.lanes(mib * MIB, lanes).await?);
    }
    println!("{mib} MiB, medians of {rounds}");
    let mut ceiling = None;
    for (name, mut times) in names.iter().zip(times) {
        times.sort();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let ceiling = *ceiling.get_or_insert(median.as_secs_f64());
        let seconds = median.as_secs_f64();
        let rate = (mib * MIB) as f64 / seconds / 1e6;
        let ratio = ceiling / seconds;
        println!("{name:<26} {seconds:>7.3} s {rate:>7.0} MB/s {ratio:>6.2} of quinn");
    }
    Ok(())
}

/// One that dials and one that listens.
struct Machines {
    dials: QuicTransport,
    listens: QuicTransport,
    keys: [PrivateKey; 2],
    known: KnownPeers,
}

impl Machines {
    fn new() -> Fallible<Self> {
        let keys = [PrivateKey::generate()?, PrivateKey::generate()?];
        let [near, far] = keys.clone();
        let known = KnownPeers::new([near.public_key().peer_id()?])?;
        let options = QuicOptions::default();
        Ok(Self {
            dials: QuicTransport::new(near, KnownPeers::default(), options.clone()),
            listens: QuicTransport::new(far, known.clone(), options),
            keys,
            known,
        })
    }

    /// How long so many bytes take over this transport, in so many streams.
    async fn lanes(&self, bytes: u64, lanes: u64) -> Fallible<Duration> {
        let [_, far] = &self.keys;
        let expected = far.public_key().peer_id()?;
        let mut listener = self.listens.listen(&Endpoint::new("127.0.0.1:0")?).await?;
        let at = listener.endpoint();
        let mut ends = Vec::new();
        for _ in 0..lanes {
            let accepting = async { listener.accept().await?.await };
            ends.push(tokio::try_join!(
                self.dials.dial(&at, &expected),
                accepting
            )?);
        }
        let began = Instant::now();
        let each = ends
            .into_iter()
            .map(|(near, far)| carry(near.stream, far.stream, bytes / lanes));
        try_join_all(each).await?;
        Ok(began.elapsed())
    }

    /// How long so many bytes take over one stream of quinn.
    async fn bare(&self, bytes: u64) -> Fallible<Duration> {
        let [near, far] = &self.keys;
        let settings = settings();
        let tls = server_config(far, &self.known, ALPN)?;
        let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
        server.transport_config(settings.clone());
        let listens = endpoint(Some(server))?;
        let tls = client_config(near, far.public_key(), ALPN)?;
        let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        client.transport_config(settings);
        let dials = endpoint(None)?;
        let dialling = dials.connect_with(client, listens.local_addr()?, "0.0.0.0")?;
        let accepting = async {
            let incoming = listens.accept().await.ok_or("nobody came")?;
            Fallible::Ok(incoming.await?)
        };
        let dialling = async { Fallible::Ok(dialling.await?) };
        let (near, far) = tokio::try_join!(dialling, accepting)?;
        let (mut send, _receive) = near.open_bi().await?;
        send.write_all(b"1").await?;
        let (_send, mut receive) = far.accept_bi().await?;
        receive.read_exact(&mut [0]).await?;
        let began = Instant::now();
        carry(send, receive, bytes).await?;
        Ok(began.elapsed())
    }
}

/// What the transport sets by default.
fn settings() -> Arc<TransportConfig> {
    let options = QuicOptions::default();
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(MAX_STREAMS.into())
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(MAX_CONNECTION_WINDOW.into())
        .send_window(u64::from(MAX_CONNECTION_WINDOW) * 2)
        .keep_alive_interval(Some(Duration::from_secs(options.keep_alive.get())))
        .congestion_controller_factory(Arc::new(BbrConfig::default()));
    Arc::new(config)
}

/// A socket with the buffers that the transport's have by default.
fn endpoint(server: Option<ServerConfig>) -> Fallible<quinn::Endpoint> {
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let buffer = usize::try_from(QuicOptions::default().udp_buffer.get())?;
    sockopt::set_socket_recv_buffer_size(&socket, buffer)?;
    sockopt::set_socket_send_buffer_size(&socket, buffer)?;
    let config = EndpointConfig::default();
    let runtime = Arc::new(TokioRuntime);
    Ok(quinn::Endpoint::new(config, server, socket, runtime)?)
}

/// Sends so many bytes, and reads them to the end.
async fn carry(
    mut writer: impl AsyncWrite + Unpin + Send + 'static,
    mut reader: impl AsyncRead + Unpin + Send + 'static,
    bytes: u64,
) -> Fallible<()> {
    let writing = tokio::spawn(async move {
        let chunk = vec![7; CHUNK];
        let mut left = bytes;
        while left > 0 {
            let count = usize::try_from(left)?.min(CHUNK);
            writer
                .write_all(chunk.get(..count).unwrap_or_default())
                .await?;
            left -= count as u64;
        }
        writer.shutdown().await?;
        Fallible::Ok(writer)
    });
    let reading = tokio::spawn(async move {
        let mut chunk = vec![0; CHUNK];
        let mut arrived = 0;
        loop {
            match reader.read(&mut chunk).await? {
                0 => return Fallible::Ok((arrived, reader)),
                count => arrived += count as u64,
            }
        }
    });
    let (written, read) = tokio::try_join!(writing, reading)?;
    // Both ends stand until all has arrived.
    let (_writer, (arrived, _reader)) = (written?, read?);
    if arrived != bytes {
        return Err(format!("{arrived} of {bytes} bytes arrived").into());
    }
    Ok(())
}
