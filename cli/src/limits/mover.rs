//! The limits of a move.

use std::sync::Arc;

use realize_config::{Config, Rates};
use realize_core::throttle::RateLimiter;
use realize_core::{Result, Service, service};
use realize_rpc::Limits;

use super::{EVERYBODY, lower, set};

/// How fast a move sends to its destination, and what it asks of its source.
#[derive(Clone, Debug)]
pub(crate) struct MoverLimits {
    /// The two ends' peers, where they have one.
    source: Option<String>,
    destination: Option<String>,
    /// What their sections say.
    of_source: Rates,
    of_destination: Rates,
    /// What is sent in all.
    total: Arc<RateLimiter>,
    /// What is sent to this destination, by its section and by its own answer.
    to_destination: Arc<RateLimiter>,
}

impl MoverLimits {
    /// Limits for a move between these peers, named as in `config`; none is this machine.
    pub(crate) fn new(config: &Config, source: Option<&str>, destination: Option<&str>) -> Self {
        let of = |peer: Option<&str>| {
            let section = peer.and_then(|peer| config.peers.get(peer));
            section.map(|peer| peer.throttle).unwrap_or_default()
        };
        Self {
            of_source: of(source),
            of_destination: of(destination),
            source: source.map(str::to_owned),
            destination: destination.map(str::to_owned),
            total: Arc::new(RateLimiter::new(None)),
            to_destination: Arc::new(RateLimiter::new(None)),
        }
    }

    /// What the connections to the destination pass.
    pub(crate) fn to_destination(&self) -> Limits {
        Limits {
            send: vec![self.to_destination.clone(), self.total.clone()],
            receive: Vec::new(),
        }
    }

    /// Has `rates` hold from now on: sets what this machine sends, and tells both ends.
    ///
    /// # Errors
    /// What an end answered instead.
    pub(crate) async fn apply(
        &self,
        rates: Rates,
        source: &dyn Service,
        destination: &dyn Service,
    ) -> Result<()> {
        set(&self.total, EVERYBODY, "up", rates.up);
        let sends = |send_rate| service::Config {
            send_rate,
            receive_rate: None,
        };
        let answer = destination.configure(sends(None)).await?;
        let peer = self.destination.as_deref().unwrap_or("local");
        let to_it = lower(self.of_destination.up, answer.receive_rate);
        set(&self.to_destination, peer, "up", to_it);
        let down = lower(rates.down, self.of_source.down);
        let answer = source.configure(sends(down)).await?;
        if let Some(rate) = answer.send_rate {
            tracing::info!(
                event = "limit.agreed",
                peer = self.source.as_deref().unwrap_or("local"),
                direction = "down",
                rate
            );
        }
        Ok(())
    }
}
