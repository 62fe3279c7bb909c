//! Sending the page to a Pushgateway, once: a program that has ended cannot be scraped.
//!
//! After a success the page takes the place of all that was pushed for this job and this machine before
//! (PUT), so that what an earlier version counted goes. After a failure it has no time of the last
//! success, and the one that was pushed before stays: only what is in the page is replaced (POST).

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use prometheus::Registry;
use realize_config::{InvalidPushUrl, PushUrl};
use realize_core::path::Escaped;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::page::{self, Page, PageError};

/// How long connecting may take, finding the address included.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long all of it may take, from connecting to the end of the answer.
const EXCHANGE: Duration = Duration::from_secs(10);
/// How long is waited for the rest of an answer whose status is known.
const REST: Duration = Duration::from_secs(2);
/// How many bytes the head of an answer may have; hyper does not do with less.
const MAX_HEAD: usize = 8 << 10;
/// How much of what the gateway says is read and shown, in bytes.
const MAX_SAID: usize = 4 << 10;

/// What stands in a path that names its group itself.
const GROUPS: [&str; 2] = ["/metrics/job/", "/metrics/job@base64/"];
/// The program, as gateways log it.
const AGENT: &str = concat!("realize/", env!("CARGO_PKG_VERSION"));

/// Where pages are sent to. What is shown of it has no password.
#[derive(Clone)]
pub(crate) struct PushTarget {
    url: PushUrl,
    path: Uri,
    authority: HeaderValue,
    authorization: Option<HeaderValue>,
}

/// What a page takes the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replaces {
    /// All that was pushed for this job and this machine.
    Everything,
    /// The metrics that are in it.
    ItsOwn,
}

impl PushTarget {
    /// The gateway at `url`, and the group of the job `realize` on the machine `instance`; another
    /// group, if the path of `url` names one.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub(crate) fn parse(url: &str, instance: &str) -> Result<Self, InvalidPushUrl> {
        let mut url: PushUrl = url.parse()?;
        if !GROUPS.iter().any(|group| url.path.contains(group)) {
            let above = url.path.trim_end_matches('/');
            url.path = format!(
                "{above}/metrics/job/realize/{}",
                label("instance", instance)
            );
        }
        let path = Uri::try_from(&url.path).map_err(|_| InvalidPushUrl::Path)?;
        let authority = url.authority().try_into();
        let authority = authority.map_err(|_| InvalidPushUrl::Host)?;
        let authorization = url.credentials.as_ref().map(|credentials| {
            let basic = format!("Basic {}", STANDARD.encode(credentials));
            let mut value = HeaderValue::try_from(basic)?;
            value.set_sensitive(true);
            Ok(value)
        });
        let authorization = authorization
            .transpose()
            .map_err(|_: hyper::header::InvalidHeaderValue| InvalidPushUrl::Credentials)?;
        Ok(Self {
            url,
            path,
            authority,
            authorization,
        })
    }

    fn request(&self, page: String, replaces: Replaces) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(page.into()));
        *request.method_mut() = match replaces {
            Replaces::Everything => Method::PUT,
            Replaces::ItsOwn => Method::POST,
        };
        *request.uri_mut() = self.path.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, self.authority.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(page::CONTENT_TYPE));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        request
    }
}

impl fmt::Display for PushTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// A label and its value in the path of a group. What a path would lose or take apart is in base64.
fn label(name: &str, value: &str) -> String {
    match value {
        "" => format!("{name}@base64/="),
        "." | ".." => format!("{name}@base64/{}", URL_SAFE.encode(value)),
        _ if value.contains('/') => format!("{name}@base64/{}", URL_SAFE.encode(value)),
        _ => format!("{name}/{}", percent_encoded(value)),
    }
}

fn percent_encoded(value: &str) -> String {
    let encoded = value.bytes().map(|byte| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// Why nothing was pushed, or perhaps was. No password is in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    /// There is nothing to push.
    #[error(transparent)]
    Page(#[from] PageError),
    /// Nobody is there.
    #[error("connecting to the gateway")]
    Connect(#[source] io::Error),
    /// Nobody answers there.
    #[error("connecting to the gateway took longer than {} s", CONNECTING.as_secs())]
    Unreachable,
    /// The gateway closed the connection, or says what is no HTTP.
    #[error("talking to the gateway")]
    Broken(#[from] hyper::Error),
    /// The gateway took the connection, and gave no answer.
    #[error("the gateway gave no answer within {} s", EXCHANGE.as_secs())]
    Silent,
    /// The gateway refused the page.
    #[error("the gateway answered {status}{}{said}", if said.is_empty() { "" } else { ": " })]
    Refused {
        /// Any but one of success.
        status: StatusCode,
        /// What it said to it, up to a bound; safe to print.
        said: String,
    },
}

/// Sends what `registry` holds to `target`, once.
///
/// It takes no longer than gathering the page may take, and ten seconds. Cancel safe: what was begun
/// is cut, and the gateway has all of it or nothing.
///
/// # Errors
/// Where there is no page, and where the gateway did not say that it has it.
pub(crate) async fn push(
    target: &PushTarget,
    registry: &Registry,
    replaces: Replaces,
) -> Result<(), PushError> {
    let page = Page::of(registry.clone()).gather().await?;
    within_bounds(async {
        let to = (&*target.url.host, target.url.port);
        let connected = timeout(CONNECTING, TcpStream::connect(to)).await;
        let stream = connected.map_err(|_| PushError::Unreachable)?;
        exchange(
            stream.map_err(PushError::Connect)?,
            target.request(page, replaces),
        )
        .await
    })
    .await
}

async fn within_bounds(
    pushing: impl Future<Output = Result<(), PushError>>,
) -> Result<(), PushError> {
    let pushed = timeout(EXCHANGE, pushing).await;
    pushed.unwrap_or(Err(PushError::Silent))
}

/// One request and its answer.
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(), PushError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await?;
    let exchange = async move {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let said = said(answer.into_body()).await;
        Err(PushError::Refused { status, said })
    };
    // It carries the exchange, which hears how it ends.
    let carrying = async {
        let _ = connection.await;
        pending::<Infallible>().await
    };
    tokio::select! {
        biased;
        ended = exchange => ended,
        never = carrying => match never {},
    }
}

/// The beginning of `body`, as much as comes in time.
async fn said(mut body: Incoming) -> String {
    let mut said = Vec::new();
    let reading = async {
        while said.len() < MAX_SAID
            && let Some(Ok(frame)) = body.frame().await
        {
            said.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        }
    };
    // What has come until then has to do.
    let _ = timeout(REST, reading).await;
    let more = said.len() > MAX_SAID || !body.is_end_stream();
    said.truncate(MAX_SAID);
    let mut shown = Escaped(said.trim_ascii()).to_string();
    if more {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
