//! What `realize move` and `realize copy` count.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{GaugeVec, IntCounter, IntCounterVec, Opts, Registry, Result};
use realize_core::counted::ByteCounts;
use realize_core::engine::{Event, Observer, Status};
use realize_core::entry::Timestamp;
use realize_core::metrics::MoveMetrics;

use super::live::Live;
use super::traffic::{PeerTraffic, Traffic};
use super::{LIMIT, registry};
use crate::commands::About;
use crate::limits::MoverLimits;

/// The metrics of a move, through all its attempts.
#[derive(Clone)]
pub(crate) struct MoverMetrics {
    pub(crate) registry: Registry,
    /// What the engine counts.
    pub(crate) engine: MoveMetrics,
    traffic: Traffic,
    deferred: IntCounter,
    mismatches: IntCounter,
    last_success: GaugeVec,
    directory: String,
    /// The peers at the two ends, where there are some.
    source: Option<Arc<PeerTraffic>>,
    destination: Option<Arc<PeerTraffic>>,
    backlog: Arc<Mutex<Backlog>>,
}

/// What was found at the source and is not done.
#[derive(Debug, Default)]
struct Backlog {
    /// Whether anything is known: the source was listed, at least in part.
    known: bool,
    /// Whether another attempt has begun, which has not listed anything yet.
    again: bool,
    files: u64,
    bytes: u64,
    /// Files in hand.
    begun: HashMap<Vec<u8>, Timestamp>,
    /// The oldest of those that were left there.
    left: Option<Timestamp>,
}

impl Backlog {
    /// Another attempt looks at everything again. Until it does, what is known stays.
    fn begin(&mut self) {
        self.again = true;
    }

    fn note(&mut self, event: Event<'_>) {
        match event {
            Event::Listed { files, bytes } => {
                if std::mem::take(&mut self.again) {
                    *self = Self::default();
                }
                self.known = true;
                self.files = self.files.saturating_add(files);
                self.bytes = self.bytes.saturating_add(bytes);
            }
            Event::Started { path, modified, .. } => {
                self.begun.insert(path.as_bytes().to_vec(), modified);
            }
            Event::Ended(end) => {
                self.begun.remove(end.path);
                if matches!(end.status, Status::Done { .. } | Status::Gone) {
                    self.files = self.files.saturating_sub(1);
                    self.bytes = self.bytes.saturating_sub(end.size);
                } else {
                    self.left = self.left.into_iter().chain(end.modified).min();
                }
            }
            _ => {}
        }
    }

    /// How old the oldest file is that is at the source; zero where there is none.
    fn oldest(&self, now: SystemTime) -> Duration {
        let begun = self.begun.values().copied();
        let oldest = begun.chain(self.left).min();
        oldest.map_or(Duration::ZERO, |modified| modified.age(now))
    }
}

impl MoverMetrics {
    /// Metrics of a move, within these limits.
    ///
    /// # Errors
    /// None that a user could cause.
    pub(crate) fn new(about: &About, limits: &MoverLimits) -> Result<Self> {
        let directory = about.label();
        let registry = registry()?;
        let traffic = Traffic::default();
        traffic.register(&registry)?;
        let deferred = IntCounterVec::new(
            Opts::new(
                "realize_files_deferred_total",
                "Files that were left for the next run, such as those still being written.",
            ),
            &["directory"],
        )?;
        let last_success = GaugeVec::new(
            Opts::new(
                "realize_last_success_timestamp_seconds",
                "When a run last ended with nothing left to do, in seconds since 1970.",
            ),
            &["directory"],
        )?;
        let mismatches = IntCounter::new(
            "realize_verify_mismatches_total",
            "Copies that were read back and were not what was sent. Their sources are intact.",
        )?;
        registry.register(Box::new(deferred.clone()))?;
        registry.register(Box::new(last_success.clone()))?;
        registry.register(Box::new(mismatches.clone()))?;
        let backlog: Arc<Mutex<Backlog>> = Arc::default();
        show_backlog(&registry, &backlog)?;
        let limits = limits.clone();
        Live::register(
            &registry,
            LIMIT,
            &["peer", "direction"],
            move |family: &GaugeVec| {
                for (peer, direction, rate) in limits.in_force() {
                    family
                        .with_label_values(&[peer, direction])
                        .set(rate.get() as f64);
                }
            },
        )?;
        let of = |peer: &Option<String>| peer.as_deref().map(|peer| traffic.of(peer));
        Ok(Self {
            engine: MoveMetrics::register(&registry)?,
            source: of(&about.source),
            destination: of(&about.destination),
            traffic,
            deferred: deferred.with_label_values(&[&directory]),
            mismatches,
            last_success,
            directory,
            backlog,
            registry,
        })
    }

    /// What the connections with a peer count.
    pub(crate) fn wire(&self, peer: &str) -> ByteCounts {
        self.traffic.of(peer).wire.clone()
    }

    /// Another attempt begins.
    pub(crate) fn begin(&self) {
        self.backlog().begin();
    }

    /// The move ended with nothing left to do.
    pub(crate) fn succeeded(&self, now: SystemTime) {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let of_directory = self.last_success.with_label_values(&[&self.directory]);
        of_directory.set(since.as_secs_f64());
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn show_backlog(registry: &Registry, backlog: &Arc<Mutex<Backlog>>) -> Result<()> {
    let look = |backlog: &Arc<Mutex<Backlog>>, at: fn(&Backlog) -> f64| {
        let backlog = Arc::clone(backlog);
        move |family: &GaugeVec| {
            let backlog = backlog.lock().unwrap_or_else(PoisonError::into_inner);
            if backlog.known {
                family.with_label_values::<&str>(&[]).set(at(&backlog));
            }
        }
    };
    let files = (
        "realize_backlog_files",
        "Files that were found at the source and are not done.",
    );
    let bytes = (
        "realize_backlog_bytes",
        "The size of the files that were found at the source and are not done.",
    );
    let oldest = (
        "realize_oldest_pending_seconds",
        "The age, by its time of modification, of the oldest file that was begun or left.",
    );
    Live::register(registry, files, &[], look(backlog, |b| b.files as f64))?;
    Live::register(registry, bytes, &[], look(backlog, |b| b.bytes as f64))?;
    let age = |b: &Backlog| b.oldest(SystemTime::now()).as_secs_f64();
    Live::register(registry, oldest, &[], look(backlog, age))
}

impl Observer for MoverMetrics {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Progress { sent, .. } => {
                if let Some(peer) = &self.source {
                    peer.received(sent);
                }
                if let Some(peer) = &self.destination {
                    peer.sent(sent);
                }
            }
            Event::Mismatch { .. } => self.mismatches.inc(),
            Event::Ended(end) if matches!(end.status, Status::Deferred(_)) => self.deferred.inc(),
            _ => {}
        }
        self.backlog().note(event);
    }
}

#[cfg(test)]
mod tests {
    use realize_core::RelPath;
    use realize_core::engine::FileEnd;
    use realize_core::service::Outcome;

    use super::*;

    const DONE: Status<'static> = Status::Done {
        hash: None,
        outcome: Outcome::Finished,
        renamed: None,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp { seconds, nanos: 0 }
    }

    #[test]
    fn what_is_told_is_counted() {
        let about = About {
            peer: "nas".to_owned(),
            directory: "inbox".to_owned(),
            source: None,
            destination: Some("nas".to_owned()),
        };
        let limits = MoverLimits::new(&realize_config::Config::default(), None, Some("nas"));
        let metrics = MoverMetrics::new(&about, &limits).unwrap();
        let path = RelPath::new("f").unwrap();
        metrics.event(Event::Mismatch { path: &path });
        metrics.event(Event::Progress {
            path: &path,
            bytes: 9,
            sent: 5,
        });
        let page = prometheus::TextEncoder::new()
            .encode_to_string(&metrics.registry.gather())
            .unwrap();
        for line in [
            "realize_verify_mismatches_total 1",
            "realize_bytes_total{direction=\"up\",kind=\"logical\",peer=\"nas\"} 5",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
    }

    #[test]
    fn the_backlog_is_what_is_not_done_and_the_oldest_of_it() {
        let mut backlog = Backlog::default();
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        assert_eq!(backlog.oldest(now), Duration::ZERO);
        backlog.note(Event::Listed {
            files: 3,
            bytes: 60,
        });
        let ended = |path: &'static str, size, seconds, status| {
            let (path, modified) = (path.as_bytes(), Some(at(seconds)));
            FileEnd {
                path,
                size,
                modified,
                status,
            }
        };
        let path = RelPath::new("old").unwrap();
        backlog.note(Event::Started {
            path: &path,
            size: 10,
            modified: at(100),
        });
        assert_eq!(backlog.oldest(now), Duration::from_secs(900));
        backlog.note(Event::Ended(&ended("old", 10, 100, DONE)));
        assert_eq!(backlog.oldest(now), Duration::ZERO);
        let deferred = Status::Deferred("it is young");
        backlog.note(Event::Ended(&ended("young", 20, 990, deferred)));
        backlog.note(Event::Ended(&ended("less", 30, 980, deferred)));
        assert_eq!((backlog.files, backlog.bytes), (2, 50));
        assert_eq!(backlog.oldest(now), Duration::from_secs(20));
        // An attempt that does not come as far as a listing knows no better.
        backlog.begin();
        assert_eq!(backlog.oldest(now), Duration::from_secs(20));
        backlog.note(Event::Listed { files: 0, bytes: 0 });
        assert_eq!(backlog.oldest(now), Duration::ZERO);
    }
}
