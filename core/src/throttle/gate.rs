//! The throttles that bytes have to pass, and where one direction of a stream stands with them.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;

use super::Throttle;

/// Throttles, each of which has to grant what passes. Clones share them. More can be added while
/// streams are held to them: a connection learns after its handshake whose it is.
#[derive(Clone, Debug, Default)]
pub struct Throttles(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    list: RwLock<Vec<Arc<dyn Throttle>>>,
    /// How many there are, to be seen without the lock. None is ever taken away.
    count: AtomicUsize,
}

impl Throttles {
    /// These throttles, asked in this order: the narrowest first, so that what the others grant does
    /// not lie about.
    pub fn new(throttles: impl IntoIterator<Item = Arc<dyn Throttle>>) -> Self {
        let list: Vec<_> = throttles.into_iter().collect();
        Self(Arc::new(Shared {
            count: AtomicUsize::new(list.len()),
            list: RwLock::new(list),
        }))
    }

    /// Adds `throttle` for every clone, to be asked after those that are there. A write that waits
    /// already has to be granted by it too.
    pub fn add(&self, throttle: Arc<dyn Throttle>) {
        let mut list = self.0.list.write().unwrap_or_else(PoisonError::into_inner);
        list.push(throttle);
        self.0.count.store(list.len(), Ordering::Release);
    }
}

/// One direction of a stream.
pub(super) struct Gate {
    throttles: Throttles,
    /// A copy, until more are added.
    known: Vec<Known>,
    /// A permit that is being waited for, of the throttle with that index.
    waiting: Option<(usize, BoxFuture<'static, u64>)>,
}

struct Known {
    throttle: Arc<dyn Throttle>,
    /// Bytes that it has granted and that have not passed yet.
    granted: u64,
}

impl Gate {
    pub(super) fn new(throttles: Throttles) -> Self {
        Self {
            throttles,
            known: Vec::new(),
            waiting: None,
        }
    }

    /// How many bytes are asked for at a time; `None` if nothing limits them.
    pub(super) fn slice(&mut self) -> Option<u64> {
        if self.known.len() != self.throttles.0.count.load(Ordering::Acquire) {
            let list = self.throttles.0.list.read();
            let list = list.unwrap_or_else(PoisonError::into_inner);
            let added = list.iter().skip(self.known.len()).map(|added| Known {
                throttle: Arc::clone(added),
                granted: 0,
            });
            self.known.extend(added);
        }
        let slices = self.known.iter().filter_map(|known| known.throttle.slice());
        slices.min()
    }

    /// Waits until some of `wanted` bytes may pass, and says how many; `None` if nothing limits them.
    /// They are kept until they [`pass`](Self::pass).
    pub(super) fn poll_grant(
        &mut self,
        context: &mut Context<'_>,
        wanted: usize,
    ) -> Poll<Option<usize>> {
        loop {
            if let Some((of, permit)) = &mut self.waiting {
                let granted = ready!(permit.as_mut().poll(context));
                if let Some(known) = self.known.get_mut(*of) {
                    known.granted += granted;
                }
                self.waiting = None;
            }
            let Some(slice) = self.slice() else {
                return Poll::Ready(None);
            };
            let piece = usize::try_from(slice).map_or(wanted, |slice| slice.min(wanted));
            if self.ask(u64::try_from(piece).unwrap_or(u64::MAX)) {
                return Poll::Ready(Some(piece));
            }
        }
    }

    /// Has each throttle grant `bytes`, in turn. False if one of them has to be waited for.
    fn ask(&mut self, bytes: u64) -> bool {
        for (of, known) in self.known.iter_mut().enumerate() {
            let missing = bytes.saturating_sub(known.granted);
            if missing == 0 || known.throttle.rate().is_none() {
                continue;
            }
            if !known.throttle.try_permit(missing) {
                let throttle = Arc::clone(&known.throttle);
                let permit = async move { throttle.permit(missing).await };
                self.waiting = Some((of, Box::pin(permit)));
                return false;
            }
            known.granted += missing;
        }
        true
    }

    /// `bytes` of what was granted have passed.
    pub(super) fn pass(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        for known in &mut self.known {
            known.granted = known.granted.saturating_sub(bytes);
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let granted = self.known.iter().map(|known| known.granted);
        f.debug_struct("Gate")
            .field("throttles", &self.throttles)
            .field("granted", &granted.collect::<Vec<_>>())
            .field("waits_for", &self.waiting.as_ref().map(|(of, _)| of))
            .finish()
    }
}
