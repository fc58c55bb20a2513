//! Spans in a file.

use std::path::Path;

use longshore_telemetry::TelemetrySettings;
use serde_json::Value;

use super::outage::{Folder, until};
use super::{PATIENCE, settings, span, start};

fn to_file(path: &Path) -> TelemetrySettings {
    settings(&[
        ("LONGSHORE_TELEMETRY_EXPORTER", "file"),
        ("LONGSHORE_TELEMETRY_FILE", path.to_str().unwrap()),
    ])
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_line_is_a_request_of_otlp_in_json() {
    let folder = Folder::new("lines");
    folder.put("traces.jsonl", "{}\n");
    let path = folder.0.join("traces.jsonl");
    let telemetry = start(&to_file(&path));
    telemetry.recorder().record(vec![span(1), span(2)]);
    assert!(telemetry.flush(PATIENCE).await);
    telemetry.recorder().record(vec![span(3)]);
    assert!(telemetry.shutdown(PATIENCE).await);
    let lines = lines(&path);
    assert_eq!(lines.len(), 3, "what was there stays");
    let resource = &lines[1]["resourceSpans"][0];
    let attribute = &resource["resource"]["attributes"][0];
    assert_eq!(attribute["key"], "service.name");
    assert_eq!(attribute["value"]["stringValue"], "longshore");
    let span = &resource["scopeSpans"][0]["spans"][1];
    // As the JSON form of OTLP has it: ids in hexadecimal, large numbers as text.
    assert_eq!(span["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(span["spanId"], "0000000000000002");
    assert_eq!(span["startTimeUnixNano"], "1000000000");
    assert_eq!(span["kind"], 4);
    assert_eq!(span["attributes"][0]["value"]["intValue"], "2");
    assert_eq!(telemetry.counters().exported, 3);
}

#[tokio::test]
async fn the_file_and_the_one_before_are_bounded() {
    let folder = Folder::new("bounded");
    folder.put("nothing", "");
    let path = folder.0.join("traces.jsonl");
    let mut settings = to_file(&path);
    settings.file.max_bytes = 8_000;
    let telemetry = start(&settings);
    for number in 1..=50 {
        telemetry.recorder().record(vec![span(number)]);
        assert!(telemetry.flush(PATIENCE).await);
    }
    let before = folder.0.join("traces.jsonl.1");
    for file in [&path, &before] {
        assert!(std::fs::metadata(file).unwrap().len() <= 4_000);
        assert!(lines(file).len() > 1);
    }
    let last = lines(&path).pop().unwrap();
    let last = &last["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(last["spanId"], "0000000000000032");
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 3);
    assert_eq!(telemetry.counters().exported, 50);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_keeps_spans_waiting() {
    let folder = Folder::new("unwritable");
    let path = folder.0.join("not/there/traces.jsonl");
    let telemetry = start(&to_file(&path));
    telemetry.recorder().record(vec![span(1)]);
    until(|| telemetry.counters().last_export_error.is_some()).await;
    let said = telemetry.counters().last_export_error.unwrap();
    assert!(said.contains("set telemetry.file"), "{said}");
    assert!(said.contains("traces.jsonl"), "{said}");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    until(|| telemetry.counters().exported == 1).await;
    assert_eq!(lines(&path).len(), 1);
}

/// A process that was killed in the middle of a line leaves a piece: what the next one writes is
/// not glued to it.
#[tokio::test]
async fn a_line_that_a_killed_process_did_not_complete_spoils_no_other() {
    let folder = Folder::new("torn");
    folder.put("traces.jsonl", "{}\n{\"resourceSpans\":[{");
    let path = folder.0.join("traces.jsonl");
    for number in 1..=2 {
        let telemetry = start(&to_file(&path));
        telemetry.recorder().record(vec![span(number)]);
        assert!(telemetry.shutdown(PATIENCE).await);
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[..2], ["{}", "{\"resourceSpans\":[{"]);
    for (line, id) in [
        (lines[2], "0000000000000001"),
        (lines[3], "0000000000000002"),
    ] {
        let line: Value = serde_json::from_str(line).unwrap();
        let span = &line["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["spanId"], id);
    }
}
