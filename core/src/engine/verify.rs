//! Comparing two sides by content.

use futures::stream::{self, StreamExt};

use crate::entry::{Entry, EntryKind};
use crate::error::{Error, ErrorKind, Result};
use crate::hash::Digest;
use crate::path::RelPath;
use crate::service::{List, Offer, Present, PresentKind, Service};

use super::offered::offer;
use super::options::MoveOptions;
use super::plan::{Choice, Item, choose};
use super::report::{Event, Failure, FileEnd, Observer, Status};
use super::{complete, hash_whole, source_hash};
use crate::service::Outcome;

/// How many files are looked at together.
const CHECKS: usize = 8;

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Files of the source that the destination has with the same content.
    pub same: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Files that the destination lacks or has with other content.
    pub different: u64,
    /// Files that could not be compared.
    pub failed: u64,
    /// How many of them because one of the two ends does not allow it.
    pub forbidden: u64,
}

/// Compares every file of `source` with the one of its name at `destination`, by content; changes
/// nothing. What only the destination has is not looked at: it may hold more than one source's.
/// Of `options`, those say what is meant that choose files.
///
/// # Errors
/// A listing that cannot begin, a connection that is lost.
pub async fn verify_files(
    source: &dyn Service,
    destination: &dyn Service,
    options: &MoveOptions,
    observer: &dyn Observer,
) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    let mut list = List {
        within: options.within.clone(),
        files: true,
        ..List::default()
    };
    loop {
        let page = source.list(list.clone()).await?;
        list.cursor = page.next;
        for failure in page.failures {
            if !options.filter.excludes(&failure.path) {
                report.add(observer, &failure.path, 0, Err(failure.error));
            }
        }
        let mut items = Vec::new();
        for entry in page.entries {
            match choose(&entry, options) {
                Choice::Offer => items.push(Item::new(entry)),
                Choice::Skip | Choice::Defer(_) => {}
                Choice::Fail(error) => report.add(observer, entry.path.as_bytes(), 0, Err(error)),
            }
        }
        let offers: Vec<Offer> = items.iter().map(offer).collect();
        let answers = if offers.is_empty() {
            Vec::new()
        } else {
            destination.offer(offers).await?
        };
        let answers = complete(items.len(), answers, "offer")?;
        for (item, answer) in items.iter().zip(answers) {
            let compared = match answer {
                Ok(answer) => compare(source, destination, item, &answer.present).await,
                Err(error) => Err(error),
            };
            match compared {
                Err(error) if error.kind().is_retryable() => return Err(error),
                compared => report.add(
                    observer,
                    item.entry.path.as_bytes(),
                    item.entry.size,
                    compared,
                ),
            }
        }
        if list.cursor.is_none() {
            return Ok(report);
        }
    }
}

/// What a file is to be at a destination, by a record of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its path.
    pub path: RelPath,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its hash; a link's is that of its target.
    pub hash: Digest,
}

/// Compares what `destination` has with what is `expected` of it, by content; changes nothing.
///
/// # Errors
/// A connection that is lost.
pub async fn verify_expected(
    destination: &dyn Service,
    expected: Vec<Expected>,
    observer: &dyn Observer,
) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    let checks = expected.into_iter().map(|file| async move {
        let compared = check(destination, &file).await;
        (file, compared)
    });
    let mut checks = stream::iter(checks).buffered(CHECKS);
    while let Some((file, compared)) = checks.next().await {
        match compared {
            Err(error) if error.kind().is_retryable() => return Err(error),
            compared => report.add(observer, file.path.as_bytes(), file.bytes, compared),
        }
    }
    Ok(report)
}

/// The hash that a file has; an error of kind `Mismatch` says that it is not what is expected.
async fn check(destination: &dyn Service, expected: &Expected) -> Result<Digest> {
    let path = &expected.path;
    let differ = |what: &str| Err(Error::new(ErrorKind::Mismatch, what).at(path));
    let list = List {
        within: Some(path.clone()),
        files: true,
        ..List::default()
    };
    let found = match destination.list(list).await {
        Ok(page) => page.entries.into_iter().find(|entry| entry.path == *path),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let hash = match found {
        None => return differ("the destination does not have it"),
        Some(Entry {
            kind: EntryKind::Link { target },
            ..
        }) => Digest::of_link(&target),
        Some(entry) if !matches!(entry.kind, EntryKind::File { .. }) => {
            return differ("the destination has something else under its name");
        }
        Some(entry) if entry.size != expected.bytes => {
            return differ("the destination has it in another size");
        }
        Some(entry) => hash_whole(destination, &entry).await?,
    };
    if hash == expected.hash {
        return Ok(hash);
    }
    differ("the destination has other content under its name")
}

/// The hash that both sides have; an error of kind `Mismatch` says that they differ.
async fn compare(
    source: &dyn Service,
    destination: &dyn Service,
    item: &Item,
    present: &Present,
) -> Result<Digest> {
    let differ = |what: &str| Err(Error::new(ErrorKind::Mismatch, what).at(&item.entry.path));
    let version = match present {
        Present::Absent => return differ("the destination does not have it"),
        Present::Collides(_) => return differ("the destination has it under another name"),
        Present::Perhaps(version) => version,
        Present::Differs {
            version,
            kind,
            size,
        } => {
            let kind_fits = match item.link() {
                Some(_) => *kind == PresentKind::Link,
                None => *kind == PresentKind::File,
            };
            if !kind_fits || *size != item.entry.size {
                return differ("the destination has other content under its name");
            }
            version
        }
    };
    let theirs = match item.link() {
        Some(_) => Digest::of_link(&link_target(destination, &item.target).await?),
        None => {
            let entry = Entry {
                version: version.clone(),
                ..item.entry.clone()
            };
            hash_whole(destination, &entry).await?
        }
    };
    let ours = source_hash(source, item).await?;
    if ours == theirs {
        return Ok(ours);
    }
    differ("the destination has other content under its name")
}

/// Where the link at `path` points, as a listing of it says.
async fn link_target(service: &dyn Service, path: &RelPath) -> Result<Vec<u8>> {
    let list = List {
        within: Some(path.clone()),
        files: true,
        ..List::default()
    };
    let found = service
        .list(list)
        .await?
        .entries
        .pop()
        .map(|entry| entry.kind);
    match found {
        Some(EntryKind::Link { target }) => Ok(target),
        _ => Err(Error::new(ErrorKind::Changed, "it is no link any more").at(path)),
    }
}

impl VerifyReport {
    fn add(&mut self, observer: &dyn Observer, path: &[u8], size: u64, compared: Result<Digest>) {
        let end = |status| {
            let modified = None;
            observer.event(Event::Ended(&FileEnd {
                path,
                size,
                modified,
                status,
            }));
        };
        match compared {
            Ok(hash) => {
                self.same = self.same.saturating_add(1);
                self.bytes = self.bytes.saturating_add(size);
                let (hash, outcome) = (Some(hash), Outcome::Identical);
                end(Status::Done {
                    hash,
                    outcome,
                    renamed: None,
                });
            }
            Err(error) => {
                match error.kind() {
                    ErrorKind::Mismatch => self.different = self.different.saturating_add(1),
                    kind => {
                        self.failed = self.failed.saturating_add(1);
                        if kind == ErrorKind::Forbidden {
                            self.forbidden = self.forbidden.saturating_add(1);
                        }
                    }
                }
                let failure = Failure {
                    path: path.to_vec(),
                    error,
                    copied: false,
                };
                end(Status::Failed(&failure));
            }
        }
    }
}
