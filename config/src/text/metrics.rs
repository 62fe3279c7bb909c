//! Values of `[metrics]`: where the counters can be fetched, and where they are sent to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::FromText;

/// The port of `http` where a URL says none.
const DEFAULT_PORT: u16 = 80;
/// The longest name of a host, in bytes, as DNS has it.
const MAX_HOST: usize = 255;

/// Where the counters can be fetched: an address and a port, or a port of this machine alone.
#[derive(Debug)]
pub(crate) struct MetricsAddress(pub(crate) SocketAddr);

impl FromText for MetricsAddress {
    fn expected() -> String {
        r#"an IP address and a port such as "127.0.0.1:9772", or a port alone, which only this machine reaches"#
            .to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let port = text.strip_prefix(':').unwrap_or(text);
        // `parse` takes a sign.
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        let address = match port.parse() {
            Ok(port) if is_port => Ok((Ipv4Addr::LOCALHOST, port).into()),
            _ => text.parse(),
        };
        address.map(Self).map_err(|_| String::new())
    }
}

/// The text of a [`PushUrl`].
#[derive(Debug)]
pub(crate) struct PushText(pub(crate) String);

impl FromText for PushText {
    fn expected() -> String {
        r#"a URL such as "http://monitor.lan:9091""#.to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match PushUrl::from_str(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!(": {error}")),
        }
    }
}

/// Where counters are sent to: `http://[USER:PASSWORD@]HOST[:PORT][/PATH]`, taken apart.
///
/// [`Display`](fmt::Display) and [`Debug`] leave user and password out.
#[derive(Clone, PartialEq, Eq)]
pub struct PushUrl {
    /// `USER:PASSWORD` or `USER`, without the percent signs that a URL needs for some bytes.
    pub credentials: Option<Vec<u8>>,
    /// A name or an address; one of IPv6 is without its brackets.
    pub host: String,
    /// 80 if the URL says none.
    pub port: u16,
    /// As it is written; empty, or with a slash at the beginning.
    pub path: String,
}

/// Why a text is no [`PushUrl`]. The text is not in it, for it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPushUrl {
    /// The scheme is `https`.
    #[error(
        "metrics are sent without TLS; write http, or the address of a proxy on this machine that \
         speaks TLS"
    )]
    Tls,
    /// The scheme is another one, or there is none.
    #[error("it does not begin with http://")]
    Scheme,
    /// There is no host, or what stands there cannot be one.
    #[error("it has no valid host; an address of IPv6 stands in brackets")]
    Host,
    /// The port is no number, or none that can be connected to.
    #[error("its port is no number from 1 to 65535")]
    Port,
    /// User and password have characters that a URL does not take.
    #[error("in a user and a password, all but letters, digits and -._~ is to be percent-encoded")]
    Credentials,
    /// There is a query or a fragment.
    #[error("it has a query or a fragment")]
    Query,
    /// The path has characters that a URL does not take.
    #[error("its path has characters that are to be percent-encoded")]
    Path,
}

impl FromStr for PushUrl {
    type Err = InvalidPushUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPushUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidPushUrl::Scheme)?;
        if scheme.eq_ignore_ascii_case("https") {
            return Err(InvalidPushUrl::Tls);
        }
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(InvalidPushUrl::Scheme);
        }
        if rest.contains(['?', '#']) {
            return Err(InvalidPushUrl::Query);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (credentials, place) = match authority.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, authority),
        };
        let (host, port) = host_and_port(place)?;
        if decoded(path, b":@/").is_none() {
            return Err(InvalidPushUrl::Path);
        }
        let credentials = credentials
            .map(|text| decoded(text, b":").ok_or(InvalidPushUrl::Credentials))
            .transpose()?;
        Ok(Self {
            credentials,
            host,
            port,
            path: path.to_owned(),
        })
    }
}

impl PushUrl {
    /// Host and port as a URL has them: an address of IPv6 in brackets, no port where it is the
    /// usual one.
    pub fn authority(&self) -> String {
        let host = match self.host.parse() {
            Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
            _ => self.host.clone(),
        };
        match self.port {
            DEFAULT_PORT => host,
            port => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for PushUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

impl fmt::Debug for PushUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PushUrl({self})")
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), InvalidPushUrl> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(InvalidPushUrl::Host)?;
        let ip: Ipv6Addr = host.parse().map_err(|_| InvalidPushUrl::Host)?;
        let port = match port.strip_prefix(':') {
            None if !port.is_empty() => return Err(InvalidPushUrl::Host),
            port => port,
        };
        (ip.to_string(), port)
    } else {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if host.is_empty() || host.len() > MAX_HOST || !host.bytes().all(is_name) {
            return Err(InvalidPushUrl::Host);
        }
        (host.to_owned(), port)
    };
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) if !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err(InvalidPushUrl::Port);
        }
        Some(port) => port.parse().map_err(|_| InvalidPushUrl::Port)?,
    };
    match port {
        0 => Err(InvalidPushUrl::Port),
        port => Ok((host, port)),
    }
}

/// The bytes that `text` stands for; `None` if it has one that a URL does not take there. `also` are
/// the delimiters that it takes besides those that it takes everywhere.
fn decoded(text: &str, also: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
        decoded.push(if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            u8::try_from(high * 16 + low).ok()?
        } else if plain || also.contains(&byte) {
            byte
        } else {
            return None;
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("127.0.0.1:9772", "127.0.0.1:9772")]
    #[case("0.0.0.0:1", "0.0.0.0:1")]
    #[case("[::]:9772", "[::]:9772")]
    #[case("9772", "127.0.0.1:9772")]
    #[case(":9772", "127.0.0.1:9772")]
    #[case("0", "127.0.0.1:0")]
    fn addresses(#[case] text: &str, #[case] expected: &str) {
        let MetricsAddress(address) = MetricsAddress::from_text(text).unwrap();
        assert_eq!(address.to_string(), expected);
    }

    #[rstest]
    fn no_addresses(
        #[values(
            "",
            ":",
            "::",
            "65536",
            "-1",
            "+1",
            " 1",
            "localhost:1",
            "127.0.0.1",
            "::1:9772"
        )]
        text: &str,
    ) {
        assert_eq!(MetricsAddress::from_text(text).unwrap_err(), "");
    }

    #[rstest]
    #[case("http://monitor", "monitor", 80, "", "http://monitor")]
    #[case("HTTP://monitor:80/", "monitor", 80, "/", "http://monitor/")]
    #[case(
        "http://a_b-1.lan:9091",
        "a_b-1.lan",
        9091,
        "",
        "http://a_b-1.lan:9091"
    )]
    #[case("http://[::1]:9091/a", "::1", 9091, "/a", "http://[::1]:9091/a")]
    #[case("http://[fe80:0::1]", "fe80::1", 80, "", "http://[fe80::1]")]
    #[case(
        "http://10.0.0.1/a%2fb@c:d",
        "10.0.0.1",
        80,
        "/a%2fb@c:d",
        "http://10.0.0.1/a%2fb@c:d"
    )]
    fn urls(
        #[case] text: &str,
        #[case] host: &str,
        #[case] port: u16,
        #[case] path: &str,
        #[case] shown: &str,
    ) {
        let url: PushUrl = text.parse().unwrap();
        assert_eq!((&*url.host, url.port, &*url.path), (host, port, path));
        assert_eq!(url.credentials, None);
        assert_eq!(url.to_string(), shown);
        assert_eq!(url.to_string().parse(), Ok(url));
    }

    #[rstest]
    #[case("u:p", b"u:p")]
    #[case("u", b"u")]
    #[case("", b"")]
    #[case("u:p%40%3a%FF", b"u:p@:\xff")]
    fn credentials_are_decoded_and_not_shown(#[case] text: &str, #[case] expected: &[u8]) {
        let url: PushUrl = format!("http://{text}@monitor/x").parse().unwrap();
        assert_eq!(url.credentials.as_deref(), Some(expected));
        assert_eq!(url.to_string(), "http://monitor/x");
        assert_eq!(format!("{url:?}"), "PushUrl(http://monitor/x)");
    }

    #[rstest]
    #[case("https://monitor:9091", InvalidPushUrl::Tls)]
    #[case("HTTPS://u:p@monitor", InvalidPushUrl::Tls)]
    #[case("", InvalidPushUrl::Scheme)]
    #[case("monitor:9091", InvalidPushUrl::Scheme)]
    #[case("ftp://monitor", InvalidPushUrl::Scheme)]
    #[case("http:/monitor", InvalidPushUrl::Scheme)]
    #[case(" http://monitor", InvalidPushUrl::Scheme)]
    #[case("http://", InvalidPushUrl::Host)]
    #[case("http:///metrics", InvalidPushUrl::Host)]
    #[case("http://:9091", InvalidPushUrl::Host)]
    #[case("http://u:p@", InvalidPushUrl::Host)]
    #[case("http://a b", InvalidPushUrl::Host)]
    #[case("http://é", InvalidPushUrl::Host)]
    #[case("http://[::1", InvalidPushUrl::Host)]
    #[case("http://[::1]9091", InvalidPushUrl::Host)]
    #[case("http://[fe80::1%25eth0]", InvalidPushUrl::Host)]
    #[case("http://[monitor]", InvalidPushUrl::Host)]
    #[case("http://::1", InvalidPushUrl::Host)]
    #[case(&format!("http://{}", "a".repeat(256)), InvalidPushUrl::Host)]
    #[case("http://monitor:", InvalidPushUrl::Port)]
    #[case("http://monitor:0", InvalidPushUrl::Port)]
    #[case("http://monitor:65536", InvalidPushUrl::Port)]
    #[case("http://monitor:+1", InvalidPushUrl::Port)]
    #[case("http://monitor:http", InvalidPushUrl::Port)]
    #[case("http://[::1]:", InvalidPushUrl::Port)]
    #[case("http://u:p@ss@monitor", InvalidPushUrl::Credentials)]
    #[case("http://u:%4@monitor", InvalidPushUrl::Credentials)]
    #[case("http://u:%zz@monitor", InvalidPushUrl::Credentials)]
    #[case("http://u p@monitor", InvalidPushUrl::Credentials)]
    #[case("http://monitor/?x", InvalidPushUrl::Query)]
    #[case("http://monitor#x", InvalidPushUrl::Query)]
    #[case("http://monitor/a b", InvalidPushUrl::Path)]
    #[case("http://monitor/\r\nx", InvalidPushUrl::Path)]
    #[case("http://monitor/%", InvalidPushUrl::Path)]
    #[case("http://monitor/é", InvalidPushUrl::Path)]
    fn no_urls(#[case] text: &str, #[case] expected: InvalidPushUrl) {
        assert_eq!(PushUrl::from_str(text), Err(expected));
    }
}
