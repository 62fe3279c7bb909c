//! What lines look like, and that nothing makes them look otherwise.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use realize_core::path::Escaped;
use rstest::rstest;
use serde_json::{Value as Json, json};
use tracing::{Level, debug, error, info, info_span, trace, warn};

use super::*;

mod spans;
mod values;

const HUMAN: Form = Form::Human { colour: false };
const FORMS: [Form; 3] = [HUMAN, Form::Logfmt, Form::Json];

/// A clock that stands.
fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_435_200)
}

/// What is written to, and each write by itself.
#[derive(Clone, Default)]
pub(super) struct Written(Arc<Mutex<Vec<String>>>);

impl Written {
    /// All writes since the last look.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        self.0.lock().unwrap().push(text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log of this thread, at this level, as it is when the programs start it.
pub(super) fn log(
    form: Form,
    journal: bool,
    level: &str,
) -> (Written, Logging, tracing::subscriber::DefaultGuard) {
    let written = Written::default();
    let line = Line {
        form,
        journal,
        clock: noon,
    };
    let to = written.clone();
    let filter = EnvFilter::try_new(format!("{},{level}", NOT_MEANT.join(","))).unwrap();
    let (subscriber, logging) = subscriber(filter, line, move || to.clone());
    (
        written,
        logging,
        tracing::subscriber::set_default(subscriber),
    )
}

/// What `events` write in this form.
fn lines(form: Form, events: impl FnOnce()) -> Vec<String> {
    let (written, _logging, _guard) = log(form, false, "trace");
    events();
    written.take()
}

fn line(form: Form, event: impl FnOnce()) -> String {
    let lines = lines(form, event);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.concat()
}

fn object(line: &str) -> Json {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
}

#[rstest]
#[case::human(
    HUMAN,
    "2026-11-23T12:00:00.000000Z  INFO peer.connected: from afar peer=cam \
     address=192.0.2.7:9771 why=\"so and so\" bytes=7 seconds=0.25 first=true path=a/b hash=0\n"
)]
#[case::logfmt(
    Form::Logfmt,
    "time=2026-11-23T12:00:00.000000Z level=info target=realize::golden event=peer.connected \
     msg=\"from afar\" peer=cam address=192.0.2.7:9771 why=\"so and so\" bytes=7 seconds=0.25 \
     first=true path=a/b hash=0\n"
)]
#[case::json(
    Form::Json,
    "{\"time\":\"2026-11-23T12:00:00.000000Z\",\"level\":\"info\",\"target\":\"realize::golden\",\
     \"event\":\"peer.connected\",\"msg\":\"from afar\",\"peer\":\"cam\",\
     \"address\":\"192.0.2.7:9771\",\"why\":\"so and so\",\"bytes\":7,\"seconds\":0.25,\
     \"first\":true,\"path\":\"a/b\",\"hash\":\"0\"}\n"
)]
fn a_line_in_each_form(#[case] form: Form, #[case] expected: &str) {
    let written = line(form, || {
        info!(
            target: "realize::golden",
            event = "peer.connected",
            peer = "cam",
            address = "192.0.2.7:9771",
            why = "so and so",
            bytes = 7u64,
            seconds = 0.25,
            first = true,
            nothing = None::<u64>,
            path = %Escaped(b"a/b"),
            hash = %"0",
            "from {}", "afar"
        );
    });
    assert_eq!(written, expected);
}

#[rstest]
#[case::human(HUMAN, "2026-11-23T12:00:00.000000Z  WARN other::crate_: it broke\n")]
#[case::logfmt(
    Form::Logfmt,
    "time=2026-11-23T12:00:00.000000Z level=warn target=other::crate_ msg=\"it broke\"\n"
)]
#[case::json(
    Form::Json,
    "{\"time\":\"2026-11-23T12:00:00.000000Z\",\"level\":\"warn\",\"target\":\"other::crate_\",\
     \"msg\":\"it broke\"}\n"
)]
fn an_event_of_another_crate_says_whose_it_is(#[case] form: Form, #[case] expected: &str) {
    let written = line(form, || warn!(target: "other::crate_", "it broke"));
    assert_eq!(written, expected);
}

#[test]
fn on_a_terminal_the_level_is_in_colour_and_nothing_that_is_said() {
    let form = Form::Human { colour: true };
    let written = line(form, || error!(event = "\x1b[31mx", path = "\x1b[0m"));
    let expected = "\x1b[2m2026-11-23T12:00:00.000000Z\x1b[0m \x1b[31mERROR\x1b[0m \
                    \\u{1b}[31mx path=\\u{1b}[0m\n";
    assert_eq!(written, expected);
}

#[test]
fn numbers_are_numbers_and_what_is_none_is_a_text() {
    let written = line(Form::Json, || {
        info!(
            event = "e",
            most = u64::MAX,
            least = i64::MIN,
            more = u128::MAX,
            half = 0.5,
            whole = 3.0,
            none = f64::NAN,
            yes = true,
            bytes = &b"a\xff"[..],
            debug = ?Some("x"),
        );
    });
    let object = object(&written);
    let more = format!("\"more\":{},", u128::MAX);
    assert!(written.contains(&more), "{written}");
    for (name, value) in [
        ("most", json!(u64::MAX)),
        ("least", json!(i64::MIN)),
        ("half", json!(0.5)),
        ("whole", json!(3)),
        ("none", json!("NaN")),
        ("yes", json!(true)),
        ("bytes", json!("a\\xff")),
        ("debug", json!("Some(\"x\")")),
    ] {
        assert_eq!(object[name], value, "{name} in {written}");
    }
}

#[rstest]
fn what_a_line_has_of_its_own_it_has_once(#[values("time", "level", "target", "msg")] name: &str) {
    for form in [Form::Logfmt, Form::Json] {
        let written = line(form, || {
            info!(event = "e", time = 1, level = 2, target = 3, msg = 4, "5");
        });
        let key = match form {
            Form::Json => format!("\"{name}\":"),
            _ => format!("{name}="),
        };
        assert_eq!(written.matches(&key).count(), 1, "{written}");
    }
}

#[test]
fn levels_are_of_targets() {
    let level = "warn,realize_core=debug,tarpc=info";
    let (written, _logging, _guard) = log(Form::Logfmt, false, level);
    debug!(target: "realize_core::local", event = "core");
    debug!(target: "realize_cli", event = "cli");
    info!(target: "tarpc::client", event = "tarpc");
    info!(target: "rustls", event = "rustls");
    warn!(target: "rustls", event = "rustls");
    error!(target: "rustls", event = "error");
    let lines = written.take().concat();
    let events: Vec<_> = lines.matches("event=").collect();
    assert_eq!(events.len(), 3, "{lines}");
    for event in ["core", "tarpc", "error"] {
        assert!(lines.contains(&format!("event={event}\n")), "{lines}");
    }
}

#[rstest]
#[case::human(HUMAN, "  INFO e a=1\n")]
#[case::logfmt(Form::Logfmt, "level=info target=t event=e a=1\n")]
#[case::json(
    Form::Json,
    "{\"level\":\"info\",\"target\":\"t\",\"event\":\"e\",\"a\":1}\n"
)]
fn the_journal_is_told_the_level_and_not_the_time(#[case] form: Form, #[case] line: &str) {
    let (written, _logging, _guard) = log(form, true, "trace");
    info!(target: "t", event = "e", a = 1);
    assert_eq!(
        written
            .take()
            .concat()
            .trim_start_matches("<6>")
            .trim_start(),
        line.trim_start()
    );
    error!(event = "e");
    warn!(event = "e");
    info!(event = "e");
    debug!(event = "e");
    trace!(event = "e");
    let lines = written.take();
    let priorities: Vec<_> = lines.iter().map(|line| &line[..3]).collect();
    assert_eq!(priorities, ["<3>", "<4>", "<6>", "<7>", "<7>"]);
}

#[test]
fn every_event_is_one_write_and_a_writer_that_fails_stops_nobody() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let written = lines(Form::Json, || {
        for size in 0..100 {
            info!(event = "e", text = "x".repeat(size * 100), size);
        }
    });
    assert_eq!(written.len(), 100);

    let line = Line {
        form: Form::Logfmt,
        journal: false,
        clock: noon,
    };
    let (full, logging) = subscriber(EnvFilter::new("trace"), line, || Full);
    tracing::subscriber::with_default(full, || {
        for _ in 0..100 {
            warn!(event = "e");
        }
    });
    drop(logging);
}

#[test]
fn what_is_logged_at_a_level_that_is_not_wanted_costs_nothing() {
    let (written, _logging, _guard) = log(Form::Json, false, "info");
    assert!(!tracing::enabled!(Level::DEBUG));
    let looked_at = || -> u64 { panic!("it is looked at") };
    debug!(event = "e", value = looked_at());
    assert_eq!(written.take(), [""; 0]);
}

#[rstest]
#[case::less("info", Some("warn"), "info")]
#[case::more("info", Some("trace"), "trace")]
#[case::nothing("debug", None, "debug")]
#[case::of_targets("info", Some("realize::file=debug"), "info")]
fn a_flag_makes_nothing_more_quiet(
    #[case] flag: &str,
    #[case] said: Option<&str>,
    #[case] level: &str,
) {
    assert_eq!(at_least(flag, said), level);
}
