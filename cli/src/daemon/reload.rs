//! SIGHUP: a changed configuration, as far as it can be taken in while running.
//!
//! That is peers, directories, rights and limits: peers that are gone are cut at once, rights apply
//! to the next call, limits at once. What listens, with which key, what is logged, and who gets
//! to see the metrics, stays as it is: a change of it refuses the whole reload, as does anything wrong with the configuration.

use realize_config::Config;

use super::changes::Changes;
use super::serving::Serving;
use super::{Origin, key};
use crate::exit::Exit;
use crate::network::peers;

/// Takes the configuration in, as it is now; answers it.
///
/// # Errors
/// Why it was refused; then nothing has changed.
pub(super) fn reload(
    origin: &Origin<'_>,
    current: &Config,
    started_with: &Option<String>,
    serving: &Serving,
) -> Result<Config, Exit> {
    let new = origin.load()?;
    for (key, same) in [
        ("identity", new.identity == current.identity),
        ("listen", new.listen == current.listen),
        ("log", new.log == current.log),
        ("metrics", new.metrics.listen == current.metrics.listen),
        ("transports", new.same_transport_tables(current)),
    ] {
        if !same {
            let what = format!("[{key}] has changed: restart needed; nothing was changed");
            return Err(Exit::configuration(what));
        }
    }
    if key(&new) != *started_with {
        let what = "the key of [identity] is another one now, or cannot be read: restart needed; \
                    nothing was changed";
        return Err(Exit::configuration(what));
    }
    let peers = peers(&new)?;
    let before = serving.served.peers();
    let Changes {
        peers: of_peers,
        directories,
        limits,
    } = Changes::between((current, &before), (&new, &peers));
    let invalid = |error: &dyn std::fmt::Display| Exit::configuration(error.to_string());
    // The rights first: who is let in by the second may do what the first says.
    serving
        .served
        .replace(&new, &peers)
        .map_err(|error| invalid(&error))?;
    serving
        .known
        .replace(peers.values().cloned())
        .map_err(|error| invalid(&error))?;
    serving.cut_unknown();
    // What was set by hand stays, as long as nothing else is wanted.
    if new.throttle != current.throttle {
        serving.served.limits.set_now(&new.throttle);
    }
    tracing::info!(
        event = "config.reloaded",
        peers = peers.len(),
        directories = new.directories.len(),
        peers_added = of_peers.added,
        peers_removed = of_peers.removed,
        peers_changed = of_peers.changed,
        directories_added = directories.added,
        directories_removed = directories.removed,
        directories_changed = directories.changed,
        limits_changed = limits
    );
    Ok(new)
}
