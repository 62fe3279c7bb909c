//! Dialling a name that has several addresses: they are tried beside each other, each a moment after
//! the one before, for one that swallows what is sent to it says nothing for a long time (RFC 8305,
//! section 5).

use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep;

/// How long an address has before the next one is tried beside it: 500 ms.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(500);

/// What `dial` answers first that is no error, of those that it answers at `addresses`; or else the
/// error that came last, or one that `is_final`, which no other address can mend. `None` if there are
/// no addresses. Cancel safe, if `dial` is: all that is under way is dropped, as it is when one has
/// answered.
pub async fn first_of<T, E, F>(
    addresses: &[SocketAddr],
    dial: impl Fn(SocketAddr) -> F,
    is_final: impl Fn(&E) -> bool,
) -> Option<Result<T, E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut rest = addresses.iter().copied();
    let mut dialling = FuturesUnordered::new();
    let mut last = None;
    loop {
        let next = rest.next();
        let is_more = next.is_some();
        dialling.extend(next.map(&dial));
        tokio::select! {
            biased;
            answer = dialling.next() => match answer {
                Some(Err(error)) if !is_final(&error) => last = Some(Err(error)),
                Some(answer) => return Some(answer),
                None => return last,
            },
            () = sleep(ATTEMPT_DELAY), if is_more => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use tokio::time::Instant;

    use super::*;

    /// What happens at an address, by its port: nothing for ever, an error, or an answer, after as many
    /// milliseconds.
    async fn dial(address: SocketAddr) -> Result<u16, u16> {
        let port = address.port();
        sleep(Duration::from_millis(u64::from(port % 1000))).await;
        match port / 1000 {
            0 => std::future::pending().await,
            1 => Err(port),
            _ => Ok(port),
        }
    }

    async fn race(ports: &[u16]) -> (Option<Result<u16, u16>>, Duration) {
        let address = |port: &u16| SocketAddr::from(([192, 0, 2, 1], *port));
        let addresses: Vec<_> = ports.iter().map(address).collect();
        let since = Instant::now();
        let answer = first_of(&addresses, dial, |error| *error == 1999).await;
        (answer, since.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_keeps_nobody_waiting_for_long() {
        let (answer, took) = race(&[0, 0, 0, 2010]).await;
        assert_eq!(answer, Some(Ok(2010)));
        assert_eq!(took, ATTEMPT_DELAY * 3 + Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_error_the_next_is_tried_at_once() {
        let (answer, took) = race(&[1001, 1001, 2001]).await;
        assert_eq!((answer, took), (Some(Ok(2001)), Duration::from_millis(3)));
        let (answer, _) = race(&[1001, 1002]).await;
        assert_eq!(answer, Some(Err(1002)));
        assert_eq!(race(&[]).await.0, None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_slow_may_still_be_the_first() {
        let (answer, took) = race(&[2700, 2600]).await;
        assert_eq!((answer, took), (Some(Ok(2700)), Duration::from_millis(700)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_other_address_can_mend_ends_it() {
        let (answer, took) = race(&[0, 1999, 0]).await;
        assert_eq!(answer, Some(Err(1999)));
        assert!(took < Duration::from_millis(1500), "{took:?}");
    }
}
