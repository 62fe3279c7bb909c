//! Whoever accepts waits for nobody in particular, and may stop at any moment.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use realize_core::transport::Listener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::content::talk;
use crate::failure::{AWHILE, During, Failure, Outcome, PATIENCE, SOON, ensure, within};
use crate::meeting::Accepting;
use crate::world::{Stalled, World};

/// How many connections come while accepting is cancelled again and again.
const COMING: u8 = 16;
/// How often accepting is cancelled before it is waited for.
const CANCELLED: usize = 10_000;
/// How many clients stall, of each kind.
const STALLING: usize = 4;

pub(crate) async fn cancelled(world: &World) -> Outcome {
    let (mut listener, at) = world.listen().await?;
    for number in 0..COMING {
        // Nobody comes, and it is given up.
        for polls in 1..4 {
            let accepted = polled(listener.accept(), polls).await;
            ensure(accepted.is_none(), || {
                "somebody was accepted, and nobody dialled".to_owned()
            })?;
        }
        let dialling = async {
            let mut near = world.dial(&at).await?;
            let writing = async {
                near.stream.write_u8(number).await?;
                near.stream.flush().await
            };
            writing.await.during("writing")?;
            Ok(near)
        };
        let accepting = async {
            let handshake = accepted_at_last(&mut listener).await?;
            let mut far = handshake.await.during("the accepted handshake")?;
            let read = far.stream.read_u8().await.during("reading")?;
            ensure(read == number, || {
                format!("connection {number} came as {read}")
            })
        };
        let both = async { tokio::try_join!(dialling, accepting) };
        let what = format!("connection {number} comes, while accepting is cancelled");
        within(PATIENCE, what, both).await??;
    }
    Ok(())
}

/// Accepts after having been cancelled many times, after one poll or several.
async fn accepted_at_last(
    listener: &mut Box<dyn Listener>,
) -> Outcome<realize_core::transport::Handshake> {
    for round in 0..CANCELLED {
        if let Some(accepted) = polled(listener.accept(), 1 + round % 3).await {
            return accepted.during("accepting");
        }
        tokio::task::yield_now().await;
    }
    listener.accept().await.during("accepting")
}

/// What `future` is ready with, if it is after being polled so many times; it is dropped then.
async fn polled<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        let once = poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
        if let Poll::Ready(done) = once.await {
            return Some(done);
        }
    }
    None
}

pub(crate) async fn not_driven(world: &World) -> Outcome {
    let (mut listener, at) = world.listen().await?;
    let first = async { world.dial(&at).await };
    let rest = async {
        let accepted = within(PATIENCE, "accepting the first", listener.accept()).await?;
        let waits = accepted.during("accepting the first")?;
        // The second is done before anybody looks at the first.
        let (mut near, mut far) = within(SOON, "the second connects", world.meet(&mut listener))
            .await
            .and_then(|met| met)
            .during("the first handshake is not driven")?;
        talk(&mut near, &mut far).await?;
        waits.await.during("the first handshake, driven late")
    };
    let (mut near, mut far) = tokio::try_join!(first, rest)?;
    talk(&mut near, &mut far).await
}

pub(crate) async fn stalled(world: &World) -> Outcome {
    let Some(stall) = &world.stall else {
        let text = "a handshake is claimed, and the world has no clients that stall in one";
        return Err(Failure::new(text));
    };
    let (listener, at) = world.listen().await?;
    let mut accepting = Accepting::new(listener);
    let mut held: Vec<Stalled> = Vec::new();
    for _ in 0..STALLING {
        let begun = within(PATIENCE, "a client stalls", stall.begin(at.clone())).await?;
        held.push(begun.during("a client stalls")?);
    }
    // Diallers of the transport's own, which stop after so many steps. They are another machine's, if
    // there is one: what a machine does not go on with may hold up itself.
    let stalls = world.stranger.as_ref().unwrap_or(&world.dialler);
    for steps in 1..=STALLING {
        let (dialler, at) = (stalls.transport.clone(), at.clone());
        let expected = world.listener.identity.clone();
        let mut dialling: Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(async move { dialler.dial(&at, &expected).await });
        let mut left = steps;
        let stepping = poll_fn(|context| {
            left -= 1;
            match dialling.as_mut().poll(context) {
                Poll::Ready(dialled) => Poll::Ready(Some(dialled)),
                Poll::Pending if left == 0 => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        match timeout(AWHILE, stepping).await {
            Ok(Some(dialled)) => held.push(Box::new(dialled)),
            Ok(None) | Err(_) => held.push(Box::new(dialling)),
        }
    }
    let mut near = within(
        SOON,
        "another one dials, while clients stall",
        world.dial(&at),
    )
    .await??;
    near.stream.write_all(b"honest").await.during("writing")?;
    near.stream.flush().await.during("flushing")?;
    // Some of those that stall may be let in. They say nothing.
    let looking = async {
        let mut heard = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                arrival = accepting.next() => if let Ok(mut far) = arrival? {
                    heard.spawn(async move {
                        let mut word = [0; 6];
                        far.stream.read_exact(&mut word).await.is_ok_and(|_| word == *b"honest")
                    });
                },
                Some(word) = heard.join_next() => if word.unwrap_or_default() {
                    return Ok(());
                },
            }
        }
    };
    within(SOON, "another one is let in, while clients stall", looking).await?
}
