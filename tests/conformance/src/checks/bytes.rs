//! What is written is what is read, and a writer waits for its reader.

use realize_core::transport::Connection;
use tokio::io::{AsyncWrite, AsyncWriteExt, split};
use tokio::time::timeout;

use crate::capabilities::Capabilities;
use crate::content::{Sequence, end, talk};
use crate::failure::{AWHILE, During, Outcome, ensure};
use crate::meeting::End;
use crate::world::World;

/// How many bytes go in each direction.
const MANY: u64 = 64 << 20;

pub(crate) async fn echo(world: &World) -> Outcome {
    let mut pair = world.pair().await?;
    // Twice: a direction that was used goes on.
    for _ in 0..2 {
        talk(&mut pair.near, &mut pair.far).await?;
    }
    Ok(())
}

pub(crate) async fn intact(world: &World) -> Outcome {
    let pair = world.pair().await?;
    let (up, down) = (Sequence::new(1), Sequence::new(2));
    tokio::try_join!(
        exchange(pair.near, End::Dialler, &up, &down),
        exchange(pair.far, End::Listener, &down, &up),
    )?;
    Ok(())
}

async fn exchange(at: Connection, who: End, sent: &Sequence, expected: &Sequence) -> Outcome {
    let (mut reader, mut writer) = split(at.stream);
    let sending = async {
        sent.send(&mut writer, 0, MANY).await?;
        end(&mut writer).await
    };
    let receiving = expected.receive_to_end(&mut reader, MANY);
    let both = async { tokio::try_join!(sending, receiving) };
    both.await.during(format!("at {who}"))?;
    Ok(())
}

/// Writes what `sequence` has until the stream takes no more for a while, and at most `limit` bytes:
/// how many it took.
pub(super) async fn fill(
    stream: &mut (impl AsyncWrite + Unpin),
    sequence: &Sequence,
    limit: u64,
) -> Outcome<u64> {
    let mut chunk = [0; 16 * 1024];
    let mut taken = 0;
    loop {
        sequence.fill(taken, &mut chunk);
        let Ok(written) = timeout(AWHILE, stream.write(&chunk)).await else {
            return Ok(taken);
        };
        taken += written.during("writing")? as u64;
        ensure(taken <= limit, || {
            format!("more than {limit} bytes were taken, and nobody reads")
        })?;
    }
}

pub(crate) async fn writer_waits(world: &World, capabilities: &Capabilities) -> Outcome {
    let sequence = Sequence::new(9);
    for from in End::BOTH {
        let (mut writes, mut reads, _listener) = world.pair().await?.from(from);
        let filling = fill(&mut writes.stream, &sequence, capabilities.ahead).await;
        let taken = filling.during(format!("from {from}"))?;
        // What was taken arrives, and the writer goes on.
        let end = taken + 1_000_003;
        let writing = sequence.send(&mut writes.stream, taken, end);
        let reading = sequence.receive(&mut reads.stream, end);
        let both = async { tokio::try_join!(writing, reading) };
        both.await
            .during(format!("from {from}, after it has waited"))?;
    }
    Ok(())
}
