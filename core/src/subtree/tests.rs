#![allow(
    clippy::disallowed_methods,
    reason = "the tests look at what storage left"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rstest::rstest;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::engine::{Mode, MoveOptions, Report, SMALL, move_files};
use crate::entry::{Timestamp, Version};
use crate::hash::Digest;
use crate::path::MAX_PATH_LEN;
use crate::service::Origin;
use crate::service::{Content, Expect, Present, RunId};
use crate::{LocalOptions, LocalService};

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn local(root: &TempDir) -> Arc<dyn Service> {
    Arc::new(LocalService::open(root.path(), LocalOptions::default()).unwrap())
}

fn view(root: &TempDir, prefix: &str) -> Arc<Subtree> {
    Arc::new(Subtree::new(local(root), path(prefix)))
}

/// A directory with these files, each holding its own name; the directories above are made.
fn directory(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let at = root.path().join(file);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, file).unwrap();
    }
    root
}

/// What is below `directory`: files and links with their content, directories with none.
fn tree(directory: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let at = entry.unwrap().path();
            let kind = fs::symlink_metadata(&at).unwrap().file_type();
            let content = if kind.is_symlink() {
                let target = fs::read_link(&at).unwrap();
                Some(target.into_os_string().into_encoded_bytes())
            } else {
                kind.is_file().then(|| fs::read(&at).unwrap())
            };
            if kind.is_dir() {
                waiting.push(at.clone());
            }
            let name = at.strip_prefix(directory).unwrap().to_str().unwrap();
            found.insert(name.to_owned(), content);
        }
    }
    found
}

async fn move_between(source: Arc<dyn Service>, destination: Arc<dyn Service>) -> Report {
    let options = MoveOptions::new(Mode::Move);
    let cancel = CancellationToken::new();
    move_files(source, destination, options, Arc::new(()), cancel)
        .await
        .unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn all() -> List {
    List {
        files: true,
        directories: true,
        ..List::default()
    }
}

async fn listed(service: &dyn Service, list: List) -> Vec<String> {
    let page = service.list(list).await.unwrap();
    assert!(page.failures.is_empty() && page.next.is_none());
    let names = page.entries.iter().map(|entry| entry.path.to_string());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_move_from_a_subtree_to_a_subtree_takes_what_is_in_it_and_nothing_else() {
    let from = directory(&["rec/cam/small", "rec/cam/d/replaced", "rec/other", "cam/x"]);
    let inside = from.path().join("rec/cam");
    let large: Vec<u8> = (0..2 * SMALL).map(|n| (n % 251) as u8).collect();
    fs::write(inside.join("d/large"), &large).unwrap();
    fs::write(inside.join("patched"), &large).unwrap();
    fs::create_dir(inside.join("empty")).unwrap();
    symlink("../outward", inside.join("link")).unwrap();
    let to = directory(&["in/rec/d/replaced", "in/other", "rec/cam/small"]);
    fs::write(to.path().join("in/rec/patched"), &large[9..]).unwrap();
    let (wanted, others) = (tree(&inside), tree(to.path()));

    let report = move_between(view(&from, "rec/cam"), view(&to, "in/rec")).await;

    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.done, 5);
    assert_eq!(tree(&to.path().join("in/rec")), wanted);
    let left = tree(from.path());
    let left: Vec<_> = left.keys().map(String::as_str).collect();
    assert_eq!(left, ["cam", "cam/x", "rec", "rec/cam", "rec/other"]);
    for outside in ["in/other", "rec/cam/small"] {
        assert_eq!(tree(to.path()).get(outside), others.get(outside));
    }
}

#[tokio::test]
async fn a_subtree_that_does_not_exist_is_made_for_what_comes_into_it() {
    let (from, to) = (directory(&["a", "d/b"]), directory(&[]));
    let report = move_between(local(&from), view(&to, "new/place")).await;
    assert!(report.is_clean() && report.done == 2, "{report:?}");
    let moved = tree(&to.path().join("new/place"));
    assert_eq!(moved.get("d/b"), Some(&Some(b"d/b".to_vec())));
    assert_eq!(mode(&to.path().join("new")), 0o755);
    assert_eq!(mode(&to.path().join("new/place")), 0o755);
}

#[tokio::test]
async fn a_subtree_that_exists_keeps_its_mode() {
    let (from, to) = (directory(&["a"]), directory(&["old/place/x"]));
    let (old, place) = (to.path().join("old"), to.path().join("old/place"));
    fs::set_permissions(&old, fs::Permissions::from_mode(0o711)).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o750)).unwrap();
    let report = move_between(local(&from), view(&to, "old/place")).await;
    assert!(report.is_clean() && report.done == 1, "{report:?}");
    assert_eq!((mode(&old), mode(&place)), (0o711, 0o750));
}

#[tokio::test]
async fn a_subtree_that_is_a_file_takes_nothing_and_is_not_held() {
    let (from, to) = (directory(&["a"]), directory(&["file"]));
    let destination = local(&to);
    for _ in 0..2 {
        let view = Arc::new(Subtree::new(Arc::clone(&destination), path("file")));
        let moved = move_files(
            local(&from),
            view,
            MoveOptions::new(Mode::Move),
            Arc::new(()),
            CancellationToken::new(),
        );
        let error = moved.await.unwrap_err().error;
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    assert!(from.path().join("a").exists());
}

#[tokio::test]
async fn a_clean_run_leaves_partials_that_are_not_in_its_subtree() {
    let to = directory(&["other/x"]);
    let claim = || Claim {
        role: Role::Destination,
        run: RunId::from_bytes([7; 16]),
        origin: Origin::default(),
        holder: String::new(),
    };
    let interrupted = local(&to);
    interrupted.claim(claim()).await.unwrap();
    let send = SendBlock {
        target: crate::service::Target {
            path: path("other/large"),
            source: Version::new(vec![1]).unwrap(),
            size: 7,
            sparse: false,
        },
        offset: 0,
        block: Block::Data(Bytes::from_static(b"content")),
        hash: None,
    };
    interrupted.send(send).await.unwrap();
    interrupted.release(Ending::Interrupted).await.unwrap();
    let partial = tree(&to.path().join("other"));
    assert_eq!(partial.len(), 3);

    let report = move_between(local(&directory(&["a"])), view(&to, "in")).await;

    assert!(report.is_clean() && report.done == 1, "{report:?}");
    assert_eq!(tree(&to.path().join("other")), partial);
}

#[tokio::test]
async fn a_listing_has_the_paths_of_the_view_and_not_its_root() {
    let root = directory(&["a/b/c/d", "a/b/e", "a/x", "ab/y"]);
    let view = view(&root, "a/b");
    assert_eq!(listed(&*view, all()).await, ["c", "c/d", "e"]);
    let within = |name| List {
        within: Some(path(name)),
        ..all()
    };
    assert_eq!(listed(&*view, within("c")).await, ["c", "c/d"]);
    assert_eq!(listed(&*view, within("e")).await, ["e"]);
    let error = view.list(within("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.path(), Some(&path("x")));
}

#[tokio::test]
async fn pages_follow_on_each_other() {
    let names: Vec<_> = (0..MAX_BATCH + 5).map(|n| format!("d/f{n}")).collect();
    let root = directory(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let view = view(&root, "d");
    let mut list = all();
    let mut found = Vec::new();
    loop {
        let page = view.list(list.clone()).await.unwrap();
        found.extend(page.entries.into_iter().map(|entry| entry.path));
        list.cursor = page.next;
        if list.cursor.is_none() {
            break;
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), names.len());
    assert!(found.iter().all(|path| path.parent().is_none()));
}

#[tokio::test]
async fn the_root_of_a_view_that_is_no_directory_is_an_error() {
    let root = directory(&["file"]);
    symlink(".", root.path().join("link")).unwrap();
    for prefix in ["file", "link"] {
        let error = view(&root, prefix).list(all()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{prefix}");
        assert_eq!(error.path(), None);
    }
    let error = view(&root, "none").list(all()).await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::NotFound, None));
}

#[tokio::test]
async fn errors_name_the_paths_of_the_view() {
    let root = directory(&["d/f"]);
    let view = view(&root, "d");
    let read = Read {
        path: path("gone"),
        version: Version::new(vec![0; 56]).unwrap(),
        range: crate::range::ByteRange::new(0, 1).unwrap(),
    };
    let error = view.read(read.clone()).await.unwrap_err();
    assert_eq!(error.path(), Some(&path("gone")));
    let whole = |name| crate::service::ReadWhole {
        path: path(name),
        version: read.version.clone(),
        size: 1,
    };
    let results = view.read_batch(vec![whole("f"), whole("g")]).await.unwrap();
    let paths: Vec<_> = results
        .iter()
        .map(|result| result.as_ref().unwrap_err().path().cloned())
        .collect();
    assert_eq!(paths, [Some(path("f")), Some(path("g"))]);
}

#[tokio::test]
async fn a_path_that_becomes_too_long_fails_alone() {
    let root = directory(&["d/f"]);
    let view = view(&root, "d");
    let long = "n/".repeat(MAX_PATH_LEN / 2) + "n";
    assert_eq!(long.len(), MAX_PATH_LEN);
    let offer = |name: &str| Offer {
        path: path(name),
        link: false,
        source: Version::new(vec![1]).unwrap(),
        size: 3,
        modified: Timestamp::default(),
    };
    let offers = vec![offer("f"), offer(&long), offer("g")];
    let answers = view.offer(offers).await.unwrap();
    let present = |at: usize| answers[at].as_ref().map(|answer| &answer.present);
    assert!(matches!(present(0), Ok(Present::Differs { .. })));
    let error = present(1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.path(), Some(&path(&long)));
    assert!(matches!(present(2), Ok(Present::Absent)));
    let list = List {
        within: Some(path(&long)),
        ..all()
    };
    let error = view.list(list).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn what_the_view_does_not_hold_cannot_be_written_by_it() {
    let root = directory(&["d/f", "f"]);
    let view = view(&root, "d");
    let claim = Claim {
        role: Role::Destination,
        run: RunId::from_bytes([7; 16]),
        origin: Origin::default(),
        holder: String::new(),
    };
    view.claim(claim).await.unwrap();
    let put = Put {
        path: path("new"),
        content: Content::File(Bytes::from_static(b"x"), Digest::of_content(b"x")),
        mode: 0o644,
        modified: Timestamp::default(),
        expect: Expect::Absent,
    };
    assert!(view.put(vec![put]).await.unwrap()[0].is_ok());
    assert!(root.path().join("d/new").exists() && !root.path().join("new").exists());
}

fn entry_at(name: &str) -> Entry {
    Entry {
        path: path(name),
        kind: EntryKind::File { sparse: false },
        version: Version::new(vec![1]).unwrap(),
        size: 0,
        modified: Timestamp::default(),
        mode: 0o644,
    }
}

#[rstest]
#[case("d")]
#[case("a")]
#[case("a/bc")]
#[case("d/a/b/c")]
fn an_answer_about_a_path_elsewhere_breaks_the_protocol(#[case] elsewhere: &str) {
    let view = view(&directory(&[]), "a/b");
    let page = |entries, failures| Page {
        entries,
        failures,
        next: None,
    };
    let failure = |name: &str| ListFailure {
        path: name.as_bytes().to_vec(),
        error: Error::new(ErrorKind::Io, "reading"),
    };
    let inside = page(vec![entry_at("a/b/c")], vec![failure("a/b/c\0")]);
    let inside = view.page_outward(inside).unwrap();
    assert_eq!(inside.entries[0].path, path("c"));
    assert_eq!(inside.failures[0].path, b"c\0");
    for page in [
        page(vec![entry_at(elsewhere)], Vec::new()),
        page(Vec::new(), vec![failure(elsewhere)]),
    ] {
        let error = view.page_outward(page).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
}

#[rstest]
#[case("a/b/c", ErrorKind::Io, Some("c"))]
#[case("a/b", ErrorKind::Io, None)]
#[case("a", ErrorKind::Io, None)]
#[case("a/bc", ErrorKind::Protocol, None)]
#[case("x", ErrorKind::Protocol, None)]
fn an_errors_path_is_the_views_or_none(
    #[case] at: &str,
    #[case] kind: ErrorKind,
    #[case] seen: Option<&str>,
) {
    let view = view(&directory(&[]), "a/b");
    let error = view.outward(Error::new(ErrorKind::Io, "reading").at(&path(at)));
    assert_eq!(error.kind(), kind);
    assert_eq!(error.path(), seen.map(path).as_ref());
}
