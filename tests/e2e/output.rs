//! What is said, and where: data on standard output, messages on standard error.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use realize_test_kit::odd_tree::{bytes, plant};
use rstest::rstest;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::ends::Ends;
use crate::program::{Outcome, realize};

/// The one line that sums up.
#[track_caller]
fn summary<'a>(outcome: &'a Outcome, verb: &str) -> &'a str {
    let mut lines = outcome
        .stderr_text()
        .lines()
        .filter(|line| line.starts_with(verb));
    let line = lines
        .next()
        .unwrap_or_else(|| panic!("no line starts with {verb:?}: {outcome}"));
    assert_eq!(lines.next(), None, "{outcome}");
    line
}

#[test]
fn the_last_line_sums_up() {
    let ends = Ends::with(&[("a", &bytes(1, 1536 * 1024)), ("b", &bytes(2, 512 * 1024))]);
    for path in ["a", "b"] {
        ends.name_outside(path);
    }

    let outcome = ends.mover().run().expect(0);

    let line = summary(&outcome, "Moved ");
    assert_eq!(
        outcome.stderr_text().lines().last(),
        Some(line),
        "{outcome}"
    );
    assert!(
        line.starts_with("Moved 2 files, 2.0 MiB (2.0 MiB sent) in "),
        "{outcome}"
    );
    assert!(!line.contains(';'), "{outcome}");
    assert_eq!(outcome.stdout_text(), "", "{outcome}");
}

#[rstest]
#[case::one(1, "Moved 1 file, ")]
#[case::none(0, "Moved 0 files, ")]
fn numbers_are_counted_as_people_do(#[case] files: usize, #[case] start: &str) {
    let ends = Ends::new();
    (0..files).for_each(|i| ends.write(&i.to_string(), b"content"));

    let outcome = ends.mover().run().expect(0);

    assert!(summary(&outcome, "Moved ").starts_with(start), "{outcome}");
}

#[test]
fn deferred_and_failed_are_counted_and_failures_follow() {
    let ends = Ends::with(&[("good", b"content"), ("open", b"so far")]);
    mknodat(CWD, ends.source.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    ends.write_at_destination("d", b"a file");
    ends.write("d/inner", b"cannot go there");
    let _writer = fs::OpenOptions::new()
        .append(true)
        .open(ends.source.join("open"))
        .unwrap();

    let outcome = ends.mover().run().expect(6);

    let line = summary(&outcome, "Moved ");
    assert!(line.starts_with("Moved 1 file, "), "{outcome}");
    assert!(line.ends_with("; 1 deferred, 2 failed"), "{outcome}");
    let after = outcome.stderr_text().split_once(line).unwrap().1;
    for name in ["fifo", "d/inner"] {
        assert!(
            after.contains(name),
            "{name} does not follow the summary: {outcome}"
        );
    }
    assert!(
        after.contains("source"),
        "whether the source is intact is not said: {outcome}"
    );
}

#[test]
fn identical_files_count_and_are_not_sent() {
    let ends = Ends::with(&[("same", &bytes(1, 1 << 20))]);
    ends.write_at_destination("same", &bytes(1, 1 << 20));

    let outcome = ends.mover().run().expect(0);

    let line = summary(&outcome, "Moved ");
    assert!(
        line.starts_with("Moved 1 file, 1.0 MiB (0 B sent) in "),
        "{outcome}"
    );
}

#[test]
fn json_has_an_object_for_each_file_and_a_summary() {
    let ends = Ends::with(&[
        ("a", b"content"),
        ("d/b", &bytes(1, 300_000)),
        ("same", b"same"),
    ]);
    ends.write_at_destination("same", b"same");
    for path in ["a", "d/b"] {
        ends.name_outside(path);
    }

    let outcome = ends.mover().with(["--json"]).run().expect(0);

    let objects = outcome.json();
    assert_eq!(objects.len(), 4, "{outcome}");
    for (path, status, content) in [
        ("a", "moved", b"content".to_vec()),
        ("d/b", "moved", bytes(1, 300_000)),
        ("same", "identical", b"same".to_vec()),
    ] {
        outcome.has_ended(path, status, &content);
    }
    assert_eq!(outcome.json_summary("moved"), 3, "{outcome}");
    assert_eq!(outcome.json_summary("deferred"), 0, "{outcome}");
    assert_eq!(outcome.json_summary("failed"), 0, "{outcome}");
    assert_eq!(outcome.json_summary("bytes"), 300_011, "{outcome}");
    assert_eq!(outcome.json_summary("sent"), 300_007, "{outcome}");
    assert!(objects[3]["seconds"].is_number(), "{outcome}");
}

#[test]
fn json_tells_of_what_stayed() {
    let ends = Ends::with(&[("kept", b"ours"), ("open", b"so far"), ("good", b"good")]);
    ends.write_at_destination("kept", b"theirs");
    let _writer = fs::OpenOptions::new()
        .append(true)
        .open(ends.source.join("open"))
        .unwrap();

    let outcome = ends
        .mover()
        .with(["--json", "--on-conflict", "keep"])
        .run()
        .expect(6);

    assert_eq!(outcome.json_file("good")["status"], "moved", "{outcome}");
    assert_eq!(outcome.json_file("open")["status"], "deferred", "{outcome}");
    let kept = outcome.json_file("kept");
    assert!(
        kept["status"].is_string() && kept["status"] != "moved",
        "{outcome}"
    );
    assert_eq!(outcome.json_summary("moved"), 1, "{outcome}");
    assert_eq!(outcome.json_summary("deferred"), 1, "{outcome}");
    assert_eq!(outcome.json_summary("failed"), 1, "{outcome}");
}

#[test]
fn json_of_a_copy() {
    let ends = Ends::with(&[("a", b"content")]);

    let outcome = ends.program("copy").with(["--json"]).run().expect(0);

    assert_eq!(outcome.json_file("a")["status"], "copied", "{outcome}");
}

#[test]
fn quiet_says_nothing_but_failures() {
    let ends = Ends::with(&[("a", b"content")]);
    let outcome = ends.mover().with(["-q"]).run().expect(0);
    assert_eq!(outcome.stdout_text(), "", "{outcome}");
    assert_eq!(outcome.stderr_text(), "", "{outcome}");

    mknodat(CWD, ends.source.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let outcome = ends.mover().with(["-q"]).run().expect(6);
    outcome.says(&["fifo"]);
}

#[test]
fn quiet_wins_over_the_level_of_the_configuration() {
    let ends = Ends::with(&[("a", b"content")]);
    let file = ends.outside("realize.toml");
    std::fs::write(&file, "[log]\nlevel = \"info\"\n").unwrap();
    let config = [OsStr::new("--config"), file.as_os_str()];
    let outcome = ends.mover().globally(config).with(["-q"]).run().expect(0);
    assert_eq!(outcome.stderr_text(), "", "{outcome}");
}

#[rstest]
#[case::by_default(&[])]
#[case::automatic(&["--progress", "auto"])]
#[case::plain(&["--progress", "plain"])]
#[case::none(&["--progress", "none"])]
#[case::verbose(&["-v"])]
fn nothing_steers_a_terminal_where_there_is_none(#[case] flags: &[&str]) {
    let ends = Ends::new();
    plant(&ends.source, 20).unwrap();

    let log = ["--log-level", "debug"];
    let outcome = ends.mover().globally(log).with(flags).run().expect(0);

    summary(&outcome, "Moved ");
    for text in [outcome.stdout_text(), outcome.stderr_text()] {
        let steering = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(steering, None, "{outcome}");
    }
}

/// Names that fail, so that every one of them is printed.
#[test]
fn hostile_names_are_escaped_everywhere() {
    const NAMES: [&[u8]; 5] = [
        b"\x1b]0;owned\x07",
        b"line\nMoved 99 files",
        "right\u{202e}left".as_bytes(),
        b"return\rhidden",
        b"not UTF-8 \xff",
    ];
    let shown = [
        r"\u{1b}]0;owned\u{7}",
        r"line\nMoved 99",
        r"right\u{202e}left",
        r"return\rhidden",
        r"8 \xff",
    ];
    let ends = Ends::new();
    for name in NAMES {
        let path = ends.source.join(OsStr::from_bytes(name));
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
    }

    let outcome = ends
        .mover()
        .with(["-v", "--log-level", "trace", "--progress", "plain"])
        .run()
        .expect(6);

    let text = outcome.stderr_text();
    let steering = text
        .chars()
        .find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
    assert_eq!(steering, None, "{outcome}");
    assert!(
        !text.lines().any(|line| line.starts_with("Moved 99 files")),
        "{outcome}"
    );
    for name in shown {
        assert!(text.contains(name), "{name} is not shown: {outcome}");
    }
}

#[test]
fn json_carries_hostile_names() {
    let ends = Ends::new();
    let names: [&[u8]; 4] = [b"\x1b[31m", b"new\nline", b"quote\"d", b"not UTF-8 \xff"];
    for name in names {
        fs::write(ends.source.join(OsStr::from_bytes(name)), b"content").unwrap();
    }

    let outcome = ends.mover().with(["--json"]).run().expect(0);

    assert!(!outcome.stdout.contains(&0x1b), "{outcome}");
    let objects = outcome.json();
    assert_eq!(objects.len(), 5, "{outcome}");
    let paths: Vec<_> = objects[..4]
        .iter()
        .map(|object| object["path"].as_str())
        .collect();
    assert!(paths.iter().all(Option::is_some), "{outcome}");
    assert!(
        paths.iter().flatten().any(|path| path.ends_with(r"\xff")),
        "{outcome}"
    );
}

#[rstest]
#[case("json")]
#[case("logfmt")]
#[case("human")]
fn the_log_is_an_audit_trail(#[case] format: &str) {
    let ends = Ends::with(&[("audited", b"content")]);
    ends.name_outside("audited");

    let outcome = ends
        .mover()
        .with(["--log-level", "info", "--log-format", format])
        .run()
        .expect(0);

    for event in ["file.finished", "file.deleted"] {
        let line = outcome
            .stderr_text()
            .lines()
            .find(|line| line.contains(event));
        let line = line.unwrap_or_else(|| panic!("no {event} in the log: {outcome}"));
        let hash = blake3::hash(b"content").to_hex();
        assert!(
            line.contains("audited") && line.contains(hash.as_str()),
            "{outcome}"
        );
        if format == "json" {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }
    assert_eq!(outcome.stdout_text(), "", "{outcome}");
}

#[rstest]
#[case(&["--version"], "realize ")]
#[case(&["--help"], "move")]
#[case(&["move", "--help"], "--on-conflict")]
#[case(&["help", "verify"], "change nothing")]
fn help_goes_to_standard_output(#[case] arguments: &[&str], #[case] part: &str) {
    let outcome = realize(arguments).run().expect(0);

    assert!(outcome.stdout_text().contains(part), "{outcome}");
    assert_eq!(outcome.stderr_text(), "", "{outcome}");
}

/// What a program wrote to a standard output that takes nothing, and how it ended.
fn with_output(to: std::process::Stdio, arguments: &[&OsStr]) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_realize"))
        .args(arguments)
        .stdout(to)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

/// A list that is cut short is none; the same of a summary that a program waits for.
#[rstest]
#[case::list("list", &[])]
#[case::json("copy", &["--json"])]
#[case::dry_run("move", &["--dry-run"])]
fn data_that_cannot_be_written_is_an_error(#[case] command: &str, #[case] flags: &[&str]) {
    let ends = Ends::with(&[("file", b"content")]);
    let mut arguments = vec![OsStr::new(command), ends.source.as_os_str()];
    if command != "list" {
        arguments.push(ends.destination.as_os_str());
    }
    arguments.extend(flags.iter().map(OsStr::new));
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let (code, said) = with_output(full.into(), &arguments);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("writing standard output: No space"), "{said}");
    // Who has read enough of it has got all that it wanted.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let (code, said) = with_output(writer.into(), &arguments);
    assert_eq!(code, Some(0), "{said}");
}
