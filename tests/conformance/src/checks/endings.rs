//! How a stream ends: in order, in one direction, or without a word.

use std::io;

use realize_core::transport::Duplex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::bytes::fill;
use crate::capabilities::Capabilities;
use crate::content::{Sequence, end, ended};
use crate::failure::{During, Outcome, PATIENCE, SOON, ensure, within};
use crate::meeting::End;
use crate::world::World;

pub(crate) async fn nothing_is_lost_at_the_end(world: &World) -> Outcome {
    for from in End::BOTH {
        few(world, from).await.during(format!("from {from}"))?;
        many(world, from).await.during(format!("from {from}"))?;
    }
    Ok(())
}

/// A few bytes that are not flushed, and are read when the writer is gone.
async fn few(world: &World, from: End) -> Outcome {
    let (mut writes, mut reads, _listener) = world.pair().await?.from(from);
    let few = [7; 1000];
    let writing = within(PATIENCE, "writing", writes.stream.write_all(&few)).await?;
    writing.during("writing")?;
    end(&mut writes.stream).await?;
    drop(writes);
    let mut found = Vec::new();
    let reading = reads.stream.read_to_end(&mut found);
    let read = within(PATIENCE, "reading to the end", reading).await?;
    read.during("reading to the end")?;
    ensure(found == few, || {
        format!("{} of 1000 bytes arrived before the end", found.len())
    })
}

/// Many bytes, and the writer goes as soon as it has ended the stream.
async fn many(world: &World, from: End) -> Outcome {
    let sequence = Sequence::new(3);
    let (mut writes, mut reads, _listener) = world.pair().await?.from(from);
    let many = 3_000_017;
    let writing = async {
        sequence.send(&mut writes.stream, 0, many).await?;
        end(&mut writes.stream).await?;
        drop(writes);
        Ok(())
    };
    let reading = sequence.receive_to_end(&mut reads.stream, many);
    tokio::try_join!(writing, reading)?;
    Ok(())
}

pub(crate) async fn dialler_ends(world: &World) -> Outcome {
    one_ends(world, End::Dialler).await
}

pub(crate) async fn listener_ends(world: &World) -> Outcome {
    one_ends(world, End::Listener).await
}

/// That `first` ends its direction, and gets the answer in the other.
async fn one_ends(world: &World, first: End) -> Outcome {
    let (mut ends, mut answers, _listener) = world.pair().await?.from(first);
    let (asked, answered) = (Sequence::new(4), Sequence::new(5));
    asked.send(&mut ends.stream, 0, 5).await?;
    end(&mut ends.stream).await?;
    let hearing = asked.receive_to_end(&mut answers.stream, 5).await;
    hearing.during("the other end reads to the end")?;
    // More than what may be on its way at once.
    let long = 3_000_017;
    let answering = async {
        answered.send(&mut answers.stream, 0, long).await?;
        end(&mut answers.stream).await
    };
    let hearing = answered.receive_to_end(&mut ends.stream, long);
    let both = async { tokio::try_join!(answering, hearing) };
    both.await.during("the other end answers")?;
    Ok(())
}

pub(crate) async fn reader_sees(world: &World) -> Outcome {
    for stays in End::BOTH {
        let (mut stays_here, goes, _listener) = world.pair().await?.from(stays);
        let going = async {
            // While the other one waits for bytes.
            tokio::task::yield_now().await;
            drop(goes);
        };
        let reading = read_on(&mut stays_here.stream);
        let both = async { tokio::join!(reading, going) };
        let what = format!("{stays} reads that the other end is gone");
        let (read, ()) = within(2 * SOON, &what, both).await?;
        // An error says so too.
        let count = read.unwrap_or_default();
        ensure(count == 0, || format!("{what}: it read {count} bytes"))?;
    }
    Ok(())
}

/// What the next read gives.
async fn read_on(stream: &mut Box<dyn Duplex>) -> io::Result<usize> {
    stream.read(&mut [0; 64]).await
}

pub(crate) async fn writer_sees(world: &World, capabilities: &Capabilities) -> Outcome {
    for stays in End::BOTH {
        for waits in [false, true] {
            let (mut stays_here, goes, _listener) = world.pair().await?.from(stays);
            if waits {
                let sequence = Sequence::new(10);
                fill(&mut stays_here.stream, &sequence, capabilities.ahead).await?;
            }
            drop(goes);
            let writing = until_refused(&mut stays_here.stream, capabilities.ahead);
            let after = if waits { " that has waited" } else { "" };
            let what = format!("{stays}, as a writer{after}, sees that the other end is gone");
            let written = within(2 * SOON, &what, writing).await?;
            written.during(what)?;
        }
    }
    Ok(())
}

/// Writes until that fails, which it does once no more than `ahead` bytes are on their way.
async fn until_refused(stream: &mut Box<dyn Duplex>, ahead: u64) -> Outcome {
    let chunk = [1; 4096];
    let mut written = 0;
    while stream.write_all(&chunk).await.is_ok() {
        written += chunk.len() as u64;
        ensure(written <= 2 * ahead, || {
            "it goes on taking bytes".to_owned()
        })?;
    }
    Ok(())
}

pub(crate) async fn not_ended(world: &World) -> Outcome {
    let sequence = Sequence::new(6);
    for goes in End::BOTH {
        for sent in [0, 4] {
            let (mut goes_away, mut reads, _listener) = world.pair().await?.from(goes);
            sequence.send(&mut goes_away.stream, 0, sent).await?;
            drop(goes_away);
            // What was flushed may be lost with the connection, and nothing else may come.
            for time in 1..=3 {
                let what = "reading from an end that is gone";
                let read = within(2 * SOON, what, read_on(&mut reads.stream)).await?;
                ensure(read.is_err() || read.is_ok_and(|count| count > 0), || {
                    format!(
                        "{goes} went without ending the stream, after {sent} bytes, and read {time} \
                         reads as ended"
                    )
                })?;
            }
        }
        // What tells an end from none is that there is one.
        let (mut ends, mut reads, _listener) = world.pair().await?.from(goes);
        end(&mut ends.stream).await?;
        ended(&mut reads.stream).await?;
    }
    Ok(())
}
