use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rstest::rstest;
use tokio_util::sync::CancellationToken;

use super::{Ends, MIB, content};
use crate::engine::{Ledger, Mode, MoveOptions, Record, Witnesses, move_files};
use crate::error::{Error, ErrorKind, Result};
use crate::hash::Digest;

/// What a ledger was told of a file, and whether it was at the source then.
#[derive(Debug, PartialEq)]
struct Note {
    what: &'static str,
    path: String,
    bytes: u64,
    hash: Digest,
    there: bool,
}

/// Notes what it is told.
#[derive(Default)]
struct Notes {
    notes: Mutex<Vec<Note>>,
    ends: Option<Arc<Ends>>,
    refuses: bool,
}

impl Notes {
    fn note(&self, what: &'static str, files: &[Record<'_>]) {
        for file in files {
            let path = file.source.to_string();
            let there = self
                .ends
                .as_ref()
                .is_some_and(|ends| ends.from.path().join(&path).exists());
            self.notes.lock().unwrap().push(Note {
                what,
                path,
                bytes: file.bytes,
                hash: file.hash,
                there,
            });
        }
    }
}

#[async_trait]
impl Ledger for Notes {
    async fn finished(&self, files: &[Record<'_>]) -> Result<()> {
        self.note("finished", files);
        match self.refuses {
            true => Err(Error::new(ErrorKind::Io, "the ledger is full")),
            false => Ok(()),
        }
    }

    async fn deleted(&self, files: &[Record<'_>]) -> Result<()> {
        self.note("deleted", files);
        Ok(())
    }
}

async fn run(notes: &Arc<Notes>, mode: Mode) -> std::result::Result<(), ErrorKind> {
    let ends = notes.ends.as_ref().unwrap();
    let witnesses = Witnesses {
        ledger: Some(Arc::clone(notes) as _),
        ..Arc::new(()).into()
    };
    let (source, destination) = (ends.source(), ends.destination());
    let cancel = CancellationToken::new();
    let options = MoveOptions::new(mode);
    let ended = move_files(source, destination, options, witnesses, cancel).await;
    ended.map(|_| ()).map_err(|broken| broken.error.kind())
}

#[rstest]
#[case::small(10)]
#[case::large(MIB)]
#[tokio::test]
async fn a_file_is_on_record_before_it_is_deleted(#[case] size: usize) {
    let ends = Arc::new(Ends::new());
    let bytes = content(size, 1);
    ends.at_source("f", &bytes);
    let notes = Arc::new(Notes {
        ends: Some(ends),
        ..Notes::default()
    });
    run(&notes, Mode::Move).await.unwrap();
    let note = |what, there| Note {
        what,
        path: "f".to_owned(),
        bytes: size as u64,
        hash: Digest::of_content(&bytes),
        there,
    };
    let expected = [note("finished", true), note("deleted", false)];
    assert_eq!(*notes.notes.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_copy_deletes_nothing() {
    let ends = Arc::new(Ends::new());
    ends.at_source("f", b"f");
    let notes = Arc::new(Notes {
        ends: Some(ends),
        ..Notes::default()
    });
    run(&notes, Mode::Copy).await.unwrap();
    let notes = notes.notes.lock().unwrap();
    assert!(matches!(&notes[..], [note] if note.what == "finished"));
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_deleted() {
    let ends = Arc::new(Ends::new());
    ends.at_source("f", b"f");
    let notes = Arc::new(Notes {
        ends: Some(Arc::clone(&ends)),
        refuses: true,
        ..Notes::default()
    });
    assert_eq!(run(&notes, Mode::Move).await, Err(ErrorKind::Io));
    assert!(ends.from.path().join("f").exists());
    assert!(ends.to.path().join("f").exists());
}

/// Stops the run when a file has been finished, and is about to be deleted.
struct Stops {
    cancel: CancellationToken,
    deleted: Mutex<usize>,
}

#[async_trait]
impl Ledger for Stops {
    async fn finished(&self, _: &[Record<'_>]) -> Result<()> {
        self.cancel.cancel();
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn deleted(&self, files: &[Record<'_>]) -> Result<()> {
        *self.deleted.lock().unwrap() += files.len();
        Ok(())
    }
}

#[rstest]
#[case::small(10)]
#[case::large(MIB)]
#[tokio::test]
async fn what_is_gone_when_a_run_is_stopped_is_reported(#[case] size: usize) {
    let ends = Ends::new();
    ends.at_source("f", &content(size, 3));
    let cancel = CancellationToken::new();
    let ledger = Arc::new(Stops {
        cancel: cancel.clone(),
        deleted: Mutex::default(),
    });
    let witnesses = Witnesses {
        ledger: Some(Arc::clone(&ledger) as _),
        ..Arc::new(()).into()
    };
    let (source, destination) = (ends.source(), ends.destination());
    let options = MoveOptions::new(Mode::Move);
    let ended = move_files(source, destination, options, witnesses, cancel).await;
    let report = ended.unwrap();
    assert!(report.stopped.is_some());
    assert!(!ends.from.path().join("f").exists());
    assert_eq!((report.done, *ledger.deleted.lock().unwrap()), (1, 1));
}
