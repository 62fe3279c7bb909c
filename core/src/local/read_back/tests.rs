#![allow(
    clippy::disallowed_methods,
    reason = "the tests write to what storage keeps"
)]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rstest::rstest;

use super::*;
use crate::entry::{Timestamp, Version};
use crate::error::ErrorKind;
use crate::local::{LocalOptions, LocalService};
use crate::path::RelPath;
use crate::service::{
    Block, Claim, Expect, Finish, FinishFrom, Origin, Receipt, Role, RunId, SendBlock, Service,
};

const BLOCKS: u64 = 6;
const DEADLINE: Duration = Duration::from_secs(10);

/// What happens to a partial while the blocks arrive.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Nothing,
    /// We write to what was read back.
    SentAgain,
    /// Somebody else does.
    Edited,
}

fn target() -> Target {
    Target {
        path: RelPath::new("file").unwrap(),
        source: Version::new([1]).unwrap(),
        size: BLOCKS * MAX_BLOCK,
        sparse: false,
    }
}

fn block(number: u64) -> Bytes {
    Bytes::from(vec![number as u8 + 1; MAX_BLOCK as usize])
}

async fn send(service: &LocalService, number: u64, data: Bytes) {
    let send = SendBlock {
        target: target(),
        offset: number * MAX_BLOCK,
        block: Block::Data(data),
        hash: None,
    };
    service.send(send).await.unwrap();
}

async fn finish(service: &LocalService) -> Result<Receipt> {
    let content: Vec<u8> = (0..BLOCKS).flat_map(block).collect();
    let finish = Finish {
        path: target().path,
        from: FinishFrom::Partial(target().source, Expect::Absent),
        size: target().size,
        hash: Digest::of_content(&content),
        mode: 0o644,
        modified: Timestamp::default(),
    };
    service.finish(vec![finish]).await.unwrap().remove(0)
}

fn partial_in(root: &Path) -> PathBuf {
    let mut paths = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_partial = |path: &PathBuf| path.extension().is_some_and(|end| end == "part");
    paths.find(is_partial).unwrap()
}

/// Changes a byte, and sees to it that the file's time says so.
fn edit(partial: &Path) {
    let file = File::options().write(true).open(partial).unwrap();
    let changed = || {
        let stat = file.metadata().unwrap();
        (stat.ctime(), stat.ctime_nsec())
    };
    let (before, began) = (changed(), Instant::now());
    while changed() == before {
        assert!(began.elapsed() < DEADLINE);
        file.write_all_at(b"!", 1000).unwrap();
    }
}

/// How far the partial has been read back.
fn read_until(service: &LocalService) -> u64 {
    let not_open = || panic!("it is open");
    let partials = &service.storage.partials;
    let partial = partials.find_or_open(&target().path, |_| true, not_open);
    partial.unwrap().read.lock().unwrap().hasher.position()
}

#[rstest]
#[case(Meanwhile::Nothing, true)]
#[case(Meanwhile::SentAgain, true)]
#[case(Meanwhile::Edited, false)]
#[tokio::test]
async fn what_was_read_back_counts_as_long_as_nothing_is_written_to_it(
    #[case] meanwhile: Meanwhile,
    #[case] finished: bool,
) {
    let root = tempfile::tempdir().unwrap();
    let service = LocalService::open(root.path(), LocalOptions::default()).unwrap();
    let claim = Claim {
        role: Role::Destination,
        run: RunId::random().unwrap(),
        origin: Origin::default(),
        holder: "a test".to_owned(),
    };
    service.claim(claim).await.unwrap();
    let first = match meanwhile {
        Meanwhile::SentAgain => Bytes::from(vec![0xff; MAX_BLOCK as usize]),
        Meanwhile::Nothing | Meanwhile::Edited => block(0),
    };
    send(&service, 0, first).await;
    for number in 1..BLOCKS / 2 {
        send(&service, number, block(number)).await;
    }
    assert_eq!(read_until(&service), BLOCKS / 2 * MAX_BLOCK);
    match meanwhile {
        Meanwhile::Nothing => {}
        Meanwhile::SentAgain => send(&service, 0, block(0)).await,
        Meanwhile::Edited => edit(&partial_in(root.path())),
    }
    for number in BLOCKS / 2..BLOCKS {
        send(&service, number, block(number)).await;
    }
    match finish(&service).await {
        Ok(_) => assert!(finished),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Mismatch, "{}", error.chain());
            assert!(!finished);
        }
    }
    assert_eq!(root.path().join("file").exists(), finished);
}
