//! `doctor` on installations that are broken.

use serde_json::Value;

use crate::shell::Shell;
use crate::terminal::typing;

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
    assert_eq!((code, &store["grade"]), (4, &"problem".into()));
    assert_says(&store, "not here/jobs.db", "mkdir -p '");
}

#[test]
fn a_folder_where_nobody_may_write() {
    let shell = Shell::new();
    let enqueue = ["--store", "sqlite:/proc/jobs.db", "enqueue", "q", "k"];
    let enqueue = shell.run(&enqueue);
    assert_eq!(enqueue.code, 4);
    assert!(enqueue.err.contains("may write"), "{}", enqueue.err);
    let (_, store) = finding(&shell, &["--store", "sqlite:/"], "store");
    assert_says(&store, "", "export LONGSHORE_STORE=sqlite:/jobs.db");
}

#[test]
fn a_url_of_something_else() {
    let shell = Shell::new().with("LONGSHORE_STORE", "mysql://localhost/jobs");
    let (code, store) = finding(&shell, &[], "store");
    assert_eq!(code, 2);
    assert_says(&store, "mysql:", "export LONGSHORE_STORE=sqlite:");
}

#[test]
fn a_postgresql_server_that_is_away() {
    // Nobody listens at port 1.
    let url = "postgres://app:hunter2@127.0.0.1:1/jobs";
    let shell = Shell::new().with("LONGSHORE_STORE", url);
    let (code, store) = finding(&shell, &[], "store");
    assert_eq!(code, 4);
    assert_says(
        &store,
        "127.0.0.1:1/jobs",
        "psql -h 127.0.0.1 -p 1 -U app -d jobs",
    );
    assert!(!store.to_string().contains("hunter2"), "{store}");
}

#[test]
fn a_redis_server_that_is_away() {
    let url = "redis://app:hunter2@127.0.0.1:1/3?prefix=shop";
    let shell = Shell::new().with("LONGSHORE_STORE", url);
    let (code, store) = finding(&shell, &[], "store");
    assert_eq!(code, 4);
    assert_says(&store, "127.0.0.1:1", "redis-cli -h 127.0.0.1 -p 1 ping");
    let said = shell.run(&["doctor"]).out;
    assert_eq!(said.matches("Connection refused").count(), 1, "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    // Where it cannot be looked at, there is nothing to look at on the screen either.
    let screen = typing(&shell, 120, "tui", "");
    assert_eq!(screen.code, 4, "{}", screen.out);
    assert!(!screen.out.contains("\x1b[?1049h"), "{}", screen.out);
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
    // A worker that is there claims within seconds.
    let later = "available_at + 480000000000";
    change(
        &shell,
        &format!("UPDATE longshore_job SET available_at = {later}"),
    );
    let (_, queues) = finding(&shell, &[], "queues");
    assert_says(&queues, "q for 2 m", "longshore worker --queue q --exec");
}

#[test]
fn a_collector_that_is_away() {
    let shell = Shell::new()
        .with_store()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let (code, telemetry) = finding(&shell, &[], "telemetry");
    assert_eq!(code, 1);
    assert_says(&telemetry, "$OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1 9");
    let seen = shell.run(&["doctor"]).out;
    assert!(seen.contains("\n                        try: nc"), "{seen}");
}

#[test]
fn settings_that_are_wrong() {
    let shell = Shell::new().with_store();
    shell.write("longshore.toml", "[worker]\nlease = 'long'\n");
    let (code, configuration) = finding(&shell, &[], "configuration");
    assert_eq!(code, 2);
    assert_says(&configuration, "worker.lease", "longshore config check");
}

#[test]
fn a_file_from_the_future() {
    let shell = Shell::new();
    shell.enqueue(&["q", "k"]);
    let file = std::fs::File::options()
        .append(true)
        .open(shell.path("jobs.db"))
        .unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let modified = file.metadata().unwrap().modified().unwrap();
    file.set_modified(modified + hour).unwrap();
    let (code, store) = finding(&shell, &[], "store");
    assert_eq!((code, &store["grade"]), (0, &"warning".into()));
    assert_says(&store, "written 59 m", "timedatectl");
}

#[test]
fn a_queue_that_somebody_forgot_to_resume() {
    let shell = Shell::new();
    shell.enqueue(&["q", "k"]);
    assert_eq!(shell.run(&["queues", "pause", "q"]).code, 0);
    let ago = "UPDATE longshore_job SET available_at = available_at - 600000000000";
    change(&shell, ago);
    let (code, paused) = finding(&shell, &[], "paused");
    assert_eq!((code, &paused["grade"]), (0, &"warning".into()));
    assert_says(&paused, "q with 1 job", "longshore queues resume q");
    // Another worker would not help it.
    let (_, queues) = finding(&shell, &[], "queues");
    assert_eq!(queues["grade"], "ok");
    let nightly = ["schedule", "add", "nightly", "@daily", "q", "k"];
    assert_eq!(shell.run(&nightly).code, 0);
    let (_, schedules) = finding(&shell, &[], "schedules");
    assert_says(
        &schedules,
        "nightly fires into the queue q",
        "longshore queues resume q",
    );
    assert_eq!(shell.run(&["queues", "resume", "q"]).code, 0);
    assert_eq!(finding(&shell, &[], "paused").1["remedy"], Value::Null);
    assert_eq!(finding(&shell, &[], "schedules").1["remedy"], Value::Null);
}

#[test]
fn jobs_of_a_worker_that_vanished() {
    let shell = Shell::new();
    shell.enqueue(&["q", "k"]);
    let mut worker = shell.start(&[
        "worker",
        "--queue",
        "q",
        "--exec",
        "kill -9 $PPID; sleep 60",
    ]);
    worker.wait().unwrap();
    let (_, leases) = finding(&shell, &[], "leases");
    assert_says(&leases, "1 job running", "");
    // Its lease has ended a moment ago, or long ago.
    for (nanos, says) in [
        (31_000_000_000_i64, "takes them back"),
        (600_000_000_000, "none runs"),
    ] {
        let ago = format!("UPDATE longshore_job SET lease_expires_at = lease_expires_at - {nanos}");
        change(&shell, &ago);
        let (code, leases) = finding(&shell, &[], "leases");
        assert_eq!((code, &leases["grade"]), (0, &"warning".into()));
        let remedy = "longshore worker --queue q --exec";
        assert_says(&leases, "1 job of workers that vanished, such as ", remedy);
        assert_says(&leases, says, remedy);
    }
}

#[test]
fn schedules_that_nobody_fires() {
    let shell = Shell::new();
    let often = ["schedule", "add", "often", "@every 1s", "q", "k"];
    assert_eq!(shell.run(&often).code, 0);
    assert_eq!(finding(&shell, &[], "schedules").1["remedy"], Value::Null);
    let conn = rusqlite::Connection::open(shell.path("jobs.db")).unwrap();
    let (name, body): (String, Vec<u8>) = conn
        .query_row(
            "SELECT name, body FROM longshore_document WHERE name LIKE 'schedules/%'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let mut shard: Value = serde_json::from_slice(&body).unwrap();
    let standing = &mut shard["schedules"]["often"]["standing"];
    assert!(
        standing["next"].is_number() || standing["next"].is_string(),
        "{standing}"
    );
    standing["next"] = match &standing["next"] {
        Value::Number(next) => (next.as_i64().unwrap() - 600_000_000_000).into(),
        _ => "2026-01-01T00:00:00Z".into(),
    };
    let body = serde_json::to_vec(&shard).unwrap();
    conn.execute(
        "UPDATE longshore_document SET body = ?1 WHERE name = ?2",
        rusqlite::params![body, name],
    )
    .unwrap();
    let (code, schedules) = finding(&shell, &[], "schedules");
    assert_eq!((code, &schedules["grade"]), (0, &"warning".into()));
    assert_says(
        &schedules,
        "should have fired: often",
        "longshore worker --queue q --exec",
    );
}

#[test]
fn limits_that_let_nothing_pass() {
    let shell = Shell::new();
    let done = |words: &[&str]| {
        let answer = shell.run(words);
        assert_eq!(answer.code, 0, "{}", answer.err);
    };
    done(&["limits", "set", "queue:maill", "--concurrency", "2"]);
    let (code, limits) = finding(&shell, &[], "limits");
    assert_eq!((code, &limits["grade"]), (0, &"warning".into()));
    assert_says(
        &limits,
        "queue:maill",
        "longshore limits remove queue:maill",
    );
    done(&["limits", "remove", "queue:maill"]);
    shell.enqueue(&["q", "k"]);
    done(&["limits", "set", "queue:q", "--length", "1"]);
    let (_, limits) = finding(&shell, &[], "limits");
    assert_says(
        &limits,
        "queue:q is full with 1 unfinished job",
        "longshore worker --queue q",
    );
    done(&["limits", "remove", "queue:q"]);
    done(&["kinds", "pause", "other"]);
    assert_eq!(finding(&shell, &[], "limits").1["remedy"], Value::Null);
    done(&["kinds", "pause", "k"]);
    let (_, limits) = finding(&shell, &[], "limits");
    assert_says(
        &limits,
        "k has 1 job waiting and was paused",
        "longshore kinds resume k",
    );
}

#[test]
fn a_limit_that_holds_jobs_back_is_named() {
    let shell = Shell::new();
    shell.enqueue(&["q", "k"]);
    shell.enqueue(&["q", "k"]);
    let limited = shell.run(&["limits", "set", "queue:q", "--rate", "1/h"]);
    assert_eq!(limited.code, 0, "{}", limited.err);
    assert_says(&finding(&shell, &[], "limits").1, "none in the way", "");
    let mut worker = shell.start(&["worker", "--queue", "q", "--exec", "true"]);
    let queue = || shell.run(&["queues", "list", "--json"]).json()["queues"][0].clone();
    while queue()["completed"] != 1 {}
    worker.kill().unwrap();
    worker.wait().unwrap();
    let (code, limits) = finding(&shell, &[], "limits");
    assert_eq!((code, &limits["grade"]), (0, &"ok".into()));
    assert_says(
        &limits,
        "held back by the limit of queue:q (starts 1/1h)",
        "",
    );
    let ago = "available_at - 600000000000";
    change(
        &shell,
        &format!("UPDATE longshore_job SET available_at = {ago}"),
    );
    let (code, limits) = finding(&shell, &[], "limits");
    assert_eq!((code, &limits["grade"]), (0, &"warning".into()));
    assert_says(&limits, "the oldest for 1", "longshore limits list");
}

#[test]
fn all_limits_in_the_way_are_named_and_the_rest_is_counted() {
    let shell = Shell::new();
    let done = |words: &[&str]| {
        let answer = shell.run(words);
        assert_eq!(answer.code, 0, "{}", answer.err);
    };
    shell.enqueue(&["q", "held"]);
    done(&["limits", "set", "queue:q", "--rate", "1/h"]);
    let mut worker = shell.start(&["worker", "--queue", "q", "--exec", "true"]);
    let queue = || shell.run(&["queues", "list", "--json"]).json()["queues"][0].clone();
    while queue()["completed"] != 1 {}
    worker.kill().unwrap();
    worker.wait().unwrap();
    // More of a kind that rests than of the one that is held.
    for _ in 0..30 {
        shell.enqueue(&["q", "rests"]);
    }
    shell.enqueue(&["q", "held"]);
    done(&["kinds", "pause", "rests"]);
    let (_, limits) = finding(&shell, &[], "limits");
    let message = limits["message"].as_str().unwrap();
    for part in [
        "the kind rests has 30 jobs waiting and was paused",
        "held back by the limit of queue:q (starts 1/1h)",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(limits["remedy"], "longshore kinds resume rests");
    for queue in ["one", "two"] {
        done(&[
            "limits",
            "set",
            &format!("queue:{queue}"),
            "--concurrency",
            "2",
        ]);
    }
    let (_, limits) = finding(&shell, &[], "limits");
    let message = limits["message"].as_str().unwrap();
    let told = message.contains("queue:one is limited") && message.ends_with(" and 1 more");
    assert!(told, "{message}");
}

#[test]
fn files_that_everybody_may_change() {
    use std::os::unix::fs::PermissionsExt as _;
    let shell = Shell::new();
    shell.enqueue(&["q", "k"]);
    assert_eq!(finding(&shell, &[], "permissions").1["grade"], "ok");
    let open = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(shell.path("jobs.db"), open).unwrap();
    let (code, permissions) = finding(&shell, &[], "permissions");
    assert_eq!((code, &permissions["grade"]), (0, &"warning".into()));
    assert_says(&permissions, "every user", "chmod o-w ");
}

#[test]
fn what_is_in_order_is_said_too() {
    let shell = Shell::new();
    shell.enqueue(&["q", "k"]);
    for (check, part) in [
        ("file", "schema version "),
        ("disk", " free"),
        ("leases", "0 jobs"),
    ] {
        assert_says(&finding(&shell, &[], check).1, part, "");
    }
}
