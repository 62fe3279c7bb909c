//! Sources as tokens.

use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The tokens of a source, flat: brackets are tokens too, comments are none.
pub(crate) fn tokens(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let stream: TokenStream = text
        .parse()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut flat = Vec::new();
    flatten(stream, &mut flat);
    flat
}

fn flatten(stream: TokenStream, into: &mut Vec<String>) {
    for token in stream {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                into.push(open.to_owned());
                flatten(group.stream(), into);
                into.push(close.to_owned());
            }
            other => into.push(other.to_string()),
        }
    }
}

/// The same tokens without the items that are compiled for tests only.
pub(crate) fn without_tests(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if starts_with(&tokens[at..], "# [ cfg ( test ) ]") {
            while tokens[at] == "#" {
                at = closing(tokens, at + 1) + 1;
            }
            while !["{", ";"].contains(&&*tokens[at]) {
                at += 1;
            }
            at = closing(tokens, at) + 1;
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where the bracket at `at` closes; `at` itself if none is there.
pub(crate) fn closing(tokens: &[String], at: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(at) {
        match &**token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i;
        }
    }
    panic!("the brackets do not match")
}

pub(crate) fn starts_with(tokens: &[String], pattern: &str) -> bool {
    let mut tokens = tokens.iter();
    pattern
        .split(' ')
        .all(|wanted| tokens.next().is_some_and(|token| token == wanted))
}

/// Where `pattern`, tokens with spaces between them, occurs.
pub(crate) fn find(tokens: &[String], pattern: &str) -> Vec<usize> {
    let here = |at: &usize| starts_with(&tokens[*at..], pattern);
    (0..tokens.len()).filter(here).collect()
}

/// How often something is built by `name { .. }`. What takes one apart does not count: it ends with
/// `..`, or an equals sign or a bar comes after it. Nor does another type's variant, `name(..)`.
pub(crate) fn constructions(tokens: &[String], name: &str) -> usize {
    let builds = |at: &usize| {
        let open = at + name.split(' ').count();
        match tokens.get(open).map(String::as_str) {
            Some("{") => {}
            next => return next != Some("("),
        }
        let close = closing(tokens, open);
        let rest = tokens[..close].ends_with(&[".".to_owned(), ".".to_owned()]);
        let taken_apart = |next: &String| next == "=" || next == "|";
        !rest && !tokens.get(close + 1).is_some_and(taken_apart)
    };
    find(tokens, name).iter().filter(|at| builds(at)).count()
}

/// The tests of sources would pass if nothing were ever found.
#[test]
fn the_checks_find_what_they_look_for() {
    let parse = |text: &str| {
        let mut flat = Vec::new();
        flatten(text.parse().unwrap(), &mut flat);
        flat
    };
    let built = |text| constructions(&parse(text), "Delete : : File");
    assert_eq!(built("f(Delete::File { path, version: v, receipt })"), 1);
    assert_eq!(built("f(crate::service::Delete::File { ..other })"), 1);
    assert_eq!(built("use service::Delete::File;"), 1);
    assert_eq!(
        built("let Delete::File { version, .. } = d else { return };"),
        0
    );
    assert_eq!(
        built("match d { Delete::File { path, version, receipt } => {} }"),
        0
    );
    assert_eq!(built("// Delete::File {}\nlet s = \"Delete::File {}\";"), 0);
    let tests = parse(
        "fn a() {} #[cfg(test)] #[path = \"x\"] mod tests { fn b() {} } #[cfg(test)] mod c; fn d() {}",
    );
    assert_eq!(without_tests(&tests), parse("fn a() {} fn d() {}"));
    assert_eq!(
        find(
            &parse("self\n.source // here\n.delete(x)"),
            "source . delete ("
        )
        .len(),
        1
    );
    let lifetime = parse("fn f(x: &'static str)");
    let at = find(&lifetime, "static")[0];
    assert_eq!(lifetime[at - 1], "'");
}
