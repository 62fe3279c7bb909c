//! What ships for watching: alerts, their tests, and the dashboard.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A file of `docs/monitoring`.
fn shipped(name: &str) -> PathBuf {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    top.join("docs/monitoring").join(name)
}

/// Runs `promtool`, which must end well.
#[track_caller]
fn promtool(arguments: &[&str], file: &Path) {
    let output = Command::new("promtool").args(arguments).arg(file).output();
    let output = output.expect("promtool is not installed; as root: apt-get install prometheus");
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

#[test]
fn the_alerts_are_rules() {
    promtool(&["check", "rules"], &shipped("alerts.yml"));
}

#[test]
fn the_alerts_fire_when_they_should() {
    promtool(&["test", "rules"], &shipped("alerts_test.yml"));
}

/// Every expression of the panels, wherever it stands.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str().filter(|_| name == "expr") {
                    Some(expression) => found.push(expression.to_owned()),
                    None => expressions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
fn every_expression_of_the_dashboard_is_one() {
    let text = fs::read_to_string(shipped("dashboard.json")).unwrap();
    let mut found = Vec::new();
    expressions(&serde_json::from_str(&text).unwrap(), &mut found);
    assert!(found.len() > 20, "{found:?}");
    let rules: Vec<_> = found
        .iter()
        .enumerate()
        .map(|(number, expression)| {
            // What Grafana puts in.
            let expression = expression
                .replace("$__rate_interval", "5m")
                .replace("$__range", "1d");
            serde_json::json!({ "record": format!("panel:{number}"), "expr": expression })
        })
        .collect();
    let rules = serde_json::json!({ "groups": [{ "name": "panels", "rules": rules }] });
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("panels.yml");
    // JSON is YAML.
    fs::write(&file, rules.to_string()).unwrap();
    promtool(&["check", "rules"], &file);
}

/// No panel and no alert asks for a metric that no program has.
#[test]
fn every_metric_that_is_asked_for_is_documented() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(top.join("docs/watching.md")).unwrap();
    for name in ["dashboard.json", "alerts.yml"] {
        let text = fs::read_to_string(shipped(name)).unwrap();
        let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
        for (at, _) in text.match_indices("realize_") {
            let metric = text[at..].split(|c| !is_part(c)).next().unwrap();
            // The parts of the histogram are not listed one by one.
            let plain = match metric.starts_with("realize_rpc_duration_seconds_") {
                true => "realize_rpc_duration_seconds",
                false => metric,
            };
            assert!(page.contains(&format!("`{plain}`")), "{metric} in {name}");
        }
    }
}
