//! The metrics of a move, and how they leave the program.

use std::net::SocketAddr;
use std::time::SystemTime;

use prometheus::Registry;
use realize_config::{Config, InvalidPushUrl};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::About;
use crate::exit::{Exit, chain};
use crate::limits::MoverLimits;
use crate::metrics::{Endpoint, MoverMetrics, PushTarget, Replaces, push};

/// Metrics that somebody gets to see.
pub(super) struct Measured {
    pub(super) metrics: MoverMetrics,
    gateway: Option<PushTarget>,
    /// Ends the serving when it is dropped.
    _serving: Option<DropGuard>,
}

impl Measured {
    /// Metrics of a move, which are served from now on, if the configuration or the flags want them.
    pub(super) async fn new(
        config: &Config,
        about: &About,
        limits: &MoverLimits,
        host: &str,
    ) -> Result<Option<Self>, Exit> {
        let address = config.r#move.metrics_listen;
        let gateway = gateway(config, host)?;
        if address.is_none() && gateway.is_none() {
            return Ok(None);
        }
        let metrics = MoverMetrics::new(about, limits)
            .map_err(|error| Exit::other(format!("making the metrics: {error}")))?;
        Ok(Some(Self {
            _serving: serve(address, &metrics.registry).await,
            metrics,
            gateway,
        }))
    }

    /// Sends them, if they are to be sent, after a move that has `succeeded` or not. That sending fails
    /// is no failure of the move.
    pub(super) async fn end(self, succeeded: bool) {
        let replaces = match succeeded {
            true => {
                self.metrics.succeeded(SystemTime::now());
                Replaces::Everything
            }
            false => Replaces::ItsOwn,
        };
        if let Some(gateway) = &self.gateway
            && let Err(error) = push(gateway, &self.metrics.registry, replaces).await
        {
            tracing::warn!(event = "metrics.push_failed", url = %gateway, error = %chain(&error));
        }
    }
}

/// Where the metrics are sent to when all is done.
fn gateway(config: &Config, host: &str) -> Result<Option<PushTarget>, Exit> {
    let url = config.metrics.push.as_deref();
    let target = url.map(|url| PushTarget::parse(url, host));
    let fault = |error: InvalidPushUrl| config.fault(&["metrics", "push"], error.to_string());
    Ok(target.transpose().map_err(fault)?)
}

/// Serves the metrics until the guard is dropped. A move goes on without.
async fn serve(address: Option<SocketAddr>, registry: &Registry) -> Option<DropGuard> {
    let address = address?;
    match Endpoint::bind(address, registry.clone()).await {
        Ok(endpoint) => {
            let stop = CancellationToken::new();
            tokio::spawn(endpoint.serve(stop.clone()));
            Some(stop.drop_guard())
        }
        Err(error) => {
            tracing::warn!(event = "metrics.unserved", address = %address, %error);
            None
        }
    }
}
