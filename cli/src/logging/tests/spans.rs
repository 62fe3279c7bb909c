//! What the spans around an event add to its line.

use tracing::field::Empty;

use super::*;

#[test]
fn the_spans_around_an_event_add_what_it_does_not_say() {
    let (written, _logging, _guard) = log(Form::Json, false, "trace");
    let run = info_span!("run", run = "r1", peer = "outer", count = 3);
    let peer = info_span!(parent: &run, "peer", peer = %"cam", address = Empty);
    peer.record("address", "192.0.2.7:1");
    let directory = info_span!(parent: &peer, "directory", directory = "inbox");
    directory.in_scope(|| {
        info!(event = "all");
        info!(event = "some", run = "r2", peer = None::<&str>);
    });
    info!(parent: &run, event = "given");
    info!(event = "none");
    let objects: Vec<Json> = written.take().iter().map(|line| object(line)).collect();
    let fields = |place: usize| {
        let names = ["run", "peer", "directory", "address", "count"];
        names.map(|name| objects[place][name].clone())
    };
    let inside = |run: &str| {
        [
            json!(run),
            json!("cam"),
            json!("inbox"),
            json!("192.0.2.7:1"),
            json!(3),
        ]
    };
    assert_eq!(fields(0), inside("r1"));
    assert_eq!(fields(1), inside("r2"));
    let outside = [
        json!("r1"),
        json!("outer"),
        Json::Null,
        Json::Null,
        json!(3),
    ];
    assert_eq!(fields(2), outside);
    assert_eq!(fields(3), [const { Json::Null }; 5]);
}

#[rstest]
fn a_field_of_a_span_is_there_once_in_each_form(#[values(0, 1, 2)] form: usize) {
    let written = line(FORMS[form], || {
        info_span!("peer", peer = "lab").in_scope(|| info!(event = "e", peer = "cam"));
    });
    assert_eq!(written.matches("peer").count(), 1, "{written}");
    assert!(written.contains("cam"), "{written}");
}

#[test]
fn spans_of_realize_are_heeded_at_every_level_and_those_of_others_are_not() {
    let (written, _logging, _guard) = log(Form::Logfmt, false, "warn");
    info_span!(target: "realize_core::engine", "run", run = "r1").in_scope(|| {
        info_span!(target: "tarpc::server", "RPC", rpc = 1).in_scope(|| {
            warn!(event = "said");
            info!(event = "unsaid");
        });
    });
    let lines = written.take();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with("event=said run=r1\n"), "{lines:?}");
}
