//! `doctor` on installations that are broken.

use serde_json::Value;

use crate::shell::Shell;

/// What doctor says of one check, after it found a problem or not.
fn finding(shell: &Shell, args: &[&str], check: &str) -> (i32, Value) {
    let answer = shell.run(&[args, &["doctor", "--json"]].concat());
    let all = answer.json();
    let checks = all["checks"].as_array().unwrap();
    let found = checks.iter().find(|found| found["check"] == check);
    (answer.code, found.expect(check).clone())
}

fn assert_says(finding: &Value, message: &str, remedy: &str) {
    let says = |key: &str, part: &str| finding[key].as_str().unwrap_or("").contains(part);
    assert!(
        says("message", message) && says("remedy", remedy),
        "{finding}"
    );
}

fn change(shell: &Shell, sql: &str) {
    let conn = rusqlite::Connection::open(shell.path("jobs.db")).unwrap();
    conn.execute_batch(sql).unwrap();
}

#[test]
fn a_folder_that_is_missing() {
    let shell = Shell::new();
    let store = format!("sqlite:{}/not here/jobs.db", shell.folder.display());
    let (code, store) = finding(&shell, &["--store", &store], "store");
    assert_eq!((code, &store["grade"]), (1, &"problem".into()));
    assert_says(&store, "not here/jobs.db", "mkdir -p '");
}

#[test]
fn a_folder_where_nobody_may_write() {
    let shell = Shell::new();
    let (code, store) = finding(&shell, &["--store", "sqlite:/proc/jobs.db"], "store");
    assert_eq!((code, &store["grade"]), (1, &"problem".into()));
    assert_says(&store, "may write", "");
    let (_, store) = finding(&shell, &["--store", "sqlite:/"], "store");
    assert_says(&store, "", "export LONGSHORE_STORE=sqlite:/jobs.db");
}

#[test]
fn a_url_of_something_else() {
    let shell = Shell::new().with("LONGSHORE_STORE", "postgres://localhost/jobs");
    let (code, store) = finding(&shell, &[], "store");
    assert_eq!(code, 1);
    assert_says(&store, "postgres:", "export LONGSHORE_STORE=sqlite:");
}

#[test]
fn a_store_of_a_newer_version() {
    let shell = Shell::new();
    shell.enqueue(&["q", "k"]);
    change(&shell, "PRAGMA user_version = 99");
    let (code, store) = finding(&shell, &[], "store");
    assert_eq!(code, 1);
    assert_says(&store, "schema version 99", "cargo install");
}

#[test]
fn a_clock_that_was_set_back() {
    let shell = Shell::new();
    shell.enqueue(&["q", "k"]);
    let hour = 3_600_000_000_000_i64;
    change(
        &shell,
        &format!("UPDATE longshore_job SET enqueued_at = enqueued_at + {hour}"),
    );
    let (code, store) = finding(&shell, &[], "store");
    assert_eq!((code, &store["grade"]), (0, &"warning".into()));
    assert_says(&store, "59 m", "timedatectl");
}

#[test]
fn jobs_that_nobody_takes() {
    let shell = Shell::new();
    shell.enqueue(&["q", "k"]);
    let (_, queues) = finding(&shell, &[], "queues");
    assert_eq!(queues["remedy"], Value::Null);
    let ago = "available_at - 600000000000";
    change(
        &shell,
        &format!("UPDATE longshore_job SET available_at = {ago}"),
    );
    let (code, queues) = finding(&shell, &[], "queues");
    assert_eq!((code, &queues["grade"]), (0, &"warning".into()));
    assert_says(&queues, "q for 10 m", "longshore worker --queue q --exec");
}

#[test]
fn a_collector_that_is_away() {
    let shell = Shell::new().with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let (code, telemetry) = finding(&shell, &[], "telemetry");
    assert_eq!(code, 1);
    assert_says(&telemetry, "$OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1 9");
    let seen = shell.run(&["doctor"]).out;
    assert!(seen.contains("\n                        try: nc"), "{seen}");
}

#[test]
fn settings_that_are_wrong() {
    let shell = Shell::new();
    shell.write("longshore.toml", "[worker]\nlease = 'long'\n");
    let (code, configuration) = finding(&shell, &[], "configuration");
    assert_eq!(code, 1);
    assert_says(&configuration, "worker.lease", "longshore config check");
}
