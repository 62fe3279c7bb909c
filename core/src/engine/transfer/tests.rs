#![allow(
    clippy::disallowed_methods,
    reason = "the tests look at what storage left"
)]

use std::fs;
use std::sync::Arc;

use rstest::rstest;
use tokio_util::sync::CancellationToken;

use crate::access::{AccessPolicy, Grant, Guarded, Right, Rights};
use crate::engine::{Event, Mode, MoveOptions, Observer, SMALL, move_files};
use crate::service::Service;
use crate::transport::PeerId;
use crate::{LocalOptions, LocalService};

const WRITE: Rights = Rights::NONE.with(Right::Write).with(Right::Replace);
const NEW: &[u8] = b"something new";
const OLDER: usize = 20 << 20;
const SIZE: u64 = (OLDER + NEW.len()) as u64;

fn grant(rights: Rights) -> Grant {
    Grant {
        directory: "inbox".to_owned(),
        peer: PeerId::new("test:cam").unwrap(),
        rights,
    }
}

/// Takes the right to read away once a part of the file is there.
struct Withdraws(AccessPolicy);

impl Observer for Withdraws {
    fn event(&self, event: Event<'_>) {
        if let Event::Progress { .. } = event {
            self.0.replace([grant(WRITE)]).unwrap();
        }
    }
}

/// A mover that may not read the older version does not hear what is in it, and need not.
#[rstest]
#[case::that_may_be_read(WRITE.with(Right::Read), false, 0..1 << 16)]
#[case::that_may_not_be_read(WRITE, false, SIZE..SIZE + 1)]
#[case::that_may_be_read_at_first(WRITE.with(Right::Read), true, 1 << 20..SIZE - (1 << 20))]
#[tokio::test]
async fn a_version_is_replaced(
    #[case] rights: Rights,
    #[case] withdrawn: bool,
    #[case] sent: std::ops::Range<u64>,
) {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let older: Vec<u8> = (0u32..).flat_map(u32::to_le_bytes).take(OLDER).collect();
    let mut newer = older.clone();
    newer.splice(100..100, NEW.iter().copied());
    assert!(SIZE > SMALL && newer.len() as u64 == SIZE);
    fs::write(from.path().join("f"), &newer).unwrap();
    fs::write(to.path().join("f"), &older).unwrap();
    let open = |root: &tempfile::TempDir| -> Arc<dyn Service> {
        Arc::new(LocalService::open(root.path(), LocalOptions::default()).unwrap())
    };
    let granted = grant(rights);
    let policy = AccessPolicy::new([granted.clone()]).unwrap();
    let observer: Arc<dyn Observer> = if withdrawn {
        Arc::new(Withdraws(policy.clone()))
    } else {
        Arc::new(())
    };
    let Grant {
        directory, peer, ..
    } = granted;
    let destination = Guarded::new(open(&to), policy, peer, directory);

    let report = move_files(
        open(&from),
        Arc::new(destination),
        MoveOptions::new(Mode::Move),
        observer,
        CancellationToken::new(),
    )
    .await
    .unwrap();

    assert!(report.is_clean() && report.done == 1, "{report:?}");
    assert!(fs::read(to.path().join("f")).unwrap() == newer);
    assert!(!from.path().join("f").exists());
    assert!(sent.contains(&report.sent), "{} sent", report.sent);
}
