//! What may be written: the sections, each value still as its writer left it.
//!
//! The same keys stand as paths in [`keys`](crate::keys). `[transports]` is not here: what is in
//! it is for each transport to read.

use std::collections::BTreeMap;
use std::time::Duration;

use realize_core::transport::{Endpoint, PeerId};
use serde::Deserialize;

use crate::text::{
    Compression, Control, Day, Filter, Glob, ListenAddress, Location, LogFormat, MetricsAddress,
    Name, OnConflict, Progress, PushText, Rate, Retries, Right, Text, TimeOfDay, TransportName,
};

/// All that can be said. Every key is optional, as another party may say it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Schema {
    pub(crate) transport: Option<Text<TransportName>>,
    pub(crate) identity: IdentitySection,
    pub(crate) listen: ListenSection,
    pub(crate) directories: BTreeMap<Text<Name>, DirectorySection>,
    pub(crate) peers: BTreeMap<Text<Name>, PeerSection>,
    pub(crate) r#move: MoveSection,
    pub(crate) throttle: ThrottleSection,
    pub(crate) metrics: MetricsSection,
    pub(crate) log: LogSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentitySection {
    pub(crate) key: Option<Text<Location>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenSection {
    pub(crate) addresses: Option<Vec<Text<ListenAddress>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DirectorySection {
    pub(crate) path: Option<Text<Location>>,
    pub(crate) allow: Option<BTreeMap<Text<Name>, Vec<Text<Right>>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerSection {
    pub(crate) key: Option<Text<PeerId>>,
    pub(crate) key_file: Option<Text<Location>>,
    pub(crate) address: Option<Text<Endpoint>>,
    pub(crate) transport: Option<Text<TransportName>>,
    pub(crate) throttle: Option<RatesSection>,
    pub(crate) rights: Option<Vec<Text<Control>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RatesSection {
    pub(crate) up: Option<Text<Rate>>,
    pub(crate) down: Option<Text<Rate>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveSection {
    pub(crate) source: Option<Text<Location>>,
    pub(crate) destination: Option<Text<Location>>,
    pub(crate) include: Option<Vec<Text<Glob>>>,
    pub(crate) exclude: Option<Vec<Text<Glob>>>,
    pub(crate) min_age: Option<Text<Duration>>,
    pub(crate) max_duration: Option<Text<Duration>>,
    pub(crate) on_conflict: Option<Text<OnConflict>>,
    pub(crate) compress: Option<Text<Compression>>,
    pub(crate) keep_directories: Option<bool>,
    pub(crate) progress: Option<Text<Progress>>,
    pub(crate) json: Option<bool>,
    pub(crate) retries: Option<Retries>,
    pub(crate) retry_delay: Option<Text<Duration>>,
    pub(crate) retry_max_delay: Option<Text<Duration>>,
    pub(crate) metrics_listen: Option<Text<MetricsAddress>>,
    pub(crate) receipts: Option<Text<Location>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThrottleSection {
    pub(crate) up: Option<Text<Rate>>,
    pub(crate) down: Option<Text<Rate>>,
    pub(crate) schedule: Option<Vec<PeriodSection>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeriodSection {
    pub(crate) from: Option<Text<TimeOfDay>>,
    pub(crate) to: Option<Text<TimeOfDay>>,
    pub(crate) days: Option<Vec<Text<Day>>>,
    pub(crate) up: Option<Text<Rate>>,
    pub(crate) down: Option<Text<Rate>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetricsSection {
    pub(crate) listen: Option<Text<MetricsAddress>>,
    pub(crate) push: Option<Text<PushText>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogSection {
    pub(crate) level: Option<Text<Filter>>,
    pub(crate) format: Option<Text<LogFormat>>,
}
