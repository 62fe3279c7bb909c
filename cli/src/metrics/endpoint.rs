//! The HTTP endpoint that Prometheus scrapes: `/metrics`, and `/healthz` for whoever asks whether the
//! program is there.
//!
//! A connection carries one request, without a body, and has an end whatever its other side does.
//! There is no TLS and no password: whoever reaches the address reads the page.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::Registry;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::page::{self, GATHERING, Page, PageError};
use crate::exit::chain;

mod silent;

use silent::{Place, Silent};

/// How many connections are served at once. One more is accepted, and gets the place of the one that
/// has said nothing for the longest time, or waits for the end of another; the kernel queues the rest.
const MAX_CONNECTIONS: usize = 16;
/// How many bytes the head of a request may have; hyper does not do with less.
const MAX_HEAD: usize = 8 << 10;
/// How long a request may take to arrive.
const REQUEST: Duration = Duration::from_secs(5);
/// How long an answer may take to be taken.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a connection lasts at most.
const CONNECTION: Duration = REQUEST.saturating_add(GATHERING).saturating_add(ANSWER);
/// How long after a failure to accept the next try is.
const PAUSE: Duration = Duration::from_millis(250);

/// Where the counters are served.
const METRICS: &str = "/metrics";
/// Where the program says that it is there.
const HEALTH: &str = "/healthz";
/// What everything but the page is.
const TEXT: &str = "text/plain; charset=utf-8";

/// An endpoint that listens already, and does not answer yet.
pub(crate) struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
    page: Page,
}

impl Endpoint {
    /// Listens at `address`; at port 0 for a port of the system's choice.
    ///
    /// # Errors
    /// Why it cannot listen there.
    pub(crate) async fn bind(address: SocketAddr, registry: Registry) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            page: Page::of(registry),
        })
    }

    /// Where it listens, with its real port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is cancelled, or this is dropped; connections are cut then.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        tracing::info!(event = "metrics.listening", address = %self.address());
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            never = accept_all(self.listener, &self.page) => match never {},
        }
    }
}

/// Where connections come from.
trait Accept {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    fn poll_accept(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Stream, SocketAddr)>>;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    fn poll_accept(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        TcpListener::poll_accept(self, context)
    }
}

/// Accepts connections for ever. With the future they end, too.
async fn accept_all<A: Accept>(mut listener: A, page: &Page) -> Infallible {
    let silent = Silent::default();
    let mut connections = JoinSet::new();
    let mut failing = false;
    loop {
        let accepted = std::future::poll_fn(|context| listener.poll_accept(context)).await;
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // Out of descriptors, for instance: the connection stays in the queue, and there it would
            // be again at once.
            Err(error) => {
                failed(&error, failing);
                failing = true;
                sleep(PAUSE).await;
                continue;
            }
        };
        failing = false;
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            silent.displace_oldest();
            connections.join_next().await;
        }
        let attended = attend(stream, page.clone(), silent.enter());
        connections.spawn(async move {
            if let Err(reason) = attended.await {
                tracing::debug!(event = "metrics.cut", peer = %peer, reason);
            }
        });
    }
}

/// Says that nothing could be accepted: to a person once, until something was.
fn failed(error: &io::Error, again: bool) {
    if again {
        tracing::debug!(event = "metrics.accept_failed", error = %error);
    } else {
        tracing::warn!(event = "metrics.accept_failed", error = %error);
    }
}

/// Sees a connection to its end; says why, if it was not in order.
async fn attend<S>(stream: S, page: Page, place: Place) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(|request| {
        place.heard();
        let page = page.clone();
        async move { Ok::<_, Infallible>(answer(&request, &page).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        // Whoever has sent all may say so, and wants an answer all the same.
        .half_close(true)
        .header_read_timeout(REQUEST)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = timeout(CONNECTION, connection) => match ended {
            Ok(ended) => ended.map_err(|error| chain(&error)),
            Err(_) => Err("the answer was not taken in time".to_owned()),
        },
        () = place.displaced() => Err("it said nothing, and others came".to_owned()),
    }
}

async fn answer<B: Body>(request: &Request<B>, page: &Page) -> Response<Full<Bytes>> {
    if !request.body().is_end_stream() {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "no body is taken here\n");
    }
    let path = request.uri().path();
    if ![METRICS, HEALTH].contains(&path) {
        let what = format!("there are {METRICS} and {HEALTH}\n");
        return text(StatusCode::NOT_FOUND, what);
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "there are GET and HEAD\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refusal.headers_mut().insert(ALLOW, allowed);
        return refusal;
    }
    if path == HEALTH {
        return text(StatusCode::OK, "ok");
    }
    match page.gather().await {
        Ok(page) => respond(StatusCode::OK, page::CONTENT_TYPE, page),
        Err(error) => {
            let status = match error {
                PageError::TookTooLong => StatusCode::SERVICE_UNAVAILABLE,
                PageError::Panicked | PageError::Written(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let reason = chain(&error);
            tracing::debug!(event = "metrics.no_page", reason);
            text(status, format!("{reason}\n"))
        }
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    respond(status, TEXT, text)
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests;
