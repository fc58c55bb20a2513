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
    assert_eq!(shell.run(&["jobs", "list", "--state", "late"]).code, 2);
}

#[test]
fn nothing_found_is_said_on_stderr() {
    let shell = Shell::new();
    let answer = shell.run(&["jobs", "list"]);
    assert_eq!(
        (answer.code, answer.out.as_str(), answer.err.as_str()),
        (0, "", "No job matches.\n")
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
