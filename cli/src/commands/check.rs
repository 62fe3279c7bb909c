//! `realize check`: everything that the configuration names, tried.
//!
//! What is tried is what a move or the daemon would do first: reading keys, making transports,
//! writing, syncing and renaming in each directory, dialling each peer that has an address, opening
//! both ends of the move. A line on standard output says how each went; nothing is left behind.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;

use realize_config::{Config, PeerKey, Right};
use realize_core::counted::ByteCounts;
use realize_core::path::Escaped;
use realize_core::registry::TransportRegistry;
use realize_core::{Error, ErrorKind, LocalOptions, LocalService};
use realize_rpc::{Client, Limits};

use crate::ends::{Destination, Opened, Source};
use crate::exit::{Exit, chain, code, shown};
use crate::location::parent;
use crate::network::Network;
use crate::output::Data;

/// Tries everything; fails with the code of the first thing that failed.
pub(crate) async fn run(
    config: &Config,
    transports: &TransportRegistry,
    data: &Data,
) -> Result<(), Exit> {
    let mut findings = Findings::new(data);
    let file = match &config.file {
        Some(file) => format!(
            "configuration {}",
            Escaped(file.as_os_str().as_encoded_bytes())
        ),
        None => "configuration: none, every value is its default".to_owned(),
    };
    findings.fine(&file);
    key(config, &mut findings);
    for (name, section) in &config.directories {
        let what = format!("directory {name} ({})", shown(section.path.as_os_str()));
        let changes = |right: &Right| !matches!(right, Right::List | Right::Read);
        let is_read_only =
            !section.allow.is_empty() && !section.allow.values().flatten().any(changes);
        if is_read_only {
            match LocalService::open(&section.path, LocalOptions::default()) {
                Ok(_) => findings.fine(&format!("{what}: nobody may change it")),
                Err(error) => findings.wrong(&what, &error.chain(), code::OTHER),
            }
        } else {
            findings.probed(&what, probe(&section.path).await);
        }
    }
    match Network::new(config, transports) {
        Ok(network) => {
            let lost = peers(config, &network, &mut findings).await;
            both_ends(config, &network, &lost, &mut findings).await;
        }
        Err(exit) => findings.wrong("peers", exit.message(), exit.code()),
    }
    match findings.first {
        None => Ok(()),
        Some(code) => Err(Exit::silent(code)),
    }
}

/// What was found so far.
struct Findings {
    data: Data,
    /// The exit code of the first thing that failed.
    first: Option<u8>,
}

impl Findings {
    fn new(data: &Data) -> Self {
        Self {
            data: data.clone(),
            first: None,
        }
    }

    fn fine(&self, what: &str) {
        self.data.print(&format!("ok      {what}"));
    }

    /// An end was opened, which takes these rights where it is a peer's.
    async fn opened(&mut self, what: &str, needed: &[&str], opened: Result<Opened, Error>) {
        let granted = async {
            let opened = opened?;
            let granted = opened.granted().await?.map(<[String]>::to_vec);
            opened.close().await;
            Ok(granted)
        };
        let lacks = |granted: &[String]| {
            let missing = needed
                .iter()
                .filter(|&&right| !granted.iter().any(|g| g == right));
            missing.copied().collect::<Vec<_>>().join(", ")
        };
        match granted.await.map(|granted| granted.as_deref().map(lacks)) {
            Ok(Some(missing)) if missing == "delete" => {
                self.fine(&format!(
                    "{what}, but to be copied only: a move needs the right delete"
                ));
            }
            Ok(Some(missing)) if !missing.is_empty() => {
                let why = format!("a move needs rights that are not granted there: {missing}");
                self.wrong(what, &why, code::NOT_AUTHORISED);
            }
            Ok(_) => self.fine(what),
            Err(error) => self.failed(what, error),
        }
    }

    /// A directory of this machine was tried as a destination.
    fn probed(&mut self, what: &str, tried: Result<String, Error>) {
        match tried {
            Ok(lacks) if lacks.is_empty() => self.fine(what),
            Ok(lacks) => self.fine(&format!("{what}, but its file system {lacks}")),
            Err(error) => self.wrong(what, &error.chain(), code::OTHER),
        }
    }

    fn failed(&mut self, what: &str, error: Error) {
        let why = error.chain();
        self.wrong(what, &why, Exit::from(error).code());
    }

    fn wrong(&mut self, what: &str, why: &str, code: u8) {
        self.data.print(&format!("FAILED  {what}: {why}"));
        self.first.get_or_insert(code);
    }
}

/// This machine's key, which others have to know.
fn key(config: &Config, findings: &mut Findings) {
    let Some(path) = &config.identity.key else {
        // Whether one is needed, the transports say.
        findings.fine("key of this machine: none");
        return;
    };
    match realize_tls::load_private_key(path) {
        Ok(key) => findings.fine(&format!("key of this machine: {}", key.public_key())),
        Err(error) => findings.wrong("key of this machine", &chain(&error), code::CONFIGURATION),
    }
}

/// Does in a directory of this machine what a move does at a destination.
async fn probe(path: &Path) -> Result<String, Error> {
    LocalService::open(path, LocalOptions::default())?
        .probe()
        .await
}

/// Makes every transport that is named, and dials every peer that has an address. Answers which of
/// them cannot be reached.
async fn peers<'c>(
    config: &'c Config,
    network: &Network<'_>,
    findings: &mut Findings,
) -> HashSet<&'c str> {
    let mut lost = HashSet::new();
    for listen in &config.listen {
        let what = format!("listening on {} {}", listen.transport, listen.endpoint);
        match network.transport(&listen.transport) {
            Ok(_) => findings.fine(&format!("{what}: the transport is ready")),
            Err(exit) => findings.wrong(&what, exit.message(), exit.code()),
        }
    }
    for (name, section) in &config.peers {
        let known = match &section.key {
            PeerKey::Id(id) => id.to_string(),
            PeerKey::File(file) => Escaped(file.as_os_str().as_encoded_bytes()).to_string(),
        };
        if section.address.is_none() {
            findings.fine(&format!(
                "peer {name} ({known}): has no address, it dials us"
            ));
            continue;
        }
        let remote = match network.remote(name, "") {
            Ok(remote) => remote,
            Err(exit) => {
                findings.wrong(&format!("peer {name}"), exit.message(), exit.code());
                lost.insert(name.as_str());
                continue;
            }
        };
        match Client::ask(&remote).await {
            Ok(grants) if grants.is_empty() => findings.fine(&format!(
                "peer {name}: is there, and is who it should be; it serves nothing to this machine"
            )),
            Ok(grants) => findings.fine(&format!(
                "peer {name}: is there, and is who it should be; it serves {}",
                grants.join("; ")
            )),
            Err(error) => {
                findings.failed(&format!("peer {name}"), error);
                lost.insert(name.as_str());
            }
        }
    }
    lost
}

/// Opens the ends of the move that the configuration names, but for those on a peer that is `lost`. A
/// destination that is to be made is not.
async fn both_ends(
    config: &Config,
    network: &Network<'_>,
    lost: &HashSet<&str>,
    findings: &mut Findings,
) {
    let is_lost = |peer: Option<&str>| peer.is_some_and(|peer| lost.contains(peer));
    let section = &config.r#move;
    let Some(name) = &section.source else {
        return;
    };
    let what = |end: &str, name: &OsStr| format!("{end} {}", shown(name));
    let source = match Source::find(name, "source", config, network) {
        Ok(source) => source,
        Err(exit) => return findings.wrong(&what("source", name), exit.message(), exit.code()),
    };
    let of_source = what("source", name);
    if let Some(path) = source.path() {
        match probe(path).await {
            // What is full is to be emptied.
            Err(error) if error.kind() == ErrorKind::Full => findings.fine(&of_source),
            // What lies deeper may be another's to decide.
            Err(error) if error.kind() == ErrorKind::Denied => findings.fine(&format!(
                "{of_source}, but files right in it cannot be deleted: {}",
                error.chain()
            )),
            tried => findings.probed(&of_source, tried),
        }
    } else if !is_lost(source.peer()) {
        let opened = source.open(Limits::default(), ByteCounts::default()).await;
        let needed = ["list", "read", "delete"];
        findings.opened(&of_source, &needed, opened).await;
    }
    let Some(name) = &section.destination else {
        return;
    };
    let what = what("destination", name);
    match Destination::find(name, &source, config, network) {
        Ok(destination) if is_lost(destination.peer()) => {}
        Ok(destination) => match destination.path() {
            Some(path) if destination.exists() => findings.probed(&what, probe(path).await),
            Some(path) => {
                let what = format!("{what}: does not exist, and will be made");
                findings.probed(&what, probe(&parent(path)).await);
            }
            None => {
                let opened = destination.open(Limits::default(), ByteCounts::default());
                findings.opened(&what, &["write"], opened.await).await;
            }
        },
        Err(exit) => findings.wrong(&what, exit.message(), exit.code()),
    }
}
