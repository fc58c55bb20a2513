//! What ships for Prometheus and Grafana: it asks for what there is, and Prometheus takes it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use longshore_telemetry::metrics::{METRICS, Shape};
use regex::Regex;
use serde_json::Value;

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy")
        .join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(deploy(path)).unwrap()
}

/// Everything that a query may name: metrics, what histograms make of theirs, and labels.
fn known_words() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for metric in METRICS {
        let labels = metric.labels.iter().map(|label| label.name);
        let fixed = metric.fixed.iter().map(|(name, _)| *name);
        known.extend(labels.chain(fixed).map(str::to_owned));
        if matches!(metric.shape, Shape::Histogram(_)) {
            let parts = ["bucket", "sum", "count"];
            known.extend(parts.map(|part| format!("{}_{part}", metric.name)));
        } else {
            known.insert(metric.name.to_owned());
        }
    }
    known
}

/// The words of ours in a query that name neither a metric nor a label.
fn unknown_words(query: &str) -> Vec<String> {
    let known = known_words();
    let ours = Regex::new(r"\b(?:longshore|messaging|queue_trace)_\w+").unwrap();
    let words = ours.find_iter(query).map(|word| word.as_str().to_owned());
    words.filter(|word| !known.contains(word)).collect()
}

/// Every text at the key `wanted`, however deep.
fn texts_at<'a>(value: &'a Value, wanted: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(pairs) => {
            for (key, inner) in pairs {
                if key == wanted {
                    found.extend(inner.as_str());
                }
                texts_at(inner, wanted, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts_at(item, wanted, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_what_there_is_and_for_nearly_all_of_it() {
    let dashboard: Value =
        serde_json::from_str(&read("grafana/dashboards/longshore.json")).unwrap();
    let mut queries = Vec::new();
    texts_at(&dashboard, "expr", &mut queries);
    assert!(queries.len() >= 20, "{queries:?}");
    let nothing: [String; 0] = [];
    for query in &queries {
        assert_eq!(unknown_words(query), nothing, "{query}");
    }
    let all = queries.concat();
    for metric in METRICS
        .iter()
        .filter(|metric| !metric.name.ends_with("_paused"))
    {
        assert!(all.contains(metric.name), "no panel shows {}", metric.name);
    }
    let panels = dashboard["panels"].as_array().unwrap();
    let exemplars = panels
        .iter()
        .filter(|panel| panel["targets"][0]["exemplar"].as_bool() == Some(true));
    assert!(exemplars.count() >= 5);
    let mut ids: Vec<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    ids.dedup();
    assert_eq!(ids.len(), panels.len(), "two panels have one id");
}

#[test]
fn alerts_ask_for_what_there_is() {
    let rules = read("prometheus/alerts.yml");
    let nothing: [String; 0] = [];
    let metrics_alone = Regex::new(r"alert: \w+").unwrap().replace_all(&rules, "");
    assert_eq!(unknown_words(&metrics_alone), nothing);
    for word in ["trace_export_failure_rate", "trace_sampling_disabled"] {
        assert!(rules.contains(&format!("alert: {word}\n")));
    }
    assert!(!unknown_words("longshore_queue_depht").is_empty());
}

/// Grafana finds a trace by the label that exemplars have, in the source that is defined beside.
#[test]
fn the_source_of_exemplars_leads_to_the_source_of_traces() {
    let sources = read("grafana/provisioning/datasources/longshore.yml");
    assert!(sources.contains("exemplarTraceIdDestinations:\n        - name: trace_id\n"));
    let destination = Regex::new(r"datasourceUid: (\S+)").unwrap();
    let destination = &destination.captures(&sources).unwrap()[1];
    assert!(sources.contains(&format!("uid: {destination}\n    type: tempo")));
}

/// Runs `promtool`, which `.ci/run` installs.
#[expect(clippy::print_stderr, reason = "a test that is skipped must be seen")]
fn promtool(arguments: &[&str], file: &str) {
    let probe = Command::new("promtool").arg("--version").output();
    if let Err(error) = probe {
        let ci = std::env::var_os("LONGSHORE_CI").is_some();
        assert!(!ci, "CI must have promtool: {error}");
        eprintln!("skipped, since promtool, of Debian's package prometheus, is absent: {error}");
        return;
    }
    let mut command = Command::new("promtool");
    command
        .args(arguments)
        .arg(deploy(file))
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{command:?}: {said}");
}

#[test]
fn promtool_takes_the_alerts_and_the_configuration() {
    promtool(&["check", "rules"], "prometheus/alerts.yml");
    promtool(&["check", "config"], "prometheus/prometheus.yml");
}

#[test]
fn every_alert_fires_when_it_must_and_not_otherwise() {
    let (rules, tests) = (read("prometheus/alerts.yml"), read("tests/alerts.yml"));
    for alert in Regex::new(r"alert: (\w+)").unwrap().captures_iter(&rules) {
        let tried = format!("alertname: {}\n", &alert[1]);
        assert!(tests.contains(&tried), "{} is not tried", &alert[1]);
    }
    promtool(&["test", "rules"], "tests/alerts.yml");
}
