//! The nearest match, for messages that end in "did you mean".

use crate::place::{NAME, shown};

/// The candidate that `name` is most likely a slip of, or `None` if none is close.
///
/// Close means an edit distance of at most one, and one more for every three characters of
/// `name`; upper and lower case are the same. Among equals, the first candidate wins.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name
        .chars()
        .flat_map(char::to_lowercase)
        .take(LONGEST + 1)
        .collect();
    if name.len() > LONGEST {
        return None;
    }
    let limit = 1 + name.len() / 3;
    candidates
        .into_iter()
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Names for a sentence: `bar, none, plain`.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// What is said of `name`, if it is that of no `kind`.
pub(crate) fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let there_are = match known.as_slice() {
        [] => format!("there are no {kind}s"),
        [one] => format!("there is {}", shown(one, NAME)),
        several => {
            let list = listed(several.iter().copied());
            format!("there are {}", shown(&list, LISTED))
        }
    };
    let question =
        nearest(name, known).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    format!(
        "unknown {kind} \"{}\"; {there_are}{question}",
        shown(name, NAME)
    )
}

/// How many characters of a list are shown: what stands after it in a message is to be seen too.
const LISTED: usize = 150;

/// A longer name is no slip of anything, and not worth the comparisons.
const LONGEST: usize = 64;

/// The Levenshtein distance, one row of its table at a time.
fn distance(name: &[char], candidate: &str) -> usize {
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for wanted in candidate.chars().flat_map(char::to_lowercase) {
        let mut left = row.first().map_or(0, |first| first + 1);
        let mut next = vec![left];
        for ((given, diagonal), above) in name.iter().zip(&row).zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(*given != wanted))
                .min(left + 1)
                .min(above + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const TRANSPORTS: [&str; 4] = ["channel", "exec", "quic", "tcp"];

    #[rstest]
    #[case::swapped("qiuc", Some("quic"))]
    #[case::missing("chanel", Some("channel"))]
    #[case::upper_case("TCP", Some("tcp"))]
    #[case::exact("exec", Some("exec"))]
    #[case::far("bluetooth", None)]
    #[case::empty("", None)]
    #[case::huge(&"q".repeat(100_000), None)]
    fn finds_the_likely_slip(#[case] name: &str, #[case] expected: Option<&str>) {
        assert_eq!(nearest(name, TRANSPORTS), expected);
    }

    #[rstest]
    #[case("", "", 0)]
    #[case("", "abc", 3)]
    #[case("abc", "", 3)]
    #[case("kitten", "sitting", 3)]
    fn counts_edits(#[case] name: &str, #[case] candidate: &str, #[case] expected: usize) {
        let name: Vec<char> = name.chars().collect();
        assert_eq!(distance(&name, candidate), expected);
    }

    #[test]
    fn lists() {
        assert_eq!(listed(TRANSPORTS), "channel, exec, quic, tcp");
    }
}
