//! The span log that the program keeps by default.

use std::path::PathBuf;

use longshore_testkit::collector::Collector;
use serde_json::Value;

use crate::shell::Shell;

fn folder(shell: &Shell) -> PathBuf {
    shell.folder.join(".local/share/longshore/spans")
}

/// The names of the files in the log's folder.
fn files(shell: &Shell) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder(shell)) else {
        return Vec::new();
    };
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn ends_in(names: &[String], suffix: &str) -> usize {
    names.iter().filter(|name| name.ends_with(suffix)).count()
}

/// What doctor says of the span log.
fn finding(shell: &Shell) -> (i32, Value) {
    let answer = shell.run(&["doctor", "--json"]);
    let all = answer.json();
    let checks = all["checks"].as_array().unwrap();
    let found = checks.iter().find(|found| found["check"] == "span log");
    (answer.code, found.unwrap().clone())
}

fn says(finding: &Value, part: &str) -> bool {
    finding["message"].as_str().unwrap().contains(part)
}

#[test]
fn every_job_is_traced_without_an_endpoint_and_nothing_is_said_of_it() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k"]);
    assert!(shell.job(&id)["trace"]["traceparent"].is_string());
    let worker = shell.drain("test -n \"$TRACEPARENT\"");
    assert_eq!(worker.code, 0, "{}", worker.err);
    assert!(!worker.err.contains("OpenTelemetry"), "{}", worker.err);
    assert!(shell.job(&id)["history"][0]["span_id"].is_string());
    assert_eq!(ends_in(&files(&shell), ".spans"), 2);
    let (_, log) = finding(&shell);
    assert!(says(&log, "in 2 files") && !says(&log, "exported"), "{log}");
}

#[test]
fn it_is_switched_off_by_file_variable_and_flag() {
    let traceparent = |shell: &Shell, args: &[&str]| {
        let id = shell.enqueue(&[&["q", "k"], args].concat());
        assert!(files(shell).is_empty());
        shell.job(&id)["trace"]["traceparent"].clone()
    };
    let by_file = Shell::new();
    by_file.write("longshore.toml", "[telemetry]\nspan_log = 'off'\n");
    assert_eq!(traceparent(&by_file, &[]), Value::Null);
    let by_variable = Shell::new().with("LONGSHORE_TELEMETRY_SPAN_LOG", "off");
    assert_eq!(traceparent(&by_variable, &[]), Value::Null);
    assert!(says(&finding(&by_variable).1, "off"));
    let by_flag = Shell::new();
    assert_eq!(traceparent(&by_flag, &["--span-log", "off"]), Value::Null);
    let elsewhere = by_flag.path("elsewhere");
    let told = traceparent(&by_flag, &["--span-log", &elsewhere]);
    assert!(told.is_string() && PathBuf::from(&elsewhere).is_dir());
}

#[test]
fn a_folder_that_cannot_be_written_is_one_warning_and_nothing_else() {
    let shell = Shell::new().with_store();
    std::fs::create_dir_all(folder(&shell).parent().unwrap()).unwrap();
    std::fs::write(folder(&shell), "no folder").unwrap();
    let enqueue = shell.run(&["enqueue", "q", "k"]);
    assert_eq!(enqueue.code, 0, "{}", enqueue.err);
    assert_eq!(enqueue.err.lines().count(), 1, "{}", enqueue.err);
    assert!(enqueue.err.contains("telemetry.span_log"));
    let worker = shell.drain("true");
    assert_eq!(worker.code, 0);
    assert_eq!(worker.err.matches("warning:").count(), 1, "{}", worker.err);
    let (code, log) = finding(&shell);
    assert_eq!((code, &log["grade"]), (1, &"problem".into()));
    assert!(says(&log, "is not a folder"), "{log}");
}

#[test]
fn short_runs_leave_one_file_each_and_nothing_beside_it() {
    let shell = Shell::new();
    for _ in 0..20 {
        shell.enqueue(&["q", "k"]);
    }
    let names = files(&shell);
    assert_eq!(ends_in(&names, ".spans"), 20, "{names:?}");
    assert_eq!(names.len(), 21, "beside them only the lock: {names:?}");
}

#[test]
fn what_a_collector_missed_is_sent_by_a_later_run_and_nothing_else_is() {
    let collector = Collector::start().unwrap();
    let shell = Shell::new();
    shell.enqueue(&["q", "local"]);
    let shell = shell.with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let missed = shell.run(&["enqueue", "q", "missed"]);
    assert_eq!((missed.code, missed.err.as_str()), (0, ""));
    let (_, log) = finding(&shell);
    assert!(says(&log, "exported") && !says(&log, "0 bytes"), "{log}");
    let shell = shell.with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http_endpoint());
    shell.enqueue(&["q", "later"]);
    let mut spans = collector.spans();
    while spans.len() < 2 {
        // Each run sends its own first, and then what time allows.
        shell.enqueue(&["q", "later"]);
        spans = collector.spans();
    }
    let kind = |wanted: &str| {
        let is = |attribute: &longshore_instrument::Attribute| {
            format!("{:?}", attribute.value).contains(&format!("\"{wanted}\""))
        };
        spans
            .iter()
            .filter(|span| span.attributes.iter().any(is))
            .count()
    };
    assert_eq!((kind("missed"), kind("local")), (1, 0));
    assert!(kind("later") > 0);
    let (_, log) = finding(&shell);
    assert!(says(&log, "; 0 bytes of them"), "{log}");
    assert_eq!(ends_in(&files(&shell), ".lease"), 0, "{:?}", files(&shell));
}

/// Also where no span leaves, nor is written down.
#[test]
fn what_a_worker_warns_of_leaves_as_a_log_record_if_that_is_asked_for() {
    let collector = Collector::start().unwrap();
    let logs = format!("{}/v1/logs", collector.http_endpoint());
    let shell = Shell::new()
        .with("LONGSHORE_TELEMETRY_SPAN_LOG", "off")
        .with("LONGSHORE_WORKER_SHUTDOWN_GRACE", "100ms")
        .with("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &logs)
        .with("OTEL_LOGS_EXPORTER", "otlp");
    shell.enqueue(&["q", "k"]);
    // The program stops its worker, and is still there when the grace is over.
    let program = "kill -TERM $PPID; sleep 300";
    let worker = shell.run(&["worker", "--queue", "q", "--exec", program]);
    assert_eq!(worker.code, 0, "{}", worker.err);
    assert!(worker.err.contains("the grace is over"), "{}", worker.err);
    let [record] = <[_; 1]>::try_from(collector.log_records()).unwrap();
    assert_eq!(record.body, "the grace is over; stopping handlers");
    assert_eq!(record.scope, "longshore_queue::worker");
    assert!(collector.spans().is_empty());
}

/// Where nobody lives long enough to seal by itself.
#[test]
fn what_is_over_is_sealed_at_once_by_whoever_asks() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k"]);
    assert_eq!(shell.drain("true").code, 0);
    let before = shell.run(&["traces", "show", &id, "--json"]).json();
    let sealed = shell.run(&["traces", "seal", "--json"]).json();
    assert!(sealed["sealed_spans"].as_u64().unwrap() >= 4, "{sealed}");
    assert_eq!(sealed["busy"], false);
    assert_eq!(ends_in(&files(&shell), ".spans"), 0);
    let after = shell.run(&["traces", "show", &id, "--json"]).json();
    assert_eq!(after["chart"], before["chart"]);
    let again = shell.run(&["traces", "seal"]);
    assert!(again.out.starts_with("Sealed 0 spans"), "{}", again.out);
    let shell = shell.with("LONGSHORE_TRACE_STORE_BASE_AGE", "0s");
    let swept = shell.run(&["traces", "seal", "--json"]);
    assert!(swept.json()["deleted_spans"].as_u64().unwrap() >= 4);
    let off = shell.run(&["traces", "seal", "--span-log", "off"]);
    assert_eq!(off.code, 2, "{}", off.err);
}

#[test]
fn what_cannot_be_an_archive_is_said_and_none_is_asked_for_nothing() {
    let shell = Shell::new();
    let fetch = ["traces", "fetch", "--since", "1d", "--into", "back"];
    let none = shell.run(&fetch);
    assert_eq!(none.code, 2);
    assert!(none.err.contains("trace_store.archive"), "{}", none.err);
    let shell = shell.with("LONGSHORE_TRACE_STORE_ARCHIVE", "ftp://traces");
    let wrong = shell.run(&["traces", "seal"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("s3://BUCKET/PREFIX"), "{}", wrong.err);
}
