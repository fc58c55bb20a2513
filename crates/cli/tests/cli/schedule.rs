//! `schedule`.

use serde_json::json;

use crate::shell::Shell;

fn added(shell: &Shell, args: &[&str]) -> serde_json::Value {
    let answer = shell.run(&[&["schedule", "add"], args, &["--json"]].concat());
    assert_eq!(answer.code, 0, "{}", answer.err);
    answer.json()
}

#[test]
fn a_schedule_is_added_listed_paused_and_removed() {
    let shell = Shell::new().with_store();
    let empty = shell.run(&["schedule", "list"]);
    assert_eq!((empty.code, empty.out.as_str()), (0, ""));
    assert!(empty.err.contains("schedule add"), "{}", empty.err);
    let nightly = [
        "nightly",
        "30 2 * * MON-FRI",
        "q",
        "k",
        "{\"n\":1}",
        "--zone",
        "europe/berlin",
    ];
    let record = added(&shell, &nightly);
    assert_eq!(record["zone"], "Europe/Berlin");
    assert_eq!(record["args"], json!({"n": 1}));
    assert_eq!(record["upcoming"].as_array().unwrap().len(), 5);
    assert_eq!(record["catch_up"], "one");
    let again = shell.run(&[&["schedule", "add"], &nightly[..]].concat());
    assert!(
        again.out.starts_with("nightly unchanged\n  next         2"),
        "{}",
        again.out
    );
    let changed = shell.run(&["schedule", "add", "nightly", "@daily", "q", "k"]);
    assert!(
        changed.out.starts_with("nightly changed"),
        "{}",
        changed.out
    );
    let table = shell.run(&["schedule", "list"]).out;
    assert!(
        table.starts_with("NAME") && table.contains("@daily"),
        "{table}"
    );
    assert_eq!(
        shell.run(&["schedule", "pause", "nightly"]).out,
        "nightly paused\n"
    );
    let paused = shell.run(&["schedule", "show", "nightly", "--json"]).json();
    assert_eq!(
        (&paused["paused"], &paused["upcoming"]),
        (&json!(true), &json!([]))
    );
    assert!(shell.run(&["schedule", "list"]).out.contains("paused"));
    assert_eq!(
        shell.run(&["schedule", "resume", "nightly"]).out,
        "nightly goes on\n"
    );
    let shown = shell.run(&["schedule", "show", "nightly"]).out;
    assert!(
        shown.contains("catch up     one") && shown.contains("  next  "),
        "{shown}"
    );
    let removed = shell.run(&["schedule", "remove", "nightly", "nobody"]);
    assert_eq!(
        (removed.code, removed.out.as_str()),
        (1, "nightly removed\n")
    );
    assert!(
        removed.err.contains("no schedule nobody"),
        "{}",
        removed.err
    );
    let left = shell.run(&["schedule", "list", "--json"]).json();
    assert_eq!(left, json!({"schedules": []}));
}

#[test]
fn nonsense_is_pointed_at() {
    let shell = Shell::new().with_store();
    let refused = |args: &[&str]| {
        let answer = shell.run(&[&["schedule", "add", "s"], args].concat());
        assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{args:?}");
        answer.err
    };
    assert_eq!(
        refused(&["0 25 * * *", "q", "k"]),
        "error: `0 25 * * *` is not a cron expression: the hour is 0 to 23\n  0 25 * * *\n    ^^\n"
    );
    assert!(refused(&["0 0 30 2 *", "q", "k"]).contains("never fire"));
    let zone = refused(&["@daily", "q", "k", "--zone", "Europe/Berln"]);
    assert!(zone.contains("did you mean Europe/Berlin?"), "{zone}");
    assert!(refused(&["@daily", "q", "k", "{"]).contains("not JSON"));
    assert!(refused(&["@daily", "q", "k", "--catch-up", "some"]).contains("all:N"));
    let dry = shell.run(&["schedule", "add", "s", "0 0 29 2 *", "q", "k", "--dry-run"]);
    assert_eq!(
        dry.out.matches("-02-29T00:00:00+00:00").count(),
        5,
        "{}",
        dry.out
    );
    assert_eq!(
        shell.run(&["schedule", "list", "--json"]).json(),
        json!({"schedules": []})
    );
}

/// A real worker fires at the tick; what it enqueued says so, and so does what a person fired.
#[test]
fn a_worker_fires_and_a_person_triggers() {
    let shell = Shell::new();
    added(&shell, &["often", "@every 1s", "other", "k"]);
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trigger = [
        "schedule",
        "trigger",
        "often",
        "--json",
        "--traceparent",
        caller,
    ];
    let job = shell.run(&trigger).json();
    assert_eq!(
        (&job["schedule"], &job["tick"]),
        (&json!("often"), &json!(null))
    );
    assert_eq!(job["trace"]["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(shell.run(&["schedule", "trigger", "nobody"]).code, 1);
    // The job of `q` ends the worker after a second or two; the schedule's wait in `other`.
    shell.enqueue(&["q", "k"]);
    let answer = shell.drain("sleep 2.2");
    assert_eq!(answer.code, 0, "{}", answer.err);
    let record = shell.run(&["schedule", "show", "often", "--json"]).json();
    assert!(record["fired"].as_u64().unwrap() >= 1, "{record}");
    let id = record["last_job_id"].as_str().unwrap();
    let job = shell.job(id);
    assert_eq!(
        (&job["schedule"], &job["tick"]),
        (&json!("often"), &record["last_tick"])
    );
    assert_eq!(job["trace"]["trace_id"], record["last_trace_id"]);
    let shown = shell.run(&["jobs", "show", id]).out;
    assert!(shown.contains("schedule     often, tick 2"), "{shown}");
    let filter = [
        "jobs",
        "list",
        "--meta",
        "longshore.schedule=often",
        "--json",
    ];
    let jobs = shell.run(&filter).json()["jobs"].as_array().unwrap().len();
    assert!(jobs >= 2);
}
