//! Whatever a value holds: it is one line, nothing steers a terminal, and it can be read.

use proptest::prelude::*;
use realize_core::path::is_printable;

use super::*;

#[rstest]
#[case::nothing("", "\"\"")]
#[case::space("a b", "\"a b\"")]
#[case::quote("a\"b", "\"a\\\"b\"")]
#[case::line("a\nb\rc\td", "\"a\\nb\\rc\\td\"")]
#[case::backslash("a\\b", "\"a\\\\b\"")]
#[case::equals("a=b", "\"a=b\"")]
#[case::letters("ä", "\"ä\"")]
#[case::bidirectional("a\u{202e}b", "\"a\\u202eb\"")]
#[case::beyond_16_bits("a\u{e0041}b", "\"a\\udb40\\udc41b\"")]
#[case::plain("a/b-c_d.e:1", "a/b-c_d.e:1")]
fn values_of_logfmt_are_quoted_where_they_must_be(#[case] value: &str, #[case] shown: &str) {
    for written in [
        line(Form::Logfmt, || info!(event = "e", value)),
        line(Form::Logfmt, || info!(event = "e", value = %value)),
    ] {
        let (_, found) = written.split_once(" value=").unwrap();
        assert_eq!(found, format!("{shown}\n"));
    }
}

#[rstest]
#[case::nothing("", "\"\"")]
#[case::space("a b", "\"a b\"")]
#[case::quote("a\"b", "\"a\\\"b\"")]
#[case::line("a\nb\rc\td", "\"a\\nb\\rc\\td\"")]
#[case::escaped_before("a\\nb", "a\\nb")]
#[case::letters("ä=b", "ä=b")]
#[case::bidirectional("a\u{202e}b", "a\\u{202e}b")]
fn values_for_people_are_quoted_where_they_would_mislead(#[case] value: &str, #[case] shown: &str) {
    let written = line(HUMAN, || info!(event = "e", value));
    let (_, found) = written.split_once(" value=").unwrap();
    assert_eq!(found, format!("{shown}\n"));
}

/// One line, which a terminal shows as it is.
fn assert_one_line(written: &str) {
    let line = written.strip_suffix('\n').unwrap();
    let steering = line.chars().find(|c| !is_printable(*c));
    assert_eq!(steering, None, "{written:?}");
}

const HOSTILE: [&str; 8] = [
    "\x1b]0;owned\x07",
    "line\nlevel=error event=forged",
    "right\u{202e}left\u{2066}\u{200f}\u{61c}",
    "return\rhidden",
    "quote\" event=\"forged",
    "\u{9b}31m\u{0}\u{7f}",
    "\u{2028}{\"event\":\"forged\"}",
    "back\\slash\\",
];

#[rstest]
fn hostile_values_make_one_line_in_each_form(#[values(0, 1, 2)] form: usize) {
    let form = FORMS[form];
    for text in HOSTILE {
        let written = line(form, || {
            info_span!("peer", peer = text).in_scope(|| {
                info!(
                    event = text,
                    text,
                    shown = %text,
                    debug = ?text,
                    bytes = text.as_bytes(),
                    path = %Escaped(text.as_bytes()),
                    "{text}"
                );
            });
        });
        assert_one_line(&written);
        if form == Form::Json {
            let object = object(&written);
            for name in ["event", "text", "shown", "msg", "peer"] {
                assert_eq!(object[name], text, "{name} in {written}");
            }
            let escaped = Escaped(text.as_bytes()).to_string();
            assert_eq!(object["path"], *escaped);
            assert_eq!(object["bytes"], *escaped);
        }
    }
}

/// What is in the quotes of logfmt is a string of JSON.
fn logfmt_value(written: &str) -> String {
    let (_, value) = written.trim_end().split_once(" value=").unwrap();
    match value.strip_prefix('"') {
        Some(_) => serde_json::from_str(value).unwrap(),
        None => value.to_owned(),
    }
}

proptest! {
    #[test]
    fn whatever_a_value_is_it_is_one_line_and_can_be_read(value in any::<String>()) {
        for form in FORMS {
            let written = line(form, || info!(event = "e", value));
            assert_one_line(&written);
            match form {
                Form::Json => prop_assert_eq!(&object(&written)["value"], &*value),
                Form::Logfmt => prop_assert_eq!(logfmt_value(&written), &*value),
                Form::Human { .. } => {}
            }
        }
    }
}

#[rstest]
#[case::human(HUMAN)]
#[case::logfmt(Form::Logfmt)]
fn a_long_value_is_in_quotes(#[case] form: Form) {
    for len in [100, 127, 128, 129, 5000] {
        let text = "x".repeat(len);
        let written = line(form, || info!(event = "e", value = %text));
        let (_, value) = written.trim_end().split_once(" value=").unwrap();
        assert_eq!(value.trim_matches('"'), text);
        assert_eq!(value.starts_with('"'), len > 128, "{len}");
    }
}
