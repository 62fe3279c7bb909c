//! A transport whose bytes are counted.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use realize_core::counted::{ByteCounts, Counted};
use realize_core::transport::{Connection, Endpoint, Listener, PeerId, Transport, TransportError};

/// A transport that adds the bytes of the connections that it dials to what is counted already.
#[derive(Debug)]
pub(super) struct CountedTransport {
    inner: Arc<dyn Transport>,
    counts: ByteCounts,
}

impl CountedTransport {
    pub(super) fn new(inner: Arc<dyn Transport>, counts: ByteCounts) -> Self {
        Self { inner, counts }
    }
}

#[async_trait]
impl Transport for CountedTransport {
    async fn dial(
        &self,
        endpoint: &Endpoint,
        expected: &PeerId,
    ) -> Result<Connection, TransportError> {
        let mut connection = self.inner.dial(endpoint, expected).await?;
        connection.stream = Box::new(Counted::new(connection.stream, self.counts.clone()));
        Ok(connection)
    }

    async fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, TransportError> {
        self.inner.listen(endpoint).await
    }

    fn lanes(&self, delay: Duration) -> NonZeroUsize {
        self.inner.lanes(delay)
    }
}
