//! `[directories]`.

use std::collections::BTreeMap;

use super::peers::check_peer;
use super::{Resolver, value};
use crate::error::ConfigError;
use crate::schema::DirectorySection;
use crate::settings::{Directory, Peer};
use crate::text::{Location, Name, Text};

impl Resolver<'_> {
    pub(super) fn directories(
        &self,
        said: BTreeMap<Text<Name>, DirectorySection>,
        peers: &BTreeMap<String, Peer>,
    ) -> Result<BTreeMap<String, Directory>, ConfigError> {
        let mut directories = BTreeMap::new();
        for (Text(Name(name)), section) in said {
            let Some(Text(Location(path))) = section.path else {
                return Err(self.origins.missing(&["directories", &name], &["path"]));
            };
            let path = self.origins.resolve(&["directories", &name, "path"], path);
            let mut allow = BTreeMap::new();
            for (Text(Name(peer)), rights) in section.allow.unwrap_or_default() {
                check_peer(&peer, peers).map_err(|message| {
                    let key = ["directories", &name, "allow", &peer];
                    self.origins.misnamed(&key, message)
                })?;
                allow.insert(peer, rights.into_iter().map(value).collect());
            }
            directories.insert(name, Directory { path, allow });
        }
        Ok(directories)
    }
}
