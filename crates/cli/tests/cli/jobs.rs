//! `jobs` and `queues`.

use crate::shell::Shell;

#[test]
fn a_list_is_filtered_and_paged() {
    let shell = Shell::new();
    for n in 0..5 {
        shell.enqueue(&["q", "k", &n.to_string(), "--tag", "odd"]);
    }
    shell.enqueue(&["other", "k2", "--delay", "1h", "--tenant", "t"]);
    let page = shell
        .run(&["jobs", "list", "--queue", "q", "--limit", "2", "--json"])
        .json();
    assert_eq!(page["jobs"].as_array().unwrap().len(), 2);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = shell
        .run(&["jobs", "list", "--queue", "q", "--cursor", cursor, "--json"])
        .json();
    assert_eq!(rest["jobs"].as_array().unwrap().len(), 3);
    assert!(rest["next_cursor"].is_null());
    for filter in [
        ["--state", "scheduled"],
        ["--tenant", "t"],
        ["--kind", "k2"],
    ] {
        let found = shell
            .run(&["jobs", "list", filter[0], filter[1], "--json"])
            .json();
        assert_eq!(found["jobs"].as_array().unwrap().len(), 1, "{filter:?}");
    }
    let table = shell.run(&["jobs", "list", "--queue", "other"]);
    assert!(
        table.out.starts_with("ID") && table.out.contains("scheduled"),
        "{}",
        table.out
    );
    assert!(!table.out.contains('\x1b'));
    let ids = shell.run(&["jobs", "list", "--tag", "odd", "--ids", "--limit", "4"]);
    assert_eq!(ids.err, "", "whoever says how many wants no talk");
    let mut all = vec!["jobs", "show"];
    all.extend(ids.out.lines());
    let shown = shell.run(&all);
    assert_eq!((all.len(), shown.code), (6, 0), "{}", shown.err);
    assert_eq!(shell.run(&["jobs", "list", "--state", "late"]).code, 2);
}

#[test]
fn nothing_found_is_said_on_stderr() {
    let shell = Shell::new().with_store();
    let answer = shell.run(&["jobs", "list"]);
    let said = "There are no jobs yet: `longshore enqueue --help` says how to make one.\n";
    assert_eq!(
        (answer.code, answer.out.as_str(), answer.err.as_str()),
        (0, "", said)
    );
    let nothing_done = shell.drain("true");
    assert!(
        nothing_done.err.contains("no jobs in a queue q;"),
        "{}",
        nothing_done.err
    );
    let missing = shell.run(&["jobs", "show", "nobody"]);
    assert_eq!((missing.code, missing.out.as_str()), (1, ""));
    assert!(missing.err.contains("no job nobody"), "{}", missing.err);
}

#[test]
fn jobs_are_cancelled_and_run_again() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k"]);
    let cancelled = shell.run(&["jobs", "cancel", &id, "--json"]);
    assert_eq!(cancelled.json()["state"], "cancelled");
    let retried = shell.run(&["jobs", "retry", &id]);
    assert_eq!(retried.out.trim(), format!("{id} available"));
    let both = shell.run(&["jobs", "cancel", "nobody", &id]);
    assert_eq!(
        (both.code, both.out.trim()),
        (1, format!("{id} cancelled").as_str())
    );
}

#[test]
fn show_tells_the_life_of_a_job() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k", "\"x\"", "--max-attempts", "1"]);
    let answer = shell.drain("echo first >&2; printf 'last \\033[2J words\\n' >&2; exit 7");
    assert_eq!(answer.code, 3, "{}", answer.err);
    assert!(
        !answer.err.contains("words"),
        "a program's stderr stays in the store"
    );
    let life = shell.run(&["jobs", "show", &id]).out;
    for part in [
        "discarded",
        "attempt 1",
        "waited",
        "exit_7",
        "first",
        "last ·[2J words",
    ] {
        assert!(life.contains(part), "{part} in {life}");
    }
    let job = shell.job(&id);
    let attempt = &job["history"][0];
    assert_eq!(attempt["outcome"], "discarded");
    assert_eq!(attempt["error"]["class"], "exit_7");
    assert!(attempt["duration_seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn queues_are_listed_with_counts_by_state() {
    let shell = Shell::new();
    shell.enqueue(&["q", "k"]);
    shell.enqueue(&["q", "k", "--delay", "1h"]);
    let queues = shell.run(&["queues", "list", "--json"]).json();
    let queue = &queues["queues"][0];
    assert_eq!(
        (&queue["queue"], &queue["paused"]),
        (&"q".into(), &false.into())
    );
    assert_eq!(
        (&queue["available"], &queue["scheduled"]),
        (&1.into(), &1.into())
    );
    assert!(shell.run(&["queues", "list"]).out.starts_with("QUEUE"));
}

#[test]
fn a_queue_that_is_mistyped_is_told_apart_from_an_empty_one() {
    let shell = Shell::new().with_store();
    let list = |queue: &str| shell.run(&["jobs", "list", "--queue", queue]).err;
    assert_eq!(
        list("mail"),
        "There are no jobs yet: `longshore enqueue --help` says how to make one.\n"
    );
    shell.enqueue(&["mail", "k"]);
    assert_eq!(
        list("mial"),
        "No job matches. There is no queue mial, only mail.\n"
    );
    let filtered = shell.run(&["jobs", "list", "--queue", "mail", "--kind", "x"]);
    assert_eq!(filtered.err, "No job matches.\n");
    let cancelled = shell.run(&["jobs", "cancel", "nobody"]);
    assert_eq!(cancelled.code, 1);
    assert!(
        cancelled.err.contains("jobs.db: there is no job nobody"),
        "{}",
        cancelled.err
    );
}

#[test]
fn show_tells_every_state() {
    let shell = Shell::new();
    let says = |id: &str, parts: &[&str]| {
        let life = shell.run(&["jobs", "show", id]).out;
        for part in parts {
            assert!(life.contains(part), "{part} in {life}");
        }
    };
    let id = shell.enqueue(&["q", "k", "--delay", "1h"]);
    says(&id, &["scheduled", "due"]);
    assert_eq!(shell.run(&["jobs", "cancel", &id]).code, 0);
    says(&id, &["cancelled", "finished"]);
    let id = shell.enqueue(&["q", "k"]);
    says(&id, &["available", "0 of 20"]);

    let fifo = shell.path("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let program = format!("echo > {fifo}; exec sleep 300");
    let mut worker = shell.start(&[
        "worker", "--queue", "q", "--lease", "1s", "--exec", &program,
    ]);
    std::fs::read(&fifo).unwrap();
    says(&id, &["running", "attempt 1 runs", "since", "lease until"]);
    let running = shell.job(&id);
    assert_eq!(
        (&running["state"], &running["attempt"]),
        (&"running".into(), &1.into())
    );
    assert!(running["worker"].is_string() && running["lease_expires_at"].is_string());
    worker.kill().unwrap();
    worker.wait().unwrap();
}

#[test]
fn a_lost_attempt_is_part_of_the_life() {
    let shell = Shell::new();
    let id = shell.enqueue(&["q", "k"]);
    let kill = [
        "worker",
        "--queue",
        "q",
        "--lease",
        "1s",
        "--exec",
        "kill -9 $PPID; sleep 300",
    ];
    assert_eq!(shell.run(&kill).code, -1);
    assert_eq!(shell.drain("echo rescued").code, 0);
    let life = shell.run(&["jobs", "show", &id]).out;
    for part in [
        "completed",
        "rescued",
        "attempt 1 lost",
        "attempt 2 completed",
    ] {
        assert!(life.contains(part), "{part} in {life}");
    }
    let job = shell.job(&id);
    assert_eq!(job["history"][0]["outcome"], "lost");
    assert_eq!(
        (&job["state"], &job["attempt"]),
        (&"completed".into(), &2.into())
    );
}

#[test]
fn ten_megabytes_of_args_are_summed_up() {
    let shell = Shell::new();
    let big = format!("\"{}\"", "é".repeat(5_000_000));
    let enqueued = shell.run_with(&["enqueue", "q", "k", "-"], big.as_bytes());
    let id = enqueued.out.trim();
    let life = shell.run(&["jobs", "show", id]).out;
    assert!(life.contains("… (9.5 MiB; --json has all)"), "{life}");
    assert!(life.len() < 3000, "{}", life.len());
    assert_eq!(shell.job(id)["args"].as_str().unwrap().len(), 10_000_000);
}

#[test]
fn errors_are_shown_without_secrets_and_in_full() {
    let shell = Shell::new();
    shell.write(
        "longshore.toml",
        "[telemetry]\nredact_patterns = ['CUST-\\d{6}']\n",
    );
    let id = shell.enqueue(&[
        "q",
        "k",
        "{\"to\": \"ann@example.com\"}",
        "--max-attempts",
        "1",
    ]);
    let said = "login of bob@example.com at CUST-123456 with password=enigma42 failed";
    let long = "x".repeat(1500);
    let answer = shell.drain(&format!(
        "printf '{{\"by\":\"eve@example.com\"}}'; echo '{said}' >&2; echo {long} end >&2; exit 9"
    ));
    assert_eq!(answer.code, 3, "{}", answer.err);
    let life = shell.run(&["jobs", "show", &id]).out;
    let records = [
        shell.run(&["jobs", "show", &id, "--json"]),
        shell.run(&["jobs", "list", "--json"]),
    ];
    for shown in [&life, &records[0].out, &records[1].out] {
        for secret in ["bob@example.com", "CUST-123456", "enigma42"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(shown.contains("login of [REDACTED:email]"), "{shown}");
        assert!(shown.contains("ann@example.com"), "args are the user's own");
    }
    let message = &records[0].json()["history"][0]["error"]["message"];
    let message = message.as_str().unwrap();
    assert!(
        message.ends_with(" end") && message.len() > 1500,
        "{message}"
    );
    assert!(message.contains("[REDACTED:pattern]"), "{message}");
}
