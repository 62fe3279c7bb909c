//! A file is deleted only in a version that was read out.

use std::sync::Arc;

use rstest::rstest;

use super::operations::{diff, hash, read, read_whole};
use super::{AccessPolicy, Guarded, Recorder, grant, guarded, path, peer, version};
use crate::access::{MAX_ISSUED, Rights};
use crate::entry::Version;
use crate::error::ErrorKind;
use crate::hash::Digest;
use crate::service::{Delete, List, MAX_BATCH, Outcome, Receipt, Service};

fn delete_in(name: &str, version: Version) -> Delete {
    Delete::File {
        path: path(name),
        version,
        receipt: Receipt::issue(Digest::of_content(b""), Outcome::Finished),
    }
}

fn delete(name: &str) -> Delete {
    delete_in(name, version())
}

/// What becomes of a batch of deletions: `None` for each that is made.
async fn deleted(guarded: &Guarded, deletes: Vec<Delete>) -> Vec<Option<ErrorKind>> {
    let results = guarded.delete(deletes).await.unwrap();
    let kind = |result: crate::Result<()>| result.err().map(|error| error.kind());
    results.into_iter().map(kind).collect()
}

const CHANGED: Option<ErrorKind> = Some(ErrorKind::Changed);

#[tokio::test]
async fn a_file_that_was_not_read_is_left_and_the_others_go_on() {
    let (guarded, inner) = guarded(Rights::ALL);
    guarded.read(read("read")).await.unwrap();
    let other = Version::new(vec![2]).unwrap();
    let deletes = vec![
        delete("never"),
        delete("read"),
        delete_in("read", other),
        Delete::Directory { path: path("d") },
    ];
    let results = guarded.delete(deletes).await.unwrap();
    assert!(results[1].is_ok() && results[3].is_ok(), "{results:?}");
    assert_eq!(
        results[0].as_ref().unwrap_err().to_string(),
        "never: this service has not read that version out in this session"
    );
    assert_eq!(results[2].as_ref().unwrap_err().kind(), ErrorKind::Changed);
    assert_eq!(inner.calls(), ["read", "delete read d"]);
    // An answer may have been lost.
    assert_eq!(deleted(&guarded, vec![delete("read")]).await, [None]);
}

#[tokio::test]
async fn a_batch_of_files_that_were_not_read_reaches_nobody() {
    let (guarded, inner) = guarded(Rights::ALL);
    let deletes = vec![delete("a"), delete("b")];
    assert_eq!(deleted(&guarded, deletes).await, [CHANGED, CHANGED]);
    assert_eq!(inner.calls(), [""; 0]);
}

#[rstest]
#[tokio::test]
async fn every_way_to_read_counts_where_it_succeeds(
    #[values("read", "read_batch", "hash", "diff")] operation: &str,
) {
    let policy = AccessPolicy::new([grant(Rights::ALL)]).unwrap();
    let inner = Arc::new(Recorder {
        unreadable: Some("bad"),
        ..Recorder::default()
    });
    let guarded = Guarded::new(inner, policy, peer(), "inbox");
    for name in ["good", "bad"] {
        let read = match operation {
            "read" => guarded.read(read(name)).await.is_ok(),
            "hash" => guarded.hash(hash(name)).await.is_ok(),
            "diff" => guarded.diff(diff(name)).await.is_ok(),
            _ => {
                let results = guarded.read_batch(vec![read_whole(name)]).await.unwrap();
                results[0].is_ok()
            }
        };
        assert_eq!(read, name == "good");
    }
    let deletes = vec![delete("bad"), delete("good")];
    assert_eq!(deleted(&guarded, deletes).await, [CHANGED, None]);
}

#[tokio::test]
async fn a_listing_reads_out_links_and_no_files() {
    let (guarded, _) = guarded(Rights::ALL);
    guarded.list(List::default()).await.unwrap();
    let deletes = vec![delete("file"), delete("link")];
    assert_eq!(deleted(&guarded, deletes).await, [CHANGED, None]);
}

#[tokio::test]
async fn what_was_read_out_long_ago_is_forgotten() {
    let (guarded, _) = guarded(Rights::ALL);
    guarded.read(read("first")).await.unwrap();
    guarded.read(read("second")).await.unwrap();
    let names: Vec<_> = (0..MAX_ISSUED - 1).map(|n| format!("f{n}")).collect();
    for names in names.chunks(MAX_BATCH) {
        let reads = names.iter().map(|name| read_whole(name)).collect();
        guarded.read_batch(reads).await.unwrap();
    }
    let deletes = vec![delete("first"), delete("second"), delete("f0")];
    assert_eq!(deleted(&guarded, deletes).await, [CHANGED, None, None]);
}

#[tokio::test]
async fn one_session_knows_nothing_of_what_another_read() {
    let (one, _) = guarded(Rights::ALL);
    let (other, _) = guarded(Rights::ALL);
    one.read(read("f")).await.unwrap();
    assert_eq!(deleted(&other, vec![delete("f")]).await, [CHANGED]);
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_refused_whole() {
    let (guarded, inner) = guarded(Rights::ALL);
    let reads = (0..=MAX_BATCH).map(|_| read_whole("f")).collect();
    let error = guarded.read_batch(reads).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let deletes = (0..=MAX_BATCH).map(|_| delete("f")).collect();
    let error = guarded.delete(deletes).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(inner.calls(), [""; 0]);
}
