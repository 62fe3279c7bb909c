//! The commands, where one end is a peer's directory.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use realize_test_kit::odd_tree::{bytes, plant_compact, set_mode, set_modified, snapshot};
use rstest::rstest;

use super::machines::{assert_moved, assert_seen, seen, write};
use super::ways::{Ends, Way};
use crate::ends::assert_same;
use crate::program::realize;

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
