//! Where a transport listens, and where nobody does.

use realize_core::transport::{Endpoint, TransportError};
use tokio::io::AsyncReadExt;

use crate::capabilities::Capabilities;
use crate::content::talk;
use crate::failure::{During, Failure, Outcome, SOON, ensure, within};
use crate::world::World;

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

pub(crate) async fn freed(world: &World) -> Outcome {
    let (mut listener, at) = world.listen().await?;
    let (mut near, mut far) = world.meet(&mut listener).await?;
    drop(listener);
    let after = "after its listener was dropped";
    talk(&mut near, &mut far)
        .await
        .during(format!("a connection goes on {after}"))?;

    // Twice: an address is freed with each.
    for _ in 0..2 {
        let listening = world.listen_at(&at).await;
        let (mut listener, again) = listening.during(format!("the address is free {after}"))?;
        ensure(again == at, || {
            format!("{at} was asked for, and {again} was given")
        })?;
        let met = world.meet(&mut listener).await;
        let (mut near, mut far) = met.during("connecting to the one who listens there next")?;
        talk(&mut near, &mut far).await?;
    }
    talk(&mut near, &mut far)
        .await
        .during(format!("a connection goes on {after}"))
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
