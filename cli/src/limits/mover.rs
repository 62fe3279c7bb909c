//! The limits of a move.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use realize_config::{Config, Rates, Throttle};
use realize_core::clock::SystemClock;
use realize_core::throttle::{RateLimiter, Throttle as _};
use realize_core::{Error, Result, Service, service};
use realize_rpc::Limits;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{EVERYBODY, keep, lower, set};

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
    /// What comes from the source, which is told so: should it not obey, it is held back.
    from_source: Arc<RateLimiter>,
}

/// After so long the ends are asked again.
const AGAIN: Duration = Duration::from_secs(60);

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
            to_destination: Arc::new(RateLimiter::new(of(destination).up)),
            from_source: Arc::new(RateLimiter::new(None)),
        }
    }

    /// What is in force now, by peer and direction; what is in force for all is for the peer "".
    pub(crate) fn in_force(&self) -> impl Iterator<Item = (&str, &'static str, NonZeroU64)> {
        [
            ("", "up", &self.total),
            (peer(&self.destination), "up", &self.to_destination),
            (peer(&self.source), "down", &self.from_source),
        ]
        .into_iter()
        .filter_map(|(peer, direction, limiter)| Some((peer, direction, limiter.rate()?)))
    }

    /// What the connections to the source pass.
    pub(crate) fn for_source(&self) -> Limits {
        Limits {
            send: Vec::new(),
            receive: vec![self.from_source.clone()],
        }
    }

    /// What the connections to the destination pass.
    pub(crate) fn for_destination(&self) -> Limits {
        Limits {
            send: vec![self.to_destination.clone(), self.total.clone()],
            receive: Vec::new(),
        }
    }

    /// Keeps to `throttle` and its timetable, for as long as it is polled. What this machine sends is
    /// limited, and both ends are told, before content is asked of them; and they are asked again from
    /// time to time, for their own limits may change. It ends only with an error: what an end answered
    /// instead.
    pub(crate) async fn keep(
        &self,
        throttle: &Throttle,
        source: &dyn Service,
        destination: &dyn Service,
    ) -> Error {
        let (tell, mut told) = watch::channel(Rates::default());
        let keeping = keep(throttle, &SystemClock, |rates| {
            tell.send_replace(rates);
        });
        let telling = async {
            loop {
                // When it changes, or when it is time.
                let _ = timeout(AGAIN, told.changed()).await;
                let rates = *told.borrow_and_update();
                if let Err(error) = self.apply(rates, source, destination).await {
                    return error;
                }
            }
        };
        tokio::select! {
            biased;
            never = keeping => match never {},
            error = telling => error,
        }
    }

    /// Has `rates` hold from now on: sets what this machine sends, and tells both ends.
    ///
    /// # Errors
    /// What an end answered instead.
    async fn apply(
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
        let down = lower(rates.down, self.of_source.down);
        let (to, from) = tokio::join!(
            destination.configure(sends(None)),
            source.configure(sends(down))
        );
        let to_it = lower(self.of_destination.up, to?.receive_rate);
        set(&self.to_destination, peer(&self.destination), "up", to_it);
        let from_it = lower(down, from?.send_rate);
        set(&self.from_source, peer(&self.source), "down", from_it);
        Ok(())
    }
}

/// What an end's peer is called in logs and metrics.
fn peer(name: &Option<String>) -> &str {
    name.as_deref().unwrap_or("local")
}
