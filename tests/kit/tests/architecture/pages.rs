//! What the pages say of the code is so.

use std::collections::{BTreeSet, HashSet};
use std::fs;

use crate::tokens::tokens;
use crate::workspace::{root, shipped, sources};

/// Each block of Rust in the documents stands, line for line, in some source.
#[test]
fn the_pages_quote_code_that_is_there() {
    let root = root();
    let lines = |text: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("\n")
    };
    let all: Vec<String> = sources(&root)
        .iter()
        .map(|path| lines(&fs::read_to_string(path).unwrap()))
        .collect();
    let mut quoted = 0;
    for entry in fs::read_dir(root.join("docs")).unwrap() {
        let page = entry.unwrap().path();
        if page.is_dir() {
            continue;
        }
        let text = fs::read_to_string(&page).unwrap();
        for block in text.split("```rust\n").skip(1) {
            let block = lines(block.split("```").next().unwrap());
            let there = all.iter().any(|source| source.contains(&block));
            assert!(there, "{} quotes what is nowhere:\n{block}", page.display());
            quoted += 1;
        }
    }
    assert!(quoted > 0, "nothing is quoted");
}

/// The table of events has every event that is logged, and no other.
#[test]
fn the_table_of_events_is_whole() {
    let page = fs::read_to_string(root().join("docs/watching.md")).unwrap();
    let (_, table) = page.split_once("## All events").unwrap();
    let listed: BTreeSet<String> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| row.split(" | ").next())
        .flat_map(|names| names.split('`').step_by(2).filter(|name| !name.is_empty()))
        .map(str::to_owned)
        .collect();
    let shipped = shipped();
    let mut logged = BTreeSet::new();
    for (_, tokens) in &shipped {
        for three in tokens.windows(3) {
            if let [event, equals, name] = three
                && event == "event"
                && equals == "="
                && let Some(name) = name.strip_prefix('"')
            {
                logged.insert(name.trim_end_matches('"').to_owned());
            }
        }
    }
    assert!(logged.len() > 40, "only {} events", logged.len());
    let unlisted: Vec<_> = logged.difference(&listed).collect();
    assert!(unlisted.is_empty(), "not in the table: {unlisted:?}");
    let known: HashSet<&str> = shipped
        .iter()
        .flat_map(|(_, tokens)| tokens.iter().map(String::as_str))
        .collect();
    for name in &listed {
        assert!(known.contains(&*format!("{name:?}")), "{name} is nowhere");
    }
}

/// Paths exist, from the root or from core's sources; names occur in some source.
#[test]
fn the_code_map_names_what_exists() {
    let root = root();
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let known: HashSet<String> = sources(&root)
        .iter()
        .flat_map(|path| tokens(path))
        .collect();
    let is_name = |text: &str| {
        let name = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        text.split("::").flat_map(|part| part.split('.')).all(name)
    };
    // Between an odd and an even backtick; fenced blocks have no single ones.
    let spans: Vec<_> = page
        .lines()
        .filter(|line| !line.starts_with("```"))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect();
    assert!(spans.len() > 100, "only {} names", spans.len());
    for span in spans {
        if span.ends_with(".rs") || span.ends_with('/') {
            let exists = [&root, &root.join("core/src")].map(|above| above.join(span).exists());
            assert!(exists.contains(&true), "there is no {span}");
        } else if is_name(span) {
            for part in span.split("::").flat_map(|part| part.split('.')) {
                assert!(known.contains(part), "nothing is called {span}");
            }
        }
    }
}
