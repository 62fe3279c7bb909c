//! Who is at the other end, and who is kept out.

use std::sync::Arc;

use realize_core::transport::{Connection, Endpoint, Transport, TransportError};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::content::talk;
use crate::failure::{AWHILE, During, Failure, Outcome, PATIENCE, ensure, within};
use crate::meeting::{Accepting, dial};
use crate::world::World;

pub(crate) async fn told(world: &World) -> Outcome {
    let pair = world.pair().await?;
    for (end, connection, expected) in [
        ("dialled", &pair.near, &world.listener.identity),
        ("accepted", &pair.far, &world.dialler.identity),
    ] {
        let found = &connection.peer;
        ensure(found == expected, || {
            format!(
                "the end that {end} is told that the other one is {found}, and it is {expected}"
            )
        })?;
    }
    Ok(())
}

pub(crate) async fn unexpected(world: &World) -> Outcome {
    let expected = &world.unexpected;
    let there = &world.listener.identity;
    ensure(expected != there, || {
        "the world has no identity that is unexpected".to_owned()
    })?;
    let (listener, at) = world.listen().await?;
    let mut accepting = Accepting::new(listener);
    match dial(&world.dialler.transport, &at, expected).await? {
        Err(TransportError::Identity { .. }) => {}
        Err(other) => {
            let text =
                format!("{expected} was expected where {there} is: not Identity but {other:?}");
            return Err(Failure::new(text));
        }
        Ok(_) => {
            let text = format!("{expected} was expected where {there} is, and dialling succeeds");
            return Err(Failure::new(text));
        }
    }
    // If the other end has a connection, nothing comes over it.
    while let Ok(arrival) = timeout(AWHILE, accepting.next()).await {
        if let Ok(mut far) = arrival? {
            silent(&mut far).await.during("the one who listens")?;
        }
    }
    Ok(())
}

pub(crate) async fn strangers(world: &World) -> Outcome {
    let (listener, at) = world.listen().await?;
    let mut accepting = Accepting::new(listener);
    if let Some(stranger) = &world.stranger {
        let refused = refused(world, &mut accepting, &stranger.transport, &at).await;
        refused.during("one who was never known")?;
    }
    let dialler = &world.dialler;
    world.known.replace([]).during("knowing nobody")?;
    let refused = refused(world, &mut accepting, &dialler.transport, &at).await;
    refused.during("one who is known no more")?;
    // And who is known is let in.
    let identity = dialler.identity.clone();
    world
        .known
        .replace([identity])
        .during("knowing the dialler")?;
    let both = async { tokio::try_join!(world.dial(&at), accepting.next()) };
    let (mut near, far) = within(PATIENCE, "one who is known connects", both).await??;
    talk(&mut near, &mut far.during("one who is known")?).await
}

/// That whoever has `transport` is not let in and reads nothing.
async fn refused(
    world: &World,
    accepting: &mut Accepting,
    transport: &Arc<dyn Transport>,
    at: &Endpoint,
) -> Outcome {
    // That it is refused may show when it dials, or when it reads.
    if let Ok(mut near) = dial(transport, at, &world.listener.identity).await? {
        tokio::select! {
            let_in = nobody_arrives(accepting) => let_in?,
            silent = silent(&mut near) => silent?,
        }
    }
    timeout(AWHILE, nobody_arrives(accepting))
        .await
        .unwrap_or(Ok(()))
}

/// Waits for somebody who is let in, which is a failure.
async fn nobody_arrives(accepting: &mut Accepting) -> Outcome {
    loop {
        if let Ok(connection) = accepting.next().await? {
            let peer = connection.peer;
            let text = format!("{peer} is not known, and is let in");
            return Err(Failure::new(text));
        }
    }
}

/// That nothing is read but an end or an error.
async fn silent(connection: &mut Connection) -> Outcome {
    let reading = async {
        connection
            .stream
            .read(&mut [0; 64])
            .await
            .unwrap_or_default()
    };
    let count = within(PATIENCE, "reading an end or an error", reading).await?;
    ensure(count == 0, || {
        format!("{count} bytes come from the other end")
    })
}
