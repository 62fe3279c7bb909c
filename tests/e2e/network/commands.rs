//! The commands and their options, where one end is a peer's directory.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use realize_test_kit::odd_tree::{bytes, plant_compact, remains, set_mode, set_modified, snapshot};
use rstest::rstest;

use super::machines::{
    Daemon, EVERYTHING, Machines, assert_moved, assert_no_partials, assert_seen, seen, write,
};
use crate::ends::assert_same;
use crate::program::{Program, realize};

/// Which end the peer is.
#[derive(Clone, Copy, Debug)]
enum Way {
    There,
    Back,
}

/// Two machines, and the ends of what goes one way between them.
struct Ends {
    machines: Machines,
    _daemon: Daemon,
    way: Way,
    source: PathBuf,
    destination: PathBuf,
}

impl Ends {
    fn new(way: Way) -> Self {
        let machines = Machines::new();
        let daemon = machines.start(EVERYTHING);
        let (here, there) = (machines.source(), machines.inbox());
        let (source, destination) = match way {
            Way::There => (here, there),
            Way::Back => (there, here),
        };
        Self {
            machines,
            _daemon: daemon,
            way,
            source,
            destination,
        }
    }

    fn program(&self, command: &str) -> Program {
        let line = match self.way {
            Way::There => [command, "../source", "nas:inbox"],
            Way::Back => [command, "nas:inbox", "../source"],
        };
        let home = self.machines.path("cam");
        self.machines.cam(line).in_directory(&home)
    }
}

#[rstest]
fn a_copy_leaves_the_source_and_is_found_the_same(#[values(Way::There, Way::Back)] way: Way) {
    let ends = Ends::new(way);
    plant_compact(&ends.source, 50).unwrap();
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.program("copy").run().expect(0).says(&["Copied "]);
    assert_same(&before, &ends.source, &outcome);
    assert_same(&before, &ends.destination, &outcome);

    let outcome = ends.program("verify").run().expect(0).says(&["Verified "]);
    assert_same(&before, &ends.source, &outcome);
    assert_same(&before, &ends.destination, &outcome);

    let again = ends.program("copy").with(["--json"]).run().expect(0);
    assert_eq!(again.json_summary("sent"), 0, "{again}");
    let outcome = ends.program("move").with(["--json"]).run().expect(0);
    assert_eq!(outcome.json_summary("sent"), 0, "{outcome}");
    assert_moved(&before, &ends.source, &ends.destination, &outcome);
}

#[rstest]
#[case::one_bit(Some(b"content\x01".as_slice()))]
#[case::shorter(Some(b"content".as_slice()))]
#[case::missing(None)]
fn verify_finds_what_differs_under_the_same_time(
    #[case] other: Option<&[u8]>,
    #[values(Way::There, Way::Back)] way: Way,
) {
    let ends = Ends::new(way);
    write(&ends.source, "d/file", b"content\x00");
    write(&ends.source, "fine", b"fine");
    ends.program("copy").run().expect(0);
    let copy = ends.destination.join("d/file");
    let time = fs::metadata(&copy).unwrap();
    match other {
        Some(other) => {
            fs::write(&copy, other).unwrap();
            set_modified(&copy, time.mtime(), time.mtime_nsec().try_into().unwrap()).unwrap();
        }
        None => fs::remove_file(&copy).unwrap(),
    }
    let before = (
        snapshot(&ends.source).unwrap(),
        snapshot(&ends.destination).unwrap(),
    );

    let outcome = ends.program("verify").run().expect(7).says(&["d/file"]);
    assert!(!outcome.stderr_text().contains("fine"), "{outcome}");
    assert_same(&before.0, &ends.source, &outcome);
    assert_same(&before.1, &ends.destination, &outcome);

    let outcome = ends.program("verify").with(["--json"]).run().expect(7);
    assert_eq!(outcome.json_file("d/file")["status"], "different");
    assert_eq!(outcome.json_file("fine")["status"], "same");
    assert_eq!(outcome.json_summary("different"), 1, "{outcome}");
    assert_eq!(outcome.json_summary("same"), 1, "{outcome}");
}

#[rstest]
#[case::everything("nas:inbox", &["a", "d/", "d/b c", "d/empty/", "link -> a", "new\\nline"])]
#[case::a_subpath("nas:inbox/d", &["b c", "empty/"])]
#[case::one_file("nas:inbox/d/b c", &["b c"])]
#[case::an_empty_directory("nas:inbox/d/empty", &[])]
fn list_shows_what_a_peer_holds(#[case] place: &str, #[case] shown: &[&str]) {
    let ends = Ends::new(Way::Back);
    write(&ends.source, "a", b"1");
    write(&ends.source, "d/b c", b"22");
    write(&ends.source, "new\nline", b"");
    fs::create_dir(ends.source.join("d/empty")).unwrap();
    symlink("a", ends.source.join("link")).unwrap();
    set_mode(&ends.source.join("a"), 0o600).unwrap();
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.machines.cam(["list", place]).run().expect(0);

    // Mode, size and time come first; none of them holds a space.
    let name = |line: &str| {
        let mut rest = line;
        for _ in 0..3 {
            let word = rest.trim_start();
            rest = word.split_once(' ').unwrap().1;
        }
        rest.to_owned()
    };
    let text = outcome.stdout_text();
    let size_has_unit = |line: &str| line.replace(" B ", "B ");
    let mut names: Vec<_> = text
        .lines()
        .map(|line| name(&size_has_unit(line)))
        .collect();
    names.sort();
    assert_eq!(names, shown, "{outcome}");
    assert_same(&before, &ends.source, &outcome);
}

#[test]
fn list_tells_programs_what_a_peer_holds() {
    let ends = Ends::new(Way::Back);
    write(&ends.source, "d/file", b"22");
    set_mode(&ends.source.join("d/file"), 0o640).unwrap();
    set_modified(&ends.source.join("d/file"), 86_400, 5).unwrap();
    symlink("gone", ends.source.join("d/link")).unwrap();

    let outcome = ends
        .machines
        .cam(["list", "nas:inbox", "--json"])
        .run()
        .expect(0);

    let objects = outcome.json();
    let find = |path: &str| {
        objects
            .iter()
            .find(|object| object["path"] == path)
            .unwrap()
    };
    assert_eq!(objects.len(), 3, "{outcome}");
    let file = find("d/file");
    assert_eq!(file["kind"], "file");
    assert_eq!(file["bytes"], 2);
    assert_eq!(file["mode"], "0640");
    assert_eq!(file["modified"], "1970-01-02T00:00:00Z");
    assert_eq!(find("d")["kind"], "directory");
    assert_eq!(find("d/link")["kind"], "link");
    assert_eq!(find("d/link")["target"], "gone");
}

/// More than one page of a listing, of an offer and of a batch.
#[rstest]
fn many_files_go_in_many_pages(#[values(Way::There, Way::Back)] way: Way) {
    const COUNT: usize = 1500;
    let ends = Ends::new(way);
    for i in 0..COUNT {
        write(&ends.source, &format!("many/{i}"), i.to_string().as_bytes());
    }
    let before = snapshot(&ends.source).unwrap();
    let place = match way {
        Way::There => "../source/many",
        Way::Back => "nas:inbox/many",
    };
    let list = ends.machines.cam(["list", place]);
    let outcome = list
        .in_directory(&ends.machines.path("cam"))
        .run()
        .expect(0);
    assert_eq!(outcome.stdout_text().lines().count(), COUNT);

    let outcome = ends.program("move").with(["--json"]).run().expect(0);

    assert_moved(&before, &ends.source, &ends.destination, &outcome);
    assert_eq!(outcome.json_summary("moved"), COUNT as u64, "{outcome}");
}

#[rstest]
fn a_dry_run_changes_nothing(#[values(Way::There, Way::Back)] way: Way) {
    let ends = Ends::new(way);
    plant_compact(&ends.source, 20).unwrap();
    write(&ends.destination, "one byte", b"an older one");
    let before = (
        snapshot(&ends.source).unwrap(),
        snapshot(&ends.destination).unwrap(),
    );

    let outcome = ends.program("move").with(["--dry-run"]).run().expect(0);

    assert_same(&before.0, &ends.source, &outcome);
    assert_same(&before.1, &ends.destination, &outcome);
    assert!(
        outcome
            .stdout_text()
            .contains("would move: content/three MiB"),
        "{outcome}"
    );

    let json = ["--dry-run", "--json"];
    let outcome = ends.program("copy").with(json).run().expect(0);
    assert_eq!(outcome.json_file("one byte")["status"], "would copy");
}

#[test]
fn a_dry_run_makes_no_destination() {
    let ends = Ends::new(Way::There);
    write(&ends.source, "file", b"content");

    let line = ["move", "--dry-run", "../source", "nas:inbox/new/place"];
    let dry = ends.machines.cam(line);
    let outcome = dry.in_directory(&ends.machines.path("cam")).run().expect(0);

    assert_eq!(remains(&ends.destination).unwrap(), [""; 0], "{outcome}");
    assert_eq!(remains(&ends.source).unwrap(), ["file"], "{outcome}");
    assert!(
        outcome.stdout_text().contains("would move: file"),
        "{outcome}"
    );
}

#[rstest]
fn json_has_an_object_for_each_file_and_a_summary(#[values(Way::There, Way::Back)] way: Way) {
    let ends = Ends::new(way);
    for (path, content) in [
        ("small", b"content".to_vec()),
        ("d/large", bytes(1, 300_000)),
        ("same", b"same".to_vec()),
    ] {
        write(&ends.source, path, &content);
    }
    write(&ends.destination, "same", b"same");

    let outcome = ends.program("move").with(["--json"]).run().expect(0);

    assert_eq!(outcome.json().len(), 4, "{outcome}");
    for (path, status, content) in [
        ("small", "moved", b"content".to_vec()),
        ("d/large", "moved", bytes(1, 300_000)),
        ("same", "identical", b"same".to_vec()),
    ] {
        let object = outcome.json_file(path);
        assert_eq!(object["status"], status, "{outcome}");
        assert_eq!(object["bytes"], content.len(), "{outcome}");
        let hash = blake3::hash(&content).to_hex();
        assert_eq!(object["hash"], hash.as_str(), "{outcome}");
    }
    assert_eq!(outcome.json_summary("moved"), 3, "{outcome}");
    assert_eq!(outcome.json_summary("bytes"), 300_011, "{outcome}");
    assert_eq!(outcome.json_summary("sent"), 300_007, "{outcome}");
}

#[rstest]
#[case::include(&["--include", "*.jpg"], &["a.jpg", "d/b.jpg"])]
#[case::exclude(&["--exclude", "*.jpg"], &["d/c.txt", "d/e/f"])]
#[case::exclude_wins(&["--include", "*.jpg", "--exclude", "b*"], &["a.jpg"])]
#[case::below_a_directory(&["--exclude", "d/**"], &["a.jpg"])]
fn globs_choose(
    #[case] flags: &[&str],
    #[case] moved: &[&str],
    #[values(Way::There, Way::Back)] way: Way,
) {
    const ALL: [&str; 4] = ["a.jpg", "d/b.jpg", "d/c.txt", "d/e/f"];
    let ends = Ends::new(way);
    for path in ALL {
        write(&ends.source, path, path.as_bytes());
    }

    let outcome = ends.program("move").with(flags).run().expect(0);

    for path in ALL {
        let (gone, left) = (
            fs::read(ends.destination.join(path)).ok(),
            fs::read(ends.source.join(path)).ok(),
        );
        let (at, not_at) = if moved.contains(&path) {
            (gone, left)
        } else {
            (left, gone)
        };
        assert_eq!(at.as_deref(), Some(path.as_bytes()), "{path}: {outcome}");
        assert_eq!(not_at, None, "{path}: {outcome}");
    }
    assert_no_partials(&[&ends.source, &ends.destination], &outcome);
}

#[rstest]
fn young_files_wait(#[values(Way::There, Way::Back)] way: Way) {
    let ends = Ends::new(way);
    write(&ends.source, "young", b"still warm");
    write(&ends.source, "old", b"cold");
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let earlier = (now - Duration::from_secs(7200)).as_secs();
    set_modified(&ends.source.join("old"), earlier.try_into().unwrap(), 0).unwrap();

    let outcome = ends.program("move").with(["--min-age", "1h"]).run();
    let outcome = outcome.expect(0).says(&["1 deferred"]);

    assert_eq!(remains(&ends.source).unwrap(), ["young"], "{outcome}");
    assert_eq!(remains(&ends.destination).unwrap(), ["old"], "{outcome}");
}

#[rstest]
fn a_file_that_is_being_written_waits(#[values(Way::There, Way::Back)] way: Way) {
    let ends = Ends::new(way);
    write(&ends.source, "open", b"so far");
    write(&ends.source, "done", b"whole");
    let file = ends.source.join("open");
    let writer = fs::OpenOptions::new().append(true).open(file).unwrap();

    let outcome = ends.program("move").run();
    let outcome = outcome.expect(0).says(&["1 deferred"]);
    assert_eq!(remains(&ends.source).unwrap(), ["open"], "{outcome}");
    assert_eq!(remains(&ends.destination).unwrap(), ["done"], "{outcome}");

    drop(writer);
    let outcome = ends.program("move").run().expect(0);
    assert_eq!(remains(&ends.source).unwrap(), [""; 0], "{outcome}");
    let arrived = fs::read(ends.destination.join("open")).unwrap();
    assert_eq!(arrived, b"so far", "{outcome}");
}

/// What lies where after a move of `photo.jpg` over an older one.
#[rstest]
#[case::by_default(&[], 0, &[], &[("photo.jpg", "ours")])]
#[case::replace(&["--on-conflict", "replace"], 0, &[], &[("photo.jpg", "ours")])]
#[case::keep(&["--on-conflict", "keep"], 6, &["photo.jpg"], &[("photo.jpg", "theirs")])]
#[case::fail(&["--on-conflict", "fail"], 6, &["photo.jpg"], &[("photo.jpg", "theirs")])]
#[case::rename(
    &["--on-conflict", "rename"], 0, &[], &[("photo.jpg", "theirs"), ("photo~HASH.jpg", "ours")],
)]
fn a_conflict_ends_as_it_was_chosen(
    #[case] flags: &[&str],
    #[case] code: i32,
    #[case] left: &[&str],
    #[case] arrived: &[(&str, &str)],
    #[values(Way::There, Way::Back)] way: Way,
) {
    let ends = Ends::new(way);
    write(&ends.source, "photo.jpg", b"ours");
    write(&ends.destination, "photo.jpg", b"theirs");

    let outcome = ends.program("move").with(flags).run().expect(code);

    let tree = |dir| {
        let tree = seen(dir);
        let names = tree
            .keys()
            .map(|name| String::from_utf8(name.clone()).unwrap());
        names.collect::<Vec<_>>()
    };
    assert_eq!(tree(&ends.source), left, "{outcome}");
    let digits = &blake3::hash(b"ours").to_hex()[..8];
    let arrived = arrived
        .iter()
        .map(|(name, content)| (name.replace("HASH", digits), content));
    let mut names = Vec::new();
    for (name, content) in arrived {
        let found = fs::read_to_string(ends.destination.join(&name)).unwrap();
        assert_eq!(found, **content, "{name}: {outcome}");
        names.push(name);
    }
    assert_eq!(tree(&ends.destination), names, "{outcome}");
    if code != 0 {
        outcome.says(&["photo.jpg"]);
    }
}

#[rstest]
fn directories_stay_when_asked(#[values(Way::There, Way::Back)] way: Way) {
    let ends = Ends::new(way);
    write(&ends.source, "d/e/file", b"content");
    fs::create_dir_all(ends.source.join("empty/too")).unwrap();

    let outcome = ends.program("move").with(["--keep-directories"]).run();
    let outcome = outcome.expect(0);

    let kept = ["d", "d/e", "empty", "empty/too"];
    assert_eq!(remains(&ends.source).unwrap(), kept, "{outcome}");
    let arrived = ["d", "d/e", "d/e/file", "empty", "empty/too"];
    assert_eq!(remains(&ends.destination).unwrap(), arrived, "{outcome}");
}

#[rstest]
fn an_older_version_is_patched(#[values(Way::There, Way::Back)] way: Way) {
    const SIZE: usize = 8 << 20;
    let mut content = bytes(1, SIZE);
    let ends = Ends::new(way);
    write(&ends.destination, "disk.img", &content);
    // A change, an insertion that shifts everything behind it, and a longer end.
    content[1_000_000..1_000_500].fill(7);
    content.splice(5_000_000..5_000_000, *b"inserted");
    content.extend_from_slice(&bytes(2, 10_000));
    write(&ends.source, "disk.img", &content);
    let before = snapshot(&ends.source).unwrap();

    let outcome = ends.program("move").with(["--json"]).run().expect(0);

    assert_moved(&before, &ends.source, &ends.destination, &outcome);
    let sent = outcome.json_summary("sent");
    assert!(sent < SIZE as u64 / 4, "{sent} bytes sent: {outcome}");
}

/// The first works on the nas itself, and is stopped, so that it holds the directory for as long as
/// the test wants.
#[rstest]
fn a_second_mover_is_told_who_holds_the_directory(#[values(Way::There, Way::Back)] way: Way) {
    let ends = Ends::new(way);
    let (inbox, other) = (ends.machines.inbox(), ends.machines.path("other"));
    fs::create_dir(&other).unwrap();
    let (from, to, lease) = match way {
        Way::There => (&other, &inbox, ".realize-destination.lease"),
        Way::Back => (&inbox, &other, ".realize-source.lease"),
    };
    write(from, "large", &bytes(1, 64 << 20));
    write(&ends.source, "small", b"small");
    let mut first = realize(["move"]).with([from, to]).spawn();
    let lease = inbox.join(lease);
    let held = first.reaches("the lease", || {
        fs::read(&lease).is_ok_and(|l| !l.is_empty())
    });
    assert!(held && first.pause(), "{}", first.stderr_so_far());
    let holder = format!("process {}", first.pid());

    let outcome = ends.program("move").run().expect(12).says(&[holder]);
    assert!(ends.source.join("small").exists(), "{outcome}");
    assert!(!ends.destination.join("small").exists(), "{outcome}");

    first.resume();
    first.wait().expect(0);
    ends.program("move").run().expect(0);
}

#[rstest]
fn a_transport_that_does_not_exist_is_named(
    #[values("move", "check", "list nas:inbox")] command: &str,
) {
    let ends = Ends::new(Way::There);
    write(&ends.source, "file", b"content");
    let before = seen(&ends.source);

    let line = ["--transport", "tpc"].into_iter().chain(command.split(' '));
    let outcome = ends.machines.cam(line).run().expect(2);

    assert_seen(&before, &ends.source, &outcome);
    outcome.says(&[
        "--transport",
        "tpc",
        "there are channel, exec, quic, tcp",
        "did you mean `tcp`?",
    ]);
}

#[test]
fn transports_are_listed_with_their_options() {
    let outcome = realize(["transports"]).run().expect(0);

    // Its name, and what is set in behind it; the next name is not.
    let mut lines = outcome.stdout_text().lines();
    assert!(lines.any(|line| line == "tcp"), "{outcome}");
    let of_tcp = lines.take_while(|line| line.starts_with(' '));
    let options: Vec<_> = of_tcp.filter(|line| line.contains(" = ")).collect();
    assert!(!options.is_empty(), "{outcome}");
    // What is listed can be configured, each with the value that it has anyway.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("realize.toml");
    let table: String = options
        .iter()
        .map(|line| format!("{}\n", line.trim()))
        .collect();
    fs::write(&file, format!("[transports.tcp]\n{table}")).unwrap();
    let check = realize(["--config".as_ref(), file.as_os_str()]);
    check.with(["check"]).run().expect(0);
}
