//! `realize check`: everything that the configuration names, tried.
//!
//! What is tried is what a move or the daemon would do first: reading keys, making transports,
//! writing, syncing and renaming in each directory, dialling each peer that has an address. A line
//! on standard output says how each went; nothing is left behind.

use realize_config::{Config, PeerKey};
use realize_core::error::ErrorKind;
use realize_core::path::Escaped;
use realize_core::registry::TransportRegistry;
use realize_core::{LocalOptions, LocalService};
use realize_rpc::Client;

use crate::exit::{Exit, chain, code};
use crate::network::Network;
use crate::output::print;

/// Tries everything; fails with the code of the first thing that failed.
pub(crate) async fn run(config: &Config, transports: &TransportRegistry) -> Result<(), Exit> {
    let mut findings = Findings::default();
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
        let shown = Escaped(section.path.as_os_str().as_encoded_bytes()).to_string();
        let tried = match LocalService::open(&section.path, LocalOptions::default()) {
            Ok(service) => service.probe().await,
            Err(error) => Err(error),
        };
        let what = format!("directory {name} ({shown})");
        match tried {
            Ok(lacks) if lacks.is_empty() => findings.fine(&what),
            Ok(lacks) => findings.fine(&format!("{what}, but its file system {lacks}")),
            Err(error) => findings.wrong(&what, &error.chain(), code::OTHER),
        }
    }
    match Network::new(config, transports) {
        Ok(network) => peers(config, &network, &mut findings).await,
        Err(exit) => findings.wrong("peers", exit.message(), exit.code()),
    }
    match findings.first {
        None => Ok(()),
        Some(code) => Err(Exit::silent(code)),
    }
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    /// The exit code of the first thing that failed.
    first: Option<u8>,
}

impl Findings {
    fn fine(&self, what: &str) {
        print(&format!("ok      {what}"));
    }

    fn wrong(&mut self, what: &str, why: &str, code: u8) {
        print(&format!("FAILED  {what}: {why}"));
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

/// Makes every transport that is named, and dials every peer that has an address.
async fn peers(config: &Config, network: &Network<'_>, findings: &mut Findings) {
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
                let code = match error.kind() {
                    ErrorKind::Forbidden => code::NOT_AUTHORISED,
                    ErrorKind::Network | ErrorKind::Timeout => code::NETWORK,
                    _ => code::OTHER,
                };
                findings.wrong(&format!("peer {name}"), &error.chain(), code);
            }
        }
    }
}
