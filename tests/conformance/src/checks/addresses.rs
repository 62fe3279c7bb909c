//! Where a transport listens, and where nobody does.

use std::time::Duration;

use realize_core::transport::{Endpoint, Listener, TransportError};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep};

use crate::capabilities::Capabilities;
use crate::content::talk;
use crate::failure::{During, Failure, Outcome, SOON, ensure, within};
use crate::world::World;

/// How long after an address was not free it is asked for again.
const BETWEEN: Duration = Duration::from_millis(20);

pub(crate) async fn chosen(world: &World) -> Outcome {
    let (mut one, one_at) = world.listen().await?;
    let (mut other, other_at) = world.listen().await?;
    for at in [&one_at, &other_at] {
        let asked = &world.endpoint;
        ensure(at != asked, || {
            format!(
                "the listener at {asked} says that it is at {at}, which the system is to choose"
            )
        })?;
    }
    ensure(one_at != other_at, || {
        format!("two listeners say that they are at {one_at}")
    })?;
    for listener in [&mut one, &mut other] {
        let (mut near, mut far) = world.meet(listener).await?;
        talk(&mut near, &mut far).await?;
        ensure(
            listener.endpoint() == one_at || listener.endpoint() == other_at,
            || "the address changes".to_owned(),
        )?;
    }
    Ok(())
}

pub(crate) async fn freed(world: &World, capabilities: &Capabilities) -> Outcome {
    let after = "after its listener was dropped";
    let (mut listener, at) = world.listen().await?;
    let (mut near, mut far) = world.meet(&mut listener).await?;
    drop(listener);
    let talking = talk(&mut near, &mut far).await;
    talking.during(format!("a connection goes on {after}"))?;

    let at_once = capabilities.free_at_once.lack().is_none();
    let mut earlier = at_once.then_some((near, far));
    // Twice: an address is freed with each.
    for _ in 0..2 {
        let listening = if at_once {
            world.listen_at(&at).await
        } else {
            listen_soon(world, &at).await
        };
        let (mut listener, again) = listening.during(format!("the address is free {after}"))?;
        ensure(again == at, || {
            format!("{at} was asked for, and {again} was given")
        })?;
        let met = world.meet(&mut listener).await;
        let (mut near, mut far) = met.during("connecting to the one who listens there next")?;
        talk(&mut near, &mut far).await?;
    }
    if let Some((near, far)) = &mut earlier {
        let talking = talk(near, far).await;
        talking.during(format!("a connection goes on {after}"))?;
    }
    Ok(())
}

/// Listens as soon as the address is free.
async fn listen_soon(world: &World, at: &Endpoint) -> Outcome<(Box<dyn Listener>, Endpoint)> {
    let until = Instant::now() + SOON;
    loop {
        match world.listen_at(at).await {
            Err(_) if Instant::now() < until => sleep(BETWEEN).await,
            listening => return listening,
        }
    }
}

pub(crate) async fn nobody(world: &World, capabilities: &Capabilities) -> Outcome {
    let (listener, at) = world.listen().await?;
    drop(listener);
    let reaches = |at: Endpoint| async move {
        let dialler = &world.dialler.transport;
        let dialled = dialler.dial(&at, &world.listener.identity).await;
        match dialled {
            Err(TransportError::Unreachable { endpoint, .. }) => ensure(endpoint == at, || {
                format!("nobody listens at {at}, and {endpoint} cannot be reached")
            }),
            Err(other) => Err(Failure::new(format!(
                "dialling where nobody listens is not Unreachable but {other:?}"
            ))),
            Ok(mut connection) if capabilities.unreachable.lack().is_some() => {
                let mut found = Vec::new();
                let read = connection.stream.read_to_end(&mut found).await;
                ensure(read.is_err() && found.is_empty(), || {
                    format!("nobody listens, and what is read ends in order: {found:?}")
                })
            }
            Ok(_) => Err(Failure::new("nobody listens, and dialling succeeds")),
        }
    };
    within(SOON, "dialling where nobody listens", reaches(at)).await?
}
