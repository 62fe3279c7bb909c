//! Resolving: makes of what was said what programs need, and checks what depends on more than one
//! key.

use std::collections::BTreeSet;

use realize_core::registry::TransportRegistry;

use crate::error::ConfigError;
use crate::origins::Origins;
use crate::schema::{IdentitySection, ListenSection, LogSection, MetricsSection, Schema};
use crate::settings::{Config, DEFAULT_TRANSPORT, Identity, Listen, Log, Metrics};
use crate::text::{Filter, ListenAddress, Location, MetricsAddress, PushText, Text, TransportName};
use crate::transports::check_name;

mod directories;
mod moves;
mod peers;
mod throttle;

/// The complete configuration that `schema` means, as `origins` said it.
pub(crate) fn resolve(
    schema: Schema,
    origins: Origins,
    transports: &TransportRegistry,
) -> Result<Config, ConfigError> {
    let resolver = Resolver {
        origins: &origins,
        transports,
        default: default_transport(schema.transport, &origins, transports)?,
    };
    let peers = resolver.peers(schema.peers)?;
    let directories = resolver.directories(schema.directories, &peers)?;
    Ok(Config {
        file: origins.path().map(Into::into),
        identity: resolver.identity(schema.identity),
        listen: resolver.listen(schema.listen)?,
        r#move: resolver.r#move(schema.r#move, &directories, &peers)?,
        throttle: resolver.throttle(schema.throttle)?,
        metrics: metrics(schema.metrics),
        log: log(schema.log),
        directories,
        peers,
        transport: resolver.default,
        origins,
    })
}

/// The default transport. The one that holds where nobody says any need not exist: a program
/// without it can do with local directories, or with peers that name another.
fn default_transport(
    given: Option<Text<TransportName>>,
    origins: &Origins,
    transports: &TransportRegistry,
) -> Result<String, ConfigError> {
    let Some(Text(TransportName(name))) = given else {
        return Ok(DEFAULT_TRANSPORT.to_owned());
    };
    check_name(&name, transports).map_err(|message| origins.fault(&["transport"], message))?;
    Ok(name)
}

/// What sections are resolved with.
struct Resolver<'a> {
    origins: &'a Origins,
    transports: &'a TransportRegistry,
    /// The name of the default transport.
    default: String,
}

impl Resolver<'_> {
    /// The transport for what stands at `key` and names none.
    fn default_for(&self, key: &[&str]) -> Result<String, ConfigError> {
        let checked = check_name(&self.default, self.transports);
        checked.map_err(|message| {
            let message = format!("no transport is named, and the default is an {message}");
            self.origins.fault(key, message)
        })?;
        Ok(self.default.clone())
    }

    fn identity(&self, said: IdentitySection) -> Identity {
        let key = said
            .key
            .map(|Text(Location(path))| self.origins.resolve(&["identity", "key"], path));
        Identity { key }
    }

    fn listen(&self, said: ListenSection) -> Result<Vec<Listen>, ConfigError> {
        let mut listen = Vec::new();
        let mut seen = BTreeSet::new();
        for (index, Text(address)) in said.addresses.unwrap_or_default().into_iter().enumerate() {
            let index = index.to_string();
            let key = ["listen", "addresses", index.as_str()];
            let ListenAddress {
                transport,
                endpoint,
            } = address;
            let transport = match transport {
                Some(name) => {
                    let checked = check_name(&name, self.transports);
                    checked.map_err(|message| self.origins.fault(&key, message))?;
                    name
                }
                None => self.default_for(&key)?,
            };
            if !seen.insert((transport.clone(), endpoint.clone())) {
                let message = format!("{endpoint} with {transport} is in the list twice");
                return Err(self.origins.fault(&key, message));
            }
            listen.push(Listen {
                transport,
                endpoint,
            });
        }
        Ok(listen)
    }
}

fn metrics(said: MetricsSection) -> Metrics {
    Metrics {
        listen: said.listen.map(|Text(MetricsAddress(address))| address),
        push: said.push.map(|Text(PushText(url))| url),
    }
}

fn log(said: LogSection) -> Log {
    Log {
        level: said.level.map(|Text(Filter(level))| level),
        format: said.format.map(value),
    }
}

fn value<T>(Text(value): Text<T>) -> T {
    value
}
