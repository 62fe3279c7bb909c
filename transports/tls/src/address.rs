//! Where to dial and to listen, for transports of networks: `HOST:PORT`.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use realize_core::transport::{Endpoint, TransportError};
use tokio::net::lookup_host;
use tokio::time::timeout;

/// How many addresses of a name are tried.
pub const MAX_ADDRESSES: usize = 8;

/// The longest name of a host, in bytes (RFC 1035).
const MAX_NAME_LEN: usize = 253;

/// A host and a port, as an endpoint says them: HOST is a name, an IPv4 address, or an IPv6 address
/// in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Ip(IpAddr),
    /// For the system to look up: a name, or an IPv6 address with a zone.
    Name(String),
}

impl HostPort {
    /// What `endpoint` says to listen at; port 0 lets the system choose.
    ///
    /// # Errors
    /// [`TransportError::Address`], with what is expected.
    pub fn to_listen(endpoint: &Endpoint) -> Result<Self, TransportError> {
        parse(endpoint.as_str()).map_err(|found| TransportError::Address {
            endpoint: endpoint.clone(),
            what: format!(
                "expected HOST:PORT, where HOST is a name, an IPv4 address, or an IPv6 address in \
                 brackets; found {found}"
            ),
            source: None,
        })
    }

    /// What `endpoint` says to dial.
    ///
    /// # Errors
    /// [`TransportError::Address`], with what is expected.
    pub fn to_dial(endpoint: &Endpoint) -> Result<Self, TransportError> {
        let place = Self::to_listen(endpoint)?;
        if place.port == 0 {
            return Err(TransportError::Address {
                endpoint: endpoint.clone(),
                what: "expected a port of 1 to 65535; nobody can be dialled at 0".to_owned(),
                source: None,
            });
        }
        Ok(place)
    }

    /// The addresses that it stands for, at least one and [`MAX_ADDRESSES`] at most.
    ///
    /// # Errors
    /// The system's, if it finds none; [`ErrorKind::TimedOut`] if it takes longer than `within`.
    /// Cancel safe.
    pub async fn resolve(&self, within: Duration) -> io::Result<Vec<SocketAddr>> {
        let name = match &self.host {
            Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, self.port)]),
            Host::Name(name) => name.as_str(),
        };
        let found = timeout(within, lookup_host((name, self.port))).await;
        let found = found.map_err(|_| {
            let what = format!("looking up the name took longer than {within:?}");
            io::Error::new(ErrorKind::TimedOut, what)
        })??;
        let addresses: Vec<_> = found.take(MAX_ADDRESSES).collect();
        if addresses.is_empty() {
            return Err(io::Error::new(
                ErrorKind::NotFound,
                "the name has no address",
            ));
        }
        Ok(addresses)
    }
}

/// The address as it is counted and shown: one of IPv4 that comes in an IPv6 socket is one of IPv4.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        // As it is: it may have a zone.
        IpAddr::V6(_) => address,
    }
}

/// Takes `text` apart, or says what it has instead.
fn parse(text: &str) -> Result<HostPort, &'static str> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (inside, rest) = rest
            .split_once(']')
            .ok_or("a bracket that does not close")?;
        let port = rest.strip_prefix(':').ok_or("no port")?;
        (bracketed(inside)?, port)
    } else {
        let (host, port) = text.rsplit_once(':').ok_or("no port")?;
        (plain(host)?, port)
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits => Ok(HostPort { host, port }),
        _ => Err("a port that is no number of 0 to 65535"),
    }
}

fn bracketed(inside: &str) -> Result<Host, &'static str> {
    if let Ok(ip) = inside.parse::<Ipv6Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    match inside.split_once('%') {
        Some((ip, zone)) if ip.parse::<Ipv6Addr>().is_ok() && is_name(zone) => {
            Ok(Host::Name(inside.to_owned()))
        }
        _ => Err("something else than an IPv6 address in the brackets"),
    }
}

fn plain(host: &str) -> Result<Host, &'static str> {
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        Ok(Host::Ip(ip.into()))
    } else if host.is_empty() {
        Err("no host")
    } else if host.contains(':') {
        Err("colons outside of brackets")
    } else if is_name(host) {
        Ok(Host::Name(host.to_owned()))
    } else {
        Err("a host with other characters than letters, digits, dots, - and _, or too long a one")
    }
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !text.is_empty() && text.len() <= MAX_NAME_LEN && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::new(text).unwrap()
    }

    #[rstest]
    #[case("127.0.0.1:9771", Some("127.0.0.1:9771"))]
    #[case("[::1]:9771", Some("[::1]:9771"))]
    #[case("[fe80::1%eth0]:9771", None)]
    #[case("cam.lan:9771", None)]
    #[case("cam_2-b.lan.:65535", None)]
    fn names_and_addresses_are_taken(#[case] text: &str, #[case] address: Option<&str>) {
        let place = HostPort::to_dial(&endpoint(text)).unwrap();
        let ip = match place.host {
            Host::Ip(ip) => Some(SocketAddr::new(ip, place.port)),
            Host::Name(_) => None,
        };
        assert_eq!(ip, address.map(|address| address.parse().unwrap()));
    }

    #[rstest]
    #[case("cam.lan", "no port")]
    #[case("cam.lan:", "a port that is no number")]
    #[case("cam.lan:+80", "a port that is no number")]
    #[case("cam.lan:65536", "a port that is no number")]
    #[case("cam.lan:http", "a port that is no number")]
    #[case("cam.lan:99999999999999999999", "a port that is no number")]
    #[case(":9771", "no host")]
    #[case("::1:9771", "colons outside of brackets")]
    #[case("fe80::1", "colons outside of brackets")]
    #[case("[::1]", "no port")]
    #[case("[::1]9771", "no port")]
    #[case("[::1:9771", "a bracket that does not close")]
    #[case("[127.0.0.1]:9771", "something else than an IPv6 address")]
    #[case("[fe80::1%]:9771", "something else than an IPv6 address")]
    #[case("tcp://cam.lan:9771", "colons outside of brackets")]
    #[case("cam lan:9771", "other characters")]
    #[case("k\u{e4}m:9771", "other characters")]
    fn what_is_malformed_is_refused_with_what_is_expected(#[case] text: &str, #[case] what: &str) {
        let error = HostPort::to_listen(&endpoint(text)).unwrap_err();
        assert!(matches!(error, TransportError::Address { .. }), "{error:?}");
        let error = error.to_string();
        assert!(error.contains("expected HOST:PORT"), "{error}");
        assert!(error.contains(what), "{error}");
    }

    #[test]
    fn a_name_is_bounded() {
        let name = |len| endpoint(&format!("{}:1", "x".repeat(len)));
        assert!(HostPort::to_dial(&name(MAX_NAME_LEN)).is_ok());
        assert!(HostPort::to_dial(&name(MAX_NAME_LEN + 1)).is_err());
    }

    #[test]
    fn port_0_is_for_listening_alone() {
        assert!(HostPort::to_listen(&endpoint("127.0.0.1:0")).is_ok());
        let error = HostPort::to_dial(&endpoint("127.0.0.1:0")).unwrap_err();
        assert!(error.to_string().contains("1 to 65535"), "{error}");
    }

    #[test]
    fn an_ipv4_address_in_an_ipv6_socket_is_one_of_ipv4() {
        let shown = |text: &str| canonical(text.parse().unwrap()).to_string();
        assert_eq!(shown("[::ffff:10.0.0.1]:7"), "10.0.0.1:7");
        assert_eq!(shown("[fe80::1%3]:7"), "[fe80::1%3]:7");
    }
}
