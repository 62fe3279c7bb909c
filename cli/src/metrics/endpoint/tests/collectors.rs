//! Collectors that hang, or panic.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc as blocking};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, advance};

use super::*;

/// A collector that does as it is told each time.
struct Told<F> {
    desc: Desc,
    collect: F,
}

impl<F: Fn() + Send + Sync> Told<F> {
    fn new(collect: F) -> Self {
        let desc = Desc::new("told".into(), "Nothing.".into(), Vec::new(), HashMap::new()).unwrap();
        Self { desc, collect }
    }
}

impl<F: Fn() + Send + Sync> Collector for Told<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        (self.collect)();
        Vec::new()
    }
}

/// How long a collector hangs at most: a test that is about to fail is to do so.
const HANGING: Duration = Duration::from_secs(10);

/// A collector that hangs until it is told to go on, or nobody can tell it any more; not twice for
/// long.
fn hanging() -> (Registry, blocking::Sender<()>, Arc<AtomicUsize>) {
    let registry = registry();
    let (go_on, told) = blocking::channel();
    let entered = Arc::new(AtomicUsize::new(0));
    let (told, counted) = (Mutex::new(Some(told)), Arc::clone(&entered));
    let collector = Told::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let mut told = told.lock().unwrap();
        let went_on = |told: &blocking::Receiver<()>| told.recv_timeout(HANGING).is_ok();
        if !told.as_ref().is_none_or(went_on) {
            *told = None;
        }
    });
    registry.register(Box::new(collector)).unwrap();
    (registry, go_on, entered)
}

/// Has everything happen that happens without time passing.
async fn settle() {
    for _ in 0..1000 {
        yield_now().await;
    }
}

/// Waits until a collector has been asked: that is on a thread, whose time passes.
fn until_asked(entered: &AtomicUsize) {
    let until = std::time::Instant::now() + HANGING;
    while entered.load(Ordering::SeqCst) == 0 {
        assert!(std::time::Instant::now() < until, "nobody was asked");
        std::thread::yield_now();
    }
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_hangs_leaves_the_endpoint_answerable() {
    let (registry, go_on, entered) = hanging();
    let served = Arc::new(Served::new(registry));
    let scrape = || {
        let served = Arc::clone(&served);
        tokio::spawn(async move { served.ask(SCRAPE).await })
    };
    let first = scrape();
    settle().await;
    until_asked(&entered);
    assert_eq!(parts(&served.ask(PROBE).await).2, "ok");
    assert!(!first.is_finished());

    // Time does not pass by itself while a thread is blocked.
    advance(GATHERING).await;
    let answer = first.await.unwrap();
    let (status, _, body) = parts(&answer);
    assert_eq!(status, "503 Service Unavailable");
    assert_eq!(body, "gathering the metrics took longer than 5 s\n");

    // The one that hangs is the only one.
    let others = [scrape(), scrape()];
    settle().await;
    advance(GATHERING).await;
    for other in others {
        assert_eq!(parts(&other.await.unwrap()).0, "503 Service Unavailable");
    }
    assert_eq!(entered.load(Ordering::SeqCst), 1);

    drop(go_on);
    assert_eq!(parts(&served.ask(SCRAPE).await).2, PAGE);
}

#[tokio::test(start_paused = true)]
async fn who_comes_when_all_wait_for_a_page_is_answered_after_them() {
    let (registry, _go_on, _) = hanging();
    let served = Arc::new(Served::new(registry));
    let mut scrapes = JoinSet::new();
    for _ in 0..MAX_CONNECTIONS {
        let served = Arc::clone(&served);
        scrapes.spawn(async move { served.ask(SCRAPE).await });
    }
    settle().await;
    let mut probe = served.dial().await;
    probe.write_all(PROBE.as_bytes()).await.unwrap();
    settle().await;
    let started = Instant::now();
    advance(GATHERING).await;
    assert_eq!(parts(&rest(&mut probe).await).2, "ok");
    for answer in scrapes.join_all().await {
        assert_eq!(parts(&answer).0, "503 Service Unavailable");
    }
    assert!(started.elapsed() < GATHERING + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_panics_costs_one_page() {
    let registry = registry();
    let first = AtomicUsize::new(0);
    let collector = Told::new(move || {
        assert_ne!(first.fetch_add(1, Ordering::SeqCst), 0, "this is meant");
    });
    registry.register(Box::new(collector)).unwrap();
    let served = Served::new(registry);
    let answer = served.ask(SCRAPE).await;
    assert_eq!(parts(&answer).0, "500 Internal Server Error");
    assert_eq!(parts(&served.ask(SCRAPE).await).2, PAGE);
}
