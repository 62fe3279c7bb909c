//! What limits on the rate make of a transport.

use std::num::NonZeroU64;
use std::sync::Arc;

use realize_core::throttle::{RateLimitStream, RateLimiter, Throttle, Throttles};
use realize_core::transport::Duplex;
use tokio::io::{AsyncRead, AsyncReadExt, split};
use tokio::time::Instant;

use crate::content::Sequence;
use crate::failure::{During, Outcome, PATIENCE, ensure, within};
use crate::meeting::End;
use crate::world::World;

/// How many bytes a second the dialler may send, and the listener. Each sends for a second.
const RATES: [u64; 2] = [4 << 20, 2 << 20];
/// What may come at once, as a part of the rate: more than a limiter grants after a pause.
const BURST: u64 = 16;
/// How exact a limiter is, as a part of the rate.
const EXACT: u64 = 100;

/// That what arrives was granted: at no moment more than the rate has brought since the first byte
/// could be sent, and a burst. What a transport holds back may come later all at once. And that all
/// of it arrives in many times the time that it takes.
pub(crate) async fn kept(world: &World) -> Outcome {
    let pair = world.pair().await?;
    let [up, down] = RATES;
    let (near, far) = (held(pair.near.stream, up), held(pair.far.stream, down));
    let ((near_reads, mut near_writes), (far_reads, mut far_writes)) = (split(near), split(far));
    let sequence = Sequence::new(12);
    let began = Instant::now();
    let all = async {
        tokio::try_join!(
            sequence.send(&mut near_writes, 0, up),
            sequence.send(&mut far_writes, 0, down),
            arrives(far_reads, up, began, End::Dialler),
            arrives(near_reads, down, began, End::Listener),
        )
    };
    within(PATIENCE, "sending for a second at a limit", all).await??;
    Ok(())
}

/// A stream that sends so many bytes a second.
fn held(stream: Box<dyn Duplex>, rate: u64) -> RateLimitStream<Box<dyn Duplex>> {
    let limiter: Arc<dyn Throttle> = Arc::new(RateLimiter::new(NonZeroU64::new(rate)));
    RateLimitStream::new(stream, Throttles::new([limiter]))
}

/// Reads what comes in a second at that rate.
async fn arrives(
    mut reader: impl AsyncRead + Unpin,
    rate: u64,
    began: Instant,
    from: End,
) -> Outcome {
    let mut buffer = [0; 8 * 1024];
    let mut arrived = 0;
    while arrived < rate {
        let count = reader.read(&mut buffer).await;
        let count = count.during(format!("reading, after {arrived} of {rate} bytes"))?;
        ensure(count > 0, || {
            format!("from {from}: the stream ended after {arrived} of {rate} bytes")
        })?;
        arrived += count as u64;
        let took = began.elapsed();
        let most = u128::from(rate + rate / EXACT) * took.as_nanos() / 1_000_000_000;
        let most = most + u128::from(rate / BURST);
        ensure(u128::from(arrived) <= most, || {
            format!(
                "from {from}: {arrived} bytes came in {} s, at a limit of {rate} a second",
                took.as_secs_f64()
            )
        })?;
    }
    Ok(())
}
