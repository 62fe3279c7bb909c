//! Values that name something on the network.

use realize_core::transport::{Endpoint, InvalidAddress, MAX_ADDRESS_LEN, PeerId};

use super::FromText;

impl FromText for PeerId {
    fn expected() -> String {
        r#"a public key such as "ed25519:BASE64""#.to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Self::new(text).map_err(|error| more(text, &error))
    }
}

impl FromText for Endpoint {
    fn expected() -> String {
        r#"an address such as "cam.lan:9771""#.to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Self::new(text).map_err(|error| more(text, &error))
    }
}

/// What more can be said about a text that was refused.
fn more(text: &str, error: &InvalidAddress) -> String {
    match error {
        InvalidAddress::Text(_) if text.len() > MAX_ADDRESS_LEN => {
            format!(": over {MAX_ADDRESS_LEN} bytes")
        }
        InvalidAddress::Text(_) if !text.is_empty() => ": it has control characters".to_owned(),
        InvalidAddress::Text(_) | InvalidAddress::Scheme => String::new(),
    }
}

/// Where to listen: `HOST:PORT` with the default transport, or `NAME://HOST:PORT`.
#[derive(Debug)]
pub(crate) struct ListenAddress {
    pub(crate) transport: Option<String>,
    pub(crate) endpoint: Endpoint,
}

impl FromText for ListenAddress {
    fn expected() -> String {
        r#"an address such as "0.0.0.0:9771" or "tcp://0.0.0.0:9771""#.to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let (transport, address) = match text.split_once("://") {
            Some((transport, address)) => (Some(transport.to_owned()), address),
            None => (None, text),
        };
        Ok(Self {
            transport,
            endpoint: Endpoint::from_text(address)?,
        })
    }
}

/// The name of a transport, which may or may not exist.
#[derive(Debug)]
pub(crate) struct TransportName(pub(crate) String);

impl FromText for TransportName {
    fn expected() -> String {
        "the name of a transport".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(String::new());
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0.0.0.0:9771", None, "0.0.0.0:9771")]
    #[case("[::]:9771", None, "[::]:9771")]
    #[case("tcp://cam.lan:9771", Some("tcp"), "cam.lan:9771")]
    #[case("://x", Some(""), "x")]
    #[case("a://b://c", Some("a"), "b://c")]
    fn listen_addresses(
        #[case] text: &str,
        #[case] transport: Option<&str>,
        #[case] endpoint: &str,
    ) {
        let address = ListenAddress::from_text(text).unwrap();
        assert_eq!(address.transport.as_deref(), transport);
        assert_eq!(address.endpoint.as_str(), endpoint);
    }

    #[rstest]
    #[case("", "")]
    #[case("tcp://", "")]
    #[case("a\nb", ": it has control characters")]
    #[case(&"x".repeat(513), ": over 512 bytes")]
    fn no_listen_addresses(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(ListenAddress::from_text(text).unwrap_err(), expected);
    }
}
