//! Many connections at once.

use std::sync::Arc;

use realize_core::transport::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::sync::{Barrier, Semaphore};
use tokio::task::JoinSet;

use super::bytes::fill;
use crate::capabilities::Capabilities;
use crate::content::{Sequence, end, talk};
use crate::failure::{During, Failure, Outcome, PATIENCE, ensure, within};
use crate::meeting::Accepting;
use crate::world::World;

/// How many connections stand at once.
const CONNECTIONS: u64 = 100;
/// How many connections are not read.
const UNREAD: usize = 5;
/// How many bytes go over each, in each direction.
const EACH: u64 = 200_003;

pub(crate) async fn hundred(world: &World, capabilities: &Capabilities) -> Outcome {
    let (listener, at) = world.listen().await?;
    let mut accepting = Accepting::new(listener);
    let (places, standing) = (
        Arc::new(Semaphore::new(capabilities.dials)),
        Arc::new(Barrier::new(2 * CONNECTIONS as usize)),
    );
    let mut ends = JoinSet::new();
    for number in 0..CONNECTIONS {
        let (dialler, at) = (world.dialler.transport.clone(), at.clone());
        let expected = world.listener.identity.clone();
        let (places, standing) = (places.clone(), standing.clone());
        ends.spawn(async move {
            let place = places.acquire().await.during("waiting to dial")?;
            let dialled = crate::meeting::dial(&dialler, &at, &expected).await?;
            let mut connection = dialled.during(format!("dialling for connection {number}"))?;
            say(&mut connection, number).await?;
            // Whoever answers has let it in.
            let answered = hear(&mut connection).await?;
            ensure(answered == number, || {
                format!("connection {number} is answered as {answered}")
            })?;
            drop(place);
            let all = within(PATIENCE, "all connections stand", standing.wait());
            all.await?;
            exchange(connection, number, 2 * number, 2 * number + 1).await
        });
    }
    let mut accepted = 0;
    while accepted < CONNECTIONS {
        tokio::select! {
            arrival = accepting.next() => {
                let mut connection = arrival?.during("accepting")?;
                let standing = standing.clone();
                ends.spawn(async move {
                    let number = hear(&mut connection).await?;
                    say(&mut connection, number).await?;
                    let all = within(PATIENCE, "all connections stand", standing.wait());
                    all.await?;
                    exchange(connection, number, 2 * number + 1, 2 * number).await
                });
                accepted += 1;
            }
            Some(done) = ends.join_next() => finished(done)?,
        }
    }
    while let Some(done) = ends.join_next().await {
        finished(done)?;
    }
    Ok(())
}

/// That connections whose bytes nobody reads hold up no other.
pub(crate) async fn unread(world: &World, capabilities: &Capabilities) -> Outcome {
    let (mut listener, _) = world.listen().await?;
    let sequence = Sequence::new(11);
    let mut held = Vec::new();
    for number in 0..UNREAD {
        let (mut near, mut far) = world.meet(&mut listener).await?;
        for writes in [&mut near, &mut far] {
            let filling = fill(&mut writes.stream, &sequence, capabilities.ahead);
            filling.await.during(format!("connection {number}"))?;
        }
        held.push((near, far));
    }
    let talking = async {
        let (mut near, mut far) = world.meet(&mut listener).await?;
        talk(&mut near, &mut far).await
    };
    talking
        .await
        .during(format!("{UNREAD} connections are not read"))
}

fn finished(done: Result<Outcome, tokio::task::JoinError>) -> Outcome {
    done.map_err(Failure::new)?
}

async fn say(connection: &mut Connection, number: u64) -> Outcome {
    let writing = async {
        connection.stream.write_u64(number).await?;
        connection.stream.flush().await
    };
    let written = within(PATIENCE, "saying its number", writing).await?;
    written.during("saying its number")
}

async fn hear(connection: &mut Connection) -> Outcome<u64> {
    let reading = connection.stream.read_u64();
    let read = within(PATIENCE, "hearing its number", reading).await?;
    read.during("hearing its number")
}

/// Sends the bytes of one seed, and receives those of the other.
async fn exchange(connection: Connection, number: u64, sends: u64, expects: u64) -> Outcome {
    let (mut reader, mut writer) = split(connection.stream);
    let sending = async {
        Sequence::new(sends).send(&mut writer, 0, EACH).await?;
        end(&mut writer).await
    };
    let expected = Sequence::new(expects);
    let receiving = expected.receive_to_end(&mut reader, EACH);
    let both = async { tokio::try_join!(sending, receiving) };
    both.await.during(format!("connection {number}"))?;
    Ok(())
}
