//! `[move]`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::peers::check_peer;
use super::{Resolver, value};
use crate::error::ConfigError;
use crate::schema::MoveSection;
use crate::settings::{Directory, Move, Peer};
use crate::text::{Glob, Location, MetricsAddress, Retries, Text};

impl Resolver<'_> {
    pub(super) fn r#move(
        &self,
        said: MoveSection,
        directories: &BTreeMap<String, Directory>,
        peers: &BTreeMap<String, Peer>,
    ) -> Result<Move, ConfigError> {
        let end = |name: &str,
                   given: Option<Text<Location>>|
         -> Result<Option<OsString>, ConfigError> {
            let Some(Text(Location(text))) = given else {
                return Ok(None);
            };
            let key = ["move", name];
            Ok(Some(match End::of(&text, directories) {
                End::Path => self.origins.resolve(&key, text).into_os_string(),
                End::Directory => text.into(),
                End::Peer(peer) => {
                    check_peer(peer, peers).map_err(|message| self.origins.fault(&key, message))?;
                    text.into()
                }
            }))
        };
        let default = Move::default();
        let resolved = Move {
            source: end("source", said.source)?,
            destination: end("destination", said.destination)?,
            include: globs(said.include),
            exclude: globs(said.exclude),
            min_age: said.min_age.map_or(default.min_age, value),
            max_duration: said.max_duration.map(value),
            on_conflict: said.on_conflict.map_or(default.on_conflict, value),
            compress: said.compress.map_or(default.compress, value),
            keep_directories: said.keep_directories.unwrap_or(default.keep_directories),
            progress: said.progress.map_or(default.progress, value),
            json: said.json.unwrap_or(default.json),
            retries: said
                .retries
                .map_or(default.retries, |Retries(retries)| retries),
            retry_delay: said.retry_delay.map_or(default.retry_delay, value),
            retry_max_delay: said.retry_max_delay.map_or(default.retry_max_delay, value),
            metrics_listen: said
                .metrics_listen
                .map(|Text(MetricsAddress(address))| address),
            receipts: said
                .receipts
                .map(|Text(Location(path))| self.origins.resolve(&["move", "receipts"], path)),
        };
        self.check_delays(&resolved)?;
        Ok(resolved)
    }

    /// The longest delay is not below the first.
    fn check_delays(&self, resolved: &Move) -> Result<(), ConfigError> {
        let (first, max) = (resolved.retry_delay, resolved.retry_max_delay);
        if first <= max {
            return Ok(());
        }
        let (first, max) = (
            humantime::format_duration(first),
            humantime::format_duration(max),
        );
        let key = ["move", "retry_max_delay"];
        Err(if self.origins.have(&key) {
            let message = format!("{max} is below `move.retry_delay`, which is {first}");
            self.origins.fault(&key, message)
        } else {
            let message = format!("{first} is above `move.retry_max_delay`, which is {max}");
            self.origins.fault(&["move", "retry_delay"], message)
        })
    }
}

/// What a source or a destination is.
enum End<'a> {
    /// `PEER:DIRECTORY`, of this peer.
    Peer(&'a str),
    /// The name of a directory.
    Directory,
    Path,
}

impl<'a> End<'a> {
    fn of(text: &'a str, directories: &BTreeMap<String, Directory>) -> Self {
        let (head, _) = text.split_once('/').unwrap_or((text, ""));
        match head.split_once(':') {
            Some((peer, _)) => Self::Peer(peer),
            None if directories.contains_key(text) => Self::Directory,
            None => Self::Path,
        }
    }
}

fn globs(given: Option<Vec<Text<Glob>>>) -> Vec<String> {
    given
        .unwrap_or_default()
        .into_iter()
        .map(|Text(Glob(glob))| glob)
        .collect()
}
