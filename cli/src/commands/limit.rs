//! `realize limit`.

use std::num::NonZeroU64;

use realize_config::{Config, parse_rate};
use realize_rpc::{Change, Client, InForce, LimitChange};

use crate::args::LimitArguments;
use crate::exit::Exit;
use crate::network::Network;
use crate::output::Data;

/// What lifts a limit.
const NONE: &str = "none";

pub(crate) async fn run(
    arguments: &LimitArguments,
    config: &Config,
    network: &Network<'_>,
    data: &Data,
) -> Result<(), Exit> {
    if !config.peers.contains_key(&arguments.peer) {
        let known = realize_config::listed(config.peers.keys().map(String::as_str));
        let what = format!(
            "there is no peer named `{}`; there are {known}",
            arguments.peer
        );
        return Err(Exit::usage(what));
    }
    let change = LimitChange {
        up: change("--up", arguments.up.as_deref())?,
        down: change("--down", arguments.down.as_deref())?,
    };
    let remote = network.remote(&arguments.peer, "")?;
    let InForce { up, down } = Client::limits(&remote, change).await?;
    data.print(&format!("up {}", shown(up)));
    data.print(&format!("down {}", shown(down)));
    Ok(())
}

fn change(flag: &str, text: Option<&str>) -> Result<Change, Exit> {
    match text {
        None => Ok(Change::Keep),
        Some(NONE) => Ok(Change::Lift),
        Some(text) => parse_rate(text)
            .map(Change::Set)
            .map_err(|what| Exit::usage(format!("{flag} {text}: {what}, or {NONE}"))),
    }
}

/// A limit in bytes per second.
fn shown(rate: Option<NonZeroU64>) -> String {
    rate.map_or_else(|| NONE.to_owned(), |rate| rate.to_string())
}
